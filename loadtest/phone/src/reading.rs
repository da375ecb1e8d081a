//! What a server has in the end, read back over HTTP.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    ledger::{Key, Seen, Timeline, Words},
    wire::{Event, Person},
    world::World,
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
    /// The person's first phone.
    place: usize,
    /// The last number.
    after: i64,
    timeline: Timeline,
}

impl Reader {
    /// Once all phones have been ready.
    pub fn start(world: Arc<World>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(read_on(world, stopped)) }
    }

    /// Reads what is left. Gives the timelines, one a user.
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
    let mut readings: Vec<Reading> = Vec::new();
    for (place, (mark, person)) in world.marks.iter().zip(&world.people).enumerate() {
        let first = mark.first_cursor.load(Relaxed);
        match readings.iter_mut().find(|reading| reading.timeline.user == person.id) {
            Some(other) => other.after = other.after.min(first),
            None => readings.push(Reading {
                place,
                after: first,
                timeline: Timeline { user: person.id, ..Timeline::default() },
            }),
        }
    }
    let half = world.wire.replay_limit().map_or(i64::MAX, |limit| limit / 2);
    let stop = loop {
        if let Ok(stop) = timeout(LOOK_EVERY, &mut stopped).await {
            break stop;
        }
        for reading in &mut readings {
            let shown = world.marks[reading.place].cursor.load(Relaxed);
            if shown - reading.after > half {
                // What fails now is tried again.
                let _ = reading.go_on(&world).await;
            }
        }
    };
    stop.context("the run was given up")?;
    let rest = readings.into_iter().map(async |mut reading| {
        let early = reading.timeline.events.len();
        reading.go_on(&world).await?;
        bring_up_to_date(&mut reading.timeline.events, early);
        reading.timeline.early = early;
        anyhow::Ok(reading.timeline)
    });
    stream::iter(rest).buffered(AT_ONCE).try_collect().await
}

impl Reading {
    async fn go_on(&mut self, world: &World) -> anyhow::Result<()> {
        let at = self.place % world.targets.len();
        let more = timeline(world, at, &world.people[self.place], self.after).await?;
        if let Some((Some(last), _)) = more.events.last() {
            self.after = *last;
        }
        self.timeline.events.extend(more.events);
        self.timeline.lines.extend(more.lines);
        Ok(())
    }
}

/// The first `early` events were read while the load went on: what was recalled or deleted since is as it is
/// now.
fn bring_up_to_date(events: &mut [(Option<i64>, Seen)], early: usize) {
    let of = |key| {
        let ids = events.iter().filter(|(_, seen)| seen.key == key).map(|(_, seen)| seen.id);
        ids.collect::<HashSet<_>>()
    };
    let (recalled, deleted) = (of(Key::RECALL), of(Key::DELETION));
    for (_, seen) in &mut events[..early] {
        if deleted.contains(&seen.id) {
            *seen = Seen::event(Key::DELETION, seen.id);
        } else if recalled.contains(&seen.id) && seen.key != Key::RECALL {
            seen.words = Words::Recalled;
        }
    }
}

/// What a person has after `first`, asked at this target first.
pub async fn timeline(
    world: &World,
    at: usize,
    person: &Person,
    first: i64,
) -> anyhow::Result<Timeline> {
    let mut timeline = Timeline { user: person.id, ..Timeline::default() };
    let mut after = Some(first);
    while let Some(bound) = after {
        let path = world.wire.page_path(person, bound);
        let body = get(world, at, &path, Some(person)).await?;
        let page = world.wire.read_page(std::str::from_utf8(&body).context("reading back")?)?;
        after = page.next.filter(|next| *next > bound);
        for (seq, event) in page.events {
            timeline.events.push((seq, world.event(&event).0));
            if let Event::Line(line) = event {
                timeline.lines.push(line);
            }
        }
    }
    Ok(timeline)
}

/// Reads a picture of this many bytes. Its URL is good at every target.
pub(crate) async fn picture(world: &World, at: usize, url: &str, size: u64) -> anyhow::Result<()> {
    let url = world.targets[at].url.join(url)?;
    let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    let bytes = get(world, at, &path, None).await?;
    ensure!(bytes.len() as u64 == size, "it has {} bytes and not {size}", bytes.len());
    Ok(())
}

/// What is at a path, asked at one target after the other, this one first.
async fn get(
    world: &World,
    at: usize,
    path: &str,
    person: Option<&Person>,
) -> anyhow::Result<Vec<u8>> {
    let mut last = String::new();
    for attempt in 0..ATTEMPTS {
        let target = &world.targets[(at + attempt) % world.targets.len()];
        let mut request = world.http.get(target.at(path));
        if let Some(person) = person {
            request = request.bearer_auth(&person.token);
        }
        let answer = async {
            let answer = request.send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        match answer.await {
            Ok((status, body)) if status.is_success() => return Ok(body.into()),
            Ok((status, _)) if !status.is_server_error() && status != 429 => {
                bail!("reading back was answered with {status}");
            }
            Ok((status, _)) => last = status.to_string(),
            Err(error) => last = error.without_url().to_string(),
        }
        sleep(Duration::from_millis(300)).await;
    }
    bail!("reading back fails: {last}")
}
