//! The store of a service that runs alone: one SQLite file.
//!
//! One connection writes, so that writers queue here and not in SQLite's lock; four read beside it
//! (WAL). A write runs in a task of its own: a caller that is dropped half-way must not leave a
//! transaction behind on the connection.

mod append;
mod connections;
mod conversations;
mod erasure;
mod error;
mod lists;
mod replicas;
mod sessions;
mod timelines;
mod users;

use std::{collections::HashMap, path::Path, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::{connections::Reserved, error::classify};
use super::{
    Appended, Bounds, ChatPage, ConversationPage, EventPage, NewChat, ReadMark, Session, Standing,
    Store, StoreError, TokenHash, Window, error::corrupt,
};
use crate::{
    clock::{Clock, Timestamp},
    domain::{
        AvatarHash, Chat, ChatId, ClientMsgId, ConnectionId, Conversation, ConversationId, Epoch,
        ReplicaId, Seq, SessionId, User, UserId, UserName,
    },
};

/// How long a connection waits for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const READERS: u32 = 4;

/// A store in an SQLite file. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    reader: SqlitePool,
    /// The time of what is created.
    clock: Clock,
    connections: Reserved,
}

impl SqliteStore {
    /// Opens the file at `path` and brings its schema up to date; makes it, and the folder that it
    /// is in, if it is not there.
    pub async fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| StoreError::Unavailable(error.into()))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL, because an acknowledged chat must survive a power cut: WAL with NORMAL syncs
            // at checkpoints only.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = pool(1).connect_with(options.clone()).await.map_err(classify)?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await.map_err(StoreError::Migrate)?;
        let reader = pool(READERS)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(classify)?;
        let store = Self { writer, reader, clock, connections: Reserved::default() };
        write(begin_history(store.clone())).await?;
        Ok(store)
    }

    /// Begins a transaction that has the write lock from the start: one that reads first and locks
    /// later fails as soon as another process has written in between.
    async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not go stale, and opening it again costs a parse of the schema.
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Runs a read.
async fn read<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, StoreError> {
    work.await.map_err(classify)
}

/// Runs a write to its end, whether or not the caller waits for it.
async fn write<T: Send + 'static>(
    work: impl Future<Output = sqlx::Result<T>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::spawn(work).await {
        Ok(result) => result.map_err(classify),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down.
            Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
        },
    }
}

/// Names the history of a database that has no name yet.
async fn begin_history(store: SqliteStore) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO service (id, epoch, next_user_id, last_chat_id, next_connection_id)
         VALUES (1, ?1, ?2, 0, 1)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(Epoch::random().to_string())
    .bind(UserId::FIRST_REGISTERED)
    .execute(&store.writer)
    .await?;
    Ok(())
}

async fn ping(reader: &SqlitePool) -> sqlx::Result<()> {
    sqlx::query("SELECT 1").execute(reader).await?;
    Ok(())
}

async fn epoch(reader: &SqlitePool) -> sqlx::Result<Epoch> {
    let epoch: String =
        sqlx::query_scalar("SELECT epoch FROM service WHERE id = 1").fetch_one(reader).await?;
    Epoch::parse(&epoch).ok_or_else(|| corrupt("the epoch is no uuid"))
}

async fn rotate_epoch(store: SqliteStore) -> sqlx::Result<Epoch> {
    let epoch = Epoch::random();
    sqlx::query("UPDATE service SET epoch = ?1 WHERE id = 1")
        .bind(epoch.to_string())
        .execute(&store.writer)
        .await?;
    Ok(epoch)
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        read(ping(&self.reader)).await
    }

    async fn epoch(&self) -> Result<Epoch, StoreError> {
        read(epoch(&self.reader)).await
    }

    async fn rotate_epoch(&self) -> Result<Epoch, StoreError> {
        write(rotate_epoch(self.clone())).await
    }

    async fn note_replica(
        &self,
        replica: ReplicaId,
        is_heard: bool,
    ) -> Result<HashMap<ReplicaId, Timestamp>, StoreError> {
        write(replicas::note(self.clone(), replica, is_heard)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        read(users::users(&self.reader, ids)).await
    }

    async fn demo_user(&self, name: &UserName) -> Result<User, StoreError> {
        write(users::demo_user(self.clone(), name.clone())).await
    }

    async fn wechat_user(&self, openid: &str) -> Result<User, StoreError> {
        write(users::wechat_user(self.clone(), openid.to_owned())).await
    }

    async fn ensure_users(&self, users: &[(UserId, UserName)]) -> Result<(), StoreError> {
        write(users::ensure_users(self.clone(), users.to_vec())).await
    }

    async fn rename(&self, user: UserId, name: &UserName) -> Result<Option<User>, StoreError> {
        write(users::rename(self.clone(), user, name.clone())).await
    }

    async fn set_avatar(
        &self,
        user: UserId,
        hash: &AvatarHash,
        content_type: &str,
        picture: Bytes,
    ) -> Result<Option<User>, StoreError> {
        let (hash, content_type) = (hash.clone(), content_type.to_owned());
        write(users::set_avatar(self.clone(), user, hash, content_type, picture)).await
    }

    async fn avatar(&self, hash: &AvatarHash) -> Result<Option<(String, Bytes)>, StoreError> {
        read(users::avatar(&self.reader, hash)).await
    }

    async fn search_users(&self, prefix: &str, limit: u32) -> Result<Vec<User>, StoreError> {
        read(users::search_users(&self.reader, prefix, limit)).await
    }

    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        read(users::acquainted(&self.reader, user, others)).await
    }

    async fn save_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<(), StoreError> {
        write(users::save_last_seen(self.clone(), seen.to_vec())).await
    }

    async fn last_seen(&self, users: &[UserId]) -> Result<HashMap<UserId, Timestamp>, StoreError> {
        read(users::last_seen(&self.reader, users)).await
    }

    async fn erase_user(&self, user: UserId) -> Result<bool, StoreError> {
        write(erasure::erase_user(self.clone(), user)).await
    }

    async fn blank_chats(
        &self,
        user: UserId,
        after: Option<&ClientMsgId>,
        limit: u32,
    ) -> Result<Option<ClientMsgId>, StoreError> {
        write(erasure::blank_chats(self.clone(), user, after.cloned(), limit)).await
    }

    async fn create_session(
        &self,
        token: TokenHash,
        user: UserId,
        now: Timestamp,
        idle: Duration,
        max: Duration,
    ) -> Result<Session, StoreError> {
        write(sessions::create(self.clone(), token, user, now, idle, max)).await
    }

    async fn session(&self, token: TokenHash) -> Result<Option<Session>, StoreError> {
        read(sessions::by_token(&self.reader, token)).await
    }

    async fn sessions(&self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        read(sessions::by_ids(&self.reader, ids)).await
    }

    async fn delete_ended_sessions(
        &self,
        after: Option<SessionId>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<SessionId>, StoreError> {
        write(sessions::delete_ended(self.clone(), after, before, limit)).await
    }

    async fn extend_sessions(&self, ids: &[SessionId], until: Timestamp) -> Result<(), StoreError> {
        write(sessions::extend(self.clone(), ids.to_vec(), until)).await
    }

    async fn revoke_session(&self, id: SessionId) -> Result<(), StoreError> {
        write(sessions::revoke(self.clone(), id)).await
    }

    async fn next_connection(&self) -> Result<ConnectionId, StoreError> {
        write(connections::next(self.clone())).await
    }

    async fn close_sockets(&self, user: UserId) -> Result<ConnectionId, StoreError> {
        write(connections::close(self.clone(), user)).await
    }

    async fn closes(&self, users: &[UserId]) -> Result<HashMap<UserId, ConnectionId>, StoreError> {
        read(connections::closes(&self.reader, users)).await
    }

    async fn append(&self, batch: &[NewChat]) -> Result<Vec<Appended>, StoreError> {
        write(append::append(self.clone(), batch.to_vec())).await
    }

    async fn bounds(&self, user: UserId) -> Result<Bounds, StoreError> {
        read(timelines::bounds(&self.reader, user)).await
    }

    async fn standing(&self, user: UserId) -> Result<Standing, StoreError> {
        read(async {
            let bounds = timelines::bounds(&self.reader, user).await?;
            Ok(Standing { epoch: epoch(&self.reader).await?, bounds })
        })
        .await
    }

    async fn last_seqs(&self, users: &[UserId]) -> Result<HashMap<UserId, Seq>, StoreError> {
        read(timelines::last_seqs(&self.reader, users)).await
    }

    async fn events(&self, user: UserId, since: Seq, limit: u32) -> Result<EventPage, StoreError> {
        read(timelines::events(&self.reader, user, since, limit)).await
    }

    async fn trim_timeline(&self, user: UserId, up_to: Seq) -> Result<(), StoreError> {
        write(timelines::trim(self.clone(), user, up_to)).await
    }

    async fn latest_chats(&self, user: UserId, limit: u32) -> Result<Vec<Chat>, StoreError> {
        read(timelines::latest_chats(&self.reader, user, limit)).await
    }

    async fn conversations(
        &self,
        user: UserId,
        before: Option<ChatId>,
        limit: u32,
    ) -> Result<ConversationPage, StoreError> {
        read(conversations::page(&self.reader, user, before, limit)).await
    }

    async fn conversation_with(
        &self,
        user: UserId,
        peer: UserId,
    ) -> Result<Option<Conversation>, StoreError> {
        read(conversations::with(&self.reader, user, peer)).await
    }

    async fn chats(
        &self,
        user: UserId,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<Option<ChatPage>, StoreError> {
        read(conversations::chats(&self.reader, user, conversation, window, limit)).await
    }

    async fn mark_read(
        &self,
        user: UserId,
        conversation: ConversationId,
        up_to: ChatId,
    ) -> Result<Option<ReadMark>, StoreError> {
        write(conversations::mark_read(self.clone(), user, conversation, up_to)).await
    }
}
