//! The load test; see [`loadtest`].

use std::process::ExitCode;

use clap::Parser;
use loadtest::{app, cli::Cli};

/// What could not be done at all, as clap has it for arguments that it does not know.
const MISUSE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    app::main(Cli::parse()).await.unwrap_or_else(|error| {
        eprintln!("loadtest: {error:#}");
        ExitCode::from(MISUSE)
    })
}
