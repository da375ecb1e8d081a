//! The program as somebody runs it by hand: with arguments, in a folder, and perhaps refused.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{DEADLINE, start::program};

/// The program with arguments and an environment, which is otherwise empty.
pub struct Run {
    command: Command,
    home: PathBuf,
    output: TempDir,
}

/// How a program has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// A service that runs; killed when it is dropped.
pub struct Running {
    child: Child,
    output: TempDir,
    /// What it printed on its start.
    pub greeting: String,
    pub addr: SocketAddr,
}

impl Run {
    /// In this folder, with these arguments.
    pub fn new(home: &Path, args: &[&str]) -> Self {
        let output = tempfile::tempdir().unwrap();
        let file = |name| std::fs::File::create(output.path().join(name)).unwrap();
        let mut command = program(&[]);
        command.current_dir(home).args(args).stdout(file("out")).stderr(file("err"));
        Self { command, home: home.to_owned(), output }
    }

    /// With this variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// With standard error there.
    pub fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stderr(to);
        self
    }

    /// With standard output there.
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    /// With the listeners on free ports.
    pub fn on_free_ports(self) -> Self {
        self.env("IMSERVER__SERVER__LISTEN", "127.0.0.1:0")
            .env("IMSERVER__METRICS__LISTEN", "127.0.0.1:0")
    }

    /// Waits until it has ended by itself.
    pub fn ended(mut self) -> Ended {
        let mut child = self.command.spawn().unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > DEADLINE {
                child.kill().unwrap();
                panic!("it runs on: {}", read(&self.output, "out"));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Ended { status, stdout: read(&self.output, "out"), stderr: read(&self.output, "err") }
    }

    /// What it says on standard error when it refuses to start.
    pub fn refusal(self) -> String {
        let ended = self.ended();
        assert!(!ended.status.success() && ended.status.code().is_some(), "{}", ended.stderr);
        assert!(!ended.stdout.contains("listens"), "{}", ended.stdout);
        ended.stderr
    }

    /// Starts it where its greeting cannot be read; it is to listen there.
    pub fn started(mut self, addr: SocketAddr) -> Running {
        let child = self.command.stdin(Stdio::null()).spawn().unwrap();
        Running { child, output: self.output, greeting: String::new(), addr }
    }

    /// Waits until it serves.
    pub fn serving(mut self) -> Running {
        let mut child = self.command.stdin(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        loop {
            let greeting = read(&self.output, "out");
            if greeting.contains("Next:") && greeting.ends_with('\n') {
                let (_, rest) = greeting.split_once("listens on http://").unwrap();
                let addr = rest.lines().next().unwrap().parse().unwrap();
                return Running { child, output: self.output, greeting, addr };
            }
            let ended = child.try_wait().unwrap().is_some() || begun.elapsed() > DEADLINE;
            if ended {
                let _ = child.kill();
                panic!("not started in {}: {}", self.home.display(), read(&self.output, "err"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Running {
    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        read(&self.output, "err")
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        resident(self.child.id())
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let args = [format!("-{name}"), self.child.id().to_string()];
        assert!(Command::new("kill").args(args).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < DEADLINE, "did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The resident memory of a process, in bytes.
pub fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

fn read(folder: &TempDir, name: &str) -> String {
    std::fs::read_to_string(folder.path().join(name)).unwrap()
}
