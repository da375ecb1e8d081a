//! A phone's life on one socket.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::{FutureExt, SinkExt, StreamExt};
use rand::Rng;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

use crate::{
    clock::Moment,
    measure::Timed,
    reading,
    wire::{Heard, Letter},
};

use super::{Ended, Phone, World};

/// How long a connection, its handshake included, and every write may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a phone says `ping`, drawn from half to the whole of it.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A server that answers neither a ping nor a send for so long is gone, as far as the phone can tell.
const SILENCE: Duration = Duration::from_secs(10);
/// How many frames are taken before what is due is sent.
const FRAMES_AT_ONCE: usize = 64;

pub(super) type Socket = WebSocketStream<TcpStream>;

/// What a frame asks for that takes time.
enum Step {
    Say(String),
    /// Load over HTTP what is up to this number.
    Reload(i64),
    End(Ended),
}

/// What is known of a socket.
struct State {
    is_ready: bool,
    begun: Moment,
    heard: Instant,
    ping_at: Instant,
    /// Since when an answer is due: to a ping, or to a send.
    asked: Option<Instant>,
    /// Nothing is sent before; the server asked for it.
    quiet_until: Option<Instant>,
    number: u32,
}

impl Phone {
    /// Opens a socket.
    pub(super) async fn connect(&mut self) -> Result<Socket, Ended> {
        let World { wire, targets, people, .. } = &*self.world;
        let target = &targets[self.at];
        let person = &people[self.number as usize];
        let request = wire.handshake(&target.url, person);
        let mut config = WebSocketConfig::default();
        config.read_buffer_size = 4_096;
        config.write_buffer_size = 16 * 1_024;
        let connecting = async {
            let tcp = TcpStream::connect(target.addr).await.ok()?;
            tcp.set_nodelay(true).ok()?;
            Some(client_async_with_config(request, tcp, Some(config)).await)
        };
        let mut socket = match timeout(PATIENCE, connecting).await {
            Ok(Some(Ok((socket, _)))) => socket,
            Ok(Some(Err(tungstenite::Error::Http(answer)))) => {
                let status = answer.status();
                if !status.is_server_error() && status != 429 {
                    self.broken(|| format!("the handshake was refused with {status}"));
                }
                return Err(Ended::Lost);
            }
            _ => return Err(Ended::Lost),
        };
        self.sockets += 1;
        let greeting = wire.greeting(person, self.number, &self.cursor);
        if let Some(greeting) = greeting {
            say(&mut socket, greeting).await.map_err(|()| Ended::Lost)?;
        }
        Ok(socket)
    }

    /// Lives on one socket until it ends.
    pub(super) async fn live(&mut self, socket: &mut Socket, begun: Moment) -> Ended {
        let now = Instant::now();
        let mut state = State {
            is_ready: false,
            begun,
            heard: now,
            ping_at: now + PING_EVERY.mul_f64(self.random.random_range(0.5..1.0)),
            asked: Some(now),
            quiet_until: None,
            number: self.sockets,
        };
        let orders = Rc::clone(&self.orders);
        let timer = sleep_until(state.next_look());
        tokio::pin!(timer);
        loop {
            let mut frame = tokio::select! {
                biased;
                frame = socket.next() => Some(frame),
                () = orders.news.notified() => None,
                () = &mut timer => None,
            };
            if self.take_orders() {
                if self.is_over {
                    let _ = timeout(PATIENCE, socket.close(None)).await;
                }
                return Ended::After(Duration::ZERO);
            }
            let mut taken = 0;
            while let Some(message) = frame {
                match self.take(socket, &mut state, message).await {
                    Ok(()) => {}
                    Err(ended) => return ended,
                }
                taken += 1;
                frame = if taken < FRAMES_AT_ONCE { socket.next().now_or_never() } else { None };
            }
            if self.send_due(socket, &mut state).await.is_err() {
                return Ended::Lost;
            }
            let now = Instant::now();
            let is_silent = state.asked.is_some_and(|asked| {
                now.saturating_duration_since(asked.max(state.heard)) > SILENCE
            });
            if is_silent {
                return Ended::Lost;
            }
            if timer.deadline() <= now {
                timer.as_mut().reset(state.next_look());
            }
        }
    }

    async fn take(
        &mut self,
        socket: &mut Socket,
        state: &mut State,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<(), Ended> {
        let Some(Ok(message)) = message else { return Err(Ended::Lost) };
        state.heard = Instant::now();
        state.asked = (self.outbox.len() > 0).then_some(state.heard);
        match message {
            Message::Text(text) => self.hear(socket, state, text.as_str()).await,
            Message::Close(close) => {
                let code = close.map_or(1005, |close| u16::from(close.code));
                // The others say that this phone has done something wrong, or is not wanted.
                if !matches!(code, 1000 | 1001 | 1005 | 1006 | 1011 | 1012 | 4408 | 4410) {
                    self.broken(|| format!("was closed with {code}"));
                }
                Err(Ended::Lost)
            }
            _ => Ok(()),
        }
    }

    /// Applies a frame.
    async fn hear(
        &mut self,
        socket: &mut Socket,
        state: &mut State,
        text: &str,
    ) -> Result<(), Ended> {
        let wire = Arc::clone(&self.world.wire);
        let now = self.world.clock.now();
        let mut steps = Vec::new();
        let read = wire.hear(text, &mut |heard| steps.extend(self.apply(state, heard, now)));
        if let Err(unreadable) = read {
            self.broken(|| unreadable.to_string());
            return Err(Ended::Lost);
        }
        for step in steps {
            match step {
                Step::Say(frame) => say(socket, frame).await.map_err(|()| Ended::Lost)?,
                Step::Reload(last) => self.reload(last).await?,
                Step::End(ended) => return Err(ended),
            }
        }
        Ok(())
    }

    /// Applies a part of a frame. Returns what takes time.
    fn apply(&mut self, state: &mut State, heard: Heard<'_>, now: Moment) -> Option<Step> {
        match heard {
            Heard::Say(frame) => return Some(Step::Say(frame)),
            Heard::Ready { epoch, last_seq } => {
                self.cursor.epoch = epoch;
                self.ready(state, last_seq, now);
            }
            Heard::Sent { seq, chat } => {
                let (seen, due) = self.seen(&chat);
                self.acknowledged(seq, &seen, now);
                // Up to the cursor it is the answer to a repeat, which moves nothing.
                match seq {
                    Some(seq) if seq <= self.cursor.seq.unwrap_or(0) => {}
                    Some(_) => self.shown(seq, &seen, due, now),
                    None => self.moved(None),
                }
            }
            Heard::Event { seq, chat } => {
                let (seen, due) = self.seen(&chat);
                if seen.key.run == self.world.run && seen.key.writer == self.number {
                    self.acknowledged(seq, &seen, now);
                }
                self.shown(seq, &seen, due, now);
            }
            Heard::Refused { key, code, after } => {
                return self.refused(state, key.is_some(), &code, after);
            }
            Heard::Reset { epoch, last_seq } => {
                self.cursor.epoch = epoch;
                return Some(Step::Reload(last_seq));
            }
            Heard::Reconnect { after } => return Some(Step::End(Ended::After(after))),
            Heard::Nothing => {}
        }
        None
    }

    fn refused(
        &mut self,
        state: &mut State,
        is_send: bool,
        code: &str,
        after: Option<Duration>,
    ) -> Option<Step> {
        self.meter.count(true, |totals| totals.errors += 1);
        let Some(after) = after else {
            self.broken(|| format!("the server refused for good: {code}"));
            return Some(Step::End(Ended::Lost));
        };
        if is_send {
            // What follows waits too, so that the order stays.
            let under_way = self.outbox.rewind();
            self.meter.with(|counts| counts.in_flight -= under_way);
            state.quiet_until = Some(state.heard + after);
        }
        None
    }

    fn ready(&mut self, state: &mut State, last_seq: Option<i64>, now: Moment) {
        let mark = &self.world.marks[self.number as usize];
        if !mark.is_ready.swap(true, Relaxed) {
            self.meter.with(|counts| counts.connected += 1);
        }
        state.is_ready = true;
        if self.cursor.seq.is_none() && self.world.wire.has_numbers() {
            let cursor = last_seq.unwrap_or(0);
            self.cursor.seq = Some(cursor);
            self.book.begin(cursor);
            mark.cursor.store(cursor, Relaxed);
            mark.first_cursor.store(cursor, Relaxed);
        }
        self.meter.count(true, |totals| totals.connects += 1);
        match self.lost_at.take() {
            Some(lost) => self.meter.time(Timed::Resume, lost.max(self.back_since), now),
            None => self.meter.time(Timed::Connect, state.begun, now),
        }
    }

    /// Sends what may be sent, in one write.
    async fn send_due(&mut self, socket: &mut Socket, state: &mut State) -> Result<(), ()> {
        let now = Instant::now();
        if !state.is_ready {
            return Ok(());
        }
        let mut is_written = false;
        if now >= state.ping_at {
            state.ping_at = now + PING_EVERY;
            if let Some(ping) = self.world.wire.ping() {
                feed(socket, ping).await?;
                is_written = true;
                state.asked.get_or_insert(now);
            }
        }
        if state.quiet_until.is_none_or(|until| now >= until) {
            state.quiet_until = None;
            let World { wire, people, load, window, .. } = &*self.world;
            let mut sent = 0;
            while let Some(letter) = self.outbox.next(*window) {
                self.book.send(letter.key, state.number);
                let frame = wire.send(&Letter {
                    key: &letter.key.to_string(),
                    sender: people[self.number as usize].id,
                    target: people[letter.target as usize].id,
                    content: &letter.content,
                });
                if !letter.is_repeat {
                    self.meter.count(load.has(letter.due), |totals| totals.sent += 1);
                }
                sent += 1;
                feed(socket, frame).await?;
            }
            if sent > 0 {
                self.meter.with(|counts| counts.in_flight += sent);
                is_written = true;
                state.asked.get_or_insert(now);
            }
        }
        if is_written { flush(socket).await } else { Ok(()) }
    }

    /// Loads everything anew over HTTP, up to `last`.
    async fn reload(&mut self, last: i64) -> Result<(), Ended> {
        let person = &self.world.people[self.number as usize];
        let first = self.world.marks[self.number as usize].first_cursor.load(Relaxed);
        let read = reading::timeline(&self.world, self.at, person, first).await;
        let Ok(events) = read else { return Err(Ended::Lost) };
        let events: Vec<_> =
            events.into_iter().filter_map(|(seq, seen)| Some((seq?, seen))).collect();
        self.book.reload(&events, last);
        self.moved(Some(last));
        Ok(())
    }
}

impl State {
    /// When to look at the clock again.
    fn next_look(&self) -> Instant {
        let soon = self.quiet_until.unwrap_or(self.ping_at).min(self.ping_at);
        let now = Instant::now();
        soon.clamp(now + Duration::from_millis(10), now + SILENCE / 2)
    }
}

async fn say(socket: &mut Socket, frame: String) -> Result<(), ()> {
    feed(socket, frame).await?;
    flush(socket).await
}

async fn feed(socket: &mut Socket, frame: String) -> Result<(), ()> {
    match timeout(PATIENCE, socket.feed(Message::text(frame))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}

async fn flush(socket: &mut Socket) -> Result<(), ()> {
    match timeout(PATIENCE, socket.flush()).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}
