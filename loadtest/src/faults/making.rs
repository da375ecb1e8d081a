//! Makes faults on time, and undoes them whatever happens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    task::JoinSet,
    time::{sleep, sleep_until, timeout},
};

use super::{Kind, Planned, Schedule};
use phone::clock::{Clock, Moment};

use crate::{
    measure::tree_of,
    outcome::Fault,
    stack::{Stack, StackError},
};

/// How long a process may take to end when it is asked to, until it is killed.
const END_WAIT: Duration = Duration::from_mins(1);

/// A fault that could not be made or undone.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    #[error("{0}: {1}")]
    Stack(Planned, StackError),
    #[error("{0}: {1}")]
    Signal(Planned, std::io::Error),
    #[error("a fault's own task ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What has to be undone of a process.
#[derive(Debug)]
enum Broken {
    /// These are to be continued.
    Frozen(Vec<u32>),
    /// It is to be started again.
    Gone,
}

/// What is broken now, by the name of the process. Dropped, it is undone.
#[derive(Debug)]
struct Breakage {
    stack: Stack,
    now: Mutex<BTreeMap<String, Broken>>,
}

impl Breakage {
    /// Undoes everything, and waits for that.
    fn undo(&self) {
        let broken = std::mem::take(&mut *self.now.lock());
        let mut starts = Vec::new();
        for (name, broken) in broken {
            match broken {
                Broken::Frozen(pids) => resume(&pids),
                Broken::Gone => starts.extend(self.stack.starting(&name).map(|mut c| c.spawn())),
            }
        }
        for mut start in starts.into_iter().flatten() {
            let _ = start.wait();
        }
    }
}

impl Drop for Breakage {
    fn drop(&mut self) {
        self.undo();
    }
}

/// Faults that are being made. Dropped, it makes no more, and undoes those that it made; so it does when
/// the program is told to end by SIGINT or SIGTERM, from then on and to its end, which then ends. Nothing
/// helps against SIGKILL:
/// `./dev stack status`, and `./dev stack start NAME` or `kill -CONT PID`.
#[derive(Debug)]
pub struct Making {
    tasks: JoinSet<Result<(usize, Fault), FaultError>>,
    breakage: Arc<Breakage>,
}

impl Making {
    /// Makes these faults from now on; `begun` is when the load begins. Errs if the stack lacks a process.
    pub fn start(
        schedule: &Schedule,
        stack: Stack,
        clock: Clock,
        begun: Moment,
    ) -> Result<Self, StackError> {
        for fault in schedule.faults() {
            stack.know(&fault.name)?;
        }
        let breakage = Arc::new(Breakage { stack, now: Mutex::default() });
        let mut tasks = JoinSet::new();
        for (place, planned) in schedule.faults().iter().cloned().enumerate() {
            let maker = Maker { planned, clock, begun, breakage: Arc::clone(&breakage) };
            tasks.spawn(async move { Ok((place, maker.make().await?)) });
        }
        // It lives on when the faults are over: the signals would have no effect any more.
        tokio::spawn(end_on_signals(Arc::downgrade(&breakage)));
        Ok(Self { tasks, breakage })
    }

    /// Waits until the last fault is undone; what was made, in the order of the schedule.
    pub async fn end(mut self) -> Result<Vec<Fault>, FaultError> {
        let mut made = Vec::new();
        while let Some(fault) = self.tasks.join_next().await {
            made.push(fault??);
        }
        made.sort_by_key(|(place, _)| *place);
        Ok(made.into_iter().map(|(_, fault)| fault).collect())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.tasks.abort_all();
        self.breakage.undo();
    }
}

async fn end_on_signals(breakage: Weak<Breakage>) {
    use tokio::signal::unix::{SignalKind, signal};

    let streams = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = streams else { return };
    let code = tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    if let Some(breakage) = breakage.upgrade() {
        // It waits for processes to start.
        let _ = tokio::task::spawn_blocking(move || breakage.undo()).await;
    }
    std::process::exit(code);
}

/// Makes one fault.
struct Maker {
    planned: Planned,
    clock: Clock,
    begun: Moment,
    breakage: Arc<Breakage>,
}

impl Maker {
    /// How long it was felt is for the phones to tell.
    async fn make(&self) -> Result<Fault, FaultError> {
        let Planned { name, at, lasts, .. } = &self.planned;
        sleep_until(self.clock.instant(self.begun.after(*at))).await;
        self.do_it().await?;
        let made = self.clock.now();
        if self.planned.kind == Kind::Terminate {
            self.ended().await;
        }
        sleep_until(self.clock.instant(made.after(*lasts))).await;
        if self.planned.kind == Kind::Freeze {
            if let Some(Broken::Frozen(pids)) = self.breakage.now.lock().remove(name) {
                resume(&pids);
            }
        } else {
            // The command goes on if nobody waits for it any more, and is not to be given twice.
            self.breakage.now.lock().remove(name);
            let started = self.breakage.stack.start(name).await;
            started.map_err(|error| self.stack(error))?;
        }
        let since = |moment: Moment| moment.since(self.begun).as_secs_f64();
        Ok(Fault {
            what: self.planned.to_string(),
            at: since(made),
            until: since(self.clock.now()),
            sending_after_secs: None,
            delivering_after_secs: None,
        })
    }

    fn stack(&self, error: StackError) -> FaultError {
        FaultError::Stack(self.planned.clone(), error)
    }

    async fn do_it(&self) -> Result<(), FaultError> {
        let Planned { name, kind, .. } = &self.planned;
        let pid = self.breakage.stack.pid(name).await.map_err(|error| self.stack(error))?;
        // Noted before it is done: it may be told to end in between.
        let note = |broken| self.breakage.now.lock().insert(name.clone(), broken);
        let signalled = match kind {
            Kind::Kill => {
                note(Broken::Gone);
                // The root first, so that it starts no others. Postgres's would end by themselves, nginx's
                // would not.
                let tree = tree_of(pid);
                let killed = signal(pid, Signal::KILL);
                for pid in &tree[1..] {
                    let _ = signal(*pid, Signal::KILL);
                }
                killed
            }
            Kind::Freeze => self.freeze(pid),
            Kind::Terminate => {
                note(Broken::Gone);
                // Postgres waits for its clients unless it is asked like this.
                signal(pid, if name == "postgres" { Signal::INT } else { Signal::TERM })
            }
        };
        signalled.map_err(|error| FaultError::Signal(self.planned.clone(), error))
    }

    /// Stops a process and all that it started.
    fn freeze(&self, root: u32) -> std::io::Result<()> {
        let mut frozen = vec![root];
        self.breakage.now.lock().insert(self.planned.name.clone(), Broken::Frozen(frozen.clone()));
        signal(root, Signal::STOP)?;
        // Those that have been stopped start no more; two rounds find them all, but a few more cost nothing.
        for _ in 0..10 {
            let more: Vec<_> =
                tree_of(root).into_iter().filter(|pid| !frozen.contains(pid)).collect();
            if more.is_empty() {
                break;
            }
            frozen.extend(&more);
            let mut now = self.breakage.now.lock();
            now.insert(self.planned.name.clone(), Broken::Frozen(frozen.clone()));
            for pid in more {
                // It may have ended.
                let _ = signal(pid, Signal::STOP);
            }
        }
        Ok(())
    }

    /// Waits for the end of a process that was asked to end.
    async fn ended(&self) {
        let Planned { name, .. } = &self.planned;
        let stack = &self.breakage.stack;
        let has_ended = async || {
            while stack.pid(name).await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(END_WAIT, has_ended()).await.is_err()
            && let Ok(pid) = stack.pid(name).await
        {
            let _ = signal(pid, Signal::KILL);
            has_ended().await;
        }
    }
}

/// Continues these, those that were started by others first.
fn resume(pids: &[u32]) {
    for pid in pids.iter().rev() {
        let _ = signal(*pid, Signal::CONT);
    }
}

fn signal(pid: u32, signal: Signal) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
    Ok(kill_process(pid, signal)?)
}

#[cfg(test)]
mod tests;
