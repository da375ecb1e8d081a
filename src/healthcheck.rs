//! Asks a running service how it is: for a container that has no other program to ask with.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::http_client::http_client;

/// How long the answer may take. A service that waits for its database answers within 2 s.
const WAIT: Duration = Duration::from_secs(4);

/// Asks the service that listens at this address for its health: with `live` whether the process is up,
/// otherwise whether it is ready. Any answer but 200 is an error.
pub async fn ask(listen: SocketAddr, live: bool) -> anyhow::Result<String> {
    let path = if live { "healthz" } else { "readyz" };
    let url = format!("http://{}/{path}", reached_at(listen));
    let answer = http_client()?.get(&url).timeout(WAIT).send().await;
    let answer = answer.with_context(|| format!("{url} does not answer"))?;
    let status = answer.status();
    let health =
        answer.text().await.with_context(|| format!("{url} does not answer to the end"))?;
    ensure!(status == reqwest::StatusCode::OK, "{url} answers {status}: {health}");
    Ok(health)
}

/// The address by which this machine reaches a listener, whose own address may stand for all of the machine's.
fn reached_at(mut listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_all_interfaces_is_reached_on_this_machine() {
        for (listen, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(reached_at(listen.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
