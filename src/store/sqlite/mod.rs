//! The store of a service that runs alone: one SQLite file.
//!
//! One connection writes, so that writers queue here and not in SQLite's lock; four read beside it
//! (WAL). A write runs in a task of its own: a caller that is dropped half-way must not leave a
//! transaction behind on the connection. One that failed gives its connection up, and nothing is
//! acknowledged that went into a file which is not at its path any more.

mod append;
mod connections;
mod conversations;
mod erasure;
mod error;
mod file;
mod health;
mod identities;
mod jobs;
mod lists;
mod lock;
mod members;
mod opening;
mod outbox;
mod pictures;
mod replicas;
mod sessions;
mod timelines;
mod trims;
mod users;

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::{Sqlite, SqliteExecutor, SqlitePool, Transaction, sqlite::SqliteConnectOptions};

pub use self::lock::{LockError, ServiceLock};
use self::{connections::Reserved, error::classify, file::OpenFile};
use super::{
    Access, Acquaintance, Appended, Bounds, ChatPage, ConversationPage, EventPage, NewChat,
    OutboxCursor, OutboxPage, ReadMark, Session, Standing, Store, StoreError, TokenHash, TrimPage,
    Window, error::corrupt, identities::IdentityColumns,
};
use crate::{
    clock::{Clock, Timestamp},
    domain::{
        AvatarHash, Chat, ChatId, ClientMsgId, ConnectionId, Conversation, ConversationId, Epoch,
        Identity, ReplicaId, Seq, SessionId, User, UserId, UserName,
    },
};

/// A store in an SQLite file. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    reader: SqlitePool,
    file: Arc<OpenFile>,
    /// Whether a write has failed since the writing connection was last taken: then it is replaced.
    is_doubted: Arc<AtomicBool>,
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
        Self::open_with(path, opening::options(path), clock).await
    }

    async fn open_with(
        path: &Path,
        options: SqliteConnectOptions,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let opening::Connections { writer, reader, file, is_doubted } =
            opening::open(path, options).await?;
        let store =
            Self { writer, reader, file, is_doubted, clock, connections: Reserved::default() };
        store.write(begin_history(store.clone())).await?;
        Ok(store)
    }

    /// Begins a transaction that has the write lock from the start: one that reads first and locks
    /// later fails as soon as another process has written in between.
    async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Runs a write to its end, whether or not the caller waits for it. It has failed if the file was
    /// taken away meanwhile: what is committed there is not kept.
    async fn write<T: Send + 'static>(
        &self,
        work: impl Future<Output = sqlx::Result<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (file, is_doubted) = (Arc::clone(&self.file), Arc::clone(&self.is_doubted));
        let work = async move {
            // Each is a microsecond, where a commit waits for the disk.
            file.check().map_err(classify)?;
            let done = work.await.and_then(|done| file.check().map(|()| done)).map_err(classify);
            if matches!(done, Err(StoreError::Unavailable(_) | StoreError::Corrupt(_))) {
                is_doubted.store(true, Ordering::Release);
            }
            done
        };
        match tokio::spawn(work).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down.
                Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
            },
        }
    }
}

/// Runs a read.
async fn read<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, StoreError> {
    work.await.map_err(classify)
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

async fn epoch(reader: impl SqliteExecutor<'_>) -> sqlx::Result<Epoch> {
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
    async fn ping(&self) -> Result<Access, StoreError> {
        read(health::ping(self)).await
    }

    async fn try_writing(&self) -> Result<(), StoreError> {
        self.write(health::try_writing(self.clone())).await
    }

    async fn epoch(&self) -> Result<Epoch, StoreError> {
        read(epoch(&self.reader)).await
    }

    async fn rotate_epoch(&self) -> Result<Epoch, StoreError> {
        self.write(rotate_epoch(self.clone())).await
    }

    async fn note_replica(
        &self,
        replica: ReplicaId,
        is_heard: bool,
    ) -> Result<HashMap<ReplicaId, Timestamp>, StoreError> {
        self.write(replicas::note(self.clone(), replica, is_heard)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        read(users::users(&self.reader, ids)).await
    }

    async fn user_by_identity(
        &self,
        identity: &Identity,
        name: Option<&UserName>,
    ) -> Result<User, StoreError> {
        let identity = IdentityColumns::of(identity);
        self.write(identities::user_by_identity(self.clone(), identity, name.cloned())).await
    }

    async fn ensure_users(&self, users: &[(UserId, UserName)]) -> Result<(), StoreError> {
        self.write(users::ensure_users(self.clone(), users.to_vec())).await
    }

    async fn rename(&self, user: UserId, name: &UserName) -> Result<Option<User>, StoreError> {
        self.write(users::rename(self.clone(), user, name.clone())).await
    }

    async fn set_avatar(
        &self,
        user: UserId,
        hash: &AvatarHash,
        content_type: &str,
        picture: Bytes,
    ) -> Result<Option<User>, StoreError> {
        let (hash, content_type) = (hash.clone(), content_type.to_owned());
        self.write(pictures::set_avatar(self.clone(), user, hash, content_type, picture)).await
    }

    async fn avatar(&self, hash: &AvatarHash) -> Result<Option<(String, Bytes)>, StoreError> {
        read(pictures::avatar(&self.reader, hash)).await
    }

    async fn search_users(&self, prefix: &str, limit: u32) -> Result<Vec<User>, StoreError> {
        read(users::search_users(&self.reader, prefix, limit)).await
    }

    async fn acquainted(
        &self,
        user: UserId,
        others: &[UserId],
        how: Acquaintance,
    ) -> Result<Vec<UserId>, StoreError> {
        read(users::acquainted(&self.reader, user, others, how)).await
    }

    async fn acquaintances(
        &self,
        user: UserId,
        how: Acquaintance,
        limit: u32,
    ) -> Result<Vec<UserId>, StoreError> {
        read(users::acquaintances(&self.reader, user, how, limit)).await
    }

    async fn save_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<(), StoreError> {
        self.write(users::save_last_seen(self.clone(), seen.to_vec())).await
    }

    async fn last_seen(&self, users: &[UserId]) -> Result<HashMap<UserId, Timestamp>, StoreError> {
        read(users::last_seen(&self.reader, users)).await
    }

    async fn erase_user(&self, user: UserId) -> Result<bool, StoreError> {
        self.write(erasure::erase_user(self.clone(), user)).await
    }

    async fn drop_unused_avatars(
        &self,
        after: Option<&AvatarHash>,
        limit: u32,
    ) -> Result<Option<AvatarHash>, StoreError> {
        self.write(pictures::drop_unused(self.clone(), after.cloned(), limit)).await
    }

    async fn blank_chats(
        &self,
        user: UserId,
        after: Option<&ClientMsgId>,
        limit: u32,
    ) -> Result<Option<ClientMsgId>, StoreError> {
        self.write(erasure::blank_chats(self.clone(), user, after.cloned(), limit)).await
    }

    async fn create_session(
        &self,
        token: TokenHash,
        user: UserId,
        now: Timestamp,
        idle: Duration,
        max: Duration,
    ) -> Result<Session, StoreError> {
        self.write(sessions::create(self.clone(), token, user, now, idle, max)).await
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
        self.write(sessions::delete_ended(self.clone(), after, before, limit)).await
    }

    async fn extend_sessions(&self, ids: &[SessionId], until: Timestamp) -> Result<(), StoreError> {
        self.write(sessions::extend(self.clone(), ids.to_vec(), until)).await
    }

    async fn revoke_session(&self, id: SessionId) -> Result<(), StoreError> {
        self.write(sessions::revoke(self.clone(), id)).await
    }

    async fn revoke_some_sessions(&self, user: UserId, limit: u32) -> Result<bool, StoreError> {
        self.write(sessions::revoke_some(self.clone(), user, limit)).await
    }

    async fn revoke_sessions(&self, user: UserId) -> Result<Option<SessionId>, StoreError> {
        self.write(sessions::revoke_all(self.clone(), user)).await
    }

    async fn next_connection(&self) -> Result<ConnectionId, StoreError> {
        self.write(connections::next(self.clone())).await
    }

    async fn close_sockets(&self, user: UserId) -> Result<ConnectionId, StoreError> {
        self.write(connections::close(self.clone(), user)).await
    }

    async fn closes(&self, users: &[UserId]) -> Result<HashMap<UserId, ConnectionId>, StoreError> {
        read(connections::closes(&self.reader, users)).await
    }

    async fn append(&self, batch: &[NewChat]) -> Result<Vec<Appended>, StoreError> {
        self.write(append::append(self.clone(), batch.to_vec())).await
    }

    async fn create_group(&self, members: &[UserId]) -> Result<ConversationId, StoreError> {
        self.write(members::create_group(self.clone(), members.to_vec())).await
    }

    async fn add_members(
        &self,
        conversation: ConversationId,
        users: &[UserId],
    ) -> Result<bool, StoreError> {
        self.write(members::add(self.clone(), conversation, users.to_vec())).await
    }

    async fn remove_member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<bool, StoreError> {
        self.write(members::remove(self.clone(), conversation, user)).await
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
        self.write(timelines::trim(self.clone(), user, up_to)).await
    }

    async fn trims(
        &self,
        after: Option<UserId>,
        before: Timestamp,
        keep: u64,
        limit: u32,
    ) -> Result<TrimPage, StoreError> {
        read(trims::page(&self.reader, after, before, keep, limit)).await
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
        self.write(conversations::mark_read(self.clone(), user, conversation, up_to)).await
    }

    async fn switch_outbox(&self, on: bool) -> Result<(), StoreError> {
        self.write(outbox::switch(self.clone(), on)).await
    }

    async fn read_outbox(
        &self,
        after: Option<&OutboxCursor>,
        limit: u32,
    ) -> Result<OutboxPage, StoreError> {
        read(outbox::read(&self.reader, after, limit)).await
    }

    async fn drop_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(outbox::drop_before(self.clone(), before, limit)).await
    }

    async fn take_job(
        &self,
        name: &str,
        replica: ReplicaId,
        lease: Duration,
    ) -> Result<Option<String>, StoreError> {
        self.write(jobs::take(self.clone(), name.to_owned(), replica, lease)).await
    }

    async fn save_job(
        &self,
        name: &str,
        replica: ReplicaId,
        progress: &str,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let (name, progress) = (name.to_owned(), progress.to_owned());
        self.write(jobs::save(self.clone(), name, replica, progress, lease)).await
    }
}

#[cfg(test)]
mod tests;
