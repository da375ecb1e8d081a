//! `./dev stack`: a whole stack of processes, with nginx in front.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::json;

use super::{DEADLINE, Person, server::http_client};

/// Brings the stack up and says what is in it; takes it down when standard input ends, which it does
/// however the tests end.
const KEEPER: &str = r#"
./dev stack up "$@" || exit
echo up
read -r _
./dev stack down
"#;

/// A stack that runs; it goes down when it is dropped.
pub struct Stack {
    keeper: Child,
    _home: tempfile::TempDir,
    folder: PathBuf,
    /// nginx; `None` if it is bare.
    pub nginx: Option<SocketAddr>,
    pub replicas: Vec<Replica>,
    pub http: reqwest::Client,
}

/// One replica behind nginx.
#[derive(Clone)]
pub struct Replica {
    pub pid: u32,
    pub addr: SocketAddr,
    metrics: String,
}

impl Stack {
    /// A stack of so many replicas.
    pub fn up(replicas: usize) -> Self {
        Self::up_with(&["--replicas", &replicas.to_string()])
    }

    /// Only Postgres and Redis.
    pub fn up_bare() -> Self {
        Self::up_with(&["--bare"])
    }

    fn up_with(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        // Postgres, which is another user there, must be able to reach what is its own.
        let reachable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(home.path(), reachable).unwrap();
        let (folder, said) = (home.path().join("stack"), home.path().join("said"));
        let mut keeper = Command::new("bash")
            .args(["-c", KEEPER, "stack-keeper"])
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("IMSERVER_STACK", &folder)
            .env("IMSERVER_PROGRAM", env!("CARGO_BIN_EXE_imserver"))
            // One that `deploy/imserver.env` has too, and one that it has not.
            .env("IMSERVER__SERVER__DRAIN_SECS", "11")
            .env("IMSERVER__LIMITS__ENABLED", "false")
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&said).unwrap())
            .stderr(std::fs::File::create(home.path().join("errors")).unwrap())
            .spawn()
            .unwrap();
        let begun = std::time::Instant::now();
        let said = loop {
            let said = std::fs::read_to_string(&said).unwrap();
            if said.ends_with("\nup\n") {
                break said;
            }
            let ended = keeper.try_wait().unwrap().is_some();
            if ended || begun.elapsed() > 3 * DEADLINE {
                let errors = std::fs::read_to_string(home.path().join("errors")).unwrap();
                panic!("the stack did not come up: {said}{errors}");
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        let addr = said.lines().find_map(|line| line.strip_prefix("open     http://"));
        let addr = addr.map(|addr| addr.trim_end_matches('/').parse().unwrap());
        let replicas = said.lines().filter_map(Replica::read).collect();
        Self { keeper, _home: home, folder, nginx: addr, replicas, http: http_client() }
    }

    /// Starts a process again, and takes note of the replicas as they are then.
    pub fn start(&mut self, name: &str) {
        self.dev(&["stack", "start", name]);
        let status = self.dev(&["stack", "status"]);
        self.replicas = status.lines().filter_map(Replica::read).collect();
    }

    fn dev(&self, words: &[&str]) -> String {
        let output = Command::new("./dev")
            .args(words)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("IMSERVER_STACK", &self.folder)
            // It is not to be taken from here, but from when it came up.
            .env("IMSERVER__LIMITS__ENABLED", "true")
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A process of it, by its name.
    pub fn pid(&self, name: &str) -> u32 {
        let note = std::fs::read_to_string(self.folder.join("pids").join(name)).unwrap();
        note.split(' ').next().unwrap().parse().unwrap()
    }

    /// Takes it down and waits for that.
    pub fn down(&mut self) {
        drop(self.keeper.stdin.take());
        assert!(self.keeper.wait().unwrap().success(), "the stack went down with an error");
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a process has logged so far.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join("logs").join(format!("{name}.log"))).unwrap()
    }

    /// The ids of all its processes that were started by it.
    pub fn pids(&self) -> Vec<u32> {
        let notes = std::fs::read_dir(self.folder.join("pids")).unwrap();
        notes.map(|note| self.pid(note.unwrap().file_name().to_str().unwrap())).collect()
    }

    /// nginx.
    pub fn addr(&self) -> SocketAddr {
        self.nginx.expect("it is not bare")
    }

    /// Somebody who is logged in by a demo name, through nginx.
    pub async fn person(&self, name: &str) -> Person {
        let url = format!("http://{}/v1/login/demo", self.addr());
        let body = json!({"name": name}).to_string();
        let answer = self.http.post(url).timeout(DEADLINE).body(body).send().await.unwrap();
        Person::logged_in(answer, self.addr(), &self.http).await
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Sends a signal, such as `-KILL`.
pub fn send(signal: &str, pid: u32) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

impl Replica {
    /// Reads a line like `imserver-1: pid 7, http://127.0.0.1:1, metrics http://127.0.0.1:2/metrics`.
    fn read(line: &str) -> Option<Self> {
        let (_, rest) = line.strip_prefix("imserver-")?.split_once(": pid ")?;
        let mut parts = rest.split(", ");
        let pid = parts.next()?.parse().ok()?;
        let addr = parts.next()?.strip_prefix("http://")?.parse().ok()?;
        let metrics = parts.next()?.strip_prefix("metrics ")?.to_owned();
        Some(Self { pid, addr, metrics })
    }

    /// Sends it a signal, such as `-KILL`.
    pub fn signal(&self, signal: &str) {
        send(signal, self.pid);
    }

    /// How many sockets it has.
    pub async fn sockets(&self) -> u64 {
        self.metric("imserver_sockets{kind=\"v1\"}").await
    }

    /// The value of one series of its metrics; 0 if it is not there.
    pub async fn metric(&self, series: &str) -> u64 {
        let answer = http_client().get(&self.metrics).timeout(DEADLINE).send().await.unwrap();
        let answer = answer.text().await.unwrap();
        let mut values = answer.lines().filter_map(|line| line.rsplit_once(' '));
        values.find(|(name, _)| *name == series).map_or(0, |(_, value)| value.parse().unwrap())
    }
}
