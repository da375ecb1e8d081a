//! Grants of subscribe messages, and who is away from which conversation.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::json;
use sqlx::FromRow;

use super::{super::dialect::Now, Conn, Db, ids, sql, standings::exists};
use crate::{
    domain::{ChatId, ConversationId, MessageTemplate, OpenId, UserId},
    store::{Absence, MAX_GRANTS, StoreError, Subscriptions},
};

#[async_trait]
impl Subscriptions for Db {
    async fn grant(
        &self,
        user: UserId,
        template: &MessageTemplate,
        count: u32,
    ) -> Result<(), StoreError> {
        let (template, count) = (template.clone(), i64::from(count.min(MAX_GRANTS)));
        self.transaction(move |c| {
            async move {
                if !exists(c, user).await? {
                    return Ok(());
                }
                sqlx::query(concat!(
                    "INSERT INTO subscription_grants (user_id, appid, template_id, grants)
                     VALUES ($1, $2, $3, $4)
                     ON CONFLICT (user_id, appid, template_id) DO UPDATE SET grants = ",
                    sql!(least "subscription_grants.grants + excluded.grants, $5")
                ))
                .bind(user)
                .bind(template.appid.to_string())
                .bind(template.id.to_string())
                .bind(count)
                .bind(i64::from(MAX_GRANTS))
                .execute(c)
                .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn end_grants(&self, user: UserId, template: &MessageTemplate) -> Result<(), StoreError> {
        let template = template.clone();
        self.write(move |c| end_grants(c, user, template).boxed()).await
    }

    async fn end_grants_of(
        &self,
        openid: &OpenId,
        template: &MessageTemplate,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "DELETE FROM subscription_grants WHERE appid = $1 AND template_id = $2
                 AND user_id IN (SELECT user_id FROM identities
                     WHERE subject = $3 AND (provider = 'wechat' OR provider = 'wechat:' || $1))",
        )
        .bind(template.appid.to_string())
        .bind(template.id.to_string())
        .bind(openid.as_str().to_owned());
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn begin_absences(
        &self,
        chats: &[ChatId],
        template: &MessageTemplate,
        wait: Duration,
    ) -> Result<(), StoreError> {
        // Of each sender the newest chat says it all. The grants come last: an index look-up for each member.
        let query = sqlx::query(concat!(
            "INSERT INTO absences (user_id, conversation_id, chat_id, read_up_to, due_at, attempts)
             SELECT m.user_id, n.conversation_id, max(n.id), max(coalesce(m.read_up_to, 0)),
                 max(n.created_at) + $4, 0
             FROM (SELECT conversation_id, sender_id, max(id) AS id, max(created_at) AS created_at
                 FROM chats WHERE id ",
            sql!(in "$1"),
            " AND kind <> 'system' AND state IS NULL GROUP BY conversation_id, sender_id) n
             JOIN members m ON m.conversation_id = n.conversation_id
             JOIN subscription_grants g ON g.user_id = m.user_id AND g.appid = $2
                 AND g.template_id = $3 AND g.grants > 0
             WHERE m.user_id <> n.sender_id AND m.state = 'member' AND NOT m.muted
                 AND n.id > coalesce(m.read_up_to, 0) AND n.id > m.visible_after
                 AND n.id > m.cleared_up_to
             GROUP BY m.user_id, n.conversation_id
             ORDER BY m.user_id, n.conversation_id
             ON CONFLICT (user_id, conversation_id) DO UPDATE SET chat_id = excluded.chat_id,
                 read_up_to = excluded.read_up_to, due_at = excluded.due_at, attempts = 0
             WHERE excluded.read_up_to >= absences.chat_id"
        ))
        .bind(ids(chats))
        .bind(template.appid.to_string())
        .bind(template.id.to_string())
        .bind(millis(wait));
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn due_absences(&self, limit: u32) -> Result<Vec<Absence>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT user_id, conversation_id, chat_id, attempts FROM absences WHERE due_at <= ",
            sql!(now "$2"),
            " ORDER BY due_at, user_id, conversation_id LIMIT $1"
        ))
        .bind(i64::from(limit))
        .bind(self.now());
        let rows: Vec<AbsenceRow> = self.read(|c| query.fetch_all(c).boxed()).await?;
        rows.into_iter().map(AbsenceRow::into_absence).collect()
    }

    async fn end_absences(&self, absences: &[Absence]) -> Result<(), StoreError> {
        // In the order in which absences begin.
        let mut absences = absences.to_vec();
        absences.sort_unstable_by_key(|absence| (absence.user, absence.conversation));
        let rows = absences.iter().map(|absence| {
            let Absence { user, conversation, chat, .. } = absence;
            json!({"user_id": user, "conversation_id": conversation, "chat_id": chat})
        });
        let query = sqlx::query(concat!(
            "DELETE FROM absences WHERE due_at IS NOT NULL
                 AND (user_id, conversation_id, chat_id) IN (
                     SELECT n.user_id, n.conversation_id, n.chat_id FROM ",
            sql!(records "$1" as "n" ("user_id" "bigint", "conversation_id" "bigint",
                "chat_id" "bigint")),
            ")"
        ))
        .bind(serde_json::Value::Array(rows.collect()).to_string());
        self.write(|c| query.execute(c).boxed()).await?;
        Ok(())
    }

    async fn take_absence(
        &self,
        absence: &Absence,
        template: &MessageTemplate,
    ) -> Result<Option<ChatId>, StoreError> {
        let (absence, template, now) = (*absence, template.clone(), self.now());
        self.transaction(move |c| take(c, absence, template, now).boxed()).await
    }

    async fn return_absence(
        &self,
        absence: &Absence,
        template: &MessageTemplate,
        again: Option<Duration>,
    ) -> Result<(), StoreError> {
        let (absence, template, now) = (*absence, template.clone(), self.now());
        self.transaction(move |c| give_back(c, absence, template, again, now).boxed()).await
    }

    async fn refuse_absence(
        &self,
        absence: &Absence,
        template: &MessageTemplate,
    ) -> Result<(), StoreError> {
        let (absence, template) = (*absence, template.clone());
        self.transaction(move |c| {
            async move {
                end_taken(c, absence).await?;
                end_grants(c, absence.user, template).await
            }
            .boxed()
        })
        .await
    }
}

#[derive(FromRow)]
struct AbsenceRow {
    user_id: UserId,
    conversation_id: ConversationId,
    chat_id: ChatId,
    attempts: i64,
}

impl AbsenceRow {
    fn into_absence(self) -> Result<Absence, StoreError> {
        let attempts = u32::try_from(self.attempts);
        let attempts = attempts.map_err(|_| StoreError::Corrupt("a count is negative".into()))?;
        let (user, conversation, chat) = (self.user_id, self.conversation_id, self.chat_id);
        Ok(Absence { user, conversation, chat, attempts })
    }
}

async fn end_grants(
    connection: &mut Conn,
    user: UserId,
    template: MessageTemplate,
) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM subscription_grants WHERE user_id = $1 AND appid = $2 AND template_id = $3",
    )
    .bind(user)
    .bind(template.appid.to_string())
    .bind(template.id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// The absence first, then the grants: everything that locks both does so in this order.
async fn take(
    connection: &mut Conn,
    absence: Absence,
    template: MessageTemplate,
    now: Now,
) -> sqlx::Result<Option<ChatId>> {
    let Absence { user, conversation, chat, .. } = absence;
    let due = sqlx::query(concat!(
        "SELECT 1 FROM absences WHERE user_id = $1 AND conversation_id = $2 AND chat_id = $3
             AND due_at <= ",
        sql!(now "$4"),
        sql!(for "UPDATE")
    ))
    .bind(user)
    .bind(conversation)
    .bind(chat)
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    if due.is_none() {
        return Ok(None);
    }
    let unread = newest_unread(connection, user, conversation, chat).await?;
    if unread.is_some() && spend(connection, user, &template).await? {
        sqlx::query(
            "UPDATE absences SET due_at = NULL, attempts = attempts + 1
             WHERE user_id = $1 AND conversation_id = $2",
        )
        .bind(user)
        .bind(conversation)
        .execute(connection)
        .await?;
        return Ok(unread);
    }
    sqlx::query("DELETE FROM absences WHERE user_id = $1 AND conversation_id = $2")
        .bind(user)
        .bind(conversation)
        .execute(connection)
        .await?;
    Ok(None)
}

/// The newest chat that the user can be told of; none once `since`, with which the absence began, is read.
async fn newest_unread(
    connection: &mut Conn,
    user: UserId,
    conversation: ConversationId,
    since: ChatId,
) -> sqlx::Result<Option<ChatId>> {
    sqlx::query_scalar(
        "SELECT c.id FROM members m JOIN chats c ON c.conversation_id = m.conversation_id
         WHERE m.conversation_id = $2 AND m.user_id = $1 AND m.state = 'member' AND NOT m.muted
             AND coalesce(m.read_up_to, 0) < $3 AND c.id > coalesce(m.read_up_to, 0)
             AND c.id > m.visible_after AND c.id > m.cleared_up_to
             AND c.sender_id <> $1 AND c.kind <> 'system' AND c.state IS NULL
             AND NOT EXISTS (SELECT 1 FROM hidden_chats h
                 WHERE h.user_id = $1 AND h.chat_id = c.id)
         ORDER BY c.id DESC LIMIT 1",
    )
    .bind(user)
    .bind(conversation)
    .bind(since)
    .fetch_optional(connection)
    .await
}

/// Takes one grant; `false`: there is none.
async fn spend(
    connection: &mut Conn,
    user: UserId,
    template: &MessageTemplate,
) -> sqlx::Result<bool> {
    let spent = sqlx::query(
        "UPDATE subscription_grants SET grants = grants - 1
         WHERE user_id = $1 AND appid = $2 AND template_id = $3 AND grants > 0",
    )
    .bind(user)
    .bind(template.appid.to_string())
    .bind(template.id.to_string())
    .execute(connection)
    .await?;
    Ok(spent.rows_affected() > 0)
}

async fn give_back(
    connection: &mut Conn,
    absence: Absence,
    template: MessageTemplate,
    again: Option<Duration>,
    now: Now,
) -> sqlx::Result<()> {
    let Absence { user, conversation, chat, .. } = absence;
    let was_taken = match again {
        None => end_taken(connection, absence).await?,
        Some(after) => {
            let due = sqlx::query(concat!(
                "UPDATE absences SET due_at = ",
                sql!(now "$4"),
                " + $5 WHERE user_id = $1 AND conversation_id = $2 AND chat_id = $3
                     AND due_at IS NULL"
            ))
            .bind(user)
            .bind(conversation)
            .bind(chat)
            .bind(now)
            .bind(millis(after));
            due.execute(&mut *connection).await?.rows_affected() > 0
        }
    };
    if !was_taken {
        return Ok(());
    }
    sqlx::query(concat!(
        "UPDATE subscription_grants SET grants = ",
        sql!(least "grants + 1, $4"),
        " WHERE user_id = $1 AND appid = $2 AND template_id = $3"
    ))
    .bind(user)
    .bind(template.appid.to_string())
    .bind(template.id.to_string())
    .bind(i64::from(MAX_GRANTS))
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends an absence whose message was taken; `false`: it is another one by now.
async fn end_taken(connection: &mut Conn, absence: Absence) -> sqlx::Result<bool> {
    let ended = sqlx::query(
        "DELETE FROM absences WHERE user_id = $1 AND conversation_id = $2 AND chat_id = $3
             AND due_at IS NULL",
    )
    .bind(absence.user)
    .bind(absence.conversation)
    .bind(absence.chat)
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() > 0)
}

/// A wait, short enough to be added to a time.
fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX).min(1 << 53)
}
