//! The suite's databases in Postgres, and what only a database of several replicas has to show.

use std::sync::Arc;

use imserver::store::{Store, postgres::PgStore};

use super::Database;
use crate::harness::postgres;

pub(super) struct PgDatabase {
    url: String,
}

impl Database for PgDatabase {
    async fn create() -> Self {
        Self { url: postgres::database().await }
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(PgStore::open(&self.url).await.unwrap())
    }

    async fn tamper(&self, statement: &str) {
        postgres::execute(&self.url, statement).await;
    }
}
