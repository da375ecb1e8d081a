//! Committing any batch of chats.

use std::collections::BTreeSet;

use super::{
    super::{
        appends::{begin_or_note, earlier, lock, lock_named, write},
        dialect::Now,
    },
    Conn, ids,
    media::{lock_media, note_media},
    outbox::tell_begun,
    queries::{is_readable, was_member},
    sql,
};
use crate::{
    domain::{Chat, MediaId, Mentions, UserId},
    store::{
        Appended, NewChat,
        batch::{self, Earlier, Known, NamedConversations, Plan, Quotes},
        rows::QuotedRow,
    },
};

/// Commits a batch within a transaction. The number of statements does not depend on its length. `now`: the
/// time, asked for once the locks are taken, so that times rise as ids do. Without `has_duplicates` the
/// unique index alone finds that an earlier batch has used a key; that fails the batch.
pub(in crate::store) async fn append_any(
    tx: &mut Conn,
    batch: &[NewChat],
    has_duplicates: bool,
    now: impl Fn() -> Now + Send,
) -> sqlx::Result<Vec<Appended>> {
    let named = named(tx, batch).await?;
    let (mut people, mut talks) = lock(tx, batch, &named).await?;
    let has_duplicates = has_duplicates || batch.iter().any(|chat| chat.must_be_repeat);
    let earlier = if has_duplicates { earlier(tx, batch).await? } else { Earlier::new() };
    let quotes = quotes(tx, batch).await?;
    let media = shown(tx, batch).await?;
    let known = Known {
        named: &named,
        people: &people,
        talks: &talks,
        quotes: &quotes,
        media: &media,
        earlier: &earlier,
    };
    let mut plan = Plan::of(batch, &known);
    if plan.len() == 0 {
        return Ok(plan.answers(&[]));
    }
    let now = now();
    let mut writing = plan.writing();
    writing.retain(|pair, sides| talks.get(pair).is_none_or(|talk| !sides.are_in(talk.wrote)));
    if !writing.is_empty() {
        let noted = begin_or_note(tx, writing, now).await?;
        let new = noted.iter().filter(|(pair, _)| !talks.contains_key(*pair));
        let new: Vec<_> = new.map(|(_, talk)| talk.id).collect();
        if !new.is_empty() {
            tell_begun(tx, &new, now).await?;
        }
        talks.extend(noted);
    }
    let numbered = plan.number(&talks, &named, &mut people)?;
    let (ids, now) = write(tx, &numbered, now).await?;
    let shown = ids.iter().zip(&numbered).filter_map(|(id, it)| Some((it.chat.media?, *id)));
    for (media, chat) in shown.collect::<BTreeSet<_>>() {
        note_media(tx, chat, media).await?;
    }
    let committed = batch::committed(numbered, ids, now)?;
    for chat in committed.iter().map(|committed| &*committed.chat) {
        if let Some(mentions) = &chat.mentions {
            note_mentions(tx, chat, mentions).await?;
        }
    }
    Ok(plan.answers(&committed))
}

/// Notes with those whom a chat calls by name that it does. Their counters are locked, and a group is.
async fn note_mentions(tx: &mut Conn, chat: &Chat, mentions: &Mentions) -> sqlx::Result<()> {
    let (is_all, users) = match mentions {
        Mentions::All => (true, ids(&[] as &[UserId])),
        Mentions::Users(users) => (false, ids(users.iter())),
    };
    sqlx::query(concat!(
        "UPDATE members SET mention_id = $2
         WHERE conversation_id = $1 AND state = 'member' AND user_id <> $3 AND ($4 OR user_id ",
        sql!(in "$5"),
        ")"
    ))
    .bind(chat.conversation_id)
    .bind(chat.id)
    .bind(chat.user_id)
    .bind(is_all)
    .bind(users)
    .execute(tx)
    .await?;
    Ok(())
}

/// The conversations that senders name by their ids. Groups are locked before their members are read: a
/// statement that waits for a lock sees all else as it was before, so one statement would read the
/// members of then. A change of members locks the same row. Direct conversations, whose members never
/// change, are read.
async fn named(tx: &mut Conn, batch: &[NewChat]) -> sqlx::Result<NamedConversations> {
    let wanted = batch::named_ids(batch);
    if wanted.is_empty() {
        return Ok(NamedConversations::new());
    }
    let mut named = batch::named(lock_named(tx, batch, &wanted).await?);
    let groups = batch::groups(&named);
    if !groups.is_empty() {
        let rows = sqlx::query_as(concat!(
            "SELECT conversation_id, user_id, role <> 'member' FROM members WHERE conversation_id ",
            sql!(in "$1"),
            " AND state = 'member' ORDER BY user_id"
        ))
        .bind(ids(&groups))
        .fetch_all(tx)
        .await?;
        batch::add_members(&mut named, rows)?;
    }
    Ok(named)
}

/// The uploads of a batch that are kept. They stay as they are until the transaction ends.
async fn shown(tx: &mut Conn, batch: &[NewChat]) -> sqlx::Result<BTreeSet<MediaId>> {
    let wanted: BTreeSet<_> = batch.iter().filter_map(|chat| chat.media).collect();
    if wanted.is_empty() { Ok(wanted) } else { lock_media(tx, &wanted).await }
}

/// The chats that are quoted, as far as whoever quotes may read them.
async fn quotes(tx: &mut Conn, batch: &[NewChat]) -> sqlx::Result<Quotes> {
    let (readers, wanted) = batch::quoted(batch);
    if wanted.is_empty() {
        return Ok(Quotes::new());
    }
    let rows: Vec<QuotedRow> = sqlx::query_as(concat!(
        "SELECT m.user_id AS reader_id, c.id AS chat_id, c.conversation_id, c.sender_id,
             s.name AS sender_name, c.kind, c.content, c.state
         FROM chats c JOIN members m ON m.conversation_id = c.conversation_id AND m.user_id ",
        sql!(in "$2"),
        " LEFT JOIN users s ON s.id = c.sender_id WHERE c.id ",
        sql!(in "$1"),
        " AND ",
        is_readable!()
    ))
    .bind(ids(&wanted))
    .bind(ids(&readers))
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(QuotedRow::entry).collect())
}
