//! What people do in a load beside sending.

/// A group of a load.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its conversation.
    pub id: i64,
    /// Who is a member when the first book begins.
    pub members: Vec<i64>,
}

/// Something that somebody asks the service for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Have this user join a group.
    Join { group: i64, user: i64 },
    /// Have this user leave a group.
    Leave { group: i64, user: i64 },
    /// Take back the words of this chat, for all.
    Recall { chat: i64 },
    /// Have this chat gone for this user alone.
    Delete { user: i64, chat: i64 },
}

/// A change that somebody asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub change: Change,
    /// Whether the service said that it is done. Otherwise it may have been done all the same.
    pub is_done: bool,
}

/// All groups and changes of a load.
///
/// Whoever joins was no member when it was asked, and whoever leaves was one: each makes one line.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub groups: Vec<Group>,
    pub asked: Vec<Asked>,
}
