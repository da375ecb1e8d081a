//! How a server process is started.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use tempfile::TempDir;

use super::{DEADLINE, Server, server::http_client};

/// How a server is to be started.
pub struct Start {
    settings: Vec<(String, String)>,
    files: Option<Files>,
}

/// A limit of file descriptors, as the shell sets it.
#[derive(Clone, Copy)]
pub(super) struct Files {
    flag: &'static str,
    most: u32,
}

impl Default for Start {
    fn default() -> Self {
        let start = Self { settings: Vec::new(), files: None };
        start
            .set("server.listen", "127.0.0.1:0")
            .set("metrics.listen", "127.0.0.1:0")
            .set("log.filter", "trace")
    }
}

impl Start {
    /// With this setting.
    #[allow(clippy::needless_pass_by_value, reason = "so that numbers and texts read the same")]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        let key = format!("IMSERVER__{}", key.to_uppercase().replace('.', "__"));
        self.settings.retain(|(known, _)| *known != key);
        self.settings.push((key, value.to_string()));
        self
    }

    /// With this variable of the environment.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Runs this program, until [`Server::upgrade`].
    pub fn program(mut self, path: &str) -> Self {
        self.settings.push((PROGRAM.to_owned(), path.to_owned()));
        self
    }

    /// With no more than so many file descriptors.
    pub fn files(mut self, most: u32) -> Self {
        self.files = Some(Files { flag: "-n", most });
        self
    }

    /// With no more than so many file descriptors until it raises that itself.
    pub fn soft_files(mut self, most: u32) -> Self {
        self.files = Some(Files { flag: "-Sn", most });
        self
    }

    /// Starts it in a folder of its own and waits until it listens.
    pub fn run(self) -> Server {
        self.begin().ready()
    }

    /// Starts it in a folder of its own.
    pub fn begin(self) -> Starting {
        let home = tempfile::tempdir().unwrap();
        let (child, said) = spawn(&self.settings, self.files, &home);
        Starting { child: Some(child), said, settings: self.settings, files: self.files, home }
    }
}

/// A server that does not serve yet; killed when it is dropped.
pub struct Starting {
    child: Option<Child>,
    said: mpsc::Receiver<String>,
    settings: Vec<(String, String)>,
    files: Option<Files>,
    home: TempDir,
}

impl Starting {
    /// Ends it with SIGKILL.
    pub fn kill(self) {
        drop(self);
    }

    /// Waits until it listens.
    pub fn ready(mut self) -> Server {
        let mut child = self.child.take().unwrap();
        let (addr, admin, metrics) = greeted(&mut child, &self.said, &self.home);
        let settings = std::mem::take(&mut self.settings);
        let home = std::mem::replace(&mut self.home, tempfile::tempdir().unwrap());
        let files = self.files;
        Server { child, addr, admin, metrics, settings, files, home, http: http_client() }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What stands among the settings for another program than the one under test.
pub(super) const PROGRAM: &str = "PROGRAM";

/// The program, with an environment that holds nothing but these settings.
pub fn program(settings: &[(String, String)]) -> Command {
    let other = settings.iter().find(|(key, _)| key == PROGRAM);
    let path = other.map_or(env!("CARGO_BIN_EXE_imserver"), |(_, path)| path);
    let mut command = Command::new(path);
    command.env_clear().envs(settings.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
    command
}

/// Starts it, and hears what it says.
pub(super) fn spawn(
    settings: &[(String, String)],
    files: Option<Files>,
    home: &TempDir,
) -> (Child, mpsc::Receiver<String>) {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.path().join("stderr.log"))
        .unwrap();
    let mut command = program(settings);
    if let Some(Files { flag, most }) = files {
        let program = command.get_program().to_owned();
        let mut limited = Command::new("/bin/sh");
        // Where a test limits the size of files, a write beyond fails, and is no signal.
        let script = format!("trap '' XFSZ; ulimit {flag} {most}; exec \"$0\"");
        limited.arg("-c").arg(script).arg(program);
        limited.env_clear().envs(settings.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        command = limited;
    }
    let mut child =
        command.current_dir(home.path()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (lines, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    (child, heard)
}

/// Waits until it says where it listens, where its server API is, and where its metrics are.
pub(super) fn greeted(
    child: &mut Child,
    heard: &mpsc::Receiver<String>,
    home: &TempDir,
) -> (SocketAddr, SocketAddr, Option<SocketAddr>) {
    let (mut addr, mut admin, mut metrics) = (None, None, None);
    loop {
        let Ok(line) = heard.recv_timeout(DEADLINE) else {
            let _ = child.kill();
            let _ = child.wait();
            let log = std::fs::read_to_string(home.path().join("stderr.log")).unwrap();
            panic!("the server did not start: {log}");
        };
        if let Some((_, url)) = line.split_once("listens on http://") {
            addr = url.parse().ok();
        }
        if let Some((_, url)) = line.split_once("metrics      http://") {
            metrics = url.trim_end_matches("/metrics").parse().ok();
        }
        if let Some((_, url)) = line.split_once("server API   http://") {
            admin = url.split('/').next().unwrap().parse().ok();
        }
        if line.starts_with("Next:") {
            // A program of the version before has none.
            return (addr.unwrap(), admin.or(addr).unwrap(), metrics);
        }
    }
}
