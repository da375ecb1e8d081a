//! `/v1/admin/users`, for whoever keeps order: finding people, where they talk, and erasing them.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::{
    super::{
        extract::{Params, PathParam},
        views::{GroupView, PublicUrl, UserView},
    },
    Key, user_ref,
};
use crate::{
    clock::Timestamp,
    domain::{
        ChatId, Conversation, ConversationId, ConversationKind, ExternalId, RestrictionKind, Scope,
        UserId, UserName, UserRef,
    },
    protocol::fault::ApiError,
    service::Service,
    store::{KnownPerson, PersonPage},
};

/// What a user may not do now.
#[derive(Debug, Serialize, ToSchema)]
struct RestrictionView {
    kind: RestrictionKind,
    /// When it ends by itself; null: never.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    until: Option<Timestamp>,
    /// Why, if that was said.
    #[schema(required = true)]
    reason: Option<String>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PersonView {
    #[serde(flatten)]
    user: UserView,
    /// Since when there is this user.
    #[schema(value_type = String, format = DateTime)]
    create_time: Timestamp,
    /// Null: none is in force.
    #[schema(required = true)]
    restriction: Option<RestrictionView>,
}

impl PersonView {
    fn of(person: KnownPerson, url: &PublicUrl) -> Self {
        let KnownPerson { user, created_at, restriction, reason } = person;
        let restriction = restriction.map(|found| RestrictionView {
            kind: found.kind,
            until: found.until,
            reason,
        });
        Self { user: UserView::whole(user, url), create_time: created_at, restriction }
    }
}

/// People, by name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PersonList {
    users: Vec<PersonView>,
    has_more: bool,
}

/// Find people by the beginning of their name, or one by an id; by name, all of them where nothing is asked for
#[utoipa::path(get, path = "/v1/admin/users", tag = "admin", security(("apiKey" = [])),
    params(
        ("name" = Option<String>, Query, description = "The beginning of a name, to the letter"),
        ("user" = Option<ExternalId>, Query, description = "An external id, or `id:` and the service's own id"),
        ("after" = Option<i64>, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "The id of the last entry of the page before; 0 is the beginning"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = PersonList)))]
pub(super) async fn find(
    State(service): State<Arc<Service>>,
    key: Key,
    url: PublicUrl,
    params: Params,
) -> Result<Json<PersonList>, ApiError> {
    let done = async {
        let (after, limit) = (params.after_entry()?, params.limit()?);
        let page = match (params.get("name"), params.get("user")) {
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid("`name` and `user` exclude each other"));
            }
            (None, Some(user)) => {
                let found = service.admin.person(&user_ref("user", user)?).await?;
                PersonPage { people: found.into_iter().collect(), has_more: false }
            }
            (name, None) => {
                // Names are in NFC, whatever a keyboard makes.
                let prefix: String = name.unwrap_or_default().nfc().collect();
                service.admin.find_people(&prefix, after, limit).await?
            }
        };
        let users = page.people.into_iter().map(|person| PersonView::of(person, &url)).collect();
        Ok(Json(PersonList { users, has_more: page.has_more }))
    };
    key.act(&service, Scope::Users, "user.find", done).await
}

/// Erase a user for good: name, picture, logins, sessions, and the words of every chat; may be repeated by `id:`
#[utoipa::path(delete, path = "/v1/admin/users/{externalId}", tag = "admin", security(("apiKey" = [])),
    params(("externalId" = ExternalId, Path, description = "Or `id:` and the service's own id")),
    responses((status = 204)))]
pub(super) async fn erase(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(name): PathParam,
) -> Result<StatusCode, ApiError> {
    let mut act = key.begin(&service, Scope::Users, "user.erase", None).await?;
    let found = async {
        match user_ref("externalId", &name)? {
            // Also one who was erased: an erasure may be repeated.
            UserRef::Id(id) => Ok(id),
            name @ UserRef::External(_) => service.admin.user(&name).await,
        }
    };
    let user = match found.await {
        Ok(user) => user,
        Err(fault) => return act.end(Err(fault)).await,
    };
    act.is_about(format!("user:{user}"));
    // To its end, whether or not somebody waits for the answer.
    let erasing = tokio::spawn(async move {
        let done = erase_whole(&service, user).await;
        act.end(done).await
    });
    erasing.await.map_err(|_| ApiError::internal())??;
    Ok(StatusCode::NO_CONTENT)
}

async fn erase_whole(service: &Service, user: UserId) -> Result<(), ApiError> {
    if let Some(last) = service.accounts.log_out_everywhere(user).await? {
        service.messaging.close_sessions(user, last);
    }
    service.accounts.erase(user, |told| service.messaging.tell(told)).await
}

/// A conversation of a user, without what was said there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TalkView {
    id: ConversationId,
    #[schema(value_type = String, example = "direct")]
    kind: ConversationKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    external_id: Option<ExternalId>,
    /// The other side of a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    peer_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    peer_name: Option<UserName>,
    /// What all members see of a group.
    #[serde(flatten)]
    group: Option<GroupView>,
    /// Whether the user is no member any more.
    left: bool,
    /// Where it stands in the list, for `before`.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    position: i64,
}

impl From<Conversation> for TalkView {
    fn from(conversation: Conversation) -> Self {
        let peer = conversation.peer.map(|peer| peer.user);
        Self {
            id: conversation.id,
            kind: conversation.kind,
            external_id: conversation.external_id,
            peer_id: peer.as_ref().map(|peer| peer.id),
            peer_name: peer.map(|peer| peer.name),
            group: conversation.group.map(Into::into),
            left: conversation.left,
            position: conversation.position.map_or(0, Into::into),
        }
    }
}

/// Conversations of a user, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TalkList {
    conversations: Vec<TalkView>,
    has_more: bool,
}

/// Where a user talks, as the user's own list has it with the pinned ones first, without what is said there
#[utoipa::path(get, path = "/v1/admin/users/{externalId}/conversations", tag = "admin",
    security(("apiKey" = [])),
    params(
        ("externalId" = ExternalId, Path, description = "Or `id:` and the service's own id"),
        ("before" = Option<ChatId>, Query, description = "The position of the last entry of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "50 unless given; a larger one counts as 100"),
    ),
    responses((status = 200, body = TalkList)))]
pub(super) async fn conversations(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(name): PathParam,
    params: Params,
) -> Result<Json<TalkList>, ApiError> {
    let mut act = key.begin(&service, Scope::Conversations, "conversation.list", None).await?;
    let done = async {
        let (before, limit) = (params.integer("before")?, params.limit()?);
        let user = service.admin.user(&user_ref("externalId", &name)?).await?;
        act.is_about(format!("user:{user}"));
        let page = service.messaging.conversations(user, before, limit).await?;
        // A pin hides nothing from whoever keeps order.
        let pinned = match before {
            None => service.messaging.pinned(user).await?,
            Some(_) => Vec::new(),
        };
        let conversations = pinned.into_iter().chain(page.conversations).map(Into::into).collect();
        Ok(Json(TalkList { conversations, has_more: page.has_more }))
    };
    let done = done.await;
    act.end(done).await
}
