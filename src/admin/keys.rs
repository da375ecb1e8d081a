//! Keys of the server API, as whoever has all scopes makes and revokes them.

use super::Admin;
use crate::{
    auth::api_key::ApiKeySecret,
    domain::{ApiKey, ApiKeyId, ApiKeyName, Scopes},
    protocol::fault::{ApiError, ErrorCode},
};

impl Admin {
    /// All keys that were ever made, the oldest first.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, ApiError> {
        Ok(self.store.api_keys().await?)
    }

    /// Makes a key. Its secret is known to nobody but the caller.
    pub async fn make_key(
        &self,
        name: &ApiKeyName,
        scopes: &Scopes,
    ) -> Result<(ApiKeyId, ApiKeySecret), ApiError> {
        let secret = ApiKeySecret::random();
        let id = self.store.create_api_key(name, secret.hash(), scopes, false).await?;
        Ok((id, secret))
    }

    /// Revokes a key for good.
    pub async fn revoke_key(&self, id: ApiKeyId) -> Result<(), ApiError> {
        if self.store.revoke_api_key(id, false).await? {
            return Ok(());
        }
        Err(ApiError::new(ErrorCode::NotFound, format!("there is no key {id} that is good")))
    }
}
