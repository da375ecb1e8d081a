//! What a server has in the end, read back over HTTP.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::sleep;

use crate::{
    ledger::{Key, Seen, Timeline},
    phone::World,
    wire::{Page, Person, StoredChat},
};

/// How long an answer may take until it counts as none.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// How often a page is asked for, at one target after the other.
const ATTEMPTS: usize = 10;
/// How many people's timelines are read at once.
const AT_ONCE: usize = 16;

/// A client for requests to the targets.
pub fn http() -> reqwest::Client {
    // Whoever comes first installs it; another one is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(ANSWER_WAIT)
        .no_proxy()
        .build()
        .expect("no options that fail")
}

/// What each person has, of those numbers that came after they were first ready. `firsts` are these.
pub async fn timelines(world: &World, firsts: Vec<i64>) -> anyhow::Result<Vec<Timeline>> {
    let readings =
        world.people.iter().zip(firsts).enumerate().map(async |(place, (person, first))| {
            let events = timeline(world, place % world.targets.len(), person, first).await?;
            anyhow::Ok(Timeline { user: person.id, events })
        });
    stream::iter(readings).buffered(AT_ONCE).try_collect().await
}

/// What a person has after `first`, asked at this target first.
pub async fn timeline(
    world: &World,
    at: usize,
    person: &Person,
    first: i64,
) -> anyhow::Result<Vec<(Option<i64>, Seen)>> {
    let mut events = Vec::new();
    let mut after = Some(first);
    while let Some(bound) = after {
        let page = page(world, at, person, bound).await?;
        after = page.next.filter(|next| *next > bound);
        events.extend(page.events.into_iter().map(|(seq, chat)| (seq, seen(world, &chat))));
    }
    Ok(events)
}

async fn page(world: &World, at: usize, person: &Person, after: i64) -> anyhow::Result<Page> {
    let path = world.wire.page_path(person, after);
    let mut last = String::new();
    for attempt in 0..ATTEMPTS {
        let target = &world.targets[(at + attempt) % world.targets.len()];
        match world.http.get(target.at(&path)).bearer_auth(&person.token).send().await {
            Ok(answer) if answer.status().is_success() => {
                let body = answer.text().await.context("reading back")?;
                return Ok(world.wire.read_page(&body)?);
            }
            Ok(answer) if !answer.status().is_server_error() && answer.status() != 429 => {
                bail!("reading back was answered with {}", answer.status());
            }
            Ok(answer) => last = answer.status().to_string(),
            Err(error) => last = error.without_url().to_string(),
        }
        sleep(Duration::from_millis(300)).await;
    }
    bail!("reading back fails: {last}")
}

/// A stored chat as the books take it.
fn seen(world: &World, chat: &StoredChat) -> Seen {
    let key: Option<Key> = chat.key.parse().ok();
    Seen {
        key: key.unwrap_or(Key::UNREADABLE),
        id: chat.id,
        sender: chat.sender,
        target: chat.target,
        is_intact: key.is_some_and(|key| world.contents.read(key, &chat.content).is_some()),
    }
}
