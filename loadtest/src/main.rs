//! The load test; see [`loadtest`].

use std::process::ExitCode;

use clap::Parser;
use loadtest::{app, cli::Cli};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    app::main(Cli::parse()).await
}
