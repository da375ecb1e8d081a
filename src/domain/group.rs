//! Groups: roles, who may do what, and what a change makes of a group. No I/O.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::{
    SystemLine, TextError, UserId,
    characters::{is_visible, unfit_for_names},
    system_line::SystemEvent,
};
use crate::clock::Timestamp;

/// What a member is in a conversation. A greater role may do what a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One of all.
    Member,
    /// Keeps order: renames, adds, removes members, recalls anybody's chats.
    Admin,
    /// Gives roles, removes admins, and hands the group over. A group has one.
    Owner,
}

impl Role {
    /// The word of the wire and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads what [`Role::as_str`] writes.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Member, Self::Admin, Self::Owner].into_iter().find(|role| role.as_str() == word)
    }
}

/// What a group is called: 1 to 60 Unicode scalar values in NFC, by the rules of names of people. Clones share
/// the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 60)]
pub struct GroupTitle(Arc<str>);

impl GroupTitle {
    /// The most Unicode scalar values of a title.
    pub const MAX_CHARS: usize = 60;

    /// Trims a title that somebody gives, brings it to NFC, and checks it.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        let title: String = text.trim().nfc().take(Self::MAX_CHARS + 1).collect();
        if let Some(what) = unfit_for_names(&title) {
            return Err(TextError::Forbidden { what });
        }
        if title.chars().count() > Self::MAX_CHARS {
            return Err(TextError::TooLong { max: Self::MAX_CHARS });
        }
        if !title.chars().any(is_visible) {
            return Err(TextError::Invisible);
        }
        Ok(Self(title.into()))
    }

    /// A title as the database has it.
    pub fn stored(title: String) -> Self {
        Self(title.into())
    }

    /// The title.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who may add members to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhoMayAdd {
    /// Every member.
    Members,
    /// Its owner and admins.
    Admins,
}

/// Which chats of a group a new member may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupHistory {
    /// Those from the joining on.
    Joined,
    /// All.
    All,
}

/// The rules of all groups.
#[derive(Clone, Copy, Debug)]
pub struct GroupRules {
    /// The most members.
    pub max_members: usize,
    /// Who may add members.
    pub who_may_add: WhoMayAdd,
    /// What new members may read.
    pub history: GroupHistory,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Who it is.
    pub user: UserId,
    /// What this member is there.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A group, as far as a change must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What it is called.
    pub title: Option<GroupTitle>,
    /// Its members, in no order.
    pub members: Vec<GroupMember>,
}

/// What somebody wants to change of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// Call it by another name.
    Rename(GroupTitle),
    /// Add these users.
    Add(BTreeSet<UserId>),
    /// Remove this member; leave, if it is oneself.
    Remove(UserId),
    /// Give a member a role. [`Role::Owner`] hands the group over, and the former owner is an admin.
    SetRole(UserId, Role),
}

/// Why a group does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupRefusal {
    /// There is no such group, or the actor is no member of it.
    #[error("there is no group with this id of which the actor is a member")]
    NoMember,
    /// The actor's role does not allow it.
    #[error("the actor's role does not allow it")]
    Forbidden,
    /// The user whom it concerns is no member, or no user.
    #[error("there is no such user, or no such member")]
    NoSuchUser,
    /// It would have more members than a group may have.
    #[error("a group has at most {max} members")]
    TooMany {
        /// The most members.
        max: usize,
    },
}

/// What a change makes of a group. Empty: it is so already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDecision {
    /// Its new name.
    pub title: Option<GroupTitle>,
    /// Who becomes a member.
    pub joining: Vec<UserId>,
    /// Who is no member any more.
    pub leaving: Option<UserId>,
    /// Who gets which role.
    pub roles: Vec<(UserId, Role)>,
    /// What the group is told, in order.
    pub lines: Vec<SystemLine>,
}

/// Who changes a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changer {
    /// A member, as the member's role allows.
    Member(UserId),
    /// The service's own user, as a company's own back end asks. It is no member, and no role binds it.
    Service(UserId),
}

impl Changer {
    /// In whose name it is done.
    pub fn user(self) -> UserId {
        match self {
            Self::Member(user) | Self::Service(user) => user,
        }
    }
}

/// Decides what a change makes of a group. Whether those who join exist is not known here.
pub fn decide(
    Group { title, members }: &Group,
    by: Changer,
    change: &GroupChange,
    rules: GroupRules,
) -> Result<GroupDecision, GroupRefusal> {
    let actor = by.user();
    let role_of = |user| members.iter().find(|member| member.user == user).map(|it| it.role);
    // `None` is the service, which may do everything.
    let role = match by {
        Changer::Member(user) => Some(role_of(user).ok_or(GroupRefusal::NoMember)?),
        Changer::Service(_) => None,
    };
    let is_at_least = |least| role.is_none_or(|role| role >= least);
    let allow = |is_allowed: bool| if is_allowed { Ok(()) } else { Err(GroupRefusal::Forbidden) };
    let line = |event, users, title| SystemLine { event, actor, users, title };
    let mut decision = GroupDecision::default();
    match change {
        GroupChange::Rename(wanted) => {
            allow(is_at_least(Role::Admin))?;
            if title.as_ref() != Some(wanted) {
                decision.title = Some(wanted.clone());
                decision.lines.push(line(SystemEvent::Renamed, Vec::new(), Some(wanted.clone())));
            }
        }
        GroupChange::Add(users) => {
            allow(is_at_least(Role::Admin) || rules.who_may_add == WhoMayAdd::Members)?;
            let joining: Vec<_> =
                users.iter().copied().filter(|user| role_of(*user).is_none()).collect();
            if members.len() + joining.len() > rules.max_members {
                return Err(GroupRefusal::TooMany { max: rules.max_members });
            }
            if !joining.is_empty() {
                decision.lines.push(line(SystemEvent::MembersAdded, joining.clone(), None));
            }
            decision.joining = joining;
        }
        GroupChange::Remove(user) if by == Changer::Member(*user) => {
            decision.leaving = Some(actor);
            decision.lines.push(line(SystemEvent::MemberLeft, vec![actor], None));
            decision.lines.extend(inherit(members, actor, by, &mut decision.roles));
        }
        GroupChange::Remove(user) => {
            allow(is_at_least(Role::Admin))?;
            let other = role_of(*user).ok_or(GroupRefusal::NoSuchUser)?;
            allow(role.is_none_or(|role| role > other))?;
            decision.leaving = Some(*user);
            decision.lines.push(line(SystemEvent::MemberRemoved, vec![*user], None));
            decision.lines.extend(inherit(members, *user, by, &mut decision.roles));
        }
        GroupChange::SetRole(user, wanted) => {
            allow(is_at_least(Role::Owner))?;
            let other = role_of(*user).ok_or(GroupRefusal::NoSuchUser)?;
            if other == *wanted {
                return Ok(decision);
            }
            // The group would have no owner.
            allow(by != Changer::Member(*user))?;
            decision.roles.push((*user, *wanted));
            if *wanted == Role::Owner {
                let former = members.iter().filter(|member| member.role == Role::Owner);
                decision.roles.extend(former.map(|member| (member.user, Role::Admin)));
                decision.lines.push(line(SystemEvent::OwnerChanged, vec![*user], None));
            }
        }
    }
    Ok(decision)
}

/// Gives a group to its heir where whoever goes owns it, and tells that.
fn inherit(
    members: &[GroupMember],
    going: UserId,
    by: Changer,
    roles: &mut Vec<(UserId, Role)>,
) -> Option<SystemLine> {
    members.iter().find(|member| member.user == going && member.role == Role::Owner)?;
    let heir = heir(members, going)?;
    roles.push((heir, Role::Owner));
    let (event, users) = (SystemEvent::OwnerChanged, vec![heir]);
    Some(SystemLine { event, actor: by.user(), users, title: None })
}

/// Who owns a group after its owner has left: the oldest admin, else the oldest member.
fn heir(members: &[GroupMember], owner: UserId) -> Option<UserId> {
    let others = members.iter().filter(|member| member.user != owner);
    others.max_by_key(|it| (it.role, std::cmp::Reverse((it.joined_at, it.user)))).map(|it| it.user)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: GroupRules = GroupRules {
        max_members: 5,
        who_may_add: WhoMayAdd::Members,
        history: GroupHistory::Joined,
    };

    fn user(id: i64) -> UserId {
        UserId::new(id).unwrap()
    }

    /// 1 owns it, 2 and 3 are admins, of whom 3 is older, 4 is a member.
    fn group() -> Group {
        let roles =
            [(1, Role::Owner, 0), (2, Role::Admin, 9), (3, Role::Admin, 5), (4, Role::Member, 1)];
        let member = |(id, role, at)| GroupMember {
            user: user(id),
            role,
            joined_at: Timestamp::from_millis(at),
        };
        Group { title: None, members: roles.map(member).to_vec() }
    }

    fn decided(actor: i64, change: &GroupChange) -> Result<GroupDecision, GroupRefusal> {
        decide(&group(), Changer::Member(user(actor)), change, RULES)
    }

    #[test]
    fn a_role_may_what_it_may() {
        use GroupChange::{Add, Remove, Rename, SetRole};
        let title = GroupTitle::parse("a").unwrap();
        let add = Add(BTreeSet::from([user(9)]));
        // The change, and whether the owner, an admin, a member and a stranger may do it.
        let table = [
            (Rename(title), [true, true, false]),
            (add, [true, true, true]),
            (Remove(user(4)), [true, true, true]),
            (Remove(user(3)), [true, false, false]),
            (Remove(user(1)), [true, false, false]),
            (SetRole(user(4), Role::Admin), [true, false, false]),
            (SetRole(user(2), Role::Member), [true, false, false]),
            (SetRole(user(2), Role::Owner), [true, false, false]),
        ];
        for (change, may) in table {
            for (actor, may) in [1, 2, 4].into_iter().zip(may) {
                let decided = decided(actor, &change);
                let wanted = if may { None } else { Some(GroupRefusal::Forbidden) };
                assert_eq!(decided.err(), wanted, "{actor} {change:?}");
            }
            assert_eq!(decided(8, &change), Err(GroupRefusal::NoMember));
        }
        let admins = GroupRules { who_may_add: WhoMayAdd::Admins, ..RULES };
        let add = Add(BTreeSet::from([user(9)]));
        let by = |id| Changer::Member(user(id));
        assert_eq!(decide(&group(), by(4), &add, admins), Err(GroupRefusal::Forbidden));
        assert!(decide(&group(), by(3), &add, admins).is_ok());
        let service = decide(&group(), Changer::Service(user(8)), &add, admins).unwrap();
        assert_eq!((service.joining, service.lines[0].actor), (vec![user(9)], user(8)));
    }

    #[test]
    fn the_service_is_bound_by_no_role_and_leaves_no_group_without_an_owner() {
        use GroupChange::{Add, Remove, Rename, SetRole};
        let by = Changer::Service(user(8));
        let decided = |change: &GroupChange| decide(&group(), by, change, RULES);
        let renamed = decided(&Rename(GroupTitle::parse("a").unwrap())).unwrap();
        assert_eq!(renamed.lines[0].actor, user(8));
        let removed = decided(&Remove(user(1))).unwrap();
        assert_eq!((removed.leaving, removed.roles), (Some(user(1)), vec![(user(3), Role::Owner)]));
        assert_eq!(removed.lines.len(), 2);
        assert_eq!(decided(&Remove(user(8))), Err(GroupRefusal::NoSuchUser));
        let given = decided(&SetRole(user(4), Role::Owner)).unwrap();
        assert_eq!(given.roles, [(user(4), Role::Owner), (user(1), Role::Admin)]);
        let six = Add([5, 6].into_iter().map(user).collect());
        assert_eq!(decided(&six), Err(GroupRefusal::TooMany { max: 5 }), "a bound binds it too");
    }

    #[test]
    fn an_owner_who_leaves_hands_over_to_the_oldest_admin_else_the_oldest_member() {
        let decision = decided(1, &GroupChange::Remove(user(1))).unwrap();
        assert_eq!(
            (decision.leaving, decision.roles),
            (Some(user(1)), vec![(user(3), Role::Owner)])
        );
        let mut group = group();
        group.members.retain(|member| member.role != Role::Admin);
        group.members.push(GroupMember { user: user(7), ..group.members[1] });
        let leave = GroupChange::Remove(user(1));
        let by = Changer::Member(user(1));
        let decision = decide(&group, by, &leave, RULES).unwrap();
        assert_eq!(decision.roles, [(user(4), Role::Owner)]);
        group.members.truncate(1);
        let decision = decide(&group, by, &leave, RULES).unwrap();
        assert_eq!(decision.roles, [], "nobody is left");
    }

    #[test]
    fn a_group_is_full_at_its_bound_and_nobody_joins_twice() {
        let add = |ids: &[i64]| GroupChange::Add(ids.iter().map(|id| user(*id)).collect());
        assert_eq!(decided(1, &add(&[2, 4])), Ok(GroupDecision::default()));
        assert_eq!(decided(1, &add(&[4, 9])).unwrap().joining, [user(9)]);
        assert_eq!(decided(1, &add(&[8, 9])), Err(GroupRefusal::TooMany { max: 5 }));
    }

    #[test]
    fn a_group_has_one_owner() {
        let decision = decided(1, &GroupChange::SetRole(user(4), Role::Owner)).unwrap();
        assert_eq!(decision.roles, [(user(4), Role::Owner), (user(1), Role::Admin)]);
        let unowned = GroupChange::SetRole(user(1), Role::Member);
        assert_eq!(decided(1, &unowned), Err(GroupRefusal::Forbidden));
        let nobody = GroupChange::SetRole(user(9), Role::Admin);
        assert_eq!(decided(1, &nobody), Err(GroupRefusal::NoSuchUser));
    }
}
