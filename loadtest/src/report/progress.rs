//! The line while a run goes on.

use std::io::{self, IsTerminal, Write};

use super::words;
use crate::{outcome::Second, plan::Plan};

/// How often a line is written where it cannot be drawn over, in seconds.
const LINE_EVERY: f64 = 5.0;

/// The line of a second that is over.
pub fn line(second: &Second, plan: &Plan) -> String {
    let over = second.at + 1.0;
    let left = plan.duration_secs - over;
    let phase = if over <= -plan.warm_up_secs {
        "connecting".to_owned()
    } else if over <= 0.0 {
        "warming up".to_owned()
    } else if left >= 0.0 {
        format!("{} left", words::secs(left.round()))
    } else {
        "settling".to_owned()
    };
    let millis = |value| words::or_dash(value, words::millis);
    format!(
        "{phase} · {} due {} acked {} delivered · p50 {} p99 {} · {} connected {} in flight · {}",
        words::count(second.due),
        words::count(second.acknowledged),
        words::count(second.delivered),
        millis(second.p50),
        millis(second.p99),
        words::count(second.connected),
        words::count(second.in_flight),
        words::several(second.errors, "error"),
    )
}

/// Writes the line, over the last one on a terminal, otherwise every five seconds.
pub struct Progress<W: Write> {
    out: W,
    is_terminal: bool,
    /// Whether a line stands that would be drawn over.
    stands: bool,
    written: Option<f64>,
}

impl Progress<io::Stderr> {
    /// On standard error, so that standard output is the table's alone.
    pub fn on_stderr() -> Self {
        Self::new(io::stderr(), io::stderr().is_terminal())
    }
}

impl<W: Write> Progress<W> {
    pub fn new(out: W, is_terminal: bool) -> Self {
        Self { out, is_terminal, stands: false, written: None }
    }

    /// Shows a second that is over.
    pub fn show(&mut self, second: &Second, plan: &Plan) -> io::Result<()> {
        let line = line(second, plan);
        if self.is_terminal {
            // Without wrapping: a line longer than the terminal is cut, and stays one line.
            write!(self.out, "\r\x1b[?7l{line}\x1b[K\x1b[?7h")?;
            self.stands = true;
        } else if self.written.is_none_or(|written| second.at >= written + LINE_EVERY) {
            writeln!(self.out, "{line}")?;
            self.written = Some(second.at);
        }
        self.out.flush()
    }

    /// Lets the line stand; what is written next begins a new one.
    fn finish(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.stands) {
            writeln!(self.out)?;
        }
        self.out.flush()
    }
}

impl<W: Write> Drop for Progress<W> {
    /// What follows, such as the table, begins a new line.
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
