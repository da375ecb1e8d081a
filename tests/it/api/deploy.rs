//! What is delivered for Docker lets nobody else in while a name is enough to log in.

use std::{path::Path, process::Command};

use saphyr::{LoadableYamlNode, Yaml};

const COMPOSE: &str = include_str!("../../../docker-compose.yml");

/// Whether what starts nginx with TLS goes on to it, and what it says otherwise.
fn starts(address: &str, demo_login: Option<&str>) -> Result<(), String> {
    let mut start = Command::new("sh");
    start.args(["deploy/nginx/start-tls.sh", "echo", "nginx"]).env_clear();
    start.env("PATH", std::env::var("PATH").unwrap()).env("IMSERVER_TLS_ADDRESS", address);
    if let Some(demo_login) = demo_login {
        start.env("IMSERVER_DEMO_LOGIN", demo_login);
    }
    let output = start.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.stdout == b"nginx\n", output.status.success(), "{said}");
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn tls_for_others_is_refused_while_demo_login_is_on() {
    for on in [Some("true"), Some("yes"), Some(""), None] {
        for address in ["0.0.0.0", "::", "192.168.1.2", ""] {
            let said = starts(address, on).expect_err(address);
            for named in ["IMSERVER_DEMO_LOGIN=false", "IMSERVER_TLS_ADDRESS", ".env"] {
                assert!(said.contains(named), "{said}");
            }
        }
        for address in ["127.0.0.1", "127.1.2.3", "[::1]"] {
            starts(address, on).unwrap();
        }
    }
    starts("0.0.0.0", Some("false")).unwrap();
}

#[test]
fn what_is_asked_before_the_start_is_what_compose_does() {
    // The service, and the check, are told the same.
    let demo_login = "DEMO_LOGIN: \"${IMSERVER_DEMO_LOGIN:-true}\"";
    assert_eq!(COMPOSE.matches(demo_login).count(), 2);
    let (_, tls) = COMPOSE.split_once("\n  nginx-tls:\n").unwrap();
    let (tls, _) = tls.split_once("\n\n").unwrap();
    for line in [
        "      IMSERVER_TLS_ADDRESS: \"${IMSERVER_TLS_ADDRESS:-127.0.0.1}\"",
        "    ports: [\"${IMSERVER_TLS_ADDRESS:-127.0.0.1}:",
        "    entrypoint: [\"/bin/sh\", \"/etc/imserver/start-tls.sh\"]",
    ] {
        assert!(tls.contains(line), "{line}");
    }
    // No file that people keep under version control says otherwise, and nothing else is published.
    assert!(!include_str!("../../../deploy/imserver.env").contains("AUTH__DEMO_LOGIN"));
    let published = COMPOSE.lines().filter(|line| line.trim_start().starts_with("ports:"));
    for line in published.filter(|line| !tls.contains(*line)) {
        assert!(line.contains("[\"127.0.0.1:"), "{line}");
    }
}

/// Only the trial starts these, and it is run by hand.
#[test]
fn every_file_of_the_deployments_is_yaml() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut files) =
        (vec![root.join("deploy")], vec![root.join("docker-compose.yml")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_yaml = path.extension().is_some_and(|ext| ext == "yml" || ext == "yaml");
            if path.is_dir() {
                folders.push(path);
            } else if is_yaml {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let read = Yaml::load_from_str(&text);
        assert!(read.is_ok_and(|documents| !documents.is_empty()), "{}", file.display());
    }
    let compose = Yaml::load_from_str(COMPOSE).unwrap();
    let replica = &compose[0]["x-replica"];
    for key in
        ["IMSERVER__AUTH__DEMO_LOGIN", "IMSERVER__MEDIA__URL", "IMSERVER__SERVER__PUBLIC_URL"]
    {
        assert!(replica["environment"][key].as_str().is_some(), "{key}");
    }
}
