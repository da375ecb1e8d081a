//! The truth: users, sessions, conversations, chats and each user's timeline, in a database.
//!
//! [`Store`] is the contract, a trait for each noun. Its documentation is what every implementation is
//! held to by one suite, `tests/it/contracts/store/`. What both databases do by the same SQL stands once,
//! in `shared/`; the rest in `postgres/` and `sqlite/`.

mod api_keys;
mod appends;
mod avatars;
mod backlog;
mod batch;
pub mod batcher;
mod columns;
mod conversations;
mod directory;
mod erasure;
mod error;
mod exports;
mod external_users;
mod facts;
mod groups;
mod handshakes;
mod health;
mod history;
mod holds;
mod identities;
mod identity_columns;
mod jobs;
mod keys;
mod managed;
mod media;
mod media_checks;
mod outbox;
mod outbox_cursor;
pub mod postgres;
mod recalls;
mod reports;
mod rows;
mod sessions;
mod sockets;
pub mod sqlite;
mod standings;
mod subscriptions;
mod timelines;
mod trimming;
mod users;
mod webhooks;
mod wechat_events;
mod wechat_users;

pub use api_keys::{ApiKeys, AuditEntry, AuditLog, AuditPage, MachineAct};
pub use appends::{Appended, Appends, Committed, NewChat, Origin, Places, RequestDigest};
pub use avatars::Avatars;
pub use backlog::{Backlog, Waiting};
pub use conversations::{ChangePage, ChatPage, ConversationPage, Conversations, ReadMark, Window};
pub use directory::{Directory, KnownPerson, PersonPage};
pub use erasure::Erasure;
pub use error::StoreError;
pub use exports::{ExportKey, ExportPage, ExportPart, ExportedUser, Exports};
pub use external_users::ExternalUsers;
pub use facts::{ConversationFacts, Facts};
pub use groups::{GroupBegun, Groups, MemberPage, NewGroup, OwnChange, OwnChanged, Told};
pub use handshakes::{Handshakes, TimelineState};
pub use health::{Access, Health};
pub use history::History;
pub use holds::{HeldChat, HeldPage, Holds, REFUSED};
pub use identities::Identities;
pub use jobs::Jobs;
pub use keys::{AllowedKey, ChatKeys, KeyState, Preview, Refusal, VERDICT_KEPT, WantedKey};
pub use managed::{ManagedConversation, ManagedConversations, NewConversation, NewMembers};
pub use media::{MediaKey, MediaRecords};
pub use media_checks::{CheckState, CheckedChat, DueCheck, MediaChecks};
pub use outbox::{
    CHAT_CREATED, CHAT_HELD, CHAT_RECALLED, CONVERSATION_CREATED, CONVERSATION_MEMBERS_CHANGED,
    OUTBOX_KINDS, Outbox, OutboxEntry, OutboxPage, REPORT_CREATED, USER_CREATED, USER_OFFLINE,
    USER_ONLINE,
};
pub use outbox_cursor::{InvalidCursor, OutboxCursor};
pub use recalls::{Recalled, Recalls};
pub use reports::{NewReport, Report, ReportAbout, ReportPage, Reported, Reports};
pub use sessions::{Session, Sessions, TokenHash};
pub use sockets::Sockets;
pub use standings::{BlockPage, ConversationOrigin, Standing, StandingChanges, Standings};
pub use subscriptions::{Absence, MAX_GRANTS, Subscriptions};
pub use timelines::{
    CHANGED, CHAT, CONVERSATION, Change, EventPage, TimelineEvent, TimelineRange, Timelines,
};
pub use trimming::{TRIM_STEP, Trim, TrimPage};
pub use users::{Acquaintance, Users};
pub use webhooks::{Delivery, Parked, ParkedLane, Webhooks};
pub use wechat_events::{EventKept, WechatEvent, WechatEvents};
pub use wechat_users::WechatUsers;

/// Declares the trait of all these nouns, and that whoever has them all has it.
macro_rules! store {
    ($(#[$doc:meta])* $name:ident: $($noun:ident),*) => {
        $(#[$doc])*
        pub trait $name: $($noun +)* Send + Sync + 'static {}

        impl<T: $($noun +)* Send + Sync + 'static> $name for T {}
    };
}

store! {
    /// What the service keeps, and what it promises about it.
    ///
    /// What a method writes is one transaction: when it returns an error, nothing was written, except that
    /// after [`StoreError::Unavailable`] it may have been committed without the answer having come
    /// through. Methods that only read, that set a value, or that carry a key of their own are safe to
    /// repeat. Lookups return `Option`, because not found is handled differently everywhere.
    ///
    /// Methods may be called concurrently and from several replicas, except for [`Appends::append`],
    /// which a replica calls one at a time (its batcher does). A future that is dropped may or may not
    /// have committed; callers run writes to their end.
    Store: ApiKeys, Appends, AuditLog, Avatars, Backlog, ChatKeys, Conversations, DeliveryStore,
        Directory, Erasure, Exports, ExternalUsers, Facts, Groups, Holds, Identities, Jobs,
        ManagedConversations, MediaChecks, MediaRecords, Outbox, Recalls, Reports, Sessions,
        Standings, Subscriptions, Webhooks, WechatEvents, WechatUsers
}

store! {
    /// The part of [`Store`] that delivery needs.
    DeliveryStore: Handshakes, Health, History, Sockets, Timelines, Users
}
