//! The truth: users, sessions, conversations, chats and each user's timeline, in a database.
//!
//! [`Store`] is the contract. Its documentation is what every implementation is held to by one
//! suite, `tests/it/store_contract.rs`.

mod batch;
pub mod batcher;
mod error;
mod identities;
mod latest;
mod new_chat;
mod outbox;
pub mod postgres;
mod rows;
pub mod sqlite;
mod timeline;
mod trims;

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    clock::Timestamp,
    domain::{
        AvatarHash, Chat, ChatId, ClientMsgId, ConnectionId, Conversation, ConversationId, Epoch,
        Identity, ReplicaId, Seq, SessionId, User, UserId, UserName,
    },
};

pub use new_chat::{Appended, Committed, NewChat, Places, RequestDigest};
pub use outbox::{CHAT_CREATED, InvalidCursor, OutboxCursor, OutboxEntry, OutboxPage};
pub use timeline::{Bounds, Change, EventPage, Standing, TimelineEvent};
pub use trims::{TRIM_STEP, Trim, TrimPage};

/// How lately a replica must have been noted to count as living, in milliseconds.
const REPLICA_FRESH: i64 = 60_000;

/// After how long a replica that was not noted again is forgotten, in milliseconds.
const REPLICA_FORGOTTEN: i64 = 600_000;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be reached, was too busy or did not answer in time. Whether a write
    /// was committed is unknown; repeating it is safe wherever the method says so.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused a value. Nothing was written.
    #[error("the database refused a value: {0}")]
    Rejected(#[source] sqlx::Error),
    /// The database holds what it must not, such as a timeline with a hole.
    #[error("the database is not consistent: {0}")]
    Corrupt(String),
    /// The database is not one that can be used, whatever is tried later.
    #[error("the database cannot be used: {0}")]
    Unsuitable(String),
    /// The schema could not be brought up to date.
    #[error("the schema could not be migrated: {0}")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

/// What the database says that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes.
    Writes,
    /// Reads only, such as a standby.
    Reads,
}

/// Chats of a conversation, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatPage {
    /// The chats.
    pub chats: Vec<Chat>,
    /// Whether there are more beyond the page, in the direction of reading.
    pub has_more: bool,
}

/// Conversations, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationPage {
    /// The conversations.
    pub conversations: Vec<Conversation>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// Which chats of a conversation are wanted. Bounds are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The newest ones.
    Newest,
    /// The newest ones before this.
    Before(ChatId),
    /// The oldest ones after this.
    After(ChatId),
    /// The oldest ones.
    Oldest,
}

/// Where a read mark stands after it was to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMark {
    /// The mark; `None` while the conversation has no chat.
    pub up_to: Option<ChatId>,
    /// Whether it moved.
    pub moved: bool,
    /// The other side of a direct conversation.
    pub peer: Option<UserId>,
}

/// The SHA-256 of a session's token. Tokens themselves are never stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash")
    }
}

/// Who counts as acquainted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// Those who share a conversation, whoever of them began it.
    Conversation,
    /// Those of them who have both written in it.
    BothWrote,
}

/// A login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which one.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// When it ends unless it is used; moved by [`Store::extend_sessions`].
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// Whether it was ended by hand.
    pub revoked: bool,
}

impl Session {
    /// Whether it counts at this time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.revoked && now < self.idle_expires_at && now < self.expires_at
    }
}

/// What the service keeps, and what it promises about it.
///
/// One method is one transaction: when it returns an error, nothing of it was written, except that
/// after [`StoreError::Unavailable`] it may have been committed without the answer having come
/// through. Methods that only read, that set a value, or that carry a key of their own are safe to
/// repeat. Lookups return `Option`, because not found is handled differently everywhere.
///
/// Methods may be called concurrently and from several replicas, except for [`Store::append`],
/// which a replica calls one at a time (its batcher does). A future that is dropped may or may not
/// have committed; callers run writes to their end.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether the database answers, and is still the one that was opened.
    async fn ping(&self) -> Result<Access, StoreError>;

    /// Commits something that nobody sees and that does not stay, and needs what [`Store::append`]
    /// needs: locks, and room on the disk. For when appends have failed: it costs more than one. Called
    /// as [`Store::append`] is, one at a time.
    async fn try_writing(&self) -> Result<(), StoreError>;

    /// The name of this database's history.
    async fn epoch(&self) -> Result<Epoch, StoreError>;

    /// Begins a new history, whose name it returns: a step of every restore. Ids of sockets that are
    /// given out in it are above all of those before, also of those that the restore has forgotten.
    async fn rotate_epoch(&self) -> Result<Epoch, StoreError>;

    /// Notes that a replica lives, and whether it can be heard on its bus. Returns the others of the last
    /// minute that could be, with the time at which each last said so: by one clock for all replicas, and
    /// later each time. Replicas are forgotten after some minutes.
    async fn note_replica(
        &self,
        replica: ReplicaId,
        is_heard: bool,
    ) -> Result<HashMap<ReplicaId, Timestamp>, StoreError>;

    // --- users

    /// The users of this list that exist and were not erased, in any order.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError>;

    /// The user whom this identity leads to, whatever that user is called since; made if there is none,
    /// with this name, or else a placeholder, and an id that nobody has. Concurrent calls give the same
    /// user, over all replicas, those of the version before included.
    async fn user_by_identity(
        &self,
        identity: &Identity,
        name: Option<&UserName>,
    ) -> Result<User, StoreError>;

    /// Makes those of these users that do not exist, under exactly these ids. Changes nobody who
    /// exists.
    async fn ensure_users(&self, users: &[(UserId, UserName)]) -> Result<(), StoreError>;

    /// Calls a user by another name. `None` if there is no such user.
    async fn rename(&self, user: UserId, name: &UserName) -> Result<Option<User>, StoreError>;

    /// Keeps a picture and makes it the user's. `None` if there is no such user. The picture that it
    /// replaces is deleted, unless somebody else has it. Whatever is called concurrently, nobody has a
    /// picture that is not kept, and none is kept that nobody has.
    async fn set_avatar(
        &self,
        user: UserId,
        hash: &AvatarHash,
        content_type: &str,
        picture: Bytes,
    ) -> Result<Option<User>, StoreError>;

    /// A picture and its content type.
    async fn avatar(&self, hash: &AvatarHash) -> Result<Option<(String, Bytes)>, StoreError>;

    /// Looks at no more than `limit` pictures, in the order of their hashes after `after`, and deletes
    /// those that nobody has: earlier versions left some behind. Returns the last hash that it looked
    /// at; `None` if there were none.
    async fn drop_unused_avatars(
        &self,
        after: Option<&AvatarHash>,
        limit: u32,
    ) -> Result<Option<AvatarHash>, StoreError>;

    /// Users whose names begin with `prefix` to the letter (a `%` is a `%`), by name and id. Any text is
    /// valid; one that no name can begin with finds nobody.
    async fn search_users(&self, prefix: &str, limit: u32) -> Result<Vec<User>, StoreError>;

    /// Those of `others` who are acquainted with `user`, and `user` if it is among them. Costs as much as
    /// there are others, however many conversations and chats they have.
    async fn acquainted(
        &self,
        user: UserId,
        others: &[UserId],
        how: Acquaintance,
    ) -> Result<Vec<UserId>, StoreError>;

    /// At most `limit` users who are acquainted with `user`: those of the conversations that were begun
    /// last. `user` is among them after a chat to oneself.
    async fn acquaintances(
        &self,
        user: UserId,
        how: Acquaintance,
        limit: u32,
    ) -> Result<Vec<UserId>, StoreError>;

    /// Notes when users were last seen. Never moves backwards.
    async fn save_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<(), StoreError>;

    /// When these users were last seen; those who never were are left out.
    async fn last_seen(&self, users: &[UserId]) -> Result<HashMap<UserId, Timestamp>, StoreError>;

    /// Takes from a user all that says who it is, and the way back in: the name becomes
    /// [`UserName::erased`], picture, identities and the time when last seen go. The picture itself is deleted, unless somebody else has it. All sessions are revoked; of a user who may have
    /// many, [`Store::revoke_sessions`] takes most first. From then on the user is found
    /// only as a side of conversations that are there; a chat to or from it is
    /// [`Appended::TargetNotFound`] or [`Appended::SenderNotFound`], and the id is never given again.
    /// Its own timeline ends: the bounds are [`Bounds::EMPTY`]. The timelines of others keep every
    /// event. Its words stay until [`Store::blank_chats`].
    ///
    /// `false` if there never was such a user. Safe to repeat.
    async fn erase_user(&self, user: UserId) -> Result<bool, StoreError>;

    /// Empties the contents of at most `limit` chats that the user sent, in the order of their keys,
    /// after the key `after`. Returns the last key of these; `None` if there were none. Safe to repeat.
    async fn blank_chats(
        &self,
        user: UserId,
        after: Option<&ClientMsgId>,
        limit: u32,
    ) -> Result<Option<ClientMsgId>, StoreError>;

    // --- sessions

    /// Begins a session of a user who exists and was not erased, unused for at most `idle` and no longer than `max`.
    async fn create_session(
        &self,
        token: TokenHash,
        user: UserId,
        now: Timestamp,
        idle: Duration,
        max: Duration,
    ) -> Result<Session, StoreError>;

    /// The session with this token, live or not.
    async fn session(&self, token: TokenHash) -> Result<Option<Session>, StoreError>;

    /// The sessions of this list that exist, live or not, in any order.
    async fn sessions(&self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError>;

    /// Looks at most at `limit` sessions after `after`, in the order of their ids, and deletes those that
    /// ended by age or idleness before `before`, revoked or not. Returns the last id that was looked at;
    /// `None` if there was none. Several replicas may do so at a time.
    async fn delete_ended_sessions(
        &self,
        after: Option<SessionId>,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<SessionId>, StoreError>;

    /// Moves the idle end of these sessions to `until`. Never moves it backwards, and leaves revoked
    /// sessions alone.
    async fn extend_sessions(&self, ids: &[SessionId], until: Timestamp) -> Result<(), StoreError>;

    /// Ends a session for good. Ending it twice is no error.
    async fn revoke_session(&self, id: SessionId) -> Result<(), StoreError>;

    /// Ends all sessions of a user for good. Returns the bound: sessions with ids up to it are those, and
    /// later ones get higher ids. `None` if the user never had one.
    async fn revoke_sessions(&self, user: UserId) -> Result<Option<SessionId>, StoreError>;

    /// Ends at most `limit` sessions of a user for good. Whether there may be more.
    async fn revoke_some_sessions(&self, user: UserId, limit: u32) -> Result<bool, StoreError>;

    // --- sockets

    /// An id for a socket that opens now: above every id that any replica was given before.
    async fn next_connection(&self) -> Result<ConnectionId, StoreError>;

    /// Notes that all sockets of a user that are open now must close, wherever they are. Returns the
    /// bound: sockets with ids up to it are those, and later ones get higher ids.
    async fn close_sockets(&self, user: UserId) -> Result<ConnectionId, StoreError>;

    /// Up to which id sockets of these users must be closed: the highest bound that
    /// [`Store::close_sockets`] has returned. Those who were never closed are left out.
    async fn closes(&self, users: &[UserId]) -> Result<HashMap<UserId, ConnectionId>, StoreError>;

    // --- chats

    /// Commits a batch in one transaction and answers each chat in the order of the batch.
    ///
    /// * **Committed before answered.** An answer is given only after a durable commit.
    /// * **Idempotent.** One sender and key is one chat for ever, however often, concurrently, or
    ///   repeated within the batch.
    /// * **Numbered.** Each committed chat takes the next number of the timeline of every member, in the
    ///   order of the batch. Who is a member is what it is at the commit: nobody who left before gets the
    ///   chat, and everybody does who joined before. Over all replicas, numbers of a timeline have no
    ///   holes and become visible in their order: a reader who sees `n` sees all before it. Chat ids rise
    ///   within a conversation in that same order. Only a person has a timeline; a bot, the service's own
    ///   user and who was erased get no event.
    /// * **Direct conversations** are made on first use, one for each pair. Who has written in one is
    ///   noted with the chat: [`Acquaintance::BothWrote`] holds from the first answer on.
    /// * **Members only.** Into any other conversation its members write, and the service's own user.
    ///
    /// Locking: the conversations of the batch that are not direct, then the counters of all who get an
    /// event, each in ascending id; members are read after their conversation is locked. So batches and
    /// changes of members never deadlock. Direct conversations are not locked.
    ///
    /// [`StoreError::Rejected`] means that some chat of the batch was refused by the database and
    /// all were rolled back; the caller splits the batch to find it. Any length is valid; an empty
    /// batch touches nothing.
    async fn append(&self, batch: &[NewChat]) -> Result<Vec<Appended>, StoreError>;

    /// Begins a conversation of these users, who exist, each of them once however often named. Not told
    /// in any timeline.
    async fn create_group(&self, members: &[UserId]) -> Result<ConversationId, StoreError>;

    /// Makes these users, who exist, members of a conversation that is not direct, unless they are. They
    /// get the chats that are committed after. `false` if there is no such conversation.
    ///
    /// Locking: the conversation, as [`Store::append`] does.
    async fn add_members(
        &self,
        conversation: ConversationId,
        users: &[UserId],
    ) -> Result<bool, StoreError>;

    /// Takes a member from a conversation that is not direct: chats that are committed after do not reach
    /// that user, who cannot read or write there any more. `false` if there is no such member.
    ///
    /// Locking: as [`Store::add_members`].
    async fn remove_member(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<bool, StoreError>;

    /// What is kept of a user's timeline; [`Bounds::EMPTY`] for whom nothing ever happened.
    async fn bounds(&self, user: UserId) -> Result<Bounds, StoreError>;

    /// [`Store::bounds`] and [`Store::epoch`] together: what a client is told that comes. Neither is
    /// older than the call.
    async fn standing(&self, user: UserId) -> Result<Standing, StoreError>;

    /// The last numbers of these timelines; those of users for whom nothing happened are left out.
    async fn last_seqs(&self, users: &[UserId]) -> Result<HashMap<UserId, Seq>, StoreError>;

    /// At most `limit` events after `since`. [`StoreError::Corrupt`] if one within the bounds is
    /// missing. A `since` outside the bounds gives the bounds and no events.
    async fn events(&self, user: UserId, since: Seq, limit: u32) -> Result<EventPage, StoreError>;

    /// Forgets the events of a timeline up to and including `up_to`, and never the last one's
    /// number. Chats stay in their conversations.
    async fn trim_timeline(&self, user: UserId, up_to: Seq) -> Result<(), StoreError>;

    /// Looks at no more than `limit` timelines, in the order of the ids of their users after `after`:
    /// which of their events are before `before`, or followed by `keep` others or more. For
    /// [`Store::trim_timeline`], so at most [`TRIM_STEP`] of each, the oldest first. An event of kind
    /// `chat` without a time has that of its chat; any other without one is as old as those after it.
    async fn trims(
        &self,
        after: Option<UserId>,
        before: Timestamp,
        keep: u64,
        limit: u32,
    ) -> Result<TrimPage, StoreError>;

    /// The latest chats of the user's direct conversations, oldest first: in the order of the user's
    /// timeline, however little is kept of that.
    async fn latest_chats(&self, user: UserId, limit: u32) -> Result<Vec<Chat>, StoreError>;

    /// The user's conversations whose last chat is before `before`, newest first.
    async fn conversations(
        &self,
        user: UserId,
        before: Option<ChatId>,
        limit: u32,
    ) -> Result<ConversationPage, StoreError>;

    /// The user's conversation with `peer`.
    async fn conversation_with(
        &self,
        user: UserId,
        peer: UserId,
    ) -> Result<Option<Conversation>, StoreError>;

    /// Chats of a conversation; `None` if there is none with this id of which `user` is a member.
    async fn chats(
        &self,
        user: UserId,
        conversation: ConversationId,
        window: Window,
        limit: u32,
    ) -> Result<Option<ChatPage>, StoreError>;

    /// Moves the user's read mark to `up_to`, never backwards and never past the last chat. `None`
    /// if there is no conversation with this id of which `user` is a member.
    async fn mark_read(
        &self,
        user: UserId,
        conversation: ConversationId,
        up_to: ChatId,
    ) -> Result<Option<ReadMark>, StoreError>;

    // --- the outbox

    /// Says whether the outbox tells of chats. Each that is appended once this has returned is told or
    /// not told accordingly; and of the chats of a conversation that are committed meanwhile none that is
    /// told is followed by one that is not, or the other way round. Says it for all replicas, those that
    /// start later included.
    async fn switch_outbox(&self, on: bool) -> Result<(), StoreError>;

    /// At most `limit` entries after a place, and at least one if there is one; from the oldest that is
    /// kept on where `after` is `None` or a place in another history.
    ///
    /// Who goes on from page to page gets every entry that is committed before it is dropped, those of a
    /// conversation in their order, each once while the history stays. A transaction that hangs holds back
    /// its own entries, and no others. [`StoreError::Rejected`]: the place is of another kind of database.
    async fn read_outbox(
        &self,
        after: Option<&OutboxCursor>,
        limit: u32,
    ) -> Result<OutboxPage, StoreError>;

    /// Drops entries from before `before`, read or not, among the `limit` oldest. Returns how many: with
    /// less than `limit` it is done.
    async fn drop_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    // --- jobs

    /// Takes the work of this name for so long, or keeps it for so long from now, if no other replica has
    /// it. Returns the progress that was saved last; empty if none was. Of replicas that call at once, one
    /// gets it. Time is that of the database.
    async fn take_job(
        &self,
        name: &str,
        replica: ReplicaId,
        lease: Duration,
    ) -> Result<Option<String>, StoreError>;

    /// Saves how far the work has come, and keeps it for so long from now. `false`: another replica has
    /// taken it since, or nobody ever took it; nothing was saved.
    async fn save_job(
        &self,
        name: &str,
        replica: ReplicaId,
        progress: &str,
        lease: Duration,
    ) -> Result<bool, StoreError>;
}
