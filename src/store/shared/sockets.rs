//! Which sockets must close.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{Db, ids, sql};
use crate::{
    domain::{ConnectionId, UserId},
    store::{Handshakes, Sockets, StoreError},
};

#[async_trait]
impl Sockets for Db {
    async fn close_sockets(&self, user: UserId) -> Result<ConnectionId, StoreError> {
        let up_to = self.next_connection().await?;
        // Of two calls at a time, the one that writes second may have drawn the lower id.
        let query = sqlx::query_scalar(concat!(
            "INSERT INTO closes (user_id, up_to) VALUES ($1, $2)
                 ON CONFLICT (user_id) DO UPDATE SET up_to = ",
            sql!(greatest "closes.up_to, excluded.up_to"),
            " RETURNING up_to"
        ))
        .bind(user)
        .bind(up_to);
        self.write(|c| query.fetch_one(c).boxed()).await
    }

    async fn socket_closures(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, ConnectionId>, StoreError> {
        let query = sqlx::query_as(concat!(
            "SELECT user_id, up_to FROM closes WHERE user_id ",
            sql!(in "$1")
        ))
        .bind(ids(users));
        let rows: Vec<(UserId, ConnectionId)> = self.read(|c| query.fetch_all(c).boxed()).await?;
        Ok(rows.into_iter().collect())
    }
}
