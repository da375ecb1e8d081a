//! Changes of a group's members, roles and name, with the lines and events that tell of them.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    super::dialect::{Now, add_event},
    Conn, append_any,
    groups::{count, joined, version_for},
    ids,
    outbox::tell,
    own::{LEFT, tell_own},
    queries::conversation_version,
    recalls::lock_counters,
    sql,
};
use crate::{
    clock::Timestamp,
    domain::{
        ChatId, ChatKind, ClientMsgId, Content, ConversationChange, ConversationId,
        ConversationKind, Destination, ExternalId, Group, GroupChange, GroupFace, GroupMember,
        GroupRefusal, GroupRules, GroupTitle, Payload, Role, SeenConversation, SystemLine, UserId,
        UserName,
        group::{Changer, GroupHistory, decide},
        system_line::SystemEvent,
    },
    store::{
        Appended, CONVERSATION, CONVERSATION_CREATED, CONVERSATION_MEMBERS_CHANGED, Change,
        Committed, GroupBegun, NewChat, NewGroup, Places, Told, error::corrupt,
    },
};

/// Names of those of these users who exist.
pub(super) async fn names(
    connection: &mut Conn,
    users: &BTreeSet<UserId>,
) -> sqlx::Result<HashMap<UserId, UserName>> {
    let rows: Vec<(UserId, UserName)> = sqlx::query_as(concat!(
        "SELECT id, name FROM users WHERE erased_at IS NULL AND id ",
        sql!(in "$1")
    ))
    .bind(ids(users))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

pub(super) async fn begin(
    connection: &mut Conn,
    new: NewGroup,
    now: Now,
) -> sqlx::Result<GroupBegun> {
    let NewGroup { creator, key, title, mut members } = new;
    members.insert(creator);
    let digest = digest(title.as_ref(), &members);
    let group: Option<ConversationId> = sqlx::query_scalar(concat!(
        "INSERT INTO conversations (kind, title, creator_id, creator_key, request_digest, created_at)
         VALUES ('group', $1, $2, $3, $4, ",
        sql!(now "$5"),
        ") ON CONFLICT (creator_id, creator_key) WHERE creator_key IS NOT NULL DO NOTHING
         RETURNING id"
    ))
    .bind(title.clone())
    .bind(creator)
    .bind(&key)
    .bind(&digest)
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(group) = group else {
        let first = first_with(connection, creator, key, &digest).await?;
        return first.ok_or_else(|| corrupt("a group's key is taken by no group"));
    };
    if names(connection, &members).await?.len() < members.len() {
        // Only now is it known that this is no repeat, whose users may be gone since.
        sqlx::query("DELETE FROM conversations WHERE id = $1")
            .bind(group)
            .execute(connection)
            .await?;
        return Ok(GroupBegun::UserNotFound);
    }
    let people: Vec<_> = members.iter().copied().collect();
    join(connection, group, &people, 0, now).await?;
    give_roles(connection, group, &[(creator, Role::Owner)]).await?;
    let who = json!({"by": creator, "members": people});
    tell(connection, CONVERSATION_CREATED, Some(group), None, Some(who), now).await?;
    let others = members.iter().copied().filter(|user| *user != creator).collect();
    let line =
        SystemLine { event: SystemEvent::GroupCreated, actor: creator, users: others, title };
    let chats = write_lines(connection, group, &[line], now).await?;
    let event = tell_members(connection, group, None, true, now).await?;
    Ok(GroupBegun::Begun(group, Told { chats, events: event.into_iter().collect() }))
}

/// What a repeat of `new` gets; `None` if it is none.
pub(super) async fn repeated(
    connection: &mut Conn,
    new: NewGroup,
) -> sqlx::Result<Option<GroupBegun>> {
    let NewGroup { creator, key, title, mut members } = new;
    members.insert(creator);
    first_with(connection, creator, key, &digest(title.as_ref(), &members)).await
}

/// The group that a user has begun with this key, if any.
async fn first_with(
    connection: &mut Conn,
    creator: UserId,
    key: ClientMsgId,
    digest: &[u8],
) -> sqlx::Result<Option<GroupBegun>> {
    let first: Option<(ConversationId, Vec<u8>)> = sqlx::query_as(
        "SELECT id, request_digest FROM conversations WHERE creator_id = $1 AND creator_key = $2",
    )
    .bind(creator)
    .bind(key)
    .fetch_optional(connection)
    .await?;
    Ok(first.map(
        |(group, asked)| {
            if asked == digest { GroupBegun::Repeat(group) } else { GroupBegun::KeyReused }
        },
    ))
}

/// Stands for what a group was begun with.
fn digest(title: Option<&GroupTitle>, members: &BTreeSet<UserId>) -> Vec<u8> {
    let asked = json!([title, members]);
    Sha256::digest(asked.to_string()).to_vec()
}

pub(super) async fn change_group(
    connection: &mut Conn,
    group: ConversationId,
    by: Changer,
    change: GroupChange,
    rules: GroupRules,
    now: Now,
) -> sqlx::Result<Result<Told, GroupRefusal>> {
    // A stranger locks nobody out.
    if let Changer::Member(actor) = by
        && version_for(connection, actor, group).await?.is_none()
    {
        return Ok(Err(GroupRefusal::NoMember));
    }
    let title: Option<Option<GroupTitle>> = sqlx::query_scalar(concat!(
        "SELECT title FROM conversations WHERE id = $1 AND kind = 'group'",
        sql!(for "NO KEY UPDATE")
    ))
    .bind(group)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(title) = title else { return Ok(Err(GroupRefusal::NoMember)) };
    let rows: Vec<(UserId, Role, Option<Timestamp>)> = sqlx::query_as(
        "SELECT user_id, role, joined_at FROM members
         WHERE conversation_id = $1 AND state = 'member'",
    )
    .bind(group)
    .fetch_all(&mut *connection)
    .await?;
    let member = |(user, role, at)| GroupMember { user, role, joined_at: joined(at) };
    let members: Vec<_> = rows.into_iter().map(member).collect();
    let before = Group { title, members };
    let decision = match decide(&before, by, &change, rules) {
        Ok(decision) => decision,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let changes_members =
        !decision.joining.is_empty() || decision.leaving.is_some() || !decision.roles.is_empty();
    if !changes_members && decision.title.is_none() {
        return Ok(Ok(Told::default()));
    }
    let joining: BTreeSet<_> = decision.joining.iter().copied().collect();
    if names(connection, &joining).await?.len() < joining.len() {
        return Ok(Err(GroupRefusal::NoSuchUser));
    }
    let visible_after = match rules.history {
        GroupHistory::Joined if !joining.is_empty() => last_chat(connection, group).await?,
        GroupHistory::Joined | GroupHistory::All => 0,
    };
    // Before the rows of members, as everywhere.
    let counted = before.members.iter().map(|member| member.user).chain(joining);
    lock_counters(connection, &counted.collect::<Vec<_>>()).await?;
    join(connection, group, &decision.joining, visible_after, now).await?;
    give_roles(connection, group, &decision.roles).await?;
    if let Some(title) = decision.title {
        sqlx::query("UPDATE conversations SET title = $2 WHERE id = $1")
            .bind(group)
            .bind(title)
            .execute(&mut *connection)
            .await?;
    }
    if changes_members {
        let who = json!({
            "by": by.user(),
            "joined": decision.joining,
            "left": decision.leaving.as_slice(),
            "roles": decision.roles,
        });
        tell(connection, CONVERSATION_MEMBERS_CHANGED, Some(group), None, Some(who), now).await?;
    }
    // Before anybody leaves: it is the last that a former member sees.
    let chats = write_lines(connection, group, &decision.lines, now).await?;
    let last = chats.last().map(|line| line.chat.id);
    if let Some(user) = decision.leaving {
        let last = last.ok_or_else(|| corrupt("a member left without a word"))?;
        leave(connection, group, user, last).await?;
    }
    let mut events =
        tell_members(connection, group, decision.leaving, changes_members, now).await?;
    // A role is one's own, and nobody else's event says it.
    for (user, _) in decision.roles {
        events.push(tell_own(connection, user, group, now).await?);
    }
    Ok(Ok(Told { chats, events }))
}

/// The last chat of a locked group, or 0. A statement of its own: one that waits for a lock reads other tables as
/// they were before.
async fn last_chat(connection: &mut Conn, group: ConversationId) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM chats WHERE conversation_id = $1")
        .bind(group)
        .fetch_one(connection)
        .await
}

/// Makes these users members, who see the chats after `visible_after` from now on, and those that they might
/// see before.
pub(super) async fn join(
    connection: &mut Conn,
    group: ConversationId,
    users: &[UserId],
    visible_after: i64,
    now: Now,
) -> sqlx::Result<()> {
    sqlx::query(concat!(
        "INSERT INTO members (conversation_id, user_id, joined_at, visible_after, read_up_to)
         SELECT $2, n.id, ",
        sql!(now "$4"),
        ", $3, nullif($3, 0) FROM ",
        sql!(rows "$1" as "n"),
        " WHERE true
         ON CONFLICT (conversation_id, user_id) DO UPDATE SET state = 'member', role = 'member',
             joined_at = excluded.joined_at, visible_after = excluded.visible_after,
             read_up_to = ",
        sql!(greatest "coalesce(members.read_up_to, 0), excluded.visible_after"),
        ", hidden_up_to = 0"
    ))
    .bind(ids(users))
    .bind(group)
    .bind(visible_after)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes a member from a group, who sees the chats up to `last` for ever.
async fn leave(
    connection: &mut Conn,
    group: ConversationId,
    user: UserId,
    last: ChatId,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO member_stretches (conversation_id, user_id, from_chat, to_chat)
         SELECT conversation_id, user_id, visible_after, $3 FROM members
         WHERE conversation_id = $1 AND user_id = $2
         ON CONFLICT (conversation_id, user_id, from_chat) DO UPDATE SET to_chat = excluded.to_chat",
    )
    .bind(group)
    .bind(user)
    .bind(last)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE members SET state = 'left', role = 'member', pinned_at = NULL, draft = NULL,
             marked_unread = $3
         WHERE conversation_id = $1 AND user_id = $2",
    )
    .bind(group)
    .bind(user)
    .bind(false)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn give_roles(
    connection: &mut Conn,
    group: ConversationId,
    roles: &[(UserId, Role)],
) -> sqlx::Result<()> {
    for (user, role) in roles {
        sqlx::query("UPDATE members SET role = $3 WHERE conversation_id = $1 AND user_id = $2")
            .bind(group)
            .bind(user)
            .bind(role)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Commits lines as chats of those who did what they tell. They are members still.
pub(super) async fn write_lines(
    connection: &mut Conn,
    group: ConversationId,
    lines: &[SystemLine],
    now: Now,
) -> sqlx::Result<Vec<Committed>> {
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let names = names(connection, &lines.iter().flat_map(SystemLine::named).collect()).await?;
    let name = |user| names.get(&user).cloned().unwrap_or_else(UserName::erased);
    let chat = |line: &SystemLine| {
        let key = format!("system-{}", uuid::Uuid::new_v4());
        NewChat {
            kind: ChatKind::System,
            body: Some(Payload::parse(line.body(name).to_string()).expect("a body is an object")),
            ..NewChat::text(
                line.actor,
                Destination::Conversation(group),
                ClientMsgId::parse(&key).expect("a key is printable"),
                Content::parse(&line.text(name), 1_000).expect("a line has words"),
            )
        }
    };
    let batch: Vec<_> = lines.iter().map(chat).collect();
    let answers = append_any(connection, &batch, false, || now).await?;
    let committed = answers.into_iter().map(|answer| match answer {
        Appended::Committed(committed) => Ok(committed),
        _ => Err(corrupt("a line was not committed")),
    });
    committed.collect()
}

/// What all members see of a group: title, the back end's id, members, their version, and its own.
type FaceRow = (Option<GroupTitle>, Option<ExternalId>, i64, i64, Option<ChatId>);

/// Counts the members anew, and tells all of them how the group is now, and whoever has left that this is so.
pub(super) async fn tell_members(
    connection: &mut Conn,
    group: ConversationId,
    left: Option<UserId>,
    has_new_members: bool,
    now: Now,
) -> sqlx::Result<Vec<(Change, Places)>> {
    sqlx::query(
        "UPDATE conversations SET members_version = members_version + $2,
             member_count = (SELECT count(*) FROM members m
                 WHERE m.conversation_id = $1 AND m.state = 'member')
         WHERE id = $1",
    )
    .bind(group)
    .bind(i32::from(has_new_members))
    .execute(&mut *connection)
    .await?;
    let (title, external_id, members, version, last): FaceRow = sqlx::query_as(concat!(
        "SELECT title, external_id, CAST(member_count AS BIGINT),
                 CAST(members_version AS BIGINT), ",
        conversation_version!(),
        " FROM conversations g WHERE id = $1"
    ))
    .bind(group)
    .fetch_one(&mut *connection)
    .await?;
    let users: Vec<UserId> = sqlx::query_scalar(
        "SELECT user_id FROM members WHERE conversation_id = $1 AND state = 'member'
         ORDER BY user_id",
    )
    .bind(group)
    .fetch_all(&mut *connection)
    .await?;
    let face = GroupFace { title, member_count: count(members)?, members_version: count(version)? };
    let seen = SeenConversation { external_id, group: Some(face), version: last, own: None };
    let change = |seen| {
        let kind = ConversationKind::Group;
        Change::Conversation(Box::new(ConversationChange { id: group, kind, seen }))
    };
    let mut events = Vec::new();
    let left = left.into_iter().collect();
    for (users, seen, payload) in [(users, Some(seen), None), (left, None, Some(LEFT))] {
        if !users.is_empty() {
            let places =
                add_event(connection, &users, CONVERSATION, None, Some(group), payload, now)
                    .await?;
            events.push((change(seen), places));
        }
    }
    Ok(events)
}
