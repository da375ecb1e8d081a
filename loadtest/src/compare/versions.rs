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
        Contender::Imserver | Contender::ImserverLegacy => {
            // `imserver 0.1.0`
            add("imserver", word(said(&args.imserver, &["--version"]).await.as_deref(), 1));
        }
        Contender::Centrifuge => {
            let modules = ["centrifugal/centrifuge", "jackc/pgx/v5", "redis/rueidis"];
            versions.extend(built_of(&args.centrifuge, &modules).await);
        }
        Contender::CentrifugoInsert | Contender::CentrifugoBatch => {
            let modules = ["centrifugal/centrifugo/v6", "centrifugal/centrifuge", "redis/rueidis"];
            versions.extend(built_of(&args.centrifugo, &modules).await);
            versions.extend(
                said(Path::new("node"), &["--version"]).await.map(|it| ("node".to_owned(), it)),
            );
            versions.extend(installed(&args.peers, "pg").map(|version| ("pg".to_owned(), version)));
        }
        Contender::Tutorial => {
            // `openjdk 17.0.15 2025-04-15`
            add("java", word(said(Path::new("java"), &["--version"]).await.as_deref(), 1));
            for artifact in ["spring-boot-starter-parent", "mybatis-plus-spring-boot3-starter"] {
                add(artifact, pinned(&args.peers.join("tutorial/pom.xml"), artifact));
            }
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

/// What Go made a program of.
async fn built_of(program: &Path, modules: &[&str]) -> Vec<(String, String)> {
    let program = program.to_string_lossy();
    let built = said(Path::new("go"), &["version", "-m", &program]).await.unwrap_or_default();
    let of = |module: &&str| {
        let path = format!("github.com/{module}");
        // The program's own module is named on a line without a version as well.
        let mut lines = built.lines().filter(|line| line.split_whitespace().nth(1) == Some(&*path));
        let version = lines.find_map(|line| word(Some(line), 2));
        Some(((*module).to_owned(), version?))
    };
    // `target/peers/centrifuge: go1.26.0`
    let go = word(built.lines().next(), 1).map(|version| ("go".to_owned(), version));
    modules.iter().filter_map(of).chain(go).collect()
}

/// The version after an artifact in a `pom.xml`.
fn pinned(pom: &Path, artifact: &str) -> Option<String> {
    let text = std::fs::read_to_string(pom).ok()?;
    let (_, after) = text.split_once(&format!("<artifactId>{artifact}</artifactId>"))?;
    let (_, after) = after.split_once("<version>")?;
    Some(after.split_once("</version>")?.0.to_owned())
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
