//! Groups as their members see them, and the changes that they ask for.

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::FromRow;

use super::{
    Conn, Db,
    group_changes::{begin, change_group, repeated},
    own::change_own,
};
use crate::{
    clock::Timestamp,
    domain::{
        ConversationId, GroupChange, GroupMember, GroupRefusal, GroupRules, Role, User, UserId,
        group::Changer,
    },
    store::{
        GroupBegun, Groups, MemberPage, NewGroup, OwnChange, OwnChanged, StoreError, Told,
        error::corrupt, identity_columns::user_columns, rows::cut,
    },
};

/// Where a member `m` stands in the list of members.
macro_rules! rank {
    () => {
        "CASE m.role WHEN 'owner' THEN 1 WHEN 'admin' THEN 2 ELSE 3 END"
    };
}

#[async_trait]
impl Groups for Db {
    async fn begin_group(&self, new: &NewGroup) -> Result<GroupBegun, StoreError> {
        let (new, now) = (new.clone(), self.now());
        self.transaction(move |c| async move { begin(c, new, now).await }.boxed()).await
    }

    async fn group_begun(&self, new: &NewGroup) -> Result<Option<GroupBegun>, StoreError> {
        let new = new.clone();
        self.read(move |c| async move { repeated(c, new).await }.boxed()).await
    }

    async fn change_group(
        &self,
        group: ConversationId,
        actor: UserId,
        change: &GroupChange,
        rules: GroupRules,
    ) -> Result<Result<Told, GroupRefusal>, StoreError> {
        let (change, now) = (change.clone(), self.now());
        self.transaction(move |c| {
            async move { change_group(c, group, Changer::Member(actor), change, rules, now).await }
                .boxed()
        })
        .await
    }

    async fn members(
        &self,
        user: UserId,
        group: ConversationId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Option<MemberPage>, StoreError> {
        self.read(move |c| {
            async move {
                let Some(members_version) = version_for(c, user, group).await? else {
                    return Ok(None);
                };
                let (rank, id) = match after {
                    None => (0, 0),
                    Some(after) => (rank_of(c, group, after).await?, after.get()),
                };
                let rows: Vec<MemberRow> = sqlx::query_as(concat!(
                    "SELECT ",
                    user_columns!("u"),
                    ", m.role, m.joined_at FROM members m
                     JOIN users u ON u.id = m.user_id
                     WHERE m.conversation_id = $1 AND m.state = 'member' AND (",
                    rank!(),
                    " > $2 OR ",
                    rank!(),
                    " = $2 AND m.user_id > $3)
                     ORDER BY ",
                    rank!(),
                    ", m.user_id LIMIT $4"
                ))
                .bind(group)
                .bind(rank)
                .bind(id)
                .bind(i64::from(limit) + 1)
                .fetch_all(c)
                .await?;
                let (rows, has_more) = cut(rows, limit);
                let members = rows.into_iter().map(MemberRow::into_member).collect();
                Ok(Some(MemberPage { members, has_more, members_version }))
            }
            .boxed()
        })
        .await
    }

    async fn few_members(
        &self,
        user: UserId,
        group: ConversationId,
        limit: u32,
    ) -> Result<Option<Vec<UserId>>, StoreError> {
        self.read(move |c| {
            async move {
                if version_for(c, user, group).await?.is_none() {
                    return Ok(None);
                }
                let members: Vec<UserId> = sqlx::query_scalar(
                    "SELECT m.user_id FROM members m JOIN conversations v ON v.id = m.conversation_id
                     WHERE m.conversation_id = $1 AND m.state = 'member' AND v.member_count <= $2",
                )
                .bind(group)
                .bind(i64::from(limit))
                .fetch_all(c)
                .await?;
                Ok(Some(members))
            }
            .boxed()
        })
        .await
    }

    async fn some_groups(
        &self,
        user: UserId,
        limit: u32,
    ) -> Result<Vec<ConversationId>, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT m.conversation_id FROM members m JOIN conversations v ON v.id = m.conversation_id
             WHERE m.user_id = $1 AND m.state = 'member' AND v.kind = 'group'
             ORDER BY m.conversation_id LIMIT $2",
        )
        .bind(user)
        .bind(i64::from(limit));
        Ok(self.read(|c| query.fetch_all(c).boxed()).await?)
    }

    async fn change_own(
        &self,
        user: UserId,
        conversation: ConversationId,
        change: &OwnChange,
        max_pinned: u32,
    ) -> Result<OwnChanged, StoreError> {
        let (change, now) = (change.clone(), self.now());
        self.transaction(move |c| {
            async move { change_own(c, user, conversation, change, max_pinned, now).await }.boxed()
        })
        .await
    }
}

#[derive(FromRow)]
struct MemberRow {
    #[sqlx(flatten)]
    user: User,
    role: Role,
    joined_at: Option<Timestamp>,
}

impl MemberRow {
    fn into_member(self) -> (User, GroupMember) {
        let Self { user, role, joined_at } = self;
        let member = GroupMember { user: user.id, role, joined_at: joined(joined_at) };
        (user, member)
    }
}

/// A group of the version before does not know since when its members are there.
pub(super) fn joined(at: Option<Timestamp>) -> Timestamp {
    at.unwrap_or(Timestamp::from_millis(0))
}

/// The version of a group's members, if the user is one of them.
pub(super) async fn version_for(
    connection: &mut Conn,
    user: UserId,
    group: ConversationId,
) -> sqlx::Result<Option<u32>> {
    let version: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(v.members_version AS BIGINT) FROM members m
         JOIN conversations v ON v.id = m.conversation_id
         WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.state = 'member' AND v.kind = 'group'",
    )
    .bind(group)
    .bind(user)
    .fetch_optional(connection)
    .await?;
    version.map(count).transpose()
}

pub(super) fn count(number: i64) -> sqlx::Result<u32> {
    u32::try_from(number).map_err(|_| corrupt("a count is negative"))
}

/// In which part of the list of members a user stands: among the last after having left, or been erased.
async fn rank_of(connection: &mut Conn, group: ConversationId, user: UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar(concat!(
        "SELECT coalesce((SELECT CAST(",
        rank!(),
        " AS BIGINT) FROM members m WHERE m.conversation_id = $1 AND m.user_id = $2), 3)"
    ))
    .bind(group)
    .bind(user)
    .fetch_one(connection)
    .await
}
