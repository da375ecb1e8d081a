//! The latest chats of a user over all direct conversations.

/// A statement that reads the latest `$2` chats of the direct conversations of user `$1`, oldest first, where
/// `$of_each` joins to each conversation `n` of `newest` its latest `$2` chats `x`, of those from
/// `bound.first_id` on.
///
/// The last chat of a conversation is one step back from its end in an index. The chats of a page of `$2`
/// conversations are no older than the last chat of each: where there are so many, that is the bound. So it
/// reads an entry for each conversation, and `$2` times `$2` at most beside.
macro_rules! latest_chats_query {
    ($of_each:literal) => {
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
            crate::store::rows::chats_query!(
                "",
                "FROM latest LEFT JOIN chats c ON c.id = latest.id",
                "ORDER BY latest.id"
            )
        )
    };
}
pub(super) use latest_chats_query;
