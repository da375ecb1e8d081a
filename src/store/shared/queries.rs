//! Statements that read chats and conversations: their parts that several have in common.

/// A statement that reads chats: `chats_query!(columns, source, tail)`, where `source` names a chat
/// `c`. The rest of a chat is joined by outer joins, so that a missing row is noticed as a NULL
/// where none may be, and does not quietly shorten the answer.
macro_rules! chats_query {
    ($columns:expr, $source:expr, $tail:expr) => {
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

/// The version of conversation `g`: the highest id of its chats and of their changes. NULL before the first.
macro_rules! conversation_version {
    () => {
        concat!(
            "nullif(",
            sql!(greatest "(SELECT coalesce(max(x.id), 0) FROM chats x WHERE x.conversation_id = g.id),
                 (SELECT coalesce(max(x.change_id), 0) FROM chats x
                  WHERE x.conversation_id = g.id AND x.change_id IS NOT NULL)"),
            ", 0)"
        )
    };
}
pub(super) use conversation_version;

/// The columns of an `OwnRow`, of member `m` of conversation `g`.
macro_rules! own_columns {
    () => {
        concat!(
            "g.id AS about_id, g.kind AS conversation_kind,
             g.external_id AS conversation_external_id, g.title,
             CAST(g.member_count AS BIGINT) AS member_count,
             CAST(g.members_version AS BIGINT) AS members_version, ",
            conversation_version!(),
            " AS conversation_version, m.state = 'member' AS is_member, m.role,
             m.pinned_at IS NOT NULL AS pinned, m.muted, m.marked_unread, m.draft,
             m.hidden_up_to, m.cleared_up_to"
        )
    };
}
pub(super) use own_columns;

/// A statement that reads conversations of user `$1` whose last chat, if there is one, is before `$2`, at most `$3`.
/// `$which` narrows the user's memberships `m`, and `$where` what is known of `mine`.
///
/// The last chat is one step back from the end of the conversation in an index; only what is on the page is
/// looked at closer. Unread chats are counted to 100. A former member sees what was there at leaving; whom the
/// peer has blocked, the read mark of then.
macro_rules! conversations_query {
    ($which:literal, $where:literal) => {
        concat!(
            "WITH mine AS MATERIALIZED (
                 SELECT m.conversation_id,
                     (SELECT max(x.id) FROM chats x WHERE x.conversation_id = m.conversation_id)
                         AS last_id, m.hidden_up_to, m.pinned_at
                 FROM members m WHERE m.user_id = $1 ",
            $which,
            "), page AS MATERIALIZED (
                 SELECT conversation_id, last_id FROM mine WHERE coalesce(last_id, 0) < $2 ",
            $where,
            " ORDER BY last_id DESC LIMIT $3
             ), seen AS MATERIALIZED (
                 SELECT page.*, m.read_up_to, m.mention_id,
                     CASE WHEN m.state = 'member' THEN ",
            sql!(greatest "m.visible_after, m.cleared_up_to"),
            " ELSE m.cleared_up_to END AS floor,
                     CASE WHEN m.state = 'member' THEN page.last_id ELSE
                         (SELECT max(st.to_chat) FROM member_stretches st
                          WHERE st.conversation_id = page.conversation_id AND st.user_id = $1)
                         END AS ceiling
                 FROM page JOIN members m
                     ON m.conversation_id = page.conversation_id AND m.user_id = $1
             ), shown AS MATERIALIZED (
                 SELECT seen.*,
                     (SELECT x.id FROM chats x WHERE x.conversation_id = seen.conversation_id
                          AND x.id > seen.floor AND x.id <= seen.ceiling
                          AND NOT EXISTS (SELECT 1 FROM hidden_chats h
                              WHERE h.user_id = $1 AND h.chat_id = x.id)
                      ORDER BY x.id DESC LIMIT 1) AS shown_id
                 FROM seen
             ) ",
            chats_query!(
                concat!(
                    own_columns!(),
                    ", shown.last_id, shown.shown_id, shown.read_up_to,
                 p.id AS peer_id, p.name AS peer_name, p.avatar AS peer_avatar,
                 p.avatar_url AS peer_avatar_url, p.public_profile AS peer_profile,
                 CASE WHEN p.id = $1 THEN (SELECT min(e.subject) FROM identities e
                     WHERE e.user_id = $1 AND e.provider = 'external') END AS peer_external_id,
                 l.seen_at AS peer_seen_at,
                 CASE WHEN k.blocker_id IS NULL THEN other.read_up_to ELSE k.read_up_to END
                     AS peer_read_up_to,
                 g.low_wrote AND g.high_wrote AS both_wrote,
                 EXISTS (SELECT 1 FROM chats x WHERE x.id = shown.mention_id
                     AND x.id > coalesce(shown.read_up_to, 0) AND x.id > shown.floor
                     AND x.state IS NULL AND m.state = 'member'
                     AND NOT EXISTS (SELECT 1 FROM hidden_chats h
                         WHERE h.user_id = $1 AND h.chat_id = x.id)) AS mentioned,
                 (SELECT count(*) FROM (
                     SELECT 1 FROM chats x WHERE x.conversation_id = shown.conversation_id
                         AND x.id > coalesce(shown.read_up_to, 0) AND x.id > shown.floor
                         AND x.sender_id <> $1 AND m.state = 'member'
                         AND x.kind <> 'system' AND x.state IS NULL
                         AND NOT EXISTS (SELECT 1 FROM hidden_chats h
                             WHERE h.user_id = $1 AND h.chat_id = x.id)
                     LIMIT 100
                 ) unread) AS unread,"
                ),
                "FROM shown JOIN conversations g ON g.id = shown.conversation_id
                 JOIN members m ON m.conversation_id = shown.conversation_id AND m.user_id = $1
                 LEFT JOIN chats c ON c.id = shown.shown_id",
                "LEFT JOIN users p ON g.kind = 'direct' AND p.id =
                     CASE WHEN g.low_user = $1 THEN g.high_user ELSE g.low_user END
                 LEFT JOIN members other
                     ON other.conversation_id = shown.conversation_id AND other.user_id = p.id
                 LEFT JOIN last_seen l ON l.user_id = p.id
                 LEFT JOIN blocks k ON k.blocker_id = p.id AND k.blocked_id = $1
                 ORDER BY shown.last_id DESC"
            )
        )
    };
}
pub(super) use conversations_query;

/// Whether `m` was a member when chat `c` of the same conversation was sent.
macro_rules! was_member {
    () => {
        "(m.state = 'member' AND c.id > m.visible_after
             OR EXISTS (SELECT 1 FROM member_stretches st
                 WHERE st.conversation_id = m.conversation_id AND st.user_id = m.user_id
                     AND c.id > st.from_chat AND c.id <= st.to_chat))"
    };
}
pub(super) use was_member;

/// Whether member `m` may read chat `c` of the same conversation.
macro_rules! is_readable {
    () => {
        concat!(
            "c.id > m.cleared_up_to AND ",
            was_member!(),
            " AND NOT EXISTS (SELECT 1 FROM hidden_chats h
                 WHERE h.user_id = m.user_id AND h.chat_id = c.id)"
        )
    };
}
pub(super) use is_readable;

/// A statement that reads the latest `$2` chats of the direct conversations of user `$1`, oldest first, where
/// `$of_each` joins to each conversation `n` of `newest` its latest `$2` chats `x`, of those from
/// `bound.first_id` on. What is gone for the user is left out, so they may be fewer.
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
                "FROM latest LEFT JOIN chats c ON c.id = latest.id
                 JOIN members m ON m.conversation_id = c.conversation_id AND m.user_id = $1",
                "WHERE c.id > m.cleared_up_to AND NOT EXISTS (SELECT 1 FROM hidden_chats h
                     WHERE h.user_id = $1 AND h.chat_id = c.id)
                 ORDER BY latest.id"
            )
        )
    };
}
pub(super) use latest_chats_query;
