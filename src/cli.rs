//! The command line.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    accounts,
    app::{self, App},
    clock::Clock,
    config::{self, Overrides, Settings},
    descriptors,
    domain::{OutOfRange, UserId},
    healthcheck, telemetry,
};

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
    /// Erase a user for good: name, picture, logins, sessions, and the words of every chat it sent
    EraseUser {
        /// Whom
        #[arg(value_name = "ID", value_parser = user_id)]
        user: UserId,
    },
}

fn user_id(text: &str) -> Result<UserId, OutOfRange> {
    UserId::new(text.parse().map_err(|_| OutOfRange)?)
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
    match execute(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("imserver: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> anyhow::Result<()> {
    let settings = cli.settings.load()?;
    telemetry::init_logs(&settings.log)?;
    let clock = Clock::system();
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(settings, clock).await,
        Command::Migrate => {
            app::open_store(&settings, &clock).await?;
            println!("the schema is up to date");
            Ok(())
        }
        Command::Healthcheck { live } => {
            let health = healthcheck::ask(settings.server.listen, live).await?;
            println!("{health}");
            Ok(())
        }
        Command::Admin(Admin::EraseUser { user }) => {
            let store = app::open_store(&settings, &clock).await?;
            let known = accounts::erase(&*store, user).await.with_context(|| {
                format!("user {user} is not erased to the end; repeat the command")
            })?;
            anyhow::ensure!(known, "there is no user {user}");
            println!("user {user} is erased");
            Ok(())
        }
        Command::Admin(Admin::RotateEpoch) => {
            let store = app::open_store(&settings, &clock).await?;
            println!("a new history begins: epoch {}", store.rotate_epoch().await?);
            Ok(())
        }
    }
}

async fn serve(settings: Settings, clock: Clock) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    descriptors::raise_limit();
    let app = App::build(settings, clock).await?;
    greet(&app)?;
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

/// Says where everything is, and what to do next.
fn greet(app: &App) -> anyhow::Result<()> {
    let settings = app.settings();
    let address = app.addr()?;
    println!("imserver {} listens on http://{address}", env!("CARGO_PKG_VERSION"));
    println!("  data         {}", settings.database()?);
    match app.metrics_addr() {
        Some(metrics) => println!("  metrics      http://{metrics}/metrics"),
        None => println!("  metrics      off"),
    }
    let on_off = |on| if on { "on" } else { "off" };
    println!("  demo login   {}", on_off(settings.demo_login()));
    println!("  anonymous    {} (the seed's routes)", on_off(settings.anonymous()));
    let by_wechat = !settings.wechat.secret.is_empty();
    println!(
        "  WeChat login {}",
        if by_wechat { "on" } else { "off (set wechat.appid and wechat.secret)" }
    );
    let demo = if settings.demo_login() { "; two people at once are at /demo" } else { "" };
    println!("Next: open http://{address}/ in a browser, it is the chat{demo}.");
    if !settings.server.listen.ip().is_loopback() && settings.demo_login() {
        tracing::warn!(
            listen = %settings.server.listen,
            "demo login is on and not only for this machine: anybody who reaches it can be anybody \
             in the demo; set auth.demo_login=false for a public service"
        );
    }
    Ok(())
}
