//! The program: reads its arguments and hands over to the library.

use std::process::ExitCode;

use clap::Parser;
use imserver::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
