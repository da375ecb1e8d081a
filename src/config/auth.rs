//! Settings of logins and sessions.

use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::values::{list, optional_http_url, optional_number, secs};
use crate::{
    identity::{Algorithm, JwtKey},
    secret::Secret,
};

/// Logins and sessions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Whether a name is enough to log in.
    pub demo_login: bool,
    /// Whether the legacy routes trust the user id that they are given.
    pub anonymous: bool,
    /// How long an unused session lives.
    #[serde(rename = "idle_secs", deserialize_with = "secs::<1, 315_360_000, _>")]
    pub idle: Duration,
    /// How long any session lives.
    #[serde(rename = "max_secs", deserialize_with = "secs::<1, 315_360_000, _>")]
    pub max: Duration,
    /// Logins by JWTs.
    pub jwt: Jwt,
    /// Logins by UserSigs.
    pub usersig: UserSig,
}

/// Logins by JWTs of a company's own back end; all of it empty: none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// What `iss` must be.
    pub issuer: String,
    /// What must be in `aud`.
    pub audience: String,
    /// How tokens may be signed.
    #[serde(deserialize_with = "list")]
    pub algorithms: Vec<Algorithm>,
    /// Where the issuer has its keys.
    #[serde(deserialize_with = "optional_http_url")]
    pub jwks_url: Option<Url>,
    /// Keys besides.
    pub keys: Vec<JwtKey>,
}

/// Logins by UserSigs of Tencent's chat service; empty: none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSig {
    /// The app's `SDKAppID`.
    #[serde(deserialize_with = "optional_number")]
    pub app_id: Option<u64>,
    /// The app's secret.
    pub secret: Secret,
}
