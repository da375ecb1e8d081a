//! `/v1/admin/audit`: what was done by the server API, the command line and machines.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{super::extract::Params, Key};
use crate::{
    clock::Timestamp,
    domain::{ApiKeyId, AuditId, Scope},
    protocol::fault::ApiError,
    service::Service,
    store::AuditEntry,
};

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditView {
    id: AuditId,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    create_time: Timestamp,
    /// The key; null: the command line, or a machine.
    #[schema(required = true)]
    key_id: Option<ApiKeyId>,
    #[schema(required = true)]
    key_name: Option<String>,
    /// The machine that did it by itself; null: it was none.
    #[schema(required = true, example = "words")]
    machine: Option<String>,
    /// What was done.
    #[schema(example = "session.create")]
    action: String,
    /// Ids of what it was about; null: none was found.
    #[schema(required = true, example = "user:1000000")]
    subject: Option<String>,
    /// Why it was done, if whoever did it said so.
    #[schema(required = true)]
    reason: Option<String>,
    /// `ok`, or the code of the error; null: it has not ended, or nobody knows how.
    #[schema(required = true, example = "ok")]
    outcome: Option<String>,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, key, machine, action, subject, reason, outcome, created_at } = entry;
        let (key_id, key_name) = key.map(|(id, name)| (id, name.as_str().to_owned())).unzip();
        Self {
            id,
            create_time: created_at,
            key_id,
            key_name,
            machine,
            action,
            subject,
            reason,
            outcome,
        }
    }
}

/// Entries of the audit log, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditList {
    entries: Vec<AuditView>,
    has_more: bool,
}

/// What was done by the server API, the command line and machines, newest first; reading it is in it too
#[utoipa::path(get, path = "/v1/admin/audit", tag = "admin", security(("apiKey" = [])),
    params(
        ("before" = Option<AuditId>, Query, description = "The id of the last entry of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = AuditList)))]
pub(super) async fn audit_log(
    State(service): State<Arc<Service>>,
    key: Key,
    params: Params,
) -> Result<Json<AuditList>, ApiError> {
    let done = async {
        let page = service.admin.audit_log(params.integer("before")?, params.limit()?).await?;
        let entries = page.entries.into_iter().map(Into::into).collect();
        Ok(Json(AuditList { entries, has_more: page.has_more }))
    };
    key.act(&service, Scope::Audit, "audit.read", done).await
}
