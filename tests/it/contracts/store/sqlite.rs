//! The suite's databases in SQLite: a file each.

use std::{path::PathBuf, sync::Arc};

use imserver::{
    clock::Clock,
    store::{Store, sqlite::SqliteStore},
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::Database;

pub(super) struct SqliteFile {
    folder: TempDir,
}

impl SqliteFile {
    /// In a folder that is not there yet.
    fn path(&self) -> PathBuf {
        self.folder.path().join("data/imserver.db")
    }

    /// A connection behind the store's back.
    pub(super) async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path());
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

impl Database for SqliteFile {
    const BYTES: &'static str = "X'{}'";
    const MAKES_WAIT: bool = true;

    async fn create() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path(), Clock::system()).await.unwrap())
    }

    async fn tamper(&self, statement: &str) {
        let mut connection = self.connect().await;
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn columns(&self) -> Vec<String> {
        let mut connection = self.connect().await;
        let query = sqlx::query_scalar(
            "SELECT t.name || '.' || c.name FROM sqlite_master t
             JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations'",
        );
        query.fetch_all(&mut connection).await.unwrap()
    }

    async fn number(&self, query: &str) -> i64 {
        let mut connection = self.connect().await;
        let query = AssertSqlSafe(query.to_owned());
        sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
    }
}
