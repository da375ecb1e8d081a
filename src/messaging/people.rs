//! People: who exists, who is online, who is typing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{Error, Messaging, user_not_found};
use crate::{
    bus::CloseOrder,
    clock::Timestamp,
    domain::{SessionId, User, UserId, UserName},
    hub::Socket,
    presence::OnlineUser,
    protocol::server::ServerFrame,
};

/// How many users are read at a time when all that are online are listed.
const PAGE: u32 = 1_000;

/// Whether somebody is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceOf {
    /// Who.
    pub user: UserId,
    /// Whether.
    pub online: bool,
    /// When that user was last seen going offline.
    pub last_seen_at: Option<Timestamp>,
}

impl Messaging {
    /// A user.
    pub async fn user(&self, id: UserId) -> Result<User, Error> {
        let found = self.store.users(&[id]).await?.pop();
        found.ok_or_else(|| user_not_found().into())
    }

    /// Users whose names begin with `prefix`.
    pub async fn search_users(&self, prefix: &str, limit: u32) -> Result<Vec<User>, Error> {
        Ok(self.store.search_users(prefix, limit).await?)
    }

    /// Calls the user by another name.
    pub async fn rename(&self, user: UserId, name: &UserName) -> Result<User, Error> {
        self.store.rename(user, name).await?.ok_or_else(|| user_not_found().into())
    }

    /// Those of these users whom `actor` may know about, in the order given, each once.
    pub async fn visible(&self, actor: UserId, users: &[UserId]) -> Result<Vec<UserId>, Error> {
        let mut known: HashSet<_> =
            self.store.acquainted(actor, users).await?.into_iter().collect();
        if users.contains(&actor) {
            known.insert(actor);
        }
        Ok(users.iter().copied().filter(|user| known.remove(user)).collect())
    }

    /// Whether these users are online; everybody whom `actor` may not know about is left out.
    pub async fn presence(
        &self,
        actor: UserId,
        users: &[UserId],
    ) -> Result<Vec<PresenceOf>, Error> {
        let users = self.visible(actor, users).await?;
        let online: HashSet<_> = self.presence.online(&users).await?.into_iter().collect();
        let last_seen = self.store.last_seen(&users).await?;
        let of = |user: UserId| PresenceOf {
            user,
            online: online.contains(&user),
            last_seen_at: last_seen.get(&user).copied(),
        };
        Ok(users.into_iter().map(of).collect())
    }

    /// Those of these users who are online, whoever asks. Nobody while that cannot be read: it must
    /// not keep anybody from what is beside it.
    pub async fn online(&self, users: &[UserId]) -> HashSet<UserId> {
        let online = self.presence.online(users).await.unwrap_or_else(|error| {
            tracing::warn!(%error, users = users.len(), "shown as offline");
            Vec::new()
        });
        online.into_iter().collect()
    }

    /// Has a socket shown when these users come and go, instead of those that it `watched`, and
    /// tells how they are now.
    pub async fn watch(
        &self,
        socket: &Arc<Socket>,
        watched: &mut Vec<UserId>,
        users: &[UserId],
    ) -> Result<Vec<PresenceOf>, Error> {
        self.limits.presence(socket.user).await?;
        let visible = self.visible(socket.user, users).await?;
        // Before the present state is read: what changes after that is announced.
        self.delivery.watchers().replace(socket, watched, &visible);
        *watched = visible;
        self.presence(socket.user, watched).await
    }

    /// Shows a socket nobody's coming and going any more: it has closed, and `watched` these.
    pub fn unwatch(&self, socket: &Arc<Socket>, watched: &[UserId]) {
        self.delivery.watchers().replace(socket, watched, &[]);
    }

    /// Shows a user that `actor` is typing, if the two know each other.
    pub async fn typing(&self, actor: UserId, target: UserId) -> Result<(), Error> {
        if self.visible(actor, &[target]).await?.contains(&target) {
            let frame = ServerFrame::Typing { user_id: actor }.encode();
            self.delivery.notice(target, &frame, None);
        }
        Ok(())
    }

    /// All who are online, with their names; with an `actor`, only those whom the actor may know
    /// about.
    pub async fn online_users(
        &self,
        actor: Option<UserId>,
    ) -> Result<BTreeMap<UserId, (UserName, u32)>, Error> {
        let mut found = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.presence.list(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.user);
            let is_last = page.len() < PAGE as usize;
            self.add_online(actor, page, &mut found).await?;
            if is_last {
                return Ok(found);
            }
        }
    }

    async fn add_online(
        &self,
        actor: Option<UserId>,
        page: Vec<OnlineUser>,
        found: &mut BTreeMap<UserId, (UserName, u32)>,
    ) -> Result<(), Error> {
        let mut ids: Vec<_> = page.iter().map(|online| online.user).collect();
        if let Some(actor) = actor {
            ids = self.visible(actor, &ids).await?;
        }
        let users = self.store.users(&ids).await?;
        let mut names: HashMap<_, _> = users.into_iter().map(|user| (user.id, user.name)).collect();
        let shown: HashSet<_> = ids.into_iter().collect();
        for OnlineUser { user, connections } in page {
            if shown.contains(&user) {
                // A socket of the seed may open before its user's first chat.
                let name = names.remove(&user).unwrap_or_else(|| UserName::placeholder(user.get()));
                found.insert(user, (name, connections));
            }
        }
        Ok(())
    }

    /// Closes all of a user's sockets, everywhere. Once it returns `Ok`, that is noted in the database:
    /// a replica that the order does not reach finds it there.
    pub async fn close_sockets(&self, user: UserId) -> Result<(), Error> {
        let up_to = self.store.close_sockets(user).await?;
        self.delivery.close(user, CloseOrder::UpTo(up_to));
        Ok(())
    }

    /// Closes the sockets of a session that has ended, everywhere.
    pub fn close_session(&self, user: UserId, session: SessionId) {
        self.delivery.close(user, CloseOrder::Session(session));
    }
}
