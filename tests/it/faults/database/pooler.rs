//! Postgres behind a pooler: `PgBouncer`, which keeps sessions apart or does not.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Instant,
};

use imserver::store::postgres::PgStore;
use tempfile::TempDir;

use crate::harness::{DEADLINE, postgres};

/// A `PgBouncer` before the tests' Postgres; killed when it is dropped.
struct PgBouncer {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl PgBouncer {
    fn start(server: SocketAddr, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        postgres::own(folder.path());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = folder.path().join("pgbouncer.ini");
        let (host, server_port, logs) = (server.ip(), server.port(), folder.path().display());
        fs::write(
            &file,
            format!(
                "[databases]\n* = host={host} port={server_port} user=postgres\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = any\nlogfile = {logs}/log\n{settings}\n"
            ),
        )
        .unwrap();
        let child = postgres::as_postgres("pgbouncer")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect(
                "pgbouncer is missing: install Debian's package of that name, or use ./dev test",
            );
        let mut bouncer = Self { child, folder, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = bouncer.child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < DEADLINE, "{}", bouncer.log());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        bouncer
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The same database, through it.
    fn url(&self, database: &str) -> String {
        let name = database.rsplit_once('/').unwrap().1;
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // By its own signal: the program in between is not asked to pass one on.
        let _ = Command::new("kill").arg("-9").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn server(database: &str) -> SocketAddr {
    database.split_once('@').unwrap().1.split_once('/').unwrap().0.parse().unwrap()
}

/// Writes down with which settings chats and logins are written.
const WITNESS: &str = "
    CREATE TABLE witness (tg text, name text, setting text, UNIQUE (tg, name, setting));
    CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO witness SELECT TG_TABLE_NAME, name, setting FROM pg_settings ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$;
    CREATE TRIGGER witness AFTER INSERT ON chats FOR EACH STATEMENT EXECUTE FUNCTION witness();
    CREATE TRIGGER witness AFTER INSERT ON users FOR EACH STATEMENT EXECUTE FUNCTION witness();
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_swallows_settings_takes_none_away() {
    let database = postgres::database().await;
    // What a session has that nobody has asked for anything.
    let name = database.rsplit_once('/').unwrap().1;
    let off = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    postgres::execute(&database, &off).await;
    let bouncer = PgBouncer::start(
        server(&database),
        "pool_mode = session\nignore_startup_parameters = extra_float_digits, options",
    );
    let store = PgStore::open(&bouncer.url(&database)).await.unwrap();
    postgres::execute(&database, WITNESS).await;
    let zhang = crate::contracts::store::demo_user(&store, "张三").await;
    crate::contracts::store::send(&store, zhang.id.get(), zhang.id.get(), "x").await;
    let mut connection = postgres::connect(&database).await;
    let expected = [
        ("chats", "synchronous_commit", "on"),
        ("users", "synchronous_commit", "on"),
        ("chats", "statement_timeout", "5000"),
        ("users", "statement_timeout", "5000"),
        ("chats", "lock_timeout", "2000"),
        ("chats", "idle_in_transaction_session_timeout", "2000"),
        ("chats", "plan_cache_mode", "force_generic_plan"),
        ("users", "enable_seqscan", "off"),
        ("users", "tcp_user_timeout", "15000"),
    ];
    for (table, name, setting) in expected {
        let seen: Vec<String> =
            sqlx::query_scalar("SELECT setting FROM witness WHERE tg = $1 AND name = $2")
                .bind(table)
                .bind(name)
                .fetch_all(&mut connection)
                .await
                .unwrap();
        assert_eq!(seen, [setting], "{name} of {table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_mixes_sessions_is_refused_by_its_name() {
    let database = postgres::database().await;
    for settings in [
        "pool_mode = transaction\nignore_startup_parameters = extra_float_digits, options",
        "pool_mode = transaction\nserver_round_robin = 1",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = statement",
    ] {
        let bouncer = PgBouncer::start(server(&database), settings);
        let refused = PgStore::open(&bouncer.url(&database)).await;
        let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("PgBouncer"), "{settings}: {refused:?}");
        assert!(refused.contains("pool_mode = session"), "{settings}: {refused:?}");
    }
    let mut connection = postgres::connect(&database).await;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(tables, 0, "nothing is made through it");
}
