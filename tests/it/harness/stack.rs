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
./dev stack up --replicas "$1" || exit
echo up
read -r _
./dev stack down
"#;

/// A stack that runs; it goes down when it is dropped.
pub struct Stack {
    keeper: Child,
    _home: tempfile::TempDir,
    folder: PathBuf,
    /// nginx.
    pub addr: SocketAddr,
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
        let home = tempfile::tempdir().unwrap();
        // Postgres, which is another user there, must be able to reach what is its own.
        let reachable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(home.path(), reachable).unwrap();
        let (folder, said) = (home.path().join("stack"), home.path().join("said"));
        let mut keeper = Command::new("bash")
            .args(["-c", KEEPER, "stack-keeper", &replicas.to_string()])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("IMSERVER_STACK", &folder)
            .env("IMSERVER_PROGRAM", env!("CARGO_BIN_EXE_imserver"))
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
        let addr = said.split("open     http://").nth(1).unwrap();
        let addr = addr.lines().next().unwrap().trim_end_matches('/').parse().unwrap();
        let replicas = said.lines().filter_map(Replica::read).collect();
        Self { keeper, _home: home, folder, addr, replicas, http: http_client() }
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
        notes
            .map(|note| std::fs::read_to_string(note.unwrap().path()).unwrap())
            .map(|note| note.split(' ').next().unwrap().parse().unwrap())
            .collect()
    }

    /// Somebody who is logged in by a demo name, through nginx.
    pub async fn person(&self, name: &str) -> Person {
        let url = format!("http://{}/v1/login/demo", self.addr);
        let body = json!({"name": name}).to_string();
        let answer = self.http.post(url).timeout(DEADLINE).body(body).send().await.unwrap();
        Person::logged_in(answer, self.addr, &self.http).await
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
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
        let status = Command::new("kill").args([signal, &self.pid.to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// How many sockets it has.
    pub async fn sockets(&self) -> u64 {
        let answer = http_client().get(&self.metrics).timeout(DEADLINE).send().await.unwrap();
        let answer = answer.text().await.unwrap();
        let line =
            answer.lines().find_map(|line| line.strip_prefix("imserver_sockets{kind=\"v1\"} "));
        line.map_or(0, |number| number.parse().unwrap())
    }
}
