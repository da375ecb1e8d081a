//! Settings of how much one may do.

use serde::Deserialize;

use super::values::within;

/// Rate limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Whether there are any.
    pub enabled: bool,
    /// Sends of a user in a second.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub sends_per_sec: u32,
    /// Sends of a user at once.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub send_burst: u32,
    /// Conversations that a user begins in a day.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub new_conversations_per_day: u32,
    /// Reads of a user over HTTP in a second.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub history_per_sec: u32,
    /// Reads of a user over HTTP at once.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub history_burst: u32,
    /// Questions of a user who is online, in a second.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub presence_per_sec: u32,
    /// Questions of a user who is online, at once.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub presence_burst: u32,
    /// Changes of a user over HTTP that are no sends, in a second.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub writes_per_sec: u32,
    /// Changes of a user over HTTP that are no sends, at once.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub write_burst: u32,
    /// Pictures that a user uploads in a minute.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub avatars_per_min: u32,
    /// MiB that a user uploads in a day.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub upload_mb_per_day: u32,
    /// Logins of a user in a minute.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub logins_per_min: u32,
    /// Sockets of a user that open in a minute.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub handshakes_per_min: u32,
    /// Frames of a socket in a second.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub frames_per_sec: u32,
    /// Failed logins and handshakes of an address in a minute.
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub failures_per_min: u32,
}
