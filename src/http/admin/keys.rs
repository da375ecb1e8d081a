//! `/v1/admin/keys` and `/v1/admin/key`: the keys of the server API, and the one that asks.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::extract::{JsonBody, PathParam, integer},
    Key,
};
use crate::{
    clock::Timestamp,
    domain::{ApiKey, ApiKeyId, ApiKeyName, Scope, Scopes},
    protocol::{fault::ApiError, fields::Words},
    service::Service,
};

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeyView {
    id: ApiKeyId,
    name: String,
    scopes: Vec<Scope>,
    #[schema(value_type = String, format = DateTime)]
    create_time: Timestamp,
    /// To within a minute; null: never.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_use_time: Option<Timestamp>,
    /// Since when it is good no more; null while it is.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    revoke_time: Option<Timestamp>,
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name.as_str().to_owned(),
            scopes: key.scopes.iter().collect(),
            create_time: key.created_at,
            last_use_time: key.last_used_at,
            revoke_time: key.revoked_at,
        }
    }
}

/// The key that asks, whatever its scopes
#[utoipa::path(get, path = "/v1/admin/key", tag = "admin", security(("apiKey" = [])),
    responses((status = 200, body = KeyView)))]
pub(super) async fn own_key(
    State(service): State<Arc<Service>>,
    key: Key,
) -> Result<Json<KeyView>, ApiError> {
    let subject = Some(format!("api_key:{}", key.0.id));
    let act = service.admin.begin_unscoped(&key.0, "api_key.read", subject, None).await?;
    act.end(Ok(Json(KeyView::from(&key.0)))).await
}

/// All keys that were ever made, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyList {
    keys: Vec<KeyView>,
}

/// All keys that were ever made, without their secrets, oldest first
#[utoipa::path(get, path = "/v1/admin/keys", tag = "admin", security(("apiKey" = [])),
    responses((status = 200, body = KeyList)))]
pub(super) async fn keys(
    State(service): State<Arc<Service>>,
    key: Key,
) -> Result<Json<KeyList>, ApiError> {
    let done = async {
        let keys = service.admin.keys().await?;
        Ok(Json(KeyList { keys: keys.iter().map(Into::into).collect() }))
    };
    key.act(&service, Scope::All, "api_key.list", done).await
}

/// A key that is to be made.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewKey {
    /// What it is for.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    name: Words,
    #[schema(min_items = 1, max_items = 20)]
    scopes: Vec<Scope>,
}

/// The most scopes that a request names, each perhaps more than once.
const MAX_SCOPES: usize = 20;

impl NewKey {
    fn parts(&self) -> Result<(ApiKeyName, Scopes), ApiError> {
        let name = self.name.remark("name", ApiKeyName::MAX_CHARS)?.parse::<ApiKeyName>();
        let name = name.map_err(|error| ApiError::invalid(format!("`name` {error}")))?;
        if !(1..=MAX_SCOPES).contains(&self.scopes.len()) {
            return Err(ApiError::invalid(format!("`scopes` must be 1 to {MAX_SCOPES} words")));
        }
        Ok((name, self.scopes.iter().copied().collect()))
    }
}

/// A key that was made, with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeKey {
    id: ApiKeyId,
    name: String,
    scopes: Vec<Scope>,
    /// What it is; cannot be shown again.
    #[schema(example = "imk_…")]
    secret: String,
}

/// Make a key; the answer alone has its secret
#[utoipa::path(post, path = "/v1/admin/keys", tag = "admin", security(("apiKey" = [])),
    request_body = NewKey, responses((status = 201, body = MadeKey)))]
pub(super) async fn make_key(
    State(service): State<Arc<Service>>,
    key: Key,
    body: JsonBody,
) -> Result<(StatusCode, Json<MadeKey>), ApiError> {
    let mut act = key.begin(&service, Scope::All, "api_key.create", None).await?;
    let done = async {
        let (name, scopes) = body.fields()?.read::<NewKey>()?.parts()?;
        let (id, secret) = service.admin.make_key(&name, &scopes).await?;
        act.is_about(format!("api_key:{id}"));
        let (name, scopes) = (name.as_str().to_owned(), scopes.iter().collect());
        let made = MadeKey { id, name, scopes, secret: secret.reveal() };
        Ok((StatusCode::CREATED, Json(made)))
    };
    let done = done.await;
    act.end(done).await
}

/// Revoke a key for good; it may be the one that asks
#[utoipa::path(delete, path = "/v1/admin/keys/{id}", tag = "admin", security(("apiKey" = [])),
    params(("id" = ApiKeyId, Path)), responses((status = 204)))]
pub(super) async fn revoke_key(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(id): PathParam,
) -> Result<StatusCode, ApiError> {
    let mut act = key.begin(&service, Scope::All, "api_key.revoke", None).await?;
    let done = async {
        let id: ApiKeyId = integer("id", &id)?;
        act.is_about(format!("api_key:{id}"));
        service.admin.revoke_key(id).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    let done = done.await;
    act.end(done).await
}
