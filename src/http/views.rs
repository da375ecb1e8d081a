//! Things as JSON, where the domain's own form is not it.

use std::{collections::HashSet, sync::Arc};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{header, request::Parts},
};
use serde::Serialize;
use std::net::SocketAddr;
use utoipa::ToSchema;

use super::peer::is_trusted;
use crate::{
    clock::Timestamp,
    domain::{
        Chat, Conversation, ConversationId, ConversationKind, ExternalId, GroupFace, GroupTitle,
        OwnSettings, Payload, Role, User, UserId, UserName,
    },
    messaging::PresenceOf,
    service::Service,
};

/// Where clients reach the service, for the URLs that answers hold: `server.public_url`, or what the
/// request says. A trusted proxy may say `https` by `X-Forwarded-Proto`.
#[derive(Clone, Debug)]
pub(super) struct PublicUrl(String);

impl FromRequestParts<Arc<Service>> for PublicUrl {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Self::Rejection> {
        let server = &service.settings.server;
        if let Some(url) = &server.public_url {
            return Ok(Self(url.as_str().trim_end_matches('/').to_owned()));
        }
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let is_proxied =
            peer.is_some_and(|ip| is_trusted(ip.to_canonical(), &server.trusted_proxies));
        let is_tls = is_proxied && header("x-forwarded-proto") == Some("https");
        let scheme = if is_tls { "https" } else { "http" };
        // Without a host the URL is relative, which is as good for whoever speaks like that.
        let host = header(header::HOST.as_str());
        Ok(Self(host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()))
    }
}

/// A user's public face.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserView {
    id: UserId,
    name: UserName,
    #[schema(required = true)]
    avatar_url: Option<String>,
    /// What a company's own back end lets everybody see of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    profile: Option<ProfileView>,
    /// What the back end calls the user; to oneself and to the server API alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    external_id: Option<ExternalId>,
}

/// The part of a profile that everybody sees.
#[derive(Debug, Serialize, ToSchema)]
struct ProfileView {
    #[schema(value_type = Object)]
    public: Payload,
}

impl UserView {
    /// As this viewer sees the user.
    pub(super) fn of(user: User, viewer: UserId, url: &PublicUrl) -> Self {
        let external_id = user.external_id.clone().filter(|_| user.id == viewer);
        Self::whole(User { external_id, ..user }, url)
    }

    /// With all that is known of the user: as oneself and the server API see one.
    pub(super) fn whole(user: User, url: &PublicUrl) -> Self {
        let User { id, name, avatar, avatar_url, public_profile, external_id } = user;
        let own = avatar.map(|hash| format!("{}/v1/avatars/{}", url.0, hash.as_str()));
        let avatar_url = avatar_url.map(|url| url.as_str().to_owned()).or(own);
        let profile = public_profile.map(|public| ProfileView { public });
        Self { id, name, avatar_url, profile, external_id }
    }
}

/// The other side of a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeerView {
    #[serde(flatten)]
    user: UserView,
    online: bool,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_seen_at: Option<Timestamp>,
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationView {
    id: ConversationId,
    #[schema(value_type = String, example = "direct")]
    kind: ConversationKind,
    /// What a company's own back end calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    external_id: Option<ExternalId>,
    /// The other side, in a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<PeerView>,
    /// What all members see of a group.
    #[serde(flatten)]
    group: Option<GroupView>,
    /// One's own role in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// `true` once one is no member any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    left: bool,
    /// The newest chat that one may read.
    #[schema(required = true)]
    last_chat: Option<Chat>,
    /// Where it stands in the list, for `before`; 0 as long as nobody has written.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    position: i64,
    /// Rises with each new chat and each change of one, for `changedSince`; 0 before the first.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    version: i64,
    /// Counted to 99; 100 means more. Neither recalled chats nor system lines count.
    #[schema(maximum = 100)]
    unread: u32,
    /// Whether an unread chat calls one by name.
    mentioned: bool,
    /// The last chat that one has read; 0 before the first.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    read_up_to: i64,
    /// The last chat that the peer has read; 0 before the first. In a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    peer_read_up_to: Option<i64>,
    /// What one keeps of it.
    #[serde(flatten)]
    own: OwnSettings,
}

/// What all members see of a group; absent in any other conversation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupView {
    /// What it is called, if it has a name.
    title: Option<GroupTitle>,
    /// No group has a picture yet.
    avatar_url: Option<String>,
    #[schema(required = false)]
    member_count: u32,
    /// Rises with each change of members and of their roles.
    #[schema(required = false)]
    members_version: u32,
}

impl From<GroupFace> for GroupView {
    fn from(GroupFace { title, member_count, members_version }: GroupFace) -> Self {
        Self { title, avatar_url: None, member_count, members_version }
    }
}

impl ConversationView {
    pub(super) fn of(
        conversation: Conversation,
        online: &HashSet<UserId>,
        url: &PublicUrl,
    ) -> Self {
        let read = conversation.peer_read_up_to.map_or(0, Into::into);
        let peer_read_up_to = conversation.peer.as_ref().map(|_| read);
        let peer = conversation.peer.map(|peer| PeerView {
            online: online.contains(&peer.user.id),
            // It has no external id, unless it is oneself.
            user: UserView::whole(peer.user, url),
            last_seen_at: peer.last_seen_at,
        });
        Self {
            id: conversation.id,
            kind: conversation.kind,
            external_id: conversation.external_id,
            peer,
            group: conversation.group.map(GroupView::from),
            role: conversation.role,
            left: conversation.left,
            last_chat: conversation.last_chat,
            position: conversation.position.map_or(0, Into::into),
            version: conversation.version.map_or(0, Into::into),
            unread: conversation.unread,
            mentioned: conversation.mentioned,
            read_up_to: conversation.read_up_to.map_or(0, Into::into),
            peer_read_up_to,
            own: conversation.own,
        }
    }
}

/// Whether somebody is online.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PresenceView {
    user_id: UserId,
    online: bool,
    /// When that user was last seen going offline.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_seen_at: Option<Timestamp>,
}

impl From<PresenceOf> for PresenceView {
    fn from(PresenceOf { user, online, last_seen_at }: PresenceOf) -> Self {
        Self { user_id: user, online, last_seen_at }
    }
}
