//! A Postgres of the tests' own: one cluster for the process, started when the first test asks, with a
//! database for each test.

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::DEADLINE;

/// A running cluster.
pub struct Cluster {
    port: u16,
    /// Its data, log and socket.
    folder: PathBuf,
}

/// Ends the cluster and removes its folder once the test process is gone, however it went: then, and
/// not before, the other end of its standard input is closed. SIGINT is a fast stop, and the tests'
/// own connections are gone by then.
const GUARD: &str = r#"
cd /
"$1/postgres" -D "$2/data" -k "$2" -p "$3" >"$2/log" 2>&1 </dev/null &
postgres=$!
read -r _
kill -INT "$postgres"
wait "$postgres"
rm -rf "$2"
"#;

/// What differs from a server in production: it is small, and nobody pulls its plug. `fsync` stays on,
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
        let started = SHARED.get_or_init(|| std::panic::catch_unwind(Self::start).ok());
        started.as_ref().expect("Postgres did not start; the first test that asked says why")
    }

    fn start() -> Self {
        let programs = programs();
        // Short, because the path of a socket must be.
        let folder = tempfile::Builder::new().prefix("imserver-pg-").tempdir().unwrap().keep();
        own(&folder);
        let made = as_postgres(programs.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "-D"])
            .arg(folder.join("data"))
            .current_dir("/")
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let config = folder.join("data/postgresql.auto.conf");
        fs::write(&config, CONFIG).unwrap();

        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let guard = as_postgres("/bin/sh")
            .args(["-c", GUARD, "sh"])
            .args([&programs, &folder])
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the tests; the guard has its own way to hear of their end.
            .process_group(0)
            .spawn()
            .unwrap();
        // Its standard input stays open for as long as this process lives.
        std::mem::forget(guard);

        let cluster = Self { port, folder };
        cluster.wait();
        cluster
    }

    /// Waits until its own note of its state says so.
    fn wait(&self) {
        let begun = std::time::Instant::now();
        loop {
            let note = fs::read_to_string(self.folder.join("data/postmaster.pid"));
            if note.is_ok_and(|note| note.lines().any(|line| line.trim_end() == "ready")) {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "Postgres did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
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

/// Where Postgres's programs are: on the PATH, or where Debian keeps the newest.
fn programs() -> PathBuf {
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
    let complete =
        |folder: &PathBuf| ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file());
    folders.into_iter().find(complete).expect(
        "these tests need Postgres: initdb is neither on the PATH nor in /usr/lib/postgresql/*/bin. \
         `./dev test` installs it, or: apt-get install postgresql",
    )
}

/// A program as somebody whom Postgres obeys: it refuses to run as root.
fn as_postgres(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn own(folder: &Path) {
    if is_root() {
        let owned = Command::new("chown").arg("postgres:postgres").arg(folder).status().unwrap();
        assert!(owned.success(), "there is no user `postgres`; Debian's package makes it");
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
