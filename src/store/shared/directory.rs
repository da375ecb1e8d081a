//! Finding people.

use async_trait::async_trait;
use futures_util::FutureExt;
use sqlx::FromRow;

use super::{Db, sql, standings::read_restriction};
use crate::{
    clock::Timestamp,
    domain::{User, UserId, UserName},
    store::{
        Directory, KnownPerson, PersonPage, StoreError,
        identity_columns::user_columns,
        rows::{cut, end_of_prefix},
    },
};

/// People of whom the rest holds, with the restriction that is in force at `$1`.
macro_rules! people {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            user_columns!("u"),
            ", u.created_at, r.kind AS restriction, r.until, r.reason
             FROM users u LEFT JOIN restrictions r ON r.user_id = u.id
                 AND (r.until IS NULL OR r.until > ",
            sql!(now "$1"),
            ") WHERE u.kind = 'person' AND u.erased_at IS NULL AND ",
            $rest
        )
    };
}

#[derive(FromRow)]
struct PersonRow {
    #[sqlx(flatten)]
    user: User,
    created_at: Timestamp,
    restriction: Option<String>,
    until: Option<Timestamp>,
    reason: Option<String>,
}

impl PersonRow {
    fn into_person(self) -> sqlx::Result<KnownPerson> {
        let Self { user, created_at, restriction, until, reason } = self;
        let restriction = restriction.map(|kind| read_restriction((kind, until))).transpose()?;
        Ok(KnownPerson { user, created_at, restriction, reason })
    }
}

#[async_trait]
impl Directory for Db {
    async fn find_people(
        &self,
        prefix: &str,
        after: Option<(&UserName, UserId)>,
        limit: u32,
    ) -> Result<PersonPage, StoreError> {
        const BETWEEN: &str =
            people!("(u.name, u.id) > ($2, $3) AND u.name < $5 ORDER BY u.name, u.id LIMIT $4");
        const FROM: &str = people!("(u.name, u.id) > ($2, $3) ORDER BY u.name, u.id LIMIT $4");
        // Postgres refuses it in a text, so no name has it.
        if prefix.contains('\0') {
            return Ok(PersonPage { people: Vec::new(), has_more: false });
        }
        // No id is 0: whoever is called like the prefix comes after it.
        let (name, id) = after.map_or((prefix, 0), |(name, id)| (name.as_str(), id.get()));
        let (name, end, now) = (name.to_owned(), end_of_prefix(prefix), self.now());
        self.read(move |c| {
            async move {
                let query = sqlx::query_as(if end.is_some() { BETWEEN } else { FROM });
                let query = query.bind(now).bind(name).bind(id).bind(i64::from(limit) + 1);
                let query = if let Some(end) = end { query.bind(end) } else { query };
                let rows: Vec<PersonRow> = query.fetch_all(c).await?;
                let (rows, has_more) = cut(rows, limit);
                let people = rows.into_iter().map(PersonRow::into_person);
                Ok(PersonPage { people: people.collect::<sqlx::Result<_>>()?, has_more })
            }
            .boxed()
        })
        .await
    }

    async fn person(&self, user: UserId) -> Result<Option<KnownPerson>, StoreError> {
        let now = self.now();
        self.read(move |c| {
            async move {
                let query = sqlx::query_as(people!("u.id = $2")).bind(now).bind(user);
                let row: Option<PersonRow> = query.fetch_optional(c).await?;
                row.map(PersonRow::into_person).transpose()
            }
            .boxed()
        })
        .await
    }
}
