//! What a company's own back end does by the server API: with a key, and noted in the audit log.

mod people;

use std::sync::Arc;

use crate::{
    auth::api_key::ApiKeySecret,
    domain::{ApiKey, AuditId, Scope},
    protocol::fault::{ApiError, ErrorCode},
    store::{AuditPage, Store},
};

/// The use cases of the server API.
#[derive(Clone)]
pub struct Admin {
    store: Arc<dyn Store>,
}

impl Admin {
    /// The use cases over these parts.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
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
        let id = self.store.begin_act(Some(key.id), action, subject.as_deref()).await?;
        let act = Act { store: Arc::clone(&self.store), id, subject: None };
        if key.scopes.allow(scope) {
            return Ok(act);
        }
        let detail = format!("this key lacks the scope `{}`", scope.as_str());
        act.end(Err(ApiError::new(ErrorCode::Forbidden, detail))).await
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

/// An act that has begun, and is in the audit log. One that is dropped stays there without an outcome.
#[must_use = "how an act ended belongs into the audit log"]
pub struct Act {
    store: Arc<dyn Store>,
    id: AuditId,
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
        if let Err(error) = self.store.end_act(self.id, self.subject.as_deref(), outcome).await {
            tracing::error!(%error, entry = %self.id, outcome, "not noted in the audit log");
        }
        done
    }
}
