//! Erasing a user.

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{super::dialect::Now, Conn, Db, drop_unless_had, release_media, sql};
use crate::{
    domain::{AvatarHash, ChatId, ClientMsgId, UserId, UserName},
    store::{Erasure, StoreError},
};

#[async_trait]
impl Erasure for Db {
    async fn erase_user(&self, user: UserId) -> Result<bool, StoreError> {
        let now = self.now();
        self.transaction(move |c| erase(c, user, now).boxed()).await
    }

    async fn blank_chats(
        &self,
        user: UserId,
        after: Option<&ClientMsgId>,
        limit: u32,
    ) -> Result<Option<ClientMsgId>, StoreError> {
        // Every key is greater than the empty text.
        let after = after.map_or("", ClientMsgId::as_str).to_owned();
        let query = sqlx::query_scalar(
            "SELECT max(client_msg_id) FROM (
                 SELECT client_msg_id FROM chats WHERE sender_id = $1 AND client_msg_id > $2
                 ORDER BY client_msg_id LIMIT $3
             ) page",
        )
        .bind(user)
        .bind(after.clone())
        .bind(i64::from(limit));
        let last: Option<ClientMsgId> = self.read(|c| query.fetch_one(c).boxed()).await?;
        let (up_to, now) = (last.clone(), self.now());
        self.transaction(move |c| blank(c, user, after, up_to, now).boxed()).await?;
        Ok(last)
    }
}

/// Takes the words and what they show from the chats with these keys, and forgets what they were.
async fn blank(
    connection: &mut Conn,
    user: UserId,
    after: String,
    up_to: Option<ClientMsgId>,
    now: Now,
) -> sqlx::Result<()> {
    let blanked: Vec<ChatId> = sqlx::query_scalar(
        "UPDATE chats SET content = '', body = NULL
         WHERE sender_id = $1 AND client_msg_id > $2 AND client_msg_id <= $3
             AND (content <> '' OR body IS NOT NULL) RETURNING id",
    )
    .bind(user)
    .bind(after.clone())
    .bind(up_to.clone())
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM chat_revisions WHERE chat_id IN (
             SELECT id FROM chats
             WHERE sender_id = $1 AND client_msg_id > $2 AND client_msg_id <= $3)",
    )
    .bind(user)
    .bind(after)
    .bind(up_to)
    .execute(&mut *connection)
    .await?;
    release_media(connection, &blanked, now).await
}

async fn erase(connection: &mut Conn, user: UserId, now: Now) -> sqlx::Result<bool> {
    // The counter first, as every batch does: one that waits for it finds that it is gone, and one that
    // had it has committed its chats.
    sqlx::query("DELETE FROM timelines WHERE user_id = $1")
        .bind(user)
        .execute(&mut *connection)
        .await?;
    let picture: Option<Option<AvatarHash>> =
        sqlx::query_scalar(concat!("SELECT avatar FROM users WHERE id = $1", sql!(for "UPDATE")))
            .bind(user)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(picture) = picture else { return Ok(false) };
    sqlx::query(concat!(
        "UPDATE users SET name = $2, avatar = NULL, openid = NULL, demo_name = NULL,
             avatar_url = NULL, public_profile = NULL, hidden_profile = NULL,
             erased_at = coalesce(erased_at, ",
        sql!(now "$3"),
        ") WHERE id = $1"
    ))
    .bind(user)
    .bind(UserName::erased())
    .bind(now)
    .execute(&mut *connection)
    .await?;
    for statement in [
        "UPDATE sessions SET revoked = true WHERE user_id = $1 AND NOT revoked",
        "DELETE FROM identities WHERE user_id = $1",
        "DELETE FROM last_seen WHERE user_id = $1",
        "UPDATE members SET draft = NULL WHERE user_id = $1 AND draft IS NOT NULL",
        "DELETE FROM blocks WHERE blocker_id = $1 OR blocked_id = $1",
        "DELETE FROM restrictions WHERE user_id = $1",
        "DELETE FROM held_chats WHERE sender_id = $1",
        "DELETE FROM absences WHERE user_id = $1",
        "DELETE FROM subscription_grants WHERE user_id = $1",
        "UPDATE media_checks SET sender_id = NULL WHERE sender_id = $1",
        "UPDATE reports SET detail = NULL WHERE reporter_id = $1 AND detail IS NOT NULL",
        "UPDATE reports SET chat = NULL, media_id = NULL
         WHERE reported_id = $1 AND chat IS NOT NULL",
    ] {
        sqlx::query(statement).bind(user).execute(&mut *connection).await?;
    }
    if let Some(picture) = picture {
        drop_unless_had(connection, &picture).await?;
    }
    Ok(true)
}
