//! Phones over all replicas that write until they are told to stop, and the reading back of it all.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    mem::discriminant,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use phone::{
    Mark, Observer, Order, Orders, Phone, Timing, World, address,
    clock::Clock,
    content::Contents,
    ledger::{Book, Timeline, Verdict, judge_changes, judge_listings},
    make_group,
    reading::{http, timeline},
    target::Target,
    wire::{Imserver, Person},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Cluster,
    people::{Size, Talk, change, write},
    reading,
    times::{TimeKeeper, Times},
};
use crate::harness::Figures;

/// How long all phones may take until something is true of each of them. A fault's own bound is asserted by
/// its test, from what it measures.
const PATIENCE: Duration = Duration::from_mins(1);
/// Phones that are less patient than real ones, so that a test sees them come back.
const TIMING: Timing = Timing {
    patience: Duration::from_secs(3),
    ping_every: Duration::from_secs(2),
    silence: Duration::from_secs(5),
    backoff: [Duration::from_millis(100), Duration::from_secs(3)],
    stable: Duration::from_secs(6),
};

/// How a phone is doing.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The replica to which it has an open socket that said `ready`.
    pub replica: Option<usize>,
    /// How many chats it has not been acknowledged.
    pub unsent: u32,
    /// How often it was told to load anew.
    pub resets: u32,
}

impl Status {
    fn of(mark: &Mark) -> Self {
        let replica = mark.is_ready.load(Relaxed).then(|| mark.target.load(Relaxed));
        Self { replica, unsent: mark.unsent.load(Relaxed), resets: mark.resets.load(Relaxed) }
    }
}

/// A load under way. Dropping it ends its phones where they are.
pub struct Load {
    /// Of the test that it is for.
    pub figures: Figures,
    world: Arc<World>,
    times: Arc<TimeKeeper>,
    phones: Vec<Member>,
    /// What has the phones write.
    writing: JoinSet<()>,
    /// What has people change groups and chats, until it is told to stop.
    changing: JoinSet<()>,
    stop: Arc<AtomicBool>,
    lives: JoinSet<Book>,
    /// The longest that it took until [all flowed](Load::flows).
    longest: Duration,
}

struct Member {
    orders: Arc<Orders>,
    writes: bool,
}

impl Load {
    /// Logs people in, and returns when all phones are connected, write, and are shown what others write.
    /// The figures get this name.
    pub async fn start(cluster: &Cluster, size: Size, name: &str) -> Self {
        let servers = &cluster.replicas;
        let mut people = Vec::new();
        for number in 0..size.users + size.listeners {
            let server = &servers[number % servers.len()];
            let person = server.person(&format!("人{number}")).await;
            people.push(Person { id: person.id, token: person.token });
        }
        let (parts, talks) = (size.parts(), size.talks());
        let targets = servers.iter().map(|server| server.url("/").parse().unwrap());
        let targets: Vec<_> = targets.map(|url| Target::find(&url).unwrap()).collect();
        let mut groups = Vec::new();
        for Talk { stayers, rovers, listeners } in &talks {
            let members = stayers.iter().chain(rovers).chain(listeners);
            let members: Vec<_> = members.map(|place| people[*place].clone()).collect();
            groups.push(make_group(&http(), &targets[0], &members, "group").await.unwrap());
        }
        let clock = Clock::start();
        let world = Arc::new(World {
            wire: Arc::new(Imserver::default()),
            http: http(),
            targets,
            marks: parts.iter().map(|_| Mark::default()).collect(),
            people: parts.iter().map(|part| people[part.person].clone()).collect(),
            contents: Contents::new(100),
            clock,
            timing: TIMING,
            // So that the order of what one phone sends to one person is known whatever is repeated.
            window: 1,
            since: Some(0),
            run: 1,
            seed: rand::random(),
            groups,
            asked: Mutex::default(),
            pictures: Mutex::default(),
            broken: Mutex::default(),
        });
        let mut load = Self {
            figures: Figures::of(name),
            world: Arc::clone(&world),
            times: Arc::new(TimeKeeper::new(clock)),
            phones: Vec::new(),
            writing: JoinSet::new(),
            changing: JoinSet::new(),
            stop: Arc::default(),
            lives: JoinSet::new(),
            longest: Duration::ZERO,
        };
        let phone_of = |person: usize| {
            let phone = parts.iter().position(|part| part.person == person).unwrap();
            u32::try_from(phone).unwrap()
        };
        let pause =
            u32::try_from(size.users + size.pairs).unwrap() * Duration::from_secs(1) / size.rate;
        for (number, part) in (0..).zip(&parts) {
            let orders = Arc::new(Orders::default());
            orders.give(Order::Come);
            let observer = Arc::clone(&load.times) as Arc<dyn Observer>;
            let at = part.at % servers.len();
            let phone = Phone::new(number, at, Arc::clone(&world), observer, Arc::clone(&orders));
            load.lives.spawn(phone.run());
            let mut targets: Vec<_> = part.peers.iter().map(|peer| people[*peer].id).collect();
            // As much to the group as to people.
            let group = part.group.map(|group| address::of_group(world.groups[group].id));
            targets.extend(group.iter().flat_map(|group| vec![*group; part.peers.len()]));
            load.phones.push(Member { orders: Arc::clone(&orders), writes: !targets.is_empty() });
            if !targets.is_empty() {
                load.writing.spawn(write(Arc::clone(&world), number, orders, targets, pause));
            }
        }
        for (group, Talk { stayers, rovers, .. }) in talks.into_iter().enumerate() {
            let phones = |places: Vec<usize>| places.into_iter().map(phone_of).collect::<Vec<_>>();
            let (stayers, rovers) = (phones(stayers), phones(rovers));
            let (world, stop) = (Arc::clone(&world), Arc::clone(&load.stop));
            load.changing.spawn(change(world, group, stayers, rovers, stop));
        }
        load.flows(Instant::now()).await;
        load.longest = Duration::ZERO;
        load
    }

    /// The times, as long as nobody else needs them.
    pub fn times(&self) -> MutexGuard<'_, Times> {
        self.times.times()
    }

    /// Whose phones these are, each once.
    pub fn users(&self) -> Vec<i64> {
        let users: BTreeSet<_> = self.world.people.iter().map(|person| person.id).collect();
        users.into_iter().collect()
    }

    /// How each phone is doing.
    pub fn statuses(&self) -> Vec<Status> {
        self.world.marks.iter().map(Status::of).collect()
    }

    /// Lets it run.
    pub async fn run_for(&mut self, duration: Duration) {
        let ended = timeout(duration, self.lives.join_next()).await;
        assert!(ended.is_err(), "a phone gave up: {:?}", ended.unwrap());
        let broken = self.world.broken.lock().clone();
        assert!(broken.is_none(), "{broken:?}");
        let times = self.times();
        let unexpected = times.unexpected();
        assert!(unexpected.is_none(), "a replica answers {unexpected:?}");
    }

    /// Waits until every phone that writes has been acknowledged a chat that it wrote after `since`, and
    /// every phone has been shown one that somebody else wrote after it. Returns how long that took from
    /// `since` on.
    pub async fn flows(&mut self, since: Instant) -> Duration {
        let everybody: Vec<_> = (0..self.phones.len()).collect();
        self.sends(&everybody, since).await;
        self.until("all are shown what others write", async |load: &Self| {
            let times = load.times();
            (0..).zip(&load.phones).all(|(number, _)| times.heard_since(number, since))
        })
        .await;
        let took = since.elapsed();
        self.longest = self.longest.max(took);
        took
    }

    /// Waits until each of these phones that writes has been acknowledged a chat that it wrote after
    /// `since`. They are named by their places in [`Load::statuses`]. Returns how long that took from
    /// `since` on.
    pub async fn sends(&mut self, phones: &[usize], since: Instant) -> Duration {
        self.until("all are acknowledged what they write", async |load: &Self| {
            let times = load.times();
            phones
                .iter()
                .filter(|place| load.phones[**place].writes)
                .all(|place| times.acknowledged_since(u32::try_from(*place).unwrap(), since))
        })
        .await;
        since.elapsed()
    }

    /// Waits until a join, a leave, a recall and a deletion were done that nobody had asked for before now.
    pub async fn changes(&mut self) {
        let before = self.world.asked.lock().len();
        self.until("joins, leaves, recalls and deletions are done", async |load: &Self| {
            let asked = load.world.asked.lock();
            let done = asked[before..].iter().filter(|asked| asked.is_done);
            let kinds: HashSet<_> = done.map(|asked| discriminant(&asked.change)).collect();
            kinds.len() == 4
        })
        .await;
    }

    /// Waits until every phone's user is shown as online, by one replica or another.
    pub async fn until_all_are_online(&mut self) {
        self.until("all are online", async |load: &Self| {
            let World { people, targets, http, .. } = &*load.world;
            let asked = people.iter().enumerate().map(async |(place, person)| {
                let path = format!("/v1/presence?userIds={}", person.id);
                let addr = targets[place % targets.len()].addr;
                let answer = reading::get(http, addr, &person.token, &path).await;
                answer.is_some_and(|answer| answer["presence"][0]["online"] == true)
            });
            join_all(asked).await.into_iter().all(|is_online| is_online)
        })
        .await;
    }

    /// Has nobody write any more, waits until all that was written is acknowledged and every phone has
    /// caught up with its user's timeline, reads everything back, and judges. Whatever is wrong fails the
    /// test. The figures of [`Load::times`] are complete then.
    pub async fn settle(&mut self) -> Verdict {
        let begun = Instant::now();
        self.stop.store(true, Relaxed);
        while let Some(ended) =
            timeout(PATIENCE, self.changing.join_next()).await.expect("changes come to an end")
        {
            ended.unwrap();
        }
        self.writing.shutdown().await;
        self.tell(Order::Settle);
        self.until("all outboxes are empty", async |load: &Self| load.world.all_are_settled())
            .await;
        let world = Arc::clone(&self.world);
        let people: BTreeMap<_, _> =
            world.people.iter().map(|person| (person.id, person)).collect();
        let mut timelines = Vec::new();
        for person in people.values() {
            let read = self.ask(async |at, _| timeline(&world, at, person, 0).await.ok());
            timelines.push(read.await);
        }
        let end = |timeline: &Timeline| timeline.events.last().and_then(|(seq, _)| *seq);
        let ends: BTreeMap<_, _> =
            timelines.iter().map(|timeline| (timeline.user, end(timeline).unwrap_or(0))).collect();
        // Whoever does not is told by the ledger, with what is missing.
        self.waited(async |load: &Self| {
            let mut phones = load.world.marks.iter().zip(&load.world.people);
            phones.all(|(mark, person)| mark.cursor.load(Relaxed) >= ends[&person.id])
        })
        .await;
        let caught_up = begun.elapsed();
        let mut listings = Vec::new();
        for person in people.values() {
            let groups = world.groups.iter().filter(|group| group.members.contains(&person.id));
            let groups: Vec<_> = groups.map(|group| group.id).collect();
            let read = self
                .ask(async |_, addr| reading::listings(&world.http, addr, person, &groups).await);
            listings.extend(read.await);
        }
        self.tell(Order::End);
        let mut books = Vec::new();
        while let Some(ended) = self.lives.join_next().await {
            books.push(ended.unwrap());
        }
        let mut verdict = judge_changes(&books, &timelines, &world.changes());
        verdict.absorb(&judge_listings(&timelines, &listings));
        assert!(verdict.is_clean(), "{verdict}");
        let figures = &self.figures;
        figures.count("chats", verdict.chats).count("shown", verdict.shown);
        if !self.longest.is_zero() {
            figures.time("longest until all chat again", self.longest);
        }
        figures.time("caught up in", caught_up).time("read back in", begun.elapsed());
        verdict
    }

    fn tell(&self, order: Order) {
        for Member { orders, .. } in &self.phones {
            orders.give(order);
        }
    }

    /// Asks one replica after the other, by its place and its address, until one answers.
    async fn ask<T>(&self, question: impl AsyncFn(usize, SocketAddr) -> Option<T>) -> T {
        let begun = Instant::now();
        for (at, target) in self.world.targets.iter().enumerate().cycle() {
            if let Some(answer) = question(at, target.addr).await {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "no replica answers");
            sleep(Duration::from_millis(100)).await;
        }
        unreachable!("there are replicas")
    }

    /// Waits until it is so of the load. A phone that gives up fails the test.
    async fn until(&mut self, what: &str, is_so: impl AsyncFnMut(&Self) -> bool) {
        let is_so = self.waited(is_so).await;
        assert!(is_so, "not within {PATIENCE:?}: {what}; {:?}", self.laggards());
    }

    /// Whether it was so in time.
    async fn waited(&mut self, mut is_so: impl AsyncFnMut(&Self) -> bool) -> bool {
        let begun = Instant::now();
        while !is_so(self).await {
            if begun.elapsed() > PATIENCE {
                return false;
            }
            self.run_for(Duration::from_millis(20)).await;
        }
        true
    }

    /// Who has no socket, or has something to send.
    fn laggards(&self) -> Vec<(usize, Status)> {
        let mut statuses: Vec<_> = self.statuses().into_iter().enumerate().collect();
        statuses.retain(|(_, status)| status.unsent > 0 || status.replica.is_none());
        statuses
    }
}
