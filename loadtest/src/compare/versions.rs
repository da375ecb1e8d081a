//! What everything was made of.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use tokio::process::Command;

use super::{CompareArgs, Contender};

#[derive(Deserialize)]
struct Package {
    version: String,
}

/// Of a server, by name. What cannot be found is not among them.
pub(super) async fn of(contender: Contender, args: &CompareArgs) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    let mut add = |name: &str, version: Option<String>| {
        versions.extend(version.map(|version| (name.to_owned(), version)));
    };
    match contender {
        Contender::Imserver => {
            // `imserver 0.1.0`
            add("imserver", word(said(&args.imserver, &["--version"]).await.as_deref(), 1));
        }
        Contender::Centrifuge => {
            let program = args.centrifuge.to_string_lossy();
            let built = said(Path::new("go"), &["version", "-m", &program]).await;
            let built = built.unwrap_or_default();
            for module in ["centrifugal/centrifuge", "jackc/pgx/v5", "redis/rueidis"] {
                let path = format!("github.com/{module}");
                let line =
                    built.lines().find(|line| line.split_whitespace().nth(1) == Some(&*path));
                add(module, word(line, 2));
            }
            // `target/peers/centrifuge: go1.26.0`
            add("go", word(built.lines().next(), 1));
        }
        Contender::Socketio | Contender::WsInsert | Contender::WsBatch => {
            add("node", said(Path::new("node"), &["--version"]).await);
            let mut packages = vec!["ws", "bufferutil", "pg", "redis"];
            if contender == Contender::Socketio {
                packages.extend(["socket.io", "@socket.io/redis-adapter"]);
            }
            for package in packages {
                add(package, installed(&args.peers, package));
            }
        }
    }
    versions
}

/// `Redis 7.0.15`
pub(super) async fn redis() -> String {
    let said = said(Path::new("redis-server"), &["--version"]).await.unwrap_or_default();
    let version = said.split_whitespace().find_map(|word| word.strip_prefix("v="));
    format!("Redis {}", version.unwrap_or("of unknown version"))
}

/// Which state of this repository it was, and what made it.
pub(super) async fn build() -> String {
    let commit = said(Path::new("git"), &["describe", "--always", "--dirty"]).await;
    let rustc = said(Path::new("rustc"), &["--version"]).await;
    let unknown = || "unknown".to_owned();
    format!(
        "Commit {}; release build by {}",
        commit.unwrap_or_else(unknown),
        rustc.unwrap_or_else(unknown)
    )
}

fn installed(peers: &Path, package: &str) -> Option<String> {
    let path = peers.join("node_modules").join(package).join("package.json");
    let package: Package = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    Some(package.version)
}

/// What a program prints.
async fn said(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).kill_on_drop(true).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim().to_owned())
}

fn word(text: Option<&str>, place: usize) -> Option<String> {
    text?.split_whitespace().nth(place).map(str::to_owned)
}
