//! Statements that read chats and conversations: their parts that several have in common.

/// A statement that reads chats: `chats_query!(columns, source, tail)`, where `source` names a chat
/// `c`. The rest of a chat is joined by outer joins, so that a missing row is noticed as a NULL
/// where none may be, and does not quietly shorten the answer.
macro_rules! chats_query {
    ($columns:literal, $source:expr, $tail:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " c.id AS chat_id, v.id AS conversation_id, c.sender_id, s.name AS sender_name,",
            " CASE WHEN v.kind <> 'direct' THEN NULL",
            " WHEN v.low_user = c.sender_id THEN v.high_user ELSE v.low_user END AS target_id,",
            " t.name AS target_name, c.content, c.created_at,",
            " c.client_msg_id, c.kind, c.body, c.state, CAST(c.version AS BIGINT) AS version,",
            " c.mentions, c.reply_to, q.sender_id AS quoted_sender_id,",
            " qs.name AS quoted_sender_name, q.kind AS quoted_kind, q.content AS quoted_content,",
            " q.state AS quoted_state ",
            $source,
            " LEFT JOIN conversations v ON v.id = c.conversation_id",
            " LEFT JOIN users s ON s.id = c.sender_id",
            " LEFT JOIN users t ON v.kind = 'direct' AND t.id =",
            " CASE WHEN v.low_user = c.sender_id THEN v.high_user ELSE v.low_user END",
            " LEFT JOIN chats q ON q.id = c.reply_to",
            " LEFT JOIN users qs ON qs.id = q.sender_id ",
            $tail
        )
    };
}
pub(in crate::store) use chats_query;

/// A statement that reads conversations of user `$1` whose last chat is before `$2`, at most `$3`.
/// The last chat is one step back from the end of the conversation in an index; only what is on the
/// page is looked at closer. Unread chats are counted to 100.
macro_rules! conversations_query {
    ($which:literal) => {
        concat!(
            "WITH mine AS MATERIALIZED (
                 SELECT m.conversation_id, m.read_up_to,
                     (SELECT max(x.id) FROM chats x WHERE x.conversation_id = m.conversation_id)
                         AS last_id
                 FROM members m WHERE m.user_id = $1 AND m.state = 'member' ",
            $which,
            "), page AS MATERIALIZED (
                 SELECT * FROM mine WHERE last_id < $2 ORDER BY last_id DESC LIMIT $3
             ) ",
            chats_query!(
                "page.read_up_to, v.kind AS conversation_kind,
                 p.id AS peer_id, p.name AS peer_name, p.avatar AS peer_avatar,
                 l.seen_at AS peer_seen_at, other.read_up_to AS peer_read_up_to,
                 v.low_wrote AND v.high_wrote AS both_wrote,
                 (SELECT count(*) FROM (
                     SELECT 1 FROM chats x WHERE x.conversation_id = page.conversation_id
                         AND x.id > coalesce(page.read_up_to, 0) AND x.sender_id <> $1 LIMIT 100
                 ) unread) AS unread,",
                "FROM page LEFT JOIN chats c ON c.id = page.last_id",
                "LEFT JOIN users p ON v.kind = 'direct' AND p.id =
                     CASE WHEN v.low_user = $1 THEN v.high_user ELSE v.low_user END
                 LEFT JOIN members other
                     ON other.conversation_id = page.conversation_id AND other.user_id = p.id
                 LEFT JOIN last_seen l ON l.user_id = p.id
                 ORDER BY page.last_id DESC"
            )
        )
    };
}
pub(super) use conversations_query;

/// A statement that reads the latest `$2` chats of the direct conversations of user `$1`, oldest first, where
/// `$of_each` joins to each conversation `n` of `newest` its latest `$2` chats `x`, of those from
/// `bound.first_id` on.
///
/// The last chat of a conversation is one step back from its end in an index. The chats of a page of `$2`
/// conversations are no older than the last chat of each: where there are so many, that is the bound. So it
/// reads an entry for each conversation, and `$2` times `$2` at most beside.
macro_rules! latest_chats_query {
    ($of_each:expr) => {
        concat!(
            "WITH mine AS MATERIALIZED (
                 SELECT m.conversation_id,
                     (SELECT max(x.id) FROM chats x WHERE x.conversation_id = m.conversation_id)
                         AS last_id
                 FROM members m
                 WHERE m.user_id = $1 AND 'direct' =
                     (SELECT v.kind FROM conversations v WHERE v.id = m.conversation_id)
             ), newest AS MATERIALIZED (
                 SELECT conversation_id, last_id FROM mine WHERE last_id IS NOT NULL
                 ORDER BY last_id DESC LIMIT $2
             ), bound AS MATERIALIZED (
                 SELECT CASE WHEN count(*) = $2 THEN min(last_id) ELSE 0 END AS first_id FROM newest
             ), latest AS MATERIALIZED (
                 SELECT x.id FROM newest n CROSS JOIN ",
            $of_each,
            " ORDER BY x.id DESC LIMIT $2
             ) ",
            chats_query!(
                "",
                "FROM latest LEFT JOIN chats c ON c.id = latest.id",
                "ORDER BY latest.id"
            )
        )
    };
}
pub(super) use latest_chats_query;
