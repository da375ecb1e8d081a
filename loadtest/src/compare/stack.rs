//! Postgres and Redis, as `deploy/stack.sh up --bare` started them, and databases for the turns.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;
use url::Url;

/// The role and the database that deploy/postgres/role.sh makes.
const ROLE: &str = "imserver";

pub(super) struct Stack {
    folder: PathBuf,
    database: Url,
    redis: String,
    password: String,
}

impl Stack {
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let database = setting(folder, "urls.env", "IMSERVER__DATABASE__URL")?;
        Ok(Self {
            folder: folder.to_owned(),
            database: database.parse().context("IMSERVER__DATABASE__URL")?,
            redis: setting(folder, "urls.env", "IMSERVER__BUS__URL")?,
            password: setting(folder, "secrets.env", "IMSERVER_POSTGRES_PASSWORD")?,
        })
    }

    /// Makes an empty database with the rights that the stack's own has.
    pub(super) async fn create(&self, database: &str) -> anyhow::Result<()> {
        self.drop(database).await?;
        let make = format!("CREATE DATABASE {database} TEMPLATE {ROLE} OWNER {ROLE}");
        self.psql(&make).await.map(|_| ())
    }

    /// Ends whoever is still in it, too.
    pub(super) async fn drop(&self, database: &str) -> anyhow::Result<()> {
        self.psql(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await.map(|_| ())
    }

    pub(super) fn database_url(&self, database: &str) -> String {
        let mut url = self.database.clone();
        url.set_path(database);
        url.into()
    }

    pub(super) fn redis_url(&self) -> &str {
        &self.redis
    }

    /// The file whose first word is the id of `postgres` or `redis`.
    pub(super) fn pid_file(&self, name: &str) -> PathBuf {
        self.folder.join("pids").join(name)
    }

    pub(super) async fn postgres_version(&self) -> String {
        let version = self.psql("SHOW server_version").await.unwrap_or_default();
        format!("Postgres {}", version.split_whitespace().next().unwrap_or("of unknown version"))
    }

    pub(super) async fn synchronous_commit(&self) -> String {
        self.psql("SHOW synchronous_commit").await.unwrap_or_else(|_| "unknown".to_owned())
    }

    /// Says it to Postgres as its superuser.
    async fn psql(&self, statement: &str) -> anyhow::Result<String> {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--username=postgres", "--dbname=postgres", "--command", statement])
            .env("PGHOST", self.database.host_str().unwrap_or("127.0.0.1"))
            .env("PGPORT", self.database.port().unwrap_or(5432).to_string())
            .env("PGPASSWORD", &self.password)
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .kill_on_drop(true)
            .output()
            .await
            .context("psql")?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A line of one of the stack's files.
fn setting(folder: &Path, file: &str, name: &str) -> anyhow::Result<String> {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.map(str::to_owned).with_context(|| format!("{} has no {name}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_known_by_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
        write(
            "urls.env",
            "IMSERVER__DATABASE__URL=postgres://imserver:x@127.0.0.1:5/imserver\n\
             IMSERVER__BUS__URL=redis://imserver:y@127.0.0.1:6\n",
        );
        let why = Stack::open(folder.path()).err().unwrap().to_string();
        assert!(why.ends_with("secrets.env"), "{why}");
        write("secrets.env", "IMSERVER_POSTGRES_PASSWORD=z\n");
        let stack = Stack::open(folder.path()).unwrap();
        assert_eq!(stack.database_url("run_1"), "postgres://imserver:x@127.0.0.1:5/run_1");
        assert_eq!(stack.redis_url(), "redis://imserver:y@127.0.0.1:6");
    }
}
