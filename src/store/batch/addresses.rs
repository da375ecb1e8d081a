//! Where the chats of a batch go, and who is a member there.

use std::collections::{BTreeSet, HashMap};

use smallvec::SmallVec;

use crate::{
    domain::{ConversationId, Destination, Mentions, UserId},
    store::{Appended, NewChat, error::corrupt},
};

/// The users of a direct conversation, the lower id first.
pub(in crate::store) type Pair = (UserId, UserId);

/// Which sides of a direct conversation write in it, or have written: both, where they are the same user.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Sides {
    pub(in crate::store) low: bool,
    pub(in crate::store) high: bool,
}

impl Sides {
    /// Whether others have them all.
    pub(in crate::store) fn are_in(self, others: Self) -> bool {
        (others.low || !self.low) && (others.high || !self.high)
    }
}

/// A direct conversation, and which sides have written in it as far as is known: more may have.
pub(in crate::store) struct Talk {
    pub(in crate::store) id: ConversationId,
    pub(in crate::store) wrote: Sides,
}

/// Direct conversations by their users.
pub(in crate::store) type Talks = HashMap<Pair, Talk>;

/// A direct conversation: id, lower user, higher user, which of them have written.
pub(in crate::store) type TalkRow = (ConversationId, UserId, UserId, bool, bool);

/// Rows of direct conversations.
pub(in crate::store) fn talks(rows: Vec<TalkRow>) -> Talks {
    rows.into_iter()
        .map(|(id, low_user, high_user, low, high)| {
            ((low_user, high_user), Talk { id, wrote: Sides { low, high } })
        })
        .collect()
}

/// A conversation that a sender named by its id.
pub(in crate::store) enum Named {
    Direct(Pair),
    /// Any other kind.
    Group(Members),
}

/// The members of a conversation, in ascending id.
#[derive(Default)]
pub(in crate::store) struct Members {
    all: Vec<UserId>,
    /// Those who keep order: the owner and the admins.
    managers: Vec<UserId>,
}

impl Members {
    fn has(&self, user: UserId) -> bool {
        self.all.binary_search(&user).is_ok()
    }
}

/// The conversations that senders named by their ids. An id of none is not among them.
pub(in crate::store) type NamedConversations = HashMap<ConversationId, Named>;

/// A conversation: id, and the two users of a direct one.
pub(in crate::store) type NamedRow = (ConversationId, Option<UserId>, Option<UserId>);

/// Rows of conversations.
pub(in crate::store) fn named(rows: Vec<NamedRow>) -> NamedConversations {
    rows.into_iter()
        .map(|(id, low, high)| {
            (id, low.zip(high).map_or(Named::Group(Members::default()), Named::Direct))
        })
        .collect()
}

/// Adds the members of groups, from rows in ascending id of the user: conversation, user, whether the user keeps
/// order there.
pub(in crate::store) fn add_members(
    named: &mut NamedConversations,
    rows: Vec<(ConversationId, UserId, bool)>,
) -> sqlx::Result<()> {
    for (conversation, user, is_manager) in rows {
        match named.get_mut(&conversation) {
            Some(Named::Group(members)) => {
                members.all.push(user);
                members.managers.extend(is_manager.then_some(user));
            }
            _ => return Err(corrupt("members of a conversation that was not asked for")),
        }
    }
    Ok(())
}

/// The groups among these conversations.
pub(in crate::store) fn groups(named: &NamedConversations) -> Vec<ConversationId> {
    let groups = named.iter().filter(|(_, named)| matches!(named, Named::Group(_)));
    groups.map(|(id, _)| *id).collect()
}

/// The conversations that senders name by their ids.
pub(in crate::store) fn named_ids(batch: &[NewChat]) -> BTreeSet<ConversationId> {
    let named = batch.iter().filter_map(|chat| match chat.destination {
        Destination::Conversation(id) => Some(id),
        Destination::Direct(_) => None,
    });
    named.collect()
}

/// The conversation that a chat goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) enum Address {
    /// The direct one of two users, which may not have begun.
    Direct(Pair),
    /// Any other, of which the sender may write in.
    Group(ConversationId),
}

impl Address {
    /// Where a chat goes; `None` if there is no such conversation for its sender. `is_system`: whether a
    /// user is the service's own, who writes anywhere.
    pub(super) fn of(
        chat: &NewChat,
        named: &NamedConversations,
        is_system: impl Fn(UserId) -> bool,
    ) -> Option<Self> {
        let sender = chat.sender;
        match chat.destination {
            Destination::Direct(target) => {
                Some(Self::Direct((sender.min(target), sender.max(target))))
            }
            Destination::Conversation(id) => match named.get(&id)? {
                Named::Direct(pair) => {
                    (pair.0 == sender || pair.1 == sender).then_some(Self::Direct(*pair))
                }
                Named::Group(members) => {
                    (members.has(sender) || is_system(sender)).then_some(Self::Group(id))
                }
            },
        }
    }

    /// Its members, in ascending id.
    pub(super) fn members(self, named: &NamedConversations) -> SmallVec<[UserId; 2]> {
        match self {
            Self::Direct((low, high)) if low == high => SmallVec::from_slice(&[low]),
            Self::Direct((low, high)) => SmallVec::from_buf([low, high]),
            Self::Group(id) => match named.get(&id) {
                Some(Named::Group(members)) => SmallVec::from_slice(&members.all),
                _ => SmallVec::new(),
            },
        }
    }

    /// Whether a chat may call these by name: members; all of them only by whoever keeps order, and not of
    /// two.
    pub(super) fn may_mention(
        self,
        sender: UserId,
        mentions: &Mentions,
        named: &NamedConversations,
    ) -> Result<(), Appended> {
        match (mentions, self) {
            (Mentions::All, Self::Direct(_)) => Err(Appended::MentionInvalid),
            (Mentions::All, Self::Group(id)) => match named.get(&id) {
                Some(Named::Group(members)) if !members.managers.contains(&sender) => {
                    Err(Appended::MentionForbidden)
                }
                _ => Ok(()),
            },
            (Mentions::Users(users), address) => {
                let members = address.members(named);
                let is_member = |user| members.binary_search(user).is_ok();
                users.iter().all(is_member).then_some(()).ok_or(Appended::MentionInvalid)
            }
        }
    }
}

/// The users whom a batch names, and the members of the groups that it names.
pub(in crate::store) fn users(batch: &[NewChat], named: &NamedConversations) -> BTreeSet<UserId> {
    let mut users: BTreeSet<_> = batch.iter().map(|chat| chat.sender).collect();
    users.extend(batch.iter().filter_map(|chat| match chat.destination {
        Destination::Direct(target) => Some(target),
        Destination::Conversation(_) => None,
    }));
    for named in named.values() {
        match named {
            Named::Direct((low, high)) => users.extend([*low, *high]),
            Named::Group(members) => users.extend(&members.all),
        }
    }
    users
}

/// Between whom the direct chats of a batch are.
pub(in crate::store) fn pairs(batch: &[NewChat], named: &NamedConversations) -> BTreeSet<Pair> {
    let addresses = batch.iter().filter_map(|chat| Address::of(chat, named, |_| false));
    let pairs = addresses.filter_map(|address| match address {
        Address::Direct(pair) => Some(pair),
        Address::Group(_) => None,
    });
    pairs.collect()
}
