//! `imserver admin export-user`: all that is kept of a user, as a tar.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
};

use anyhow::Context;
use clap::Args;
use futures_util::TryStreamExt;

use super::answer;
use crate::{
    app,
    clock::Clock,
    config::Settings,
    domain::{ExternalId, UserId, UserRef},
    export::{Export, Exporter},
    media::Storage,
    protocol::fault::ErrorCode,
};

#[derive(Debug, Args)]
pub(super) struct ExportUser {
    /// Whom: the service's own id, with `id:` before it or not; or the back end's id, with `external:` before
    /// it if it is a number
    #[arg(value_name = "ID", value_parser = user_ref)]
    user: UserRef,
    /// The file to be made; without it the tar goes to standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Reads a name. A number is the service's own id, as it is to the other commands.
pub(super) fn user_ref(text: &str) -> Result<UserRef, String> {
    if let Ok(id) = text.parse::<UserId>() {
        return Ok(UserRef::Id(id));
    }
    let user = match text.strip_prefix("external:") {
        Some(id) => ExternalId::parse(id).map(UserRef::External),
        None => text.parse(),
    };
    user.map_err(|error| error.to_string())
}

/// Does it. What is in the file, or was written to standard output, is whole if this succeeds.
pub(super) async fn run(
    command: ExportUser,
    settings: &Settings,
    clock: Clock,
) -> anyhow::Result<()> {
    let ExportUser { user, to } = command;
    let is_shown = to.is_none() && io::stdout().is_terminal();
    anyhow::ensure!(!is_shown, "a terminal cannot show a tar; name a file: --to FILE");
    if let Some(to) = &to {
        anyhow::ensure!(!to.try_exists()?, "{} is there already", to.display());
    }
    let store = app::open_store(settings, &clock).await?;
    let storage = Storage::open(&settings.media.url)?;
    let found = store.named_users(std::slice::from_ref(&user)).await?;
    let id = *found.get(&user).context("there is no such user")?;
    let exporter = Exporter::new(Arc::clone(&store), storage, clock);
    let act = store.begin_act(None, "user.export", Some(&format!("user:{id}")), None).await?;
    let done = match exporter.begin(id).await {
        Ok(export) => write(export, to.as_deref()).await,
        Err(error) => Err(error.into()),
    };
    let outcome = done.as_ref().map_or(ErrorCode::Internal.as_str(), |()| "ok");
    if let Err(error) = store.end_act(act, None, outcome).await {
        tracing::error!(%error, entry = %act, outcome, "not noted in the audit log");
    }
    done?;
    match to {
        Some(to) => answer(&format!("user {id} is exported to {}", to.display())),
        None => Ok(()),
    }
}

async fn write(export: Export, to: Option<&Path>) -> anyhow::Result<()> {
    let Some(to) = to else {
        return copy(export, &mut io::stdout()).await;
    };
    // Until it is whole it has another name.
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = write_file(export, &part).await.and_then(|()| Ok(fs::rename(&part, to)?));
    if written.is_err() {
        // The error says what matters.
        let _ = fs::remove_file(&part);
    }
    written.with_context(|| format!("{} is not written", to.display()))
}

/// Only whoever runs the command may read it.
async fn write_file(export: Export, path: &Path) -> anyhow::Result<()> {
    if path.try_exists()? {
        fs::remove_file(path)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    copy(export, &mut file).await?;
    Ok(file.sync_all()?)
}

async fn copy(export: Export, to: &mut impl Write) -> anyhow::Result<()> {
    let mut chunks = pin!(export.into_stream());
    while let Some(chunk) = chunks.try_next().await.context("the export broke off")? {
        to.write_all(&chunk)?;
    }
    Ok(to.flush()?)
}
