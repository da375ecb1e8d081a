//! `/v1/admin`: the server API, for a company's own back end.

mod audit;
mod chats;
mod conversations;
mod exports;
mod feed;
mod keys;
mod moderation;
mod people;
mod status;
mod users;
mod webhooks;
mod wechat;

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{extract::bearer, peer::ClientAddress};
use crate::{
    admin::Act,
    auth::api_key::ApiKeySecret,
    domain::{ApiKey, Scope, UserRef},
    protocol::fault::{ApiError, ErrorCode},
    service::Service,
};

/// All routes of the server API.
pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(people::find, users::put_users))
        .routes(routes!(users::put_user, people::erase))
        .routes(routes!(people::conversations))
        .routes(routes!(users::end_sessions))
        .routes(routes!(exports::export_user))
        .routes(routes!(users::begin_session))
        .routes(routes!(chats::send_as))
        .routes(routes!(chats::recall_any))
        .routes(routes!(conversations::begin_any))
        .routes(routes!(conversations::one_any, conversations::change_any))
        .routes(routes!(conversations::add_any, conversations::remove_any))
        .routes(routes!(conversations::all_chats))
        .routes(routes!(moderation::restrict, moderation::free))
        .routes(routes!(moderation::held_chats))
        .routes(routes!(moderation::decide_held))
        .routes(routes!(moderation::reports))
        .routes(routes!(moderation::decide_report))
        .routes(routes!(wechat::take_push))
        .routes(routes!(audit::audit_log))
        .routes(routes!(keys::own_key))
        .routes(routes!(keys::keys, keys::make_key))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(status::status))
        .routes(routes!(feed::feed))
        .routes(routes!(webhooks::endpoints))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay))
}

/// Reads the name of a user: an external id, or `id:` and the service's own id.
fn user_ref(key: &str, text: &str) -> Result<UserRef, ApiError> {
    text.parse().map_err(|error| ApiError::invalid(format!("`{key}` {error}")))
}

/// The API key that came with the request, in the `Authorization` header.
#[derive(Debug)]
pub(super) struct Key(ApiKey);

impl Key {
    /// Begins an act with this key; refused unless the key has the scope.
    async fn begin(
        &self,
        service: &Service,
        scope: Scope,
        action: &'static str,
        subject: Option<String>,
    ) -> Result<Act, ApiError> {
        service.admin.begin(&self.0, scope, action, subject).await
    }

    /// As [`Key::begin`], with why it is done.
    async fn begin_because(
        &self,
        service: &Service,
        scope: Scope,
        action: &'static str,
        subject: Option<String>,
        reason: Option<&str>,
    ) -> Result<Act, ApiError> {
        service.admin.begin_because(&self.0, scope, action, subject, reason).await
    }

    /// Begins an act that is about nobody in particular, does it, and ends it.
    async fn act<T>(
        &self,
        service: &Service,
        scope: Scope,
        action: &'static str,
        doing: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let act = self.begin(service, scope, action, None).await?;
        act.end(doing.await).await
    }

    /// As [`Key::begin`], for what is done all the time: noted once a minute.
    async fn begin_poll(
        &self,
        service: &Service,
        scope: Scope,
        action: &'static str,
    ) -> Result<Act, ApiError> {
        service.admin.begin_poll(&self.0, scope, action).await
    }
}

impl FromRequestParts<Arc<Service>> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ApiError> {
        if let Some(secret) = bearer(&parts.headers).and_then(ApiKeySecret::parse)
            && let Some(key) = service.admin.authenticate(&secret).await?
        {
            tracing::Span::current().record("key", key.id.get());
            return Ok(Self(key));
        }
        // Only whoever fails is counted by address.
        let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, service).await;
        service.limits.failed_key(address).await?;
        let detail = "an API key is needed that is good: Authorization: Bearer imk_…";
        Err(ApiError::new(ErrorCode::Unauthorized, detail))
    }
}
