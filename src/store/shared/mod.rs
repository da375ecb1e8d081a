//! What both databases do by the same SQL. This module is compiled once for each: in it, `Db` is the store,
//! `Conn` one of its connections, and `sql!` writes what the two spell in different ways. All of these are
//! in `dialect.rs` of the database.

mod api_keys;
mod appends;
mod avatars;
mod backlog;
mod conversations;
mod directory;
mod erasure;
mod exports;
mod external_users;
mod facts;
mod group_changes;
mod groups;
mod holds;
mod jobs;
mod keys;
mod managed;
mod media;
mod media_checks;
mod outbox;
mod own;
mod queries;
mod recalls;
mod reports;
mod sessions;
mod sockets;
mod standings;
mod subscriptions;
mod timelines;
mod users;
mod webhooks;
mod wechat_events;
mod wechat_users;

use super::dialect::{Conn, Db, DbRow, ids, sql, texts};

pub(super) use appends::append_any;
use avatars::drop_unless_had;
use media::release_media;
pub(super) use outbox::since_time;
pub(super) use queries::chats_query;
