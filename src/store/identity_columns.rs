//! Identities as every database has them.

use super::error::corrupt;
use crate::domain::{Identity, Provider};

/// The columns of a `UserRow`, of a table of users called so.
macro_rules! user_columns {
    ($users:literal) => {
        concat!(
            $users,
            ".id, ",
            $users,
            ".name, ",
            $users,
            ".avatar, ",
            $users,
            ".avatar_url, ",
            $users,
            ".public_profile, (SELECT min(e.subject) FROM identities e WHERE e.user_id = ",
            $users,
            ".id AND e.provider = 'external') AS external_id"
        )
    };
}
pub(super) use user_columns;

/// The user with the subject `$1` at the provider `$2`, or else at `$3`, which is less than `$2`.
pub(super) const FIND: &str = concat!(
    "SELECT ",
    user_columns!("u"),
    " FROM identities i JOIN users u ON u.id = i.user_id
     WHERE i.subject = $1 AND i.provider IN ($2, $3)
     ORDER BY i.provider DESC LIMIT 1"
);

/// An identity in columns.
pub(super) struct IdentityColumns {
    pub(super) provider: String,
    /// The provider of those whom a replica of the version before has made, or of whom only its columns
    /// tell: it knew one mini program, and its openids do not say which. Every mini program counts as
    /// that one. That mixes nobody up: WeChat makes openids of the user and the mini program, so those of
    /// another one are other texts.
    pub(super) before: &'static str,
    pub(super) subject: String,
    /// The column of `users` by which the version before finds the user.
    column: Option<Column>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    DemoName,
    Openid,
}

impl IdentityColumns {
    pub(super) fn of(identity: &Identity) -> Self {
        let (before, column) = match identity.provider() {
            Provider::Demo => ("demo", Some(Column::DemoName)),
            Provider::External => ("external", None),
            Provider::Wechat(_) => ("wechat", Some(Column::Openid)),
        };
        let subject = identity.subject().to_owned();
        Self { provider: identity.provider().to_string(), before, subject, column }
    }

    /// `users.demo_name`, by which the version before finds the user.
    pub(super) fn demo_name(&self) -> Option<&str> {
        (self.column == Some(Column::DemoName)).then_some(&self.subject)
    }

    /// `users.openid`, by which the version before finds the user.
    pub(super) fn openid(&self) -> Option<&str> {
        (self.column == Some(Column::Openid)).then_some(&self.subject)
    }
}

/// The error where somebody has the columns, and nobody the identity.
pub(super) fn lost() -> sqlx::Error {
    corrupt("a user with a demo name or an openid has no identity")
}
