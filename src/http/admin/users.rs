//! `/v1/admin/users` and `/v1/admin/sessions`: a company's own people.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    super::{
        extract::{JsonBody, PathParam, user_list},
        login::LoginView,
        views::{PublicUrl, UserView},
    },
    Key, user_ref,
};
use crate::{
    domain::{AvatarUrl, ExternalId, Payload, Profile, Scope, UserFacts, UserId, UserRef},
    protocol::{
        fault::ApiError,
        fields::{Fields, Words, missing},
    },
    service::Service,
};

/// The most users of one request.
const MAX_USERS: usize = 1_000;

/// The most bytes of a profile, all parts together.
const MAX_PROFILE_BYTES: usize = 4_096;

/// What a back end says of a user. What is not named stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutUser {
    #[schema(value_type = String, min_length = 1, max_length = 32)]
    name: Words,
    /// An https address, in place of an own picture; empty: none any more.
    #[schema(max_length = 1_024, example = "https://example.com/1.png")]
    avatar_url: Option<String>,
    /// Replaces the whole profile: at most 4 KiB.
    profile: Option<PutProfile>,
}

/// What a back end keeps with a user.
#[derive(Deserialize, ToSchema)]
struct PutProfile {
    /// What everybody sees of the user.
    #[schema(value_type = Option<Object>)]
    public: Option<Box<RawValue>>,
    /// What concerns the user alone; nobody sees it yet but the back end.
    #[schema(value_type = Option<Object>)]
    private: Option<Box<RawValue>>,
    /// What nobody sees but the back end.
    #[schema(value_type = Option<Object>)]
    server: Option<Box<RawValue>>,
}

/// What a back end says of one of many users.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PutNamedUser {
    external_id: ExternalId,
    #[schema(value_type = String, min_length = 1, max_length = 32)]
    name: Words,
    /// An https address, in place of an own picture; empty: none any more.
    #[schema(max_length = 1_024)]
    avatar_url: Option<String>,
    /// Replaces the whole profile: at most 4 KiB.
    profile: Option<PutProfile>,
}

impl PutNamedUser {
    fn facts(self) -> Result<(ExternalId, UserFacts), ApiError> {
        let Self { external_id, name, avatar_url, profile } = self;
        Ok((external_id, PutUser { name, avatar_url, profile }.facts()?))
    }
}

impl PutUser {
    fn facts(self) -> Result<UserFacts, ApiError> {
        let name = Some(self.name.user_name("name")?);
        let avatar_url = self.avatar_url.as_deref().map(avatar_url).transpose()?;
        let profile = self.profile.map(PutProfile::parts).transpose()?;
        Ok(UserFacts { name, avatar_url, profile })
    }
}

fn avatar_url(url: &str) -> Result<Option<AvatarUrl>, ApiError> {
    if url.is_empty() {
        return Ok(None);
    }
    let detail = "`avatarUrl` must be an https address of at most 1,024 characters";
    AvatarUrl::parse(url).map(Some).ok_or_else(|| ApiError::invalid(detail))
}

impl PutProfile {
    fn parts(self) -> Result<Profile, ApiError> {
        let part = |name: &str, json: Option<Box<RawValue>>| {
            let json = json.map(|json| Payload::parse(json.get().to_owned())).transpose();
            json.map_err(|error| ApiError::invalid(format!("`profile.{name}` {error}")))
        };
        let public = part("public", self.public)?;
        let hidden =
            [("private", part("private", self.private)?), ("server", part("server", self.server)?)];
        let hidden: Vec<_> = hidden
            .into_iter()
            .filter_map(|(name, part)| Some(format!(r#""{name}":{}"#, part?.as_str())))
            .collect();
        let hidden = (!hidden.is_empty()).then(|| format!("{{{}}}", hidden.join(",")));
        let size = public.as_ref().map_or(0, |part| part.as_str().len())
            + hidden.as_ref().map_or(0, String::len);
        if size > MAX_PROFILE_BYTES {
            return Err(ApiError::invalid("`profile` must be at most 4 KiB"));
        }
        // Made of objects, so it is one.
        let hidden = hidden.map(Payload::parse).transpose().map_err(|_| ApiError::internal())?;
        Ok(Profile { public, hidden })
    }
}

/// Make a user, or bring one up to date
#[utoipa::path(put, path = "/v1/admin/users/{externalId}", tag = "admin", security(("apiKey" = [])),
    params(("externalId" = ExternalId, Path, description = "Or `id:` and the service's own id")),
    request_body = PutUser,
    responses((status = 200, body = UserView), (status = 201, body = UserView)))]
pub(super) async fn put_user(
    State(service): State<Arc<Service>>,
    key: Key,
    url: PublicUrl,
    PathParam(name): PathParam,
    body: JsonBody,
) -> Result<(StatusCode, Json<UserView>), ApiError> {
    let mut act = key.begin(&service, Scope::Users, "user.put", None).await?;
    let done = async {
        let name = user_ref("externalId", &name)?;
        let facts = body.fields()?.read::<PutUser>()?.facts()?;
        let (user, is_new) = service.admin.put_user(&name, facts).await?;
        act.is_about(format!("user:{}", user.id));
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, Json(UserView::whole(user, &url))))
    };
    let done = done.await;
    act.end(done).await
}

/// Users who were made or brought up to date.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PutUsers {
    /// In the order of the request.
    users: Vec<UserView>,
}

/// Make users, or bring them up to date: all, or none if something is wrong with one of them
#[utoipa::path(post, path = "/v1/admin/users", tag = "admin", security(("apiKey" = [])),
    request_body = Vec<PutNamedUser>,
    responses((status = 200, body = PutUsers)))]
pub(super) async fn put_users(
    State(service): State<Arc<Service>>,
    key: Key,
    url: PublicUrl,
    request: Request,
) -> Result<Json<PutUsers>, ApiError> {
    let mut act = key.begin(&service, Scope::Users, "user.put", None).await?;
    let done = async {
        let body = user_list(request).await?;
        let list: Vec<&RawValue> = serde_json::from_slice(&body)
            .map_err(|_| ApiError::invalid("the body must be a list of users"))?;
        if list.is_empty() || list.len() > MAX_USERS {
            let detail = format!("the list must have 1 to {MAX_USERS} users");
            return Err(ApiError::invalid(detail));
        }
        let users = list.iter().enumerate().map(|(place, user)| {
            named_user(user).map_err(|fault| ApiError {
                detail: format!("user {} of the list: {}", place + 1, fault.detail).into(),
                ..fault
            })
        });
        let users = users.collect::<Result<Vec<_>, _>>()?;
        let put = service.admin.put_users(&users).await?;
        let ids: Vec<_> = put.iter().map(|(user, _)| user.id.to_string()).collect();
        act.is_about(format!("users:{}", ids.join(",")));
        let users = put.into_iter().map(|(user, _)| UserView::whole(user, &url)).collect();
        Ok(Json(PutUsers { users }))
    };
    let done = done.await;
    act.end(done).await
}

fn named_user(json: &RawValue) -> Result<(ExternalId, UserFacts), ApiError> {
    let fields = Fields::parse(json.get().as_bytes())
        .map_err(|error| ApiError::invalid(error.to_string()))?;
    fields.read::<PutNamedUser>()?.facts()
}

/// Who is to be logged in: exactly one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BeginSession {
    external_id: Option<ExternalId>,
    user_id: Option<UserId>,
}

impl BeginSession {
    fn user(self) -> Result<UserRef, ApiError> {
        match (self.external_id, self.user_id) {
            (Some(id), None) => Ok(UserRef::External(id)),
            (None, Some(id)) => Ok(UserRef::Id(id)),
            (None, None) => Err(missing("externalId")),
            (Some(_), Some(_)) => {
                Err(ApiError::invalid("`externalId` and `userId` exclude each other"))
            }
        }
    }
}

/// Log a user in
#[utoipa::path(post, path = "/v1/admin/sessions", tag = "admin", security(("apiKey" = [])),
    request_body = BeginSession, responses((status = 200, body = LoginView)))]
pub(super) async fn begin_session(
    State(service): State<Arc<Service>>,
    key: Key,
    url: PublicUrl,
    body: JsonBody,
) -> Result<Json<LoginView>, ApiError> {
    let mut act = key.begin(&service, Scope::Sessions, "session.create", None).await?;
    let done = async {
        let name = body.fields()?.read::<BeginSession>()?.user()?;
        let user = service.admin.user(&name).await?;
        act.is_about(format!("user:{user}"));
        let user = service.messaging.user(user).await?;
        let login = service.accounts.log_in(user).await?;
        Ok(LoginView::of(login, &url))
    };
    let done = done.await;
    act.end(done).await
}

/// End all sessions of a user, and close their sockets
#[utoipa::path(delete, path = "/v1/admin/users/{externalId}/sessions", tag = "admin",
    security(("apiKey" = [])),
    params(("externalId" = ExternalId, Path, description = "Or `id:` and the service's own id")),
    responses((status = 204)))]
pub(super) async fn end_sessions(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(name): PathParam,
) -> Result<StatusCode, ApiError> {
    let mut act = key.begin(&service, Scope::Sessions, "session.end_all", None).await?;
    let done = async {
        let user = service.admin.user(&user_ref("externalId", &name)?).await?;
        act.is_about(format!("user:{user}"));
        if let Some(last) = service.accounts.log_out_everywhere(user).await? {
            service.messaging.close_sessions(user, last);
        }
        Ok(StatusCode::NO_CONTENT)
    };
    let done = done.await;
    act.end(done).await
}
