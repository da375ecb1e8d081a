//! `/proc` as it is at one moment.

use std::collections::HashMap;

use procfs::{CurrentSI, KernelStats, ProcResult, process::all_processes};

use super::machine::Busy;

/// All processes, and how busy the machine has been.
pub(super) struct Snapshot {
    processes: HashMap<u32, Process>,
    children: HashMap<u32, Vec<u32>>,
    pub(super) busy: Busy,
}

struct Process {
    /// In ticks since the machine came up.
    started: u64,
    /// Of itself and of those that it started and waited for.
    cpu_ticks: u64,
    rss_bytes: u64,
}

/// A process with all that it started.
pub(super) struct Tree {
    pub(super) started: u64,
    pub(super) cpu_secs: f64,
    pub(super) rss_bytes: u64,
}

impl Snapshot {
    pub(super) fn take() -> ProcResult<Self> {
        let busy = busy(&KernelStats::current()?.total);
        let (mut processes, mut children) = (HashMap::new(), HashMap::<u32, Vec<u32>>::new());
        for process in all_processes()? {
            // It may end at any moment.
            let Ok(stat) = process.and_then(|process| process.stat()) else { continue };
            let (Ok(pid), Ok(parent)) = (u32::try_from(stat.pid), u32::try_from(stat.ppid)) else {
                continue;
            };
            let waited_for = u64::try_from(stat.cutime + stat.cstime).unwrap_or_default();
            children.entry(parent).or_default().push(pid);
            processes.insert(
                pid,
                Process {
                    started: stat.starttime,
                    cpu_ticks: stat.utime + stat.stime + waited_for,
                    rss_bytes: stat.rss * procfs::page_size(),
                },
            );
        }
        Ok(Self { processes, children, busy })
    }

    /// The ids of this process and of those below it, those that started others first.
    pub(super) fn pids(&self, root: u32) -> Vec<u32> {
        let mut pids = vec![root];
        let mut next = 0;
        while let Some(pid) = pids.get(next) {
            pids.extend(self.children.get(pid).into_iter().flatten());
            next += 1;
        }
        pids
    }

    /// The process of this id, if there is one, and those below it.
    pub(super) fn tree(&self, root: u32) -> Option<Tree> {
        let started = self.processes.get(&root)?.started;
        let (mut ticks, mut rss_bytes) = (0, 0);
        for process in self.pids(root).iter().filter_map(|pid| self.processes.get(pid)) {
            ticks += process.cpu_ticks;
            rss_bytes += process.rss_bytes;
        }
        Some(Tree { started, cpu_secs: secs(ticks), rss_bytes })
    }
}

/// What guests took is in `user` and `nice` already.
fn busy(total: &procfs::CpuTime) -> Busy {
    let stolen = total.steal.unwrap_or_default();
    let kernel = total.system + total.irq.unwrap_or_default() + total.softirq.unwrap_or_default();
    Busy { secs: secs(total.user + total.nice + kernel + stolen), stolen_secs: secs(stolen) }
}

#[expect(clippy::cast_precision_loss, reason = "52 bits of ticks are longer than any machine runs")]
fn secs(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// How many file descriptors the process has open; none if it is not there.
pub(super) fn fds_of(pid: u32) -> Option<u64> {
    let process = procfs::process::Process::new(pid.try_into().ok()?).ok()?;
    process.fd_count().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Child, Command, Stdio},
    };

    use crate::measure::{Pid, Unmeasured, Usage, Watch, Watched};
    use phone::clock::{Clock, Moment};

    /// A shell that ends with its standard input, whatever becomes of the test.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }

    /// Its child has nothing of the test's, which would wait for it.
    const BURNING: &str = "(while :; do :; done) </dev/null >/dev/null 2>&1 & read -r _; kill $!";

    fn shell(script: &str) -> Running {
        let shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn();
        Running(shell.unwrap())
    }

    /// Looks until it is so; gives all that was seen.
    fn watch(watched: Vec<Watched>, is_over: impl Fn(f64) -> bool) -> Usage {
        let clock = Clock::start();
        let begun = clock.now();
        let watch = Watch::start(watched, clock);
        while !is_over(clock.now().since(begun).as_secs_f64()) {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let until = clock.now();
        watch.end(begun, until)
    }

    #[test]
    fn who_burns_cpu_is_seen_and_who_sleeps_is_not() {
        // The child of the shell, not the shell itself.
        let burning = shell(BURNING);
        let sleeping = shell("read -r _");
        let named = |name: &str, child: &Running| Watched::new(name, Pid::Is(child.0.id()));
        let busy = burning.0.id();
        let usage = watch(
            vec![named("busy", &burning), named("idle", &sleeping), Watched::generator()],
            |secs| {
                let taken = super::Snapshot::take().unwrap().tree(busy).unwrap().cpu_secs;
                taken > 2.0 || secs > 60.0
            },
        );
        assert!(usage.unmeasured.is_none());
        let [busy, idle, own] = &usage.processes[..] else { panic!("{usage:?}") };
        assert!(busy.cpu_secs > 1.0, "{busy:?}");
        assert!(idle.cpu_secs < 0.5, "{idle:?}");
        for process in [busy, idle, own] {
            assert!(process.first_rss_bytes > 100_000, "{process:?}");
            assert!(process.max_rss_bytes >= process.last_rss_bytes, "{process:?}");
            assert!(!process.samples.is_empty(), "{process:?}");
        }
        let cores = f64::from(usage.machine.cores);
        let most = busy.samples.iter().map(|sample| sample.cores).fold(0.0, f64::max);
        assert!(most > 0.05 && most < cores + 0.5, "{most} of {cores} cores");
        assert!(usage.machine.memory_bytes > 100_000_000 && !usage.machine.kernel.is_empty());
    }

    #[test]
    fn what_a_child_took_stays_when_it_was_waited_for() {
        let waiting =
            shell("sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i + 1)); done'; read -r _");
        let pid = waiting.0.id();
        let tree = || super::Snapshot::take().unwrap();
        let usage = watch(vec![Watched::new("waiting", Pid::Is(pid))], |secs| {
            let now = tree();
            let has_waited =
                !now.children.contains_key(&pid) && now.tree(pid).unwrap().cpu_secs > 0.1;
            has_waited || secs > 60.0
        });
        assert!(tree().tree(pid).unwrap().cpu_secs > 0.1, "{usage:?}");
    }

    #[test]
    fn another_process_of_the_same_name_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server");
        let first = shell(BURNING);
        std::fs::write(&file, format!("{} at some time", first.0.id())).unwrap();
        let cpu = |child: &Running| {
            super::Snapshot::take().unwrap().tree(child.0.id()).map_or(0.0, |tree| tree.cpu_secs)
        };
        let clock = Clock::start();
        let begun = clock.now();
        let watch = Watch::start(vec![Watched::new("server", Pid::In(file.clone()))], clock);
        let until = |child: &Running| {
            while cpu(child) < 1.5 && clock.now().since(begun).as_secs() < 60 {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        };
        until(&first);
        drop(first);
        let second = shell(BURNING);
        std::fs::write(&file, second.0.id().to_string()).unwrap();
        until(&second);
        let now = clock.now();
        let usage = watch.end(begun, now);
        let taken = usage.processes[0].cpu_secs;
        assert!(taken > 1.6, "more than one of them: {taken}");
    }

    #[test]
    fn memory_is_compared_with_what_it_was_before_the_load_began() {
        let mut growing =
            shell("read -r _; x=$(head -c 20000000 /dev/zero | tr '\\0' a); read -r _");
        let pid = growing.0.id();
        let clock = Clock::start();
        let watch = Watch::start(vec![Watched::new("growing", Pid::Is(pid))], clock);
        growing.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let rss = || super::Snapshot::take().unwrap().tree(pid).unwrap().rss_bytes;
        while rss() < 20_000_000 && clock.now() < Moment(60_000_000_000) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let now = clock.now();
        let usage = watch.end(now, now);
        let process = &usage.processes[0];
        assert!(process.last_rss_bytes > process.first_rss_bytes + 15_000_000, "{process:?}");
    }

    #[test]
    fn whom_nobody_finds_has_taken_nothing() {
        let nobody = Watched::new("nobody", Pid::In("/nowhere".into()));
        let usage = watch(vec![nobody], |secs| secs > 0.1);
        assert!(!matches!(usage.unmeasured, Some(Unmeasured::NotLinux)));
        assert_eq!((usage.processes[0].cpu_secs, usage.processes[0].max_rss_bytes), (0.0, 0));
    }
}
