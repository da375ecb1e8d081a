//! The command line.

mod api_keys;
mod export;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use self::{api_keys::ApiKeyCommand, export::ExportUser};
use crate::{
    accounts,
    app::{self, App},
    clock::Clock,
    config::{self, Overrides, Settings},
    descriptors,
    domain::UserRef,
    healthcheck, media,
    output::Output,
    telemetry,
};

/// How long the process waits at its end until its last lines are written.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// Real-time chat for WeChat mini programs: an acknowledgement means committed.
///
/// Without arguments the service starts alone: a SQLite file under ./data, on 127.0.0.1:8080, with
/// demo login. Settings come from the defaults, then a file, then the environment
/// (`IMSERVER__SECTION__KEY`), then flags; config/default.toml documents every one.
#[derive(Debug, Parser)]
#[command(version, about, verbatim_doc_comment)]
pub struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// A TOML file of settings
    #[arg(long, value_name = "FILE", env = "IMSERVER_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Address of HTTP and WebSocket (server.listen)
    #[arg(long, value_name = "ADDRESS", global = true)]
    listen: Option<String>,
    /// The database (database.url): `sqlite://PATH` or `postgres://USER@HOST/NAME`. Others on this
    /// machine see what stands here: a password belongs in `IMSERVER__DATABASE__URL`
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
    /// Any setting, for example `--set auth.demo_login=true`; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = key_value, global = true)]
    values: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the service (the default)
    Serve,
    /// Bring the database's schema up to date, and end
    Migrate,
    /// Ask the service at server.listen whether it is ready; the exit status says it
    Healthcheck {
        /// Whether the process is up, which it also is while it starts, drains or lacks its database
        #[arg(long)]
        live: bool,
    },
    /// Look after a deployment
    #[command(subcommand)]
    Admin(Admin),
}

#[derive(Debug, Subcommand)]
enum Admin {
    /// Begin a new history after a restore: every client loads anew
    RotateEpoch,
    /// Sign the URLs of media with a new key: those that were given out before are good for 48 h
    RotateMediaKey,
    /// Erase a user for good: name, picture, logins, sessions, and the words of every chat it sent
    EraseUser {
        /// Whom, as in `export-user`
        #[arg(value_name = "ID", value_parser = export::user_ref)]
        user: UserRef,
    },
    /// Hand out all that is kept of a user, as a tar of JSON lines and media
    ExportUser(ExportUser),
    /// The keys by which a back end uses the server API
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write SECTION.KEY=VALUE".to_owned()),
    }
}

impl SettingsArgs {
    fn load(self) -> Result<Settings, config::ConfigError> {
        let mut values = self.values;
        values.extend(self.listen.map(|value| ("server.listen".to_owned(), value)));
        values.extend(self.database_url.map(|value| ("database.url".to_owned(), value)));
        config::load(&Overrides { file: self.config, values })
    }
}

/// Does what the command line says. What went wrong is said on standard error, and in the status.
pub async fn run(cli: Cli) -> ExitCode {
    let mut output = match Output::to(io::stderr()) {
        Ok(output) => output,
        Err(error) => {
            eprintln!("imserver: no thread could be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = match execute(cli, &output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // It cannot fail: it is queued.
            let _ = output.write_all(format!("imserver: {error:#}\n").as_bytes());
            ExitCode::FAILURE
        }
    };
    output.flush_within(FLUSH_WAIT);
    status
}

async fn execute(cli: Cli, output: &Output) -> anyhow::Result<()> {
    let settings = cli.settings.load()?;
    telemetry::init_logs(&settings.log, output)?;
    let clock = Clock::system();
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            telemetry::log_panics(output.clone());
            serve(settings, clock).await
        }
        Command::Migrate => {
            app::open_store(&settings, &clock).await?;
            answer("the schema is up to date")
        }
        Command::Healthcheck { live } => {
            let health = healthcheck::ask(settings.server.listen, live).await?;
            answer(&health)
        }
        Command::Admin(Admin::EraseUser { user }) => {
            let store = app::open_store(&settings, &clock).await?;
            let user = match user {
                // Also one who was erased: an erasure may be repeated.
                UserRef::Id(id) => id,
                UserRef::External(_) => {
                    let found = store.named_users(std::slice::from_ref(&user)).await?;
                    *found.get(&user).context("there is no such user")?
                }
            };
            // The replicas find what the groups are told in the database.
            let known = accounts::erase(&*store, user, |_| ()).await.with_context(|| {
                format!("user {user} is not erased to the end; repeat the command with this id")
            })?;
            anyhow::ensure!(known, "there is no user {user}");
            answer(&format!("user {user} is erased"))
        }
        Command::Admin(Admin::ExportUser(command)) => export::run(command, &settings, clock).await,
        Command::Admin(Admin::ApiKey(command)) => {
            let store = app::open_store(&settings, &clock).await?;
            api_keys::run(&*store, command).await
        }
        Command::Admin(Admin::RotateMediaKey) => {
            let store = app::open_store(&settings, &clock).await?;
            let key = media::rotate_key(&*store).await?;
            answer(&format!("URLs of media are signed by key {key} within a minute"))
        }
        Command::Admin(Admin::RotateEpoch) => {
            let store = app::open_store(&settings, &clock).await?;
            answer(&format!("a new history begins: epoch {}", store.rotate_epoch().await?))
        }
    }
}

/// Writes what a command was asked for: where that cannot be read, the command has failed.
fn answer(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{line}")
        .context("cannot write to standard output; what was asked is done")
}

async fn serve(settings: Settings, clock: Clock) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    descriptors::raise_limit();
    let app = App::build(settings, clock).await?;
    print_aside(greeting(&app)?);
    warn_if_open(app.settings());
    let stop = Arc::new(tokio::sync::Notify::new());
    let asked = Arc::clone(&stop);
    tokio::spawn(async move {
        let mut again = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if again {
                // Whoever asks twice does not want to wait.
                std::process::exit(1);
            }
            again = true;
            asked.notify_one();
        }
    });
    app.run(async move { stop.notified().await }).await
}

/// Where everything is, and what to do next.
fn greeting(app: &App) -> anyhow::Result<String> {
    let settings = app.settings();
    let address = app.addr()?;
    let on_off = |on| if on { "on" } else { "off" };
    let metrics = app.metrics_addr();
    let metrics = metrics.map_or("off".to_owned(), |metrics| format!("http://{metrics}/metrics"));
    let admin = app.admin_addr().unwrap_or(address);
    let by_wechat =
        if settings.wechat_login() { "on" } else { "off (set wechat.appid and wechat.secret)" };
    let demo = if settings.auth.demo_login { "; two people at once are at /demo" } else { "" };
    let mut text = String::new();
    writeln!(text, "imserver {} listens on http://{address}", env!("CARGO_PKG_VERSION"))?;
    writeln!(text, "  data         {}", settings.database.url)?;
    writeln!(text, "  media        {}", settings.media.url)?;
    writeln!(text, "  metrics      {metrics}")?;
    writeln!(
        text,
        "  server API   http://{admin}/v1/admin (with a key: imserver admin api-key create)"
    )?;
    if settings.console.enabled {
        writeln!(text, "  console      http://{admin}/console")?;
    }
    writeln!(text, "  demo login   {}", on_off(settings.auth.demo_login))?;
    writeln!(text, "  anonymous    {} (the legacy routes)", on_off(settings.auth.anonymous))?;
    writeln!(text, "  WeChat login {by_wechat}")?;
    writeln!(text, "Next: open http://{address}/ in a browser, it is the chat{demo}.")?;
    Ok(text)
}

/// Writes a text to standard output in a thread of its own: where that is full or closed, the service
/// goes on.
fn print_aside(text: String) {
    let print = move || {
        let mut stdout = io::stdout();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        if let Err(error) = written {
            tracing::warn!(%error, "the greeting cannot be written to standard output");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("greeting".to_owned()).spawn(print) {
        tracing::warn!(%error, "no thread for the greeting");
    }
}

fn warn_if_open(settings: &Settings) {
    if !settings.server.listen.ip().is_loopback() && settings.auth.demo_login {
        tracing::warn!(
            listen = %settings.server.listen,
            "demo login is on and not only for this machine: anybody who reaches it can be anybody \
             in the demo; set auth.demo_login=false for a public service"
        );
    }
}
