//! `imserver admin api-key`: the keys of the server API.

use std::fmt::Write as _;

use clap::Subcommand;

use super::answer;
use crate::{
    auth::api_key::ApiKeySecret,
    domain::{ApiKey, ApiKeyId, ApiKeyName, Scope},
    store::Store,
};

#[derive(Debug, Subcommand)]
pub(super) enum ApiKeyCommand {
    /// Make a key, and show its secret this once
    Create {
        /// What it is for
        #[arg(long)]
        name: ApiKeyName,
        /// What it may do: users, sessions, chats, conversations, moderation, feed, webhooks, audit, status,
        /// all
        #[arg(long, required = true, value_delimiter = ',', value_name = "SCOPE,…")]
        scopes: Vec<Scope>,
    },
    /// Show all keys, without their secrets
    List,
    /// Revoke a key for good, from now on
    Revoke {
        /// Which one
        #[arg(value_name = "ID")]
        id: ApiKeyId,
    },
}

/// Does it, and says what came of it.
pub(super) async fn run(store: &dyn Store, command: ApiKeyCommand) -> anyhow::Result<()> {
    match command {
        ApiKeyCommand::Create { name, scopes } => {
            let secret = ApiKeySecret::random();
            let scopes = scopes.into_iter().collect();
            let id = store.create_api_key(&name, secret.hash(), &scopes, true).await?;
            answer(&format!(
                "{}\nThis is key {id}. What it is cannot be shown again.",
                secret.reveal()
            ))
        }
        ApiKeyCommand::List => {
            let mut text = "id\tname\tscopes\tcreated\tlast used\trevoked".to_owned();
            for ApiKey { id, name, scopes, created_at, last_used_at, revoked_at } in
                store.api_keys().await?
            {
                let time = |at: Option<_>| at.map_or_else(|| "-".to_owned(), |at| format!("{at}"));
                write!(
                    text,
                    "\n{id}\t{}\t{scopes}\t{created_at}\t{}\t{}",
                    name.as_str(),
                    time(last_used_at),
                    time(revoked_at)
                )?;
            }
            answer(&text)
        }
        ApiKeyCommand::Revoke { id } => {
            let is_revoked = store.revoke_api_key(id, true).await?;
            anyhow::ensure!(is_revoked, "there is no key {id} that is good");
            answer(&format!("key {id} is revoked"))
        }
    }
}
