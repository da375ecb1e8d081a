//! Which faults are to be made, as the command line says it.

use std::{fmt, str::FromStr, time::Duration};

/// What is done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Killed at once, and started again.
    Kill,
    /// Stopped as it is, sockets open, and continued.
    Freeze,
    /// Asked to end, waited for, and started again.
    Terminate,
}

/// A fault to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub kind: Kind,
    /// Of the process.
    pub name: String,
    /// Since the load began.
    pub at: Duration,
    /// How long until it is undone. What was terminated may take longer to end.
    pub lasts: Duration,
}

/// Faults in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(Vec<Planned>);

/// What is no schedule.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "faults: `{fault}`: {problem}. What is meant is \"kill NAME at TIME for TIME\", freeze or terminate instead of kill, or \"restart NAME at TIME\", with commas between several; a TIME is 10s, 1m or 500ms"
)]
pub struct NoSchedule {
    fault: String,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Problem {
    #[error("it begins with none of kill, freeze, terminate and restart")]
    Kind,
    #[error("it lacks the name of a process")]
    Name,
    #[error("it lacks `at TIME`")]
    At,
    #[error("it lacks `for TIME`")]
    For,
    #[error("a restart lasts as long as it takes")]
    RestartFor,
    #[error("there is more than that")]
    More,
    #[error("another fault of the same process is not over by then")]
    Overlap,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Terminate => "terminate",
        })
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl Schedule {
    /// The faults in the order of time.
    pub fn faults(&self) -> &[Planned] {
        &self.0
    }
}

impl FromStr for Schedule {
    type Err = NoSchedule;

    fn from_str(text: &str) -> Result<Self, NoSchedule> {
        let texts = text.split([',', ';', '\n']).map(str::trim).filter(|text| !text.is_empty());
        let mut faults = texts.map(read).collect::<Result<Vec<_>, _>>()?;
        faults.sort_by_key(|fault| fault.at);
        for (place, fault) in faults.iter().enumerate() {
            let overlaps =
                |other: &&Planned| other.name == fault.name && fault.at <= other.at + other.lasts;
            if faults[..place].iter().any(|other| overlaps(&other)) {
                return Err(NoSchedule { fault: fault.to_string(), problem: Problem::Overlap });
            }
        }
        Ok(Self(faults))
    }
}

fn read(text: &str) -> Result<Planned, NoSchedule> {
    let error = |problem| NoSchedule { fault: text.to_owned(), problem };
    let mut words = text.split_whitespace();
    let (kind, is_restart) = match words.next() {
        Some("kill") => (Kind::Kill, false),
        Some("freeze") => (Kind::Freeze, false),
        Some("terminate") => (Kind::Terminate, false),
        Some("restart") => (Kind::Terminate, true),
        _ => return Err(error(Problem::Kind)),
    };
    let name = words.next().filter(|name| !matches!(*name, "at" | "for"));
    let name = name.ok_or(error(Problem::Name))?.to_owned();
    let mut time = |word, problem| {
        let is_there = words.next() == Some(word);
        let time = words.next().filter(|_| is_there);
        time.and_then(|time| humantime::parse_duration(time).ok()).ok_or(error(problem))
    };
    let at = time("at", Problem::At)?;
    let lasts = if is_restart { Duration::ZERO } else { time("for", Problem::For)? };
    match words.next() {
        Some("for") if is_restart => Err(error(Problem::RestartFor)),
        Some(_) => Err(error(Problem::More)),
        None => Ok(Planned { kind, name, at, lasts }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(kind: Kind, name: &str, at: u64, lasts: u64) -> Planned {
        let [at, lasts] = [at, lasts].map(Duration::from_millis);
        Planned { kind, name: name.to_owned(), at, lasts }
    }

    #[test]
    fn a_schedule_is_read_in_the_order_of_time() {
        let text = "restart postgres at 30s, kill imserver-2 at 10s for 5s;\n freeze redis at 20s for 500ms,
            terminate imserver-1 at 1m for 2s,";
        let schedule: Schedule = text.parse().unwrap();
        let expected = [
            planned(Kind::Kill, "imserver-2", 10_000, 5_000),
            planned(Kind::Freeze, "redis", 20_000, 500),
            planned(Kind::Terminate, "postgres", 30_000, 0),
            planned(Kind::Terminate, "imserver-1", 60_000, 2_000),
        ];
        assert_eq!(schedule.faults(), expected);
        assert_eq!(schedule.faults()[0].to_string(), "kill imserver-2");
        assert_eq!("".parse(), Ok(Schedule::default()));
    }

    #[test]
    fn what_is_no_schedule_says_what_is() {
        for (text, problem) in [
            ("explode redis at 1s for 1s", Problem::Kind),
            ("kill", Problem::Name),
            ("kill at 1s for 1s", Problem::Name),
            ("kill redis", Problem::At),
            ("kill redis at", Problem::At),
            ("kill redis at soon for 1s", Problem::At),
            ("kill redis at -1s for 1s", Problem::At),
            ("kill redis for 1s", Problem::At),
            ("freeze redis at 1s", Problem::For),
            ("freeze redis at 1s for ever", Problem::For),
            ("restart redis at 1s for 1s", Problem::RestartFor),
            ("restart redis at 1s now", Problem::More),
            ("kill redis at 1s for 1s please", Problem::More),
            ("kill redis at 1s for 5s, freeze redis at 6s for 1s", Problem::Overlap),
        ] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert_eq!(error.problem, problem, "{text}");
            assert!(error.to_string().contains("\"kill NAME at TIME for TIME\""), "{error}");
        }
        let two: Result<Schedule, _> = "kill a at 1s for 5s, kill b at 2s for 5s".parse();
        assert!(two.is_ok());
    }
}
