//! A Postgres of the tests' own: one cluster for the process, started when the first test asks, with a
//! database for each test, and one for each test that hurts it.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::DEADLINE;

/// A cluster, which ends with its owner.
pub struct Cluster {
    port: u16,
    /// Its data, log and socket.
    folder: PathBuf,
    guard: Child,
    /// The guard's standard input, until the cluster is to end.
    lifeline: Option<ChildStdin>,
}

/// How a cluster is stopped.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// As `pg_ctl stop -m fast`: transactions are broken off, connections are told.
    Fast,
    /// SIGKILL to every process at once: what is left of a power cut as far as the kernel, which
    /// keeps what was written, allows.
    Kill,
}

/// Starts the cluster anew for each line. Ends it and removes its folder once its owner is gone,
/// however it went: then, and not before, the other end of its standard input is closed. SIGINT is a
/// fast stop.
const GUARD: &str = r#"
cd /
start() {
    "$1/postgres" -D "$2/data" -k "$2" -p "$3" >>"$2/log" 2>&1 </dev/null &
    postgres=$!
}
start "$@"
while read -r _; do
    wait "$postgres"
    start "$@"
done
kill -INT "$postgres"
wait "$postgres"
rm -rf "$2"
"#;

/// What differs from a server in production: it is small, and nobody pulls its machine's plug. `fsync` stays on,
/// so that commits take their time and overlap as they do elsewhere.
const CONFIG: &str = "
listen_addresses = '127.0.0.1'
max_connections = 300
shared_buffers = 64MB
max_wal_size = 256MB
full_page_writes = off
autovacuum_naptime = 10s
log_lock_waits = on
log_min_messages = warning
";

impl Cluster {
    /// The cluster of this process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        // Whoever comes after a start that failed need not try it again.
        let started = SHARED.get_or_init(|| std::panic::catch_unwind(Self::private).ok());
        started.as_ref().expect("Postgres did not start; the first test that asked says why")
    }

    /// A cluster that the test may hurt.
    pub fn private() -> Self {
        Self::with(&[], &[])
    }

    /// As [`Cluster::private`], with these arguments of `initdb`, and these variables in the environment of
    /// its processes.
    pub fn with(arguments: &[&str], env: &[(&str, String)]) -> Self {
        let cluster = Self::made(env, |programs, data| {
            let mut initdb = as_postgres(programs.join("initdb"));
            initdb
                .args(["--auth=trust", "--username=postgres", "--encoding=UTF8"])
                .args(["--locale=C.UTF-8", "--no-sync"])
                .args(arguments)
                .arg("-D")
                .arg(data);
            initdb
        });
        cluster.wait(None);
        cluster
    }

    /// A standby of this cluster, which takes over when it is [promoted](Cluster::promote).
    pub fn standby(&self) -> Self {
        let standby = Self::made(&[], |_, data| {
            let mut copy = as_postgres(folder_of(&["pg_basebackup"]).join("pg_basebackup"));
            copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
                .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), "-D"])
                .arg(data);
            copy
        });
        standby.wait(None);
        standby
    }

    /// Has a standby become a primary, and returns when it is one.
    pub async fn promote(&self) {
        execute(&self.url("postgres"), "SELECT pg_promote()").await;
    }

    /// A cluster whose data this command makes in a folder. It has been started, and may not be ready.
    fn made(env: &[(&str, String)], make: impl FnOnce(&Path, &Path) -> Command) -> Self {
        let programs = folder_of(&["initdb", "postgres"]);
        // Short, because the path of a socket must be.
        let folder = tempfile::Builder::new().prefix("imserver-pg-").tempdir().unwrap().keep();
        own(&folder);
        let data = folder.join("data");
        let made = make(&programs, &data).current_dir("/").output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let config = data.join("postgresql.auto.conf");
        let mut config = fs::OpenOptions::new().append(true).open(config).unwrap();
        config.write_all(CONFIG.as_bytes()).unwrap();

        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Set by whom it is for: what a library leaves behind for root is not theirs.
        let mut guard = as_postgres("env")
            .args(env.iter().map(|(name, value)| format!("{name}={value}")))
            .args(["/bin/sh", "-c", GUARD, "sh"])
            .args([&programs, &folder])
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the tests; the guard has its own way to hear of their end.
            .process_group(0)
            .spawn()
            .unwrap();
        let lifeline = guard.stdin.take();
        Self { port, folder, guard, lifeline }
    }

    /// Has its processes, and those that they start from now on, write no further than so many bytes into a file;
    /// `unlimited` ends that. Beyond, writes fail as on a full disk.
    pub fn limit_files(&self, bytes: &str) {
        let (postmaster, _) = self.note().expect("it runs");
        for process in children(postmaster).into_iter().chain([postmaster]) {
            let limited = as_postgres("prlimit")
                .args(["--pid", &process.to_string(), &format!("--fsize={bytes}:")])
                .status()
                .unwrap();
            assert!(limited.success() || !is_alive(process), "prlimit of {process}");
        }
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.note().is_some_and(|(postmaster, _)| is_alive(postmaster))
    }

    /// Stops it, and returns when it is gone.
    pub fn stop(&self, how: Stop) {
        let (postmaster, _) = self.note().expect("it runs");
        let mut processes = vec![postmaster];
        let signal = match how {
            Stop::Fast => "-INT",
            Stop::Kill => {
                processes.extend(children(postmaster));
                "-KILL"
            }
        };
        let pids: Vec<String> = processes.iter().map(u32::to_string).collect();
        assert!(Command::new("kill").arg(signal).args(pids).status().unwrap().success());
        let begun = Instant::now();
        while processes.iter().any(|process| is_alive(*process)) {
            assert!(begun.elapsed() < DEADLINE, "Postgres did not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it again after it was stopped, and returns when it takes connections.
    pub fn start_again(&mut self) {
        let before = self.note().map(|(postmaster, _)| postmaster);
        self.lifeline.as_mut().unwrap().write_all(b"start\n").unwrap();
        self.wait(before);
    }

    /// Starts it again if it has ended, and returns when it takes connections.
    pub fn revive(&mut self) {
        let begun = Instant::now();
        loop {
            if !self.is_running() {
                self.start_again();
            }
            let port = self.port.to_string();
            let asked =
                program("pg_isready").args(["--quiet", "-h", "127.0.0.1", "-p", &port]).status();
            if asked.unwrap().success() {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "Postgres does not come back: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until its own note of its state says so; one that this process left does not count.
    fn wait(&self, before: Option<u32>) {
        let begun = Instant::now();
        loop {
            let note = self.note();
            if note.is_some_and(|(postmaster, is_ready)| is_ready && Some(postmaster) != before) {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "Postgres did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process that it says is its first one, and whether it says that it is ready.
    fn note(&self) -> Option<(u32, bool)> {
        let note = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        let postmaster = note.lines().next()?.trim().parse().ok()?;
        Some((postmaster, note.lines().any(|line| line.trim_end() == "ready")))
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Where a database is.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and says where it is.
    pub async fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        execute(&self.url("postgres"), &format!("CREATE DATABASE {name}")).await;
        self.url(&name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.guard.wait();
    }
}

/// The processes that this one has started.
fn children(of: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(|process| stat(*process).is_some_and(|(_, parent)| parent == of)).collect()
}

/// Whether a process runs; one that only waits to be buried does not.
fn is_alive(process: u32) -> bool {
    stat(process).is_some_and(|(state, _)| state != "Z")
}

/// The state and the parent of a process.
fn stat(process: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // After the name, which may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// An empty database of one test's own.
pub async fn database() -> String {
    let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
    cluster.database().await
}

/// Runs a statement on a connection of its own.
pub async fn execute(url: &str, statement: &str) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A connection behind every store's back.
pub async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

/// Where these of Postgres's programs are: on the PATH, or where Debian keeps the newest.
fn folder_of(names: &[&str]) -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&on_path).collect();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.path().into())
        .filter_map(|path: PathBuf| {
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    versions.sort_unstable();
    folders.extend(versions.into_iter().rev().map(|(_, path)| path));
    let complete = |folder: &PathBuf| names.iter().all(|name| folder.join(name).is_file());
    folders.into_iter().find(complete).unwrap_or_else(|| {
        panic!(
            "these tests need Postgres: {} is neither on the PATH nor in \
             /usr/lib/postgresql/*/bin. `./dev test` installs it, or: apt-get install postgresql",
            names[0]
        )
    })
}

/// One of the programs that come with Postgres, such as `pg_dump`.
pub fn program(name: &str) -> Command {
    Command::new(folder_of(&[name]).join(name))
}

/// A program as somebody whom Postgres obeys: it refuses to run as root.
pub fn as_postgres(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

/// Gives a folder to whom Postgres runs as.
pub fn own(folder: &Path) {
    if is_root() {
        let owned = Command::new("chown").arg("postgres:postgres").arg(folder).status().unwrap();
        assert!(owned.success(), "there is no user `postgres`; Debian's package makes it");
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
