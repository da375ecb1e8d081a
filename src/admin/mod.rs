//! What a company's own back end does by the server API: with a key, and noted in the audit log.

mod keys;
mod people;

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    auth::api_key::ApiKeySecret,
    domain::{ApiKey, ApiKeyId, AuditId, Scope},
    protocol::fault::{ApiError, ErrorCode},
    store::{AuditPage, Store, StoreError},
};

/// How often it is noted that a key does what it does all the time.
const NOTE_EVERY: Duration = Duration::from_mins(1);

/// The use cases of the server API.
#[derive(Clone)]
pub struct Admin {
    store: Arc<dyn Store>,
    /// When a key's act was last noted by [`Admin::begin_poll`].
    noted: Arc<Mutex<HashMap<(ApiKeyId, &'static str), Instant>>>,
}

impl Admin {
    /// The use cases over these parts.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, noted: Arc::default() }
    }

    /// The key with this secret, if it is good.
    pub async fn authenticate(&self, secret: &ApiKeySecret) -> Result<Option<ApiKey>, ApiError> {
        Ok(self.store.api_key(secret.hash()).await?)
    }

    /// Notes that somebody with this key does something, before it is done: what cannot be noted is not
    /// done. Refuses what is beyond the scopes of the key, which is noted too. `subject`: as far as it is
    /// known.
    pub async fn begin(
        &self,
        key: &ApiKey,
        scope: Scope,
        action: &'static str,
        subject: Option<String>,
    ) -> Result<Act, ApiError> {
        self.begin_because(key, scope, action, subject, None).await
    }

    /// As [`Admin::begin`], with why it is done.
    pub async fn begin_because(
        &self,
        key: &ApiKey,
        scope: Scope,
        action: &'static str,
        subject: Option<String>,
        reason: Option<&str>,
    ) -> Result<Act, ApiError> {
        let act = self.begin_unscoped(key, action, subject, reason).await?;
        if key.scopes.allow(scope) {
            return Ok(act);
        }
        let detail = format!("this key lacks the scope `{}`", scope.as_str());
        act.end(Err(ApiError::new(ErrorCode::Forbidden, detail))).await
    }

    /// As [`Admin::begin_because`], for what every good key may do.
    pub async fn begin_unscoped(
        &self,
        key: &ApiKey,
        action: &'static str,
        subject: Option<String>,
        reason: Option<&str>,
    ) -> Result<Act, ApiError> {
        let id = self.store.begin_act(Some(key.id), action, subject.as_deref(), reason).await?;
        Ok(Act { id: Some(id), ..self.unnoted(key, action) })
    }

    /// As [`Admin::begin`], for what a key does all the time: of what goes well, one act a minute is noted by each
    /// replica.
    pub async fn begin_poll(
        &self,
        key: &ApiKey,
        scope: Scope,
        action: &'static str,
    ) -> Result<Act, ApiError> {
        let is_noted = self
            .noted
            .lock()
            .get(&(key.id, action))
            .is_some_and(|noted| noted.elapsed() < NOTE_EVERY);
        if is_noted && key.scopes.allow(scope) {
            return Ok(self.unnoted(key, action));
        }
        let act = self.begin(key, scope, action, None).await?;
        self.noted.lock().insert((key.id, action), Instant::now());
        Ok(act)
    }

    fn unnoted(&self, key: &ApiKey, action: &'static str) -> Act {
        Act { store: Arc::clone(&self.store), id: None, key: key.id, action, subject: None }
    }

    /// The newest entries of the audit log before this one.
    pub async fn audit_log(
        &self,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<AuditPage, ApiError> {
        Ok(self.store.audit_log(before, limit).await?)
    }
}

/// An act that has begun. One that is noted in the audit log and then dropped stays there without an outcome.
#[must_use = "how an act ended belongs into the audit log"]
pub struct Act {
    store: Arc<dyn Store>,
    /// Its entry; `None`: it is noted if it fails.
    id: Option<AuditId>,
    key: ApiKeyId,
    action: &'static str,
    subject: Option<String>,
}

impl Act {
    /// Notes ids of what it is about, once they are known.
    pub fn is_about(&mut self, subject: String) {
        self.subject = Some(subject);
    }

    /// Notes how it ended, and passes that on. What is done is done, even if this cannot be noted.
    pub async fn end<T>(self, done: Result<T, ApiError>) -> Result<T, ApiError> {
        let outcome = done.as_ref().map_or_else(|fault| fault.code.as_str(), |_| "ok");
        if (self.id.is_some() || done.is_err())
            && let Err(error) = self.note(outcome).await
        {
            tracing::error!(%error, entry = ?self.id, outcome, "not noted in the audit log");
        }
        done
    }

    async fn note(&self, outcome: &str) -> Result<(), StoreError> {
        let id = match self.id {
            Some(id) => id,
            None => self.store.begin_act(Some(self.key), self.action, None, None).await?,
        };
        self.store.end_act(id, self.subject.as_deref(), outcome).await
    }
}
