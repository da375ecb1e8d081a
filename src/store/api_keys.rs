//! The contract about the keys of the server API, and about what is done with them.

use async_trait::async_trait;

use super::{StoreError, TokenHash};
use crate::{
    clock::Timestamp,
    domain::{ApiKey, ApiKeyId, ApiKeyName, AuditId, Scopes, UserId},
};

/// Keys of the server API. What is done `by_hand`, by the command line, is noted in the audit log in the same
/// transaction.
#[async_trait]
pub trait ApiKeys {
    /// Makes a key with this secret.
    async fn create_api_key(
        &self,
        name: &ApiKeyName,
        secret: TokenHash,
        scopes: &Scopes,
        by_hand: bool,
    ) -> Result<ApiKeyId, StoreError>;

    /// The key with this secret, if it is good. Notes that it is used, once a minute at most.
    async fn api_key(&self, secret: TokenHash) -> Result<Option<ApiKey>, StoreError>;

    /// All keys that were ever made, the oldest first.
    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key for good. `false`: there is none with this id that is good.
    async fn revoke_api_key(&self, id: ApiKeyId, by_hand: bool) -> Result<bool, StoreError>;
}

/// What somebody did by the server API or the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Rises in the order in which acts begin.
    pub id: AuditId,
    /// The key, and what it is called; `None`: it was the command line, or a machine.
    pub key: Option<(ApiKeyId, ApiKeyName)>,
    /// The machine that did it by itself, such as `words`.
    pub machine: Option<String>,
    /// What was done.
    pub action: String,
    /// Ids of what it was about; `None`: none was found.
    pub subject: Option<String>,
    /// Why it was done, if whoever did it said so.
    pub reason: Option<String>,
    /// `ok`, or the code of the error; `None`: it has not ended, or nobody knows how.
    pub outcome: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
}

/// What a machine decided about something that a user wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineAct {
    machine: &'static str,
    action: &'static str,
    user: UserId,
    why: String,
}

impl MachineAct {
    /// What this machine did with something that this user wrote. `why` names the reason in words that nobody wrote.
    pub fn new(machine: &'static str, action: &'static str, user: UserId, why: &str) -> Self {
        Self { machine, action, user, why: why.to_owned() }
    }

    /// The machine.
    pub fn machine(&self) -> &'static str {
        self.machine
    }

    /// What it did.
    pub fn action(&self) -> &'static str {
        self.action
    }

    /// What it was about, for the log, where it happened so many times.
    pub fn subject(&self, times: u32) -> String {
        let Self { user, why, .. } = self;
        let times = if times > 1 { format!(" times:{times}") } else { String::new() };
        format!("user:{user} {why}{times}")
    }
}

/// Entries of the audit log, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// The audit log. It is added to and shortened at its beginning, and never says what any user wrote.
#[async_trait]
pub trait AuditLog {
    /// Notes that an act begins, and why if that is said. No key: by the command line.
    async fn begin_act(
        &self,
        key: Option<ApiKeyId>,
        action: &str,
        subject: Option<&str>,
        reason: Option<&str>,
    ) -> Result<AuditId, StoreError>;

    /// Notes what machines did, and how many times each: an entry for each of these, which has ended.
    async fn note_machine_acts(&self, acts: &[(MachineAct, u32)]) -> Result<(), StoreError>;

    /// Notes what an act was about and how it ended, once.
    async fn end_act(
        &self,
        id: AuditId,
        subject: Option<&str>,
        outcome: &str,
    ) -> Result<(), StoreError>;

    /// The newest `limit` entries before this one.
    async fn audit_log(&self, before: Option<AuditId>, limit: u32)
    -> Result<AuditPage, StoreError>;

    /// Drops entries from before `before` among the `limit` oldest. Returns how many: with less than `limit` it
    /// is done.
    async fn drop_audit(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
