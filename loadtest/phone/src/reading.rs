//! What a server has in the end, read back over HTTP.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    ledger::{Key, Seen, Timeline},
    wire::{Page, Person, StoredChat},
    world::{Mark, World},
};

/// How long an answer may take until it counts as none.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// How often a page is asked for, at one target after the other.
const ATTEMPTS: usize = 10;
/// How many people's timelines are read at once, when the load is over.
const AT_ONCE: usize = 16;
/// How often it is looked who has to be read before that.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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

/// Reads what each person has, of those numbers that came after they were first ready. While the load goes,
/// it reads only who gets more than a server will replay; the rest at the end.
pub struct Reader {
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<Vec<Timeline>>>,
}

/// What is read of one person so far.
struct Reading {
    /// The last number.
    after: i64,
    events: Vec<(Option<i64>, Seen)>,
}

impl Reader {
    /// Once all phones have been ready.
    pub fn start(world: Arc<World>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(read_on(world, stopped)) }
    }

    /// Reads what is left. Gives the timelines in the order of the people.
    pub async fn end(self) -> anyhow::Result<Vec<Timeline>> {
        // It would have ended by a panic only, which the task then says.
        let _ = self.stop.send(());
        self.task.await.context("reading back")?
    }
}

async fn read_on(
    world: Arc<World>,
    mut stopped: oneshot::Receiver<()>,
) -> anyhow::Result<Vec<Timeline>> {
    let first = |mark: &Mark| mark.first_cursor.load(Relaxed);
    let mut readings: Vec<_> =
        world.marks.iter().map(|mark| Reading { after: first(mark), events: Vec::new() }).collect();
    let half = world.wire.replay_limit().map_or(i64::MAX, |limit| limit / 2);
    let stop = loop {
        if let Ok(stop) = timeout(LOOK_EVERY, &mut stopped).await {
            break stop;
        }
        for (place, reading) in readings.iter_mut().enumerate() {
            let shown = world.marks[place].cursor.load(Relaxed);
            if shown - reading.after > half {
                // What fails now is tried again.
                let _ = reading.go_on(&world, place).await;
            }
        }
    };
    stop.context("the run was given up")?;
    let rest = readings.into_iter().enumerate().map(async |(place, mut reading)| {
        reading.go_on(&world, place).await?;
        anyhow::Ok(Timeline { user: world.people[place].id, events: reading.events })
    });
    stream::iter(rest).buffered(AT_ONCE).try_collect().await
}

impl Reading {
    async fn go_on(&mut self, world: &World, place: usize) -> anyhow::Result<()> {
        let at = place % world.targets.len();
        let events = timeline(world, at, &world.people[place], self.after).await?;
        if let Some((Some(last), _)) = events.last() {
            self.after = *last;
        }
        self.events.extend(events);
        Ok(())
    }
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
        let seen = |chat: StoredChat| seen(world, &chat);
        events.extend(
            page.events.into_iter().map(|(seq, chat)| (seq, chat.map_or(Seen::NO_CHAT, seen))),
        );
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
