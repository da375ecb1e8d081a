//! What the process writes to standard error while it serves: a queue bounded in bytes, and a thread of
//! its own that writes. Whoever reads the other end may stop, or be gone: nothing else waits for that.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// The most bytes that wait. As many may be with the thread, which writes them.
const QUEUE_BYTES: usize = 2 * 1024 * 1024;

/// How long to wait where the other end is in non-blocking mode, and full.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// A queue of lines. A line that does not fit is dropped and counted; how many were is logged as soon as
/// there is room again. Clones share the queue.
///
/// Not `tracing-appender`: its queue is bounded in lines alone, and its guard writes to standard error
/// itself when the thread does not end, and so never ends either.
#[derive(Clone)]
pub struct Output(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    /// Lines that were dropped, which the log does not say yet.
    dropped: u64,
    is_writing: bool,
}

impl Output {
    /// Begins a thread that writes to `target` for as long as the process lives.
    pub fn to(target: impl Write + Send + 'static) -> io::Result<Self> {
        let output = Self(Arc::default());
        let shared = Arc::clone(&output.0);
        let thread = std::thread::Builder::new().name("output".to_owned());
        thread.spawn(move || shared.write_to(target))?;
        Ok(output)
    }

    /// Queues whole lines, of which each ends with its line feed.
    fn push(&self, lines: &[u8]) {
        let mut queue = self.0.queue.lock();
        if queue.lines.len() + lines.len() > QUEUE_BYTES {
            queue.dropped += count(lines);
            drop(queue);
            note_dropped(count(lines));
        } else {
            queue.lines.extend_from_slice(lines);
            drop(queue);
            self.0.arrived.notify_one();
        }
    }

    /// Waits until all is written, but no longer than `wait`. It blocks: for the end of the process.
    pub fn flush_within(&self, wait: Duration) {
        let mut queue = self.0.queue.lock();
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        let _ = self.0.written.wait_while_for(&mut queue, is_busy, wait);
    }
}

/// What is written at once are whole lines.
impl Write for Output {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.push(lines);
        Ok(lines.len())
    }

    /// Does nothing: whoever logs does not wait.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn write_to(&self, mut target: impl Write) {
        // Whether the last write succeeded. Dropped lines are reported to a reader that is there.
        let mut is_heard = false;
        loop {
            let (lines, dropped) = self.take(is_heard);
            if dropped > 0 {
                // Waits behind the lines that were just taken: what is missing would have come there.
                tracing::warn!(lines = dropped, "log lines were dropped: nobody took them in time");
            }
            let written = write_all(&mut target, &lines);
            is_heard = written.is_ok();
            if written.is_err() {
                self.queue.lock().dropped += count(&lines);
                note_dropped(count(&lines));
            }
        }
    }

    /// Waits for lines, and takes all; with how many are missing after them, if that can be told.
    fn take(&self, is_heard: bool) -> (Vec<u8>, u64) {
        let mut queue = self.queue.lock();
        queue.is_writing = false;
        while queue.lines.is_empty() {
            self.written.notify_all();
            self.arrived.wait(&mut queue);
        }
        queue.is_writing = true;
        let dropped = if is_heard { std::mem::take(&mut queue.dropped) } else { 0 };
        (std::mem::take(&mut queue.lines), dropped)
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.split(|byte| *byte == b'\n').count() as u64 - 1
}

fn note_dropped(lines: u64) {
    metrics::counter!("imserver_log_lines_dropped_total").increment(lines);
}

fn write_all(target: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match target.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(FULL_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    target.flush()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, PipeWriter, pipe},
        sync::mpsc,
    };

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    /// Takes nothing until the other end of the channel is gone.
    struct Gated(PipeWriter, mpsc::Receiver<()>);

    impl Write for Gated {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            let _ = self.1.recv();
            self.0.write(lines)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    #[test]
    fn lines_come_out_as_they_were_put_in() {
        let (reader, writer) = pipe().unwrap();
        let mut output = Output::to(writer).unwrap();
        output.write_all(b"one\n").unwrap();
        output.write_all(b"two\n").unwrap();
        output.flush_within(WAIT);
        let lines: Vec<_> = BufReader::new(reader).lines().take(2).map(Result::unwrap).collect();
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_counted() {
        let ((reader, writer), (gate, closed)) = (pipe().unwrap(), mpsc::channel());
        let mut output = Output::to(Gated(writer, closed)).unwrap();
        let line = [[b'x'; 1_023].as_slice(), b"\n"].concat();
        // More than the thread and the queue.
        for _ in 0..3 * QUEUE_BYTES / line.len() {
            output.write_all(&line).unwrap();
        }
        output.flush_within(Duration::from_millis(1));
        let queue = output.0.queue.lock();
        assert!(queue.lines.len() <= QUEUE_BYTES && queue.dropped > 0);
        let kept = 3 * QUEUE_BYTES as u64 / 1_024 - queue.dropped;
        drop((queue, gate));
        // No line is cut, and none that was taken is lost.
        let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
        assert!((0..kept).all(|_| lines.next().unwrap().len() == 1_023));
        output.flush_within(WAIT);
        assert!(output.0.queue.lock().lines.is_empty());
    }

    #[test]
    fn an_end_that_is_gone_stops_nothing() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut output = Output::to(writer).unwrap();
        output.write_all(b"one\n").unwrap();
        output.flush_within(WAIT);
        output.write_all(b"two\n").unwrap();
        output.flush_within(WAIT);
        assert_eq!(output.0.queue.lock().dropped, 2);
    }
}
