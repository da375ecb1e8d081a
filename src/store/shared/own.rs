//! What a member keeps of a conversation of any kind.

use super::{
    super::dialect::{Now, add_event},
    Conn,
    queries::{conversation_version, own_columns},
    sql,
};
use crate::{
    domain::{ConversationId, OwnConversation, UserId},
    store::{
        CONVERSATION, Change, OwnChange, OwnChanged, Places, Told, error::corrupt, rows::OwnRow,
    },
};

/// What the payload of an event says that is about what is one's own.
pub(super) const OWN: &str = r#"{"own":true}"#;

/// And of one that tells a member of leaving. It says so for ever: whoever is back since must hear that there
/// was a gap, in which chats that one had may have changed.
pub(super) const LEFT: &str = r#"{"left":true}"#;

/// Tells a member what is that member's own of a conversation now.
pub(super) async fn tell_own(
    connection: &mut Conn,
    user: UserId,
    conversation: ConversationId,
    now: Now,
) -> sqlx::Result<(Change, Places)> {
    let row = own_row(connection, user, conversation).await?;
    let row = row.ok_or_else(|| corrupt("a member went missing within a transaction"))?;
    let places =
        add_event(connection, &[user], CONVERSATION, None, Some(conversation), Some(OWN), now)
            .await?;
    Ok((Change::Conversation(Box::new(row.into_change(true)?)), places))
}

async fn own_row(
    connection: &mut Conn,
    user: UserId,
    conversation: ConversationId,
) -> sqlx::Result<Option<OwnRow>> {
    sqlx::query_as(concat!(
        "SELECT ",
        own_columns!(),
        " FROM members m JOIN conversations g ON g.id = m.conversation_id
         WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.state = 'member'"
    ))
    .bind(conversation)
    .bind(user)
    .fetch_optional(connection)
    .await
}

pub(super) async fn change_own(
    connection: &mut Conn,
    user: UserId,
    conversation: ConversationId,
    change: OwnChange,
    max_pinned: u32,
    now: Now,
) -> sqlx::Result<OwnChanged> {
    // The counter first, as everywhere.
    sqlx::query(concat!(
        "SELECT user_id FROM timelines WHERE user_id = $1",
        sql!(for "NO KEY UPDATE")
    ))
    .bind(user)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(before) = own_row(connection, user, conversation).await? else {
        return Ok(OwnChanged::NotFound);
    };
    let before = before.into_own()?;
    let last: i64 =
        sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM chats WHERE conversation_id = $1")
            .bind(conversation)
            .fetch_one(&mut *connection)
            .await?;
    let OwnConversation { settings, hidden_up_to, cleared_up_to, .. } = before.clone();
    let mut after = before.clone();
    after.settings.pinned = change.pinned.unwrap_or(settings.pinned);
    after.settings.muted = change.muted.unwrap_or(settings.muted);
    after.settings.marked_unread = change.marked_unread.unwrap_or(settings.marked_unread);
    after.settings.draft = change.draft.unwrap_or(settings.draft);
    after.hidden_up_to = if change.hide { last } else { hidden_up_to };
    after.cleared_up_to = if change.clear { last } else { cleared_up_to };
    if after == before {
        return Ok(OwnChanged::Done(Told::default()));
    }
    let is_pinned_now = after.settings.pinned && !before.settings.pinned;
    if is_pinned_now {
        let pinned: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM members
             WHERE user_id = $1 AND pinned_at IS NOT NULL AND state = 'member'",
        )
        .bind(user)
        .fetch_one(&mut *connection)
        .await?;
        if pinned >= i64::from(max_pinned) {
            return Ok(OwnChanged::TooManyPinned);
        }
    }
    sqlx::query(concat!(
        "UPDATE members SET muted = $3, marked_unread = $4, draft = $5, hidden_up_to = $6,
             cleared_up_to = $7, pinned_at = CASE WHEN $8 THEN coalesce(pinned_at, ",
        sql!(now "$9"),
        ") END
         WHERE conversation_id = $1 AND user_id = $2"
    ))
    .bind(conversation)
    .bind(user)
    .bind(after.settings.muted)
    .bind(after.settings.marked_unread)
    .bind(after.settings.draft)
    .bind(after.hidden_up_to)
    .bind(after.cleared_up_to)
    .bind(after.settings.pinned)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    let event = tell_own(connection, user, conversation, now).await?;
    Ok(OwnChanged::Done(Told { chats: Vec::new(), events: vec![event] }))
}
