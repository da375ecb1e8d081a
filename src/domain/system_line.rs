//! Lines of the service: what happened to a group, as a chat that tells it.

use serde_json::{Map, Value, json};

use super::{GroupTitle, UserId, UserName};

/// What a system line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemEvent {
    /// The group begins.
    GroupCreated,
    /// Members were added.
    MembersAdded,
    /// A member left.
    MemberLeft,
    /// A member was removed.
    MemberRemoved,
    /// The group has another name.
    Renamed,
    /// The group has another owner.
    OwnerChanged,
}

/// A line that the service writes into a group, in the name of whoever did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemLine {
    /// What happened.
    pub event: SystemEvent,
    /// Who did it.
    pub actor: UserId,
    /// Whom it concerns.
    pub users: Vec<UserId>,
    /// The group's name.
    pub title: Option<GroupTitle>,
}

/// How many people a line calls by name.
const NAMES: usize = 10;

impl SystemLine {
    /// The users whose names it needs.
    pub fn named(&self) -> impl Iterator<Item = UserId> {
        self.users.iter().copied().take(NAMES).chain([self.actor])
    }

    /// What it says in plain text. `name`: what a user is called.
    pub fn text(&self, name: impl Fn(UserId) -> UserName) -> String {
        let names: Vec<_> = self.users.iter().take(NAMES).map(|user| name(*user)).collect();
        let mut users = names.iter().map(UserName::as_str).collect::<Vec<_>>().join("、");
        if self.users.len() > NAMES {
            users = format!("{users}等 {} 人", self.users.len());
        }
        let actor = name(self.actor);
        let (actor, title) = (actor.as_str(), self.title.as_ref().map(GroupTitle::as_str));
        match self.event {
            SystemEvent::GroupCreated => format!("{actor}创建了群聊"),
            SystemEvent::MembersAdded => format!("{actor}邀请{users}加入了群聊"),
            SystemEvent::MemberLeft => format!("{users}退出了群聊"),
            SystemEvent::MemberRemoved => format!("{actor}将{users}移出了群聊"),
            SystemEvent::Renamed => format!("{actor}将群名改为“{}”", title.unwrap_or_default()),
            SystemEvent::OwnerChanged => format!("{users}成为群主"),
        }
    }

    /// What it says to programs: `event`, `actorId`, `userIds`, the first `names`, `title`.
    pub fn body(&self, name: impl Fn(UserId) -> UserName) -> Value {
        let event = match self.event {
            SystemEvent::GroupCreated => "group_created",
            SystemEvent::MembersAdded => "members_added",
            SystemEvent::MemberLeft => "member_left",
            SystemEvent::MemberRemoved => "member_removed",
            SystemEvent::Renamed => "renamed",
            SystemEvent::OwnerChanged => "owner_changed",
        };
        let mut body = Map::new();
        body.insert("event".to_owned(), event.into());
        body.insert("actorId".to_owned(), json!(self.actor));
        if !self.users.is_empty() {
            let names: Vec<_> = self.users.iter().take(NAMES).map(|user| name(*user)).collect();
            body.insert("userIds".to_owned(), json!(self.users));
            body.insert("names".to_owned(), json!(names));
        }
        if let Some(title) = &self.title {
            body.insert("title".to_owned(), json!(title));
        }
        body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: i64) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn a_line_names_the_first_and_counts_the_rest() {
        let name = |user: UserId| UserName::placeholder(user.get());
        let line = |event, users: std::ops::Range<i64>| SystemLine {
            event,
            actor: user(1),
            users: users.map(user).collect(),
            title: GroupTitle::parse(" 周末爬山 ").ok(),
        };
        let added = line(SystemEvent::MembersAdded, 2..4);
        assert_eq!(added.text(name), "用户1邀请用户2、用户3加入了群聊");
        let many = line(SystemEvent::MembersAdded, 2..502);
        assert!(many.text(name).ends_with("用户11等 500 人加入了群聊"));
        let body = many.body(name);
        assert_eq!(body["userIds"].as_array().unwrap().len(), 500);
        assert_eq!(body["names"].as_array().unwrap().len(), NAMES);
        assert_eq!(body["title"], "周末爬山");
        assert!(body.to_string().len() < 16_384);
        assert_eq!(line(SystemEvent::Renamed, 0..0).text(name), "用户1将群名改为“周末爬山”");
    }
}
