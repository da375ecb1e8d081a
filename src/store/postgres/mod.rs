//! The store of a service of several replicas: Postgres.
//!
//! A replica has one connection for [`Store::append`], which its batcher calls one at a time, and a
//! few for everything else, so that a storm of reads cannot keep a send waiting.

mod append;
mod at_once;
mod connections;
mod conversations;
mod erasure;
mod error;
mod gather;
mod health;
mod history;
mod identities;
mod jobs;
mod members;
mod migrating;
mod opening;
mod outbox;
mod pictures;
mod pool;
mod replicas;
mod rows;
mod sessions;
mod timelines;
mod trims;
mod users;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{PgConnection, migrate::Migrator};

use self::{
    append::Wariness,
    error::classify,
    gather::Gather,
    opening::{Opening, WRITER},
    pool::Pool,
};
use super::{
    Access, Acquaintance, Appended, Bounds, ChatPage, ConversationPage, EventPage, NewChat,
    OutboxCursor, OutboxPage, ReadMark, Session, Standing, Store, StoreError, TokenHash, TrimPage,
    Window, identities::IdentityColumns,
};
use crate::{
    clock::Timestamp,
    domain::{
        AvatarHash, Chat, ChatId, ClientMsgId, ConnectionId, Conversation, ConversationId, Epoch,
        Identity, ReplicaId, Seq, SessionId, User, UserId, UserName,
    },
};

/// Connections of a replica, beside the one that appends.
const CONNECTIONS: usize = 10;
/// How long a unit of work may take. More than `statement_timeout`, so that a server that lives is the
/// one to say so.
const WORK_TIMEOUT: Duration = Duration::from_secs(7);
/// How long an append may take: nobody waits for one any longer, and a connection that fell silent
/// keeps all others waiting.
const APPEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The time of the database, in milliseconds: one clock for all replicas.
macro_rules! now_millis {
    () => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
use now_millis;

/// The direct conversation `v` of each pair `p`, by a probe of the index. A plain join is planned as a
/// scan of all conversations as long as Postgres knows nothing of the table, and the plan is kept; the
/// limit leaves no other way.
macro_rules! conversation_of_pair {
    () => {
        "LATERAL (SELECT id, low_wrote, high_wrote FROM conversations
             WHERE kind = 'direct' AND low_user = p.low AND high_user = p.high LIMIT 1) v"
    };
}
use conversation_of_pair;

/// A store in a Postgres database. Clones share its connections.
#[derive(Clone)]
pub struct PgStore {
    writer: Pool,
    wariness: Arc<Wariness>,
    others: Pool,
    // What every handshake asks for.
    sessions: Gather<TokenHash, Option<Session>>,
    connections: Gather<(), ConnectionId>,
    standings: Gather<UserId, Standing>,
}

impl fmt::Debug for PgStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The connections know the password.
        f.write_str("PgStore")
    }
}

impl PgStore {
    /// Opens the database at a URL `postgres://USER:PASSWORD@HOST:PORT/NAME` and brings its schema up
    /// to date. Replicas that start together wait for the one that migrates, at most ten minutes.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let opening = Opening::new(url).map_err(StoreError::Unavailable)?;
        opening.check().await?;
        migrating::migrate(&opening, sqlx::migrate!("migrations/postgres").iter().cloned()).await?;
        let others = Pool::new(opening.clone(), CONNECTIONS, WORK_TIMEOUT);
        let store = Self {
            writer: Pool::new(opening.with(&WRITER), 1, APPEND_TIMEOUT),
            wariness: Arc::default(),
            sessions: gather(&others, |c, tokens| sessions::by_tokens(c, tokens).boxed()),
            connections: gather(&others, |c, calls| connections::next(c, calls.len()).boxed()),
            standings: gather(&others, |c, users| timelines::standings(c, users).boxed()),
            others,
        };
        store.run(|c| history::epoch(c).boxed()).await?;
        if !store.run(|c| history::is_watched(c).boxed()).await? {
            tracing::warn!(
                "the database's role may not call pg_control_system(): a restore or a failover is \
                 not noticed; grant it, or run `imserver admin rotate-epoch` after each"
            );
        }
        Ok(store)
    }

    /// Applies these migrations to the database at a URL, as [`PgStore::open`] does with its own.
    pub async fn migrate(url: &str, migrations: &Migrator) -> Result<(), StoreError> {
        let opening = Opening::new(url).map_err(StoreError::Unavailable)?;
        migrating::migrate(&opening, migrations.iter().cloned()).await
    }

    /// Runs a unit of work on one of the connections that do not append.
    async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    {
        self.others.run(work).await.map_err(classify)
    }
}

/// Gathers questions for a unit of work that answers them in their order.
fn gather<K, V>(
    pool: &Pool,
    work: impl for<'c> Fn(&'c mut PgConnection, Vec<K>) -> BoxFuture<'c, sqlx::Result<Vec<V>>>
    + Copy
    + Send
    + Sync
    + 'static,
) -> Gather<K, V>
where
    K: Clone + Send + 'static,
    V: Send + 'static,
{
    let pool = pool.clone();
    Gather::new(move |keys| {
        let pool = pool.clone();
        async move { pool.run(move |c| work(c, keys)).await.map_err(classify) }.boxed()
    })
}

#[async_trait]
impl Store for PgStore {
    async fn ping(&self) -> Result<Access, StoreError> {
        self.run(|c| health::ping(c).boxed()).await
    }

    async fn try_writing(&self) -> Result<(), StoreError> {
        self.writer.run(|c| health::try_writing(c).boxed()).await.map_err(classify)
    }

    async fn epoch(&self) -> Result<Epoch, StoreError> {
        self.run(move |c| history::epoch(c).boxed()).await
    }

    async fn rotate_epoch(&self) -> Result<Epoch, StoreError> {
        self.run(|c| history::rotate(c).boxed()).await
    }

    async fn note_replica(
        &self,
        replica: ReplicaId,
        is_heard: bool,
    ) -> Result<HashMap<ReplicaId, Timestamp>, StoreError> {
        self.run(move |c| replicas::note(c, replica, is_heard).boxed()).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let ids = ids.to_vec();
        self.run(move |c| users::users(c, ids).boxed()).await
    }

    async fn user_by_identity(
        &self,
        identity: &Identity,
        name: Option<&UserName>,
    ) -> Result<User, StoreError> {
        let (identity, name) = (IdentityColumns::of(identity), name.cloned());
        self.run(move |c| identities::user_by_identity(c, identity, name).boxed()).await
    }

    async fn ensure_users(&self, users: &[(UserId, UserName)]) -> Result<(), StoreError> {
        let users = users.to_vec();
        self.run(move |c| users::ensure_users(c, users).boxed()).await
    }

    async fn rename(&self, user: UserId, name: &UserName) -> Result<Option<User>, StoreError> {
        let name = name.clone();
        self.run(move |c| users::rename(c, user, name).boxed()).await
    }

    async fn set_avatar(
        &self,
        user: UserId,
        hash: &AvatarHash,
        content_type: &str,
        picture: Bytes,
    ) -> Result<Option<User>, StoreError> {
        let (hash, content_type) = (hash.clone(), content_type.to_owned());
        self.run(move |c| pictures::set_avatar(c, user, hash, content_type, picture).boxed()).await
    }

    async fn avatar(&self, hash: &AvatarHash) -> Result<Option<(String, Bytes)>, StoreError> {
        let hash = hash.clone();
        self.run(move |c| pictures::avatar(c, hash).boxed()).await
    }

    async fn search_users(&self, prefix: &str, limit: u32) -> Result<Vec<User>, StoreError> {
        let prefix = prefix.to_owned();
        self.run(move |c| users::search_users(c, prefix, limit).boxed()).await
    }

    async fn acquainted(
        &self,
        user: UserId,
        others: &[UserId],
        how: Acquaintance,
    ) -> Result<Vec<UserId>, StoreError> {
        let others = others.to_vec();
        self.run(move |c| users::acquainted(c, user, others, how).boxed()).await
    }

    async fn acquaintances(
        &self,
        user: UserId,
        how: Acquaintance,
        limit: u32,
    ) -> Result<Vec<UserId>, StoreError> {
        self.run(move |c| users::acquaintances(c, user, how, limit).boxed()).await
    }

    async fn save_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<(), StoreError> {
        let seen = seen.to_vec();
        self.run(move |c| users::save_last_seen(c, seen).boxed()).await
    }

    async fn last_seen(&self, users: &[UserId]) -> Result<HashMap<UserId, Timestamp>, StoreError> {
        let users = users.to_vec();
        self.run(move |c| users::last_seen(c, users).boxed()).await
    }

    async fn erase_user(&self, user: UserId) -> Result<bool, StoreError> {
        self.run(move |c| erasure::erase_user(c, user).boxed()).await
    }

    async fn drop_unused_avatars(
        &self,
        after: Option<&AvatarHash>,
        limit: u32,
    ) -> Result<Option<AvatarHash>, StoreError> {
        let after = after.cloned();
        self.run(move |c| pictures::drop_unused(c, after, limit).boxed()).await
    }

    async fn blank_chats(
        &self,
        user: UserId,
        after: Option<&ClientMsgId>,
        limit: u32,
    ) -> Result<Option<ClientMsgId>, StoreError> {
        let after = after.cloned();
        self.run(move |c| erasure::blank_chats(c, user, after, limit).boxed()).await
    }

    async fn create_session(
        &self,
        token: TokenHash,
        user: UserId,
        now: Timestamp,
        idle: Duration,
        max: Duration,
    ) -> Result<Session, StoreError> {
        self.run(move |c| sessions::create(c, token, user, now, idle, max).boxed()).await
    }

    async fn session(&self, token: TokenHash) -> Result<Option<Session>, StoreError> {
        self.sessions.ask(token).await
    }

    async fn sessions(&self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        let ids = ids.to_vec();
        self.run(move |c| sessions::by_ids(c, ids).boxed()).await
    }

    async fn delete_ended_sessions(
        &self,
        after: Option<SessionId>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<SessionId>, StoreError> {
        self.run(move |c| sessions::delete_ended(c, after, before, limit).boxed()).await
    }

    async fn extend_sessions(&self, ids: &[SessionId], until: Timestamp) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.run(move |c| sessions::extend(c, ids, until).boxed()).await
    }

    async fn revoke_session(&self, id: SessionId) -> Result<(), StoreError> {
        self.run(move |c| sessions::revoke(c, id).boxed()).await
    }

    async fn revoke_sessions(&self, user: UserId) -> Result<Option<SessionId>, StoreError> {
        self.run(move |c| sessions::revoke_all(c, user).boxed()).await
    }

    async fn revoke_some_sessions(&self, user: UserId, limit: u32) -> Result<bool, StoreError> {
        self.run(move |c| sessions::revoke_some(c, user, limit).boxed()).await
    }

    async fn next_connection(&self) -> Result<ConnectionId, StoreError> {
        self.connections.ask(()).await
    }

    async fn close_sockets(&self, user: UserId) -> Result<ConnectionId, StoreError> {
        self.run(move |c| connections::close(c, user).boxed()).await
    }

    async fn closes(&self, users: &[UserId]) -> Result<HashMap<UserId, ConnectionId>, StoreError> {
        let users = users.to_vec();
        self.run(move |c| connections::closes(c, users).boxed()).await
    }

    async fn append(&self, batch: &[NewChat]) -> Result<Vec<Appended>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let batch = batch.to_vec();
        let wariness = Arc::clone(&self.wariness);
        let append = self
            .writer
            .run(move |c| async move { append::append(c, &wariness, batch).await }.boxed());
        append.await.map_err(classify)
    }

    async fn create_group(&self, members: &[UserId]) -> Result<ConversationId, StoreError> {
        let members = members.to_vec();
        self.run(move |c| members::create_group(c, members).boxed()).await
    }

    async fn add_members(
        &self,
        conversation: ConversationId,
        users: &[UserId],
    ) -> Result<bool, StoreError> {
        let users = users.to_vec();
        self.run(move |c| members::add(c, conversation, users).boxed()).await
    }

    async fn remove_member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<bool, StoreError> {
        self.run(move |c| members::remove(c, conversation, user).boxed()).await
    }

    async fn bounds(&self, user: UserId) -> Result<Bounds, StoreError> {
        self.run(move |c| timelines::bounds(c, user).boxed()).await
    }

    async fn standing(&self, user: UserId) -> Result<Standing, StoreError> {
        self.standings.ask(user).await
    }

    async fn last_seqs(&self, users: &[UserId]) -> Result<HashMap<UserId, Seq>, StoreError> {
        let users = users.to_vec();
        self.run(move |c| timelines::last_seqs(c, users).boxed()).await
    }

    async fn events(&self, user: UserId, since: Seq, limit: u32) -> Result<EventPage, StoreError> {
        self.run(move |c| timelines::events(c, user, since, limit).boxed()).await
    }

    async fn trim_timeline(&self, user: UserId, up_to: Seq) -> Result<(), StoreError> {
        self.run(move |c| timelines::trim(c, user, up_to).boxed()).await
    }

    async fn trims(
        &self,
        after: Option<UserId>,
        before: Timestamp,
        keep: u64,
        limit: u32,
    ) -> Result<TrimPage, StoreError> {
        self.run(move |c| trims::page(c, after, before, keep, limit).boxed()).await
    }

    async fn latest_chats(&self, user: UserId, limit: u32) -> Result<Vec<Chat>, StoreError> {
        self.run(move |c| timelines::latest_chats(c, user, limit).boxed()).await
    }

    async fn conversations(
        &self,
        user: UserId,
        before: Option<ChatId>,
        limit: u32,
    ) -> Result<ConversationPage, StoreError> {
        self.run(move |c| conversations::page(c, user, before, limit).boxed()).await
    }

    async fn conversation_with(
        &self,
        user: UserId,
        peer: UserId,
    ) -> Result<Option<Conversation>, StoreError> {
        self.run(move |c| conversations::with(c, user, peer).boxed()).await
    }

    async fn chats(
        &self,
        user: UserId,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<Option<ChatPage>, StoreError> {
        self.run(move |c| conversations::chats(c, user, conversation, window, limit).boxed()).await
    }

    async fn mark_read(
        &self,
        user: UserId,
        conversation: ConversationId,
        up_to: ChatId,
    ) -> Result<Option<ReadMark>, StoreError> {
        self.run(move |c| conversations::mark_read(c, user, conversation, up_to).boxed()).await
    }

    async fn switch_outbox(&self, on: bool) -> Result<(), StoreError> {
        self.run(move |c| outbox::switch(c, on).boxed()).await
    }

    async fn read_outbox(
        &self,
        after: Option<&OutboxCursor>,
        limit: u32,
    ) -> Result<OutboxPage, StoreError> {
        let after = after.cloned();
        self.run(move |c| outbox::read(c, after, limit).boxed()).await
    }

    async fn drop_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.run(move |c| outbox::drop_before(c, before, limit).boxed()).await
    }

    async fn take_job(
        &self,
        name: &str,
        replica: ReplicaId,
        lease: Duration,
    ) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.run(move |c| jobs::take(c, name, replica, lease).boxed()).await
    }

    async fn save_job(
        &self,
        name: &str,
        replica: ReplicaId,
        progress: &str,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let (name, progress) = (name.to_owned(), progress.to_owned());
        self.run(move |c| jobs::save(c, name, replica, progress, lease).boxed()).await
    }
}
