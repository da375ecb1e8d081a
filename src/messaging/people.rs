//! People: who exists, who is online, who is typing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::Messaging;
use crate::{
    bus::CloseOrder,
    checks::Place,
    clock::Timestamp,
    domain::{Conversation, SessionId, User, UserId, UserName, UserRef},
    hub::Socket,
    presence::OnlineUser,
    protocol::{fault::ApiError, server::ServerFrame},
    store::Acquaintance,
};

/// Users in one read of the list of who is online.
const PAGE: u32 = 1_000;

/// The most acquaintances in one list of who is online: those of the newest conversations.
const MAX_ACQUAINTANCES: u32 = 10_000;

/// Whether somebody is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceOf {
    /// The user.
    pub user: UserId,
    /// Whether the user has a socket on any replica.
    pub online: bool,
    /// When the user last went offline.
    pub last_seen_at: Option<Timestamp>,
}

impl Messaging {
    /// A user.
    pub async fn user(&self, id: UserId) -> Result<User, ApiError> {
        let found = self.store.users(&[id]).await?.pop();
        found.ok_or_else(ApiError::user_not_found)
    }

    /// Who is named so; `None` if there is nobody.
    pub async fn known_user(&self, name: &UserRef) -> Result<Option<UserId>, ApiError> {
        match name {
            UserRef::Id(id) => Ok(Some(*id)),
            UserRef::External(_) => {
                let found = self.store.named_users(std::slice::from_ref(name)).await?;
                Ok(found.get(name).copied())
            }
        }
    }

    /// A user whom `actor` knows.
    pub async fn acquaintance(&self, actor: UserId, id: UserId) -> Result<User, ApiError> {
        let known = self.store.acquainted(actor, &[id], Acquaintance::Conversation).await?;
        if known.is_empty() { Err(ApiError::user_not_found()) } else { self.user(id).await }
    }

    /// Users whose names begin with `prefix`.
    pub async fn search_users(
        &self,
        actor: UserId,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<User>, ApiError> {
        Ok(self.store.search_users(actor, prefix, limit).await?)
    }

    /// Renames the user.
    pub async fn rename(&self, user: UserId, name: &UserName) -> Result<User, ApiError> {
        self.rules.names.check(user, Place::Name, name.as_str()).await?;
        self.store.rename(user, name).await?.ok_or_else(ApiError::user_not_found)
    }

    /// The users whose presence `actor` may see, in the order given, each once.
    async fn visible(&self, actor: UserId, users: &[UserId]) -> Result<Vec<UserId>, ApiError> {
        let known = self.store.acquainted(actor, users, self.rules.visible).await?;
        let mut known: HashSet<_> = known.into_iter().collect();
        let apart = self.standings.apart(actor, users).await?;
        let mut is_shown = |user: &UserId| known.remove(user) && !apart.contains(user);
        Ok(users.iter().copied().filter(|user| is_shown(user)).collect())
    }

    /// Whether these users are online. Leaves out those whose presence `actor` may not see.
    pub async fn presence(
        &self,
        actor: UserId,
        users: &[UserId],
    ) -> Result<Vec<PresenceOf>, ApiError> {
        let users = self.visible(actor, users).await?;
        self.presence_of(&users).await
    }

    /// Whether these users are online.
    async fn presence_of(&self, users: &[UserId]) -> Result<Vec<PresenceOf>, ApiError> {
        let online: HashSet<_> = self.presence.online(users).await?.into_iter().collect();
        let last_seen = self.store.last_seen(users).await?;
        let of = |user: &UserId| PresenceOf {
            user: *user,
            online: online.contains(user),
            last_seen_at: last_seen.get(user).copied(),
        };
        Ok(users.iter().map(of).collect())
    }

    /// Removes from conversations the presence that the user may not see, and puts the URLs of what their last
    /// chats show in.
    pub(super) async fn complete(
        &self,
        user: UserId,
        conversations: &mut [Conversation],
    ) -> Result<(), ApiError> {
        let peers = conversations.iter().filter_map(|it| Some(it.peer.as_ref()?.user.id));
        let apart = self.standings.apart(user, &peers.collect::<Vec<_>>()).await?;
        let shows_all = self.rules.visible == Acquaintance::Conversation;
        for conversation in conversations {
            if let Some(chat) = &mut conversation.last_chat {
                self.delivery.links().show(chat);
            }
            let Some(peer) = &mut conversation.peer else { continue };
            peer.shows_presence =
                (shows_all || conversation.both_wrote) && !apart.contains(&peer.user.id);
            if !peer.shows_presence {
                peer.last_seen_at = None;
            }
        }
        Ok(())
    }

    /// The peers of these conversations who are online, as far as the user may see it. Nobody while the
    /// register is away: the conversations are shown all the same.
    pub async fn online_peers(&self, conversations: &[Conversation]) -> HashSet<UserId> {
        let peers = conversations.iter().filter_map(|conversation| conversation.peer.as_ref());
        let shown = peers.filter(|peer| peer.shows_presence);
        let users: Vec<_> = shown.map(|peer| peer.user.id).collect();
        let users = users.as_slice();
        let online = self.presence.online(users).await.unwrap_or_else(|error| {
            tracing::warn!(%error, users = users.len(), "shown as offline");
            Vec::new()
        });
        online.into_iter().collect()
    }

    /// Notes whether somebody looks at a socket. While the register is away this replica keeps it, and writes it
    /// later.
    pub async fn note_state(&self, socket: &Socket, is_background: bool) {
        let Socket { user, id, .. } = socket;
        if let Err(error) = self.presence.set_background(*user, *id, is_background).await {
            tracing::debug!(%user, connection = %id, %error, "state not written yet");
        }
    }

    /// Replaces the presence subscriptions of a socket, and returns the present state.
    pub async fn watch(
        &self,
        socket: &Arc<Socket>,
        watched: &mut Vec<UserId>,
        users: &[UserId],
    ) -> Result<Vec<PresenceOf>, ApiError> {
        let visible = self.visible(socket.user, users).await?;
        // Before the present state is read: what changes after that is announced.
        self.delivery.watchers().replace(socket, watched, &visible);
        *watched = visible;
        // A block that was set since then looked for this socket before it was there.
        let apart = self.standings.apart(socket.user, watched).await?;
        if !apart.is_empty() {
            let visible: Vec<_> =
                watched.iter().copied().filter(|user| !apart.contains(user)).collect();
            self.delivery.watchers().replace(socket, watched, &visible);
            *watched = visible;
        }
        self.presence_of(watched).await
    }

    /// Ends the presence subscriptions of a socket that has closed.
    pub fn unwatch(&self, socket: &Arc<Socket>, watched: &[UserId]) {
        self.delivery.watchers().replace(socket, watched, &[]);
    }

    /// Tells a user that `actor` is typing, if the two may see each other's presence.
    pub async fn typing(&self, actor: UserId, target: UserId) -> Result<(), ApiError> {
        if self.visible(actor, &[target]).await?.contains(&target) {
            let frame = ServerFrame::Typing { user_id: actor, conversation_id: None }.encode();
            self.delivery.notice(target, &frame, None);
        }
        Ok(())
    }

    /// The users who are online, with their names and the number of their sockets: those whose presence
    /// `actor` may see, or all without an `actor`.
    pub async fn online_users(
        &self,
        actor: Option<UserId>,
    ) -> Result<BTreeMap<UserId, (UserName, u32)>, ApiError> {
        let mut found = BTreeMap::new();
        let Some(actor) = actor else {
            let mut after = None;
            loop {
                let page = self.presence.list(after, PAGE).await?;
                let is_last = page.len() < PAGE as usize;
                after = page.last().map(|last| last.user);
                self.add_online(page, &mut found).await?;
                if is_last {
                    return Ok(found);
                }
            }
        };
        let mut users =
            self.store.acquaintances(actor, self.rules.visible, MAX_ACQUAINTANCES).await?;
        let apart = self.standings.apart(actor, &users).await?;
        users.retain(|user| !apart.contains(user));
        if !users.contains(&actor) {
            users.push(actor);
        }
        for users in users.chunks(PAGE as usize) {
            let connections = self.presence.connections(users).await?;
            let page = connections.into_iter().map(|(user, sockets)| OnlineUser {
                user,
                connections: u32::try_from(sockets.len()).unwrap_or(u32::MAX),
            });
            self.add_online(page.collect(), &mut found).await?;
        }
        Ok(found)
    }

    async fn add_online(
        &self,
        page: Vec<OnlineUser>,
        found: &mut BTreeMap<UserId, (UserName, u32)>,
    ) -> Result<(), ApiError> {
        let ids: Vec<_> = page.iter().map(|online| online.user).collect();
        let users = self.store.users(&ids).await?;
        let mut names: HashMap<_, _> = users.into_iter().map(|user| (user.id, user.name)).collect();
        found.extend(page.into_iter().map(|OnlineUser { user, connections }| {
            // An anonymous socket may open before its user's first chat.
            let name = names.remove(&user).unwrap_or_else(|| UserName::placeholder(user.get()));
            (user, (name, connections))
        }));
        Ok(())
    }

    /// Closes all of a user's sockets on all replicas. After `Ok` the database has the order: a replica that
    /// the bus does not reach finds it there.
    pub async fn close_sockets(&self, user: UserId) -> Result<(), ApiError> {
        let up_to = self.store.close_sockets(user).await?;
        self.delivery.close(user, CloseOrder::UpTo(up_to));
        Ok(())
    }

    /// Closes the sockets of a session that has ended, on all replicas.
    pub fn close_session(&self, user: UserId, session: SessionId) {
        self.delivery.close(user, CloseOrder::Session(session));
    }

    /// Closes the sockets of a user's sessions up to this one, which have ended, on all replicas.
    pub fn close_sessions(&self, user: UserId, last: SessionId) {
        self.delivery.close(user, CloseOrder::Sessions(last));
    }
}
