//! Identities as every database has them.

use sqlx::FromRow;

use super::error::corrupt;
use crate::domain::{Identity, Provider, User};

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

/// The provider of unionids, which is less than that of any mini program.
pub(super) const UNIONID: &str = "unionid";

/// The user with the subject `$1` at the provider `$2`, or else at `$3`, which is not greater than `$2`; and
/// the one with the unionid `$4`, and whether that one has an identity at `$2` too.
pub(super) const FIND: &str = concat!(
    "SELECT ",
    user_columns!("u"),
    ", i.provider = 'unionid' AS by_unionid,
         EXISTS (SELECT 1 FROM identities o WHERE o.user_id = u.id AND o.provider = $2) AS is_here
     FROM identities i JOIN users u ON u.id = i.user_id
     WHERE i.subject = $1 AND i.provider IN ($2, $3)
         OR i.subject = $4 AND i.provider = 'unionid'
     ORDER BY i.provider DESC"
);

/// A row of [`FIND`].
#[derive(FromRow)]
pub(super) struct FoundRow {
    #[sqlx(flatten)]
    user: User,
    by_unionid: bool,
    is_here: bool,
}

/// What the database knows of an identity.
pub(super) enum Found<'a> {
    /// The user, who has all of it.
    Known(User),
    /// The user, who has but a part of it. Nobody has this.
    Lacking { user: User, provider: &'a str, subject: &'a str },
    /// Nobody, nor the unionid that goes with it.
    Nobody { unionid: Option<&'a str> },
}

/// An identity in columns.
#[derive(Clone)]
pub(super) struct IdentityColumns {
    pub(super) provider: String,
    /// The provider of those whom a replica of the version before has made, or of whom only its columns
    /// tell: it knew one mini program, and its openids do not say which. Every mini program counts as
    /// that one. That mixes nobody up: WeChat makes openids of the user and the mini program, so those of
    /// another one are other texts. Where that version knew none, the provider itself.
    pub(super) before: &'static str,
    pub(super) subject: String,
    pub(super) unionid: Option<String>,
    /// The column of `users` by which the version before finds the user.
    column: Option<Column>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    DemoName,
    Openid,
}

impl IdentityColumns {
    /// What the rows of [`FIND`] say.
    pub(super) fn found(&self, rows: Vec<FoundRow>) -> Found<'_> {
        let unionid = self.unionid.as_deref();
        let (by_unionid, own): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.by_unionid);
        let (own, by_unionid) = (own.into_iter().next(), by_unionid.into_iter().next());
        match (own, by_unionid, unionid) {
            (Some(row), None, Some(unionid)) => {
                Found::Lacking { user: row.user, provider: UNIONID, subject: unionid }
            }
            (Some(row), ..) => Found::Known(row.user),
            // WeChat gives a user one openid in each mini program: this is somebody else.
            (None, Some(row), _) if row.is_here => Found::Nobody { unionid: None },
            (None, Some(row), _) => {
                Found::Lacking { user: row.user, provider: &self.provider, subject: &self.subject }
            }
            (None, None, unionid) => Found::Nobody { unionid },
        }
    }

    pub(super) fn of(identity: &Identity) -> Self {
        let (before, column) = match identity.provider() {
            Provider::Demo => ("demo", Some(Column::DemoName)),
            Provider::External => ("external", None),
            Provider::Wechat(_) => ("wechat", Some(Column::Openid)),
        };
        let subject = identity.subject().to_owned();
        let unionid = identity.unionid().map(str::to_owned);
        Self { provider: identity.provider().to_string(), before, subject, unionid, column }
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
