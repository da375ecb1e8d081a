//! Faults of processes that are really there, of a stack that is only a folder.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::*;

/// How long anything that must happen may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Starts a shell with a child. They end by themselves at last, whatever becomes of the test.
const SCRIPT: &str = r#"#!/bin/sh
[ "$1" = start ] || exit 1
sh -c 'sleep 300 & sleep 301 & wait' </dev/null >/dev/null 2>&1 &
if [ -d /proc/self ]; then started=$(sed 's/.*) //' /proc/$!/stat | cut -d ' ' -f 20)
else started=$(ps -o lstart= -p $!); fi
echo "$! $started" >"$IMSERVER_STACK/pids/$2.new"
mv "$IMSERVER_STACK/pids/$2.new" "$IMSERVER_STACK/pids/$2"
"#;

/// A stack whose processes end with it.
struct Home {
    folder: tempfile::TempDir,
    stack: Stack,
}

impl Home {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("pids")).unwrap();
        fs::write(path.join("start.sh"), SCRIPT).unwrap();
        fs::set_permissions(path.join("start.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(path.join("script"), path.join("start.sh").display().to_string()).unwrap();
        for name in ["imserver-1", "redis"] {
            fs::write(path.join("pids").join(name), "").unwrap();
        }
        let stack = Stack::open(path.to_owned()).unwrap();
        let home = Self { folder, stack };
        for name in ["imserver-1", "redis"] {
            home.stack.start(name).await.unwrap();
            home.eventually_all(name, is_well).await;
        }
        home
    }

    fn make(&self, schedule: &str) -> Making {
        let schedule: Schedule = schedule.parse().unwrap();
        let clock = Clock::start();
        Making::start(&schedule, self.stack.clone(), clock, clock.now()).unwrap()
    }

    async fn pid(&self, name: &str) -> u32 {
        self.stack.pid(name).await.unwrap()
    }

    /// The states of a process and its children, such as `S` or `T`, once they are as they should be.
    async fn eventually_all(&self, name: &str, is_so: impl Fn(char) -> bool) {
        let pid = self.pid(name).await;
        let begun = std::time::Instant::now();
        loop {
            let states: Vec<_> = tree_of(pid).into_iter().filter_map(state).collect();
            if states.len() == 3 && states.iter().all(|state| is_so(*state)) {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "{states:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn eventually_gone(&self, name: &str) {
        let begun = std::time::Instant::now();
        while self.stack.pid(name).await.is_ok() {
            assert!(begun.elapsed() < DEADLINE);
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for name in ["imserver-1", "redis"] {
            let note = fs::read_to_string(self.folder.path().join("pids").join(name)).unwrap();
            let pid = note.split_whitespace().next().map(|pid| pid.parse().unwrap());
            for pid in pid.into_iter().flat_map(tree_of) {
                let _ = signal(pid, Signal::KILL);
            }
        }
    }
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn is_stopped(state: char) -> bool {
    state == 'T'
}

fn is_well(state: char) -> bool {
    matches!(state, 'S' | 'R' | 'D')
}

#[tokio::test]
async fn what_is_killed_or_terminated_comes_back() {
    for (schedule, what) in [
        ("kill imserver-1 at 100ms for 300ms", "kill imserver-1"),
        ("terminate imserver-1 at 100ms for 300ms", "terminate imserver-1"),
        ("restart imserver-1 at 100ms", "terminate imserver-1"),
    ] {
        let home = Home::new().await;
        let (before, other) = (home.pid("imserver-1").await, home.pid("redis").await);
        let children = tree_of(before);
        let made = home.make(schedule).end().await.unwrap();
        let [fault] = &made[..] else { panic!("{made:?}") };
        assert_eq!(fault.what, what);
        let lasts = if what.starts_with("kill") { 0.3 } else { 0.0 };
        assert!(fault.at >= 0.1 && fault.until >= fault.at + lasts, "{fault:?}");
        assert_ne!(home.pid("imserver-1").await, before);
        assert_eq!(home.pid("redis").await, other);
        home.eventually_all("imserver-1", is_well).await;
        if what.starts_with("kill") {
            let left: Vec<_> = children.into_iter().filter_map(state).collect();
            assert!(left.iter().all(|state| *state == 'Z'), "{left:?}");
        } else {
            // They were not asked.
            for pid in &children[1..] {
                let _ = signal(*pid, Signal::KILL);
            }
        }
    }
}

#[tokio::test]
async fn what_is_frozen_goes_on() {
    let home = Home::new().await;
    let before = home.pid("redis").await;
    let making = home.make("freeze redis at 0s for 2s, kill imserver-1 at 10ms for 10ms");
    home.eventually_all("redis", is_stopped).await;
    let made = making.end().await.unwrap();
    let whats: Vec<_> = made.iter().map(|fault| fault.what.as_str()).collect();
    assert_eq!(whats, ["freeze redis", "kill imserver-1"]);
    assert!(made[0].until - made[0].at >= 2.0, "{made:?}");
    assert_eq!(home.pid("redis").await, before);
    home.eventually_all("redis", is_well).await;
}

#[tokio::test]
async fn a_run_that_is_given_up_undoes_its_faults() {
    let home = Home::new().await;
    let making = home.make("freeze redis at 0s for 1h, kill imserver-1 at 0s for 1h");
    home.eventually_all("redis", is_stopped).await;
    home.eventually_gone("imserver-1").await;
    tokio::task::spawn_blocking(move || drop(making)).await.unwrap();
    home.eventually_all("redis", is_well).await;
    home.eventually_all("imserver-1", is_well).await;
}

#[tokio::test]
async fn one_fault_that_fails_undoes_the_others() {
    let home = Home::new().await;
    for pid in tree_of(home.pid("imserver-1").await) {
        signal(pid, Signal::KILL).unwrap();
    }
    home.eventually_gone("imserver-1").await;
    let making = home.make("freeze redis at 0s for 1h, kill imserver-1 at 1s for 1h");
    home.eventually_all("redis", is_stopped).await;
    let error = making.end().await.unwrap_err().to_string();
    assert_eq!(error, "kill imserver-1: imserver-1 does not run");
    home.eventually_all("redis", is_well).await;
}

#[tokio::test]
async fn a_process_that_the_stack_lacks_is_told_before_the_load() {
    let home = Home::new().await;
    let schedule: Schedule = "kill postgres at 1s for 1s".parse().unwrap();
    let clock = Clock::start();
    let making = Making::start(&schedule, home.stack.clone(), clock, clock.now());
    let error = making.unwrap_err().to_string();
    assert_eq!(error, "the stack has no `postgres`, but: redis, imserver-1");
}

/// Runs itself once more, as the program that is told to end.
#[tokio::test]
async fn who_is_told_to_end_undoes_his_faults_first() {
    const FOLDER: &str = "LOADTEST_FAULTS_IN";
    if let Some(folder) = env::var_os(FOLDER) {
        return be_told(&PathBuf::from(folder)).await;
    }
    for asked in [Signal::INT, Signal::TERM] {
        let home = Home::new().await;
        let mut program = Command::new(env::current_exe().unwrap())
            .args(["--exact", "faults::making::tests::who_is_told_to_end_undoes_his_faults_first"])
            .env(FOLDER, home.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        home.eventually_all("redis", is_stopped).await;
        home.eventually_gone("imserver-1").await;
        signal(program.id(), asked).unwrap();
        let status = tokio::task::spawn_blocking(move || program.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(if asked == Signal::INT { 130 } else { 143 }));
        home.eventually_all("redis", is_well).await;
        home.eventually_all("imserver-1", is_well).await;
    }
}

async fn be_told(folder: &Path) {
    let stack = Stack::open(folder.to_owned()).unwrap();
    let schedule = "freeze redis at 0s for 1h, kill imserver-1 at 0s for 1h".parse().unwrap();
    let clock = Clock::start();
    let making = Making::start(&schedule, stack, clock, clock.now()).unwrap();
    let _ = timeout(Duration::from_mins(2), making.end()).await;
}
