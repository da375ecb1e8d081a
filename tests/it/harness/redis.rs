//! Redis servers of the tests' own, which end with them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdin, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use url::Url;

use super::DEADLINE;

/// Starts a server and prints its process's id. Kills it when standard input ends, which it does
/// however the tests end; without a farewell the folder goes too, since nobody else removes it.
const KEEPER: &str = r#"
cd "$1" || exit
redis-server --bind 127.0.0.1 --port "$2" --save '' --appendonly no --dir "$1" >>redis.log 2>&1 &
echo $!
read -r farewell
kill -9 $!
wait
[ -n "$farewell" ] || rm -rf "$1"
"#;

/// A server without persistence, on a port of its own.
pub struct Redis {
    folder: TempDir,
    port: u16,
    running: Option<Running>,
}

struct Running {
    keeper: Child,
    lifeline: ChildStdin,
    pid: String,
}

impl Redis {
    /// A server that the test may hurt.
    pub fn start() -> Self {
        let mut redis = Self {
            folder: tempfile::tempdir().unwrap(),
            port: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
            running: None,
        };
        redis.start_again();
        redis
    }

    /// The one that all tests of this process share, each in a namespace of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts it again on its port.
    pub fn start_again(&mut self) {
        let found = Command::new("redis-server").arg("--version").output();
        assert!(
            found.is_ok(),
            "redis-server is missing: install Debian's package `redis-server`, or use ./dev test"
        );
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "redis-keeper"])
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lifeline = keeper.stdin.take().unwrap();
        let mut pid = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        self.running = Some(Running { keeper, lifeline, pid: pid.trim().to_owned() });
        let begun = Instant::now();
        while self.ask("PING").is_none_or(|answer| !answer.starts_with("+PONG")) {
            let log = std::fs::read_to_string(self.folder.path().join("redis.log"));
            assert!(begun.elapsed() < DEADLINE, "redis did not start: {log:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(Running { mut keeper, mut lifeline, .. }) = self.running.take() {
            lifeline.write_all(b"farewell\n").unwrap();
            keeper.wait().unwrap();
        }
    }

    /// Stops it where it is: connections stand, and nothing is answered.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Ends a freeze.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Makes it a replica of another server: it takes no writes any more.
    pub fn follow(&self, master: &Self) {
        let answer = self.ask(&format!("REPLICAOF 127.0.0.1 {}", master.port));
        assert!(answer.is_some_and(|answer| answer.starts_with("+OK")));
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its URL.
    pub fn url(&self) -> Url {
        url_of(self.addr())
    }

    /// The answer to one command of words without spaces, as it comes; `None` if there is none.
    pub fn ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.addr()).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        // QUIT has the server close the connection once it has answered.
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }

    fn signal(&self, signal: &str) {
        let pid = &self.running.as_ref().expect("it runs").pid;
        assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The URL of a Redis behind an address.
pub fn url_of(addr: SocketAddr) -> Url {
    format!("redis://{addr}").parse().unwrap()
}
