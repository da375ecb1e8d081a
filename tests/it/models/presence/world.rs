//! Three replicas and a Redis, in which everything happens when the test says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use imserver::{
    domain::{ConnectionId, UserId},
    presence::redis::{Held, LeaseManager, Script},
};
use parking_lot::Mutex;
use redis::{
    Cmd, Pipeline, RedisFuture, Value,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
};

use super::{REPLICAS, TIMES, USERS};
use crate::{
    contracts::presence::{RedisClock, StillTime},
    harness::Redis,
};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    NotSent,
    NotAnswered,
    /// It arrives when nobody waits for it any more.
    Late,
}

/// A link that fails as it is told.
struct Link {
    connection: MultiplexedConnection,
    /// How many calls come before the one that fails, and how it does.
    fate: Option<(usize, Fate)>,
    late: Vec<Cmd>,
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let fate = match self.fate.take() {
                Some((calls, fate)) if calls > 0 => {
                    self.fate = Some((calls - 1, fate));
                    None
                }
                fate => fate.map(|(_, fate)| fate),
            };
            if fate.is_none() || fate == Some(Fate::NotAnswered) {
                let answer = self.connection.req_packed_command(cmd).await?;
                if fate.is_none() {
                    return Ok(answer);
                }
            }
            if fate == Some(Fate::Late) {
                self.late.push(cmd.clone());
            }
            Err(io::Error::from(io::ErrorKind::TimedOut).into())
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }
}

struct Replica {
    manager: LeaseManager,
    held: Arc<Mutex<Held>>,
    link: Link,
    is_connected: bool,
    is_frozen: bool,
}

pub struct World {
    clock: RedisClock,
    _still: StillTime,
    script: Arc<Script>,
    connection: MultiplexedConnection,
    transitions: PubSub,
    replicas: Vec<Replica>,
    late: Vec<Cmd>,
    /// What was heard last of each user: version, online.
    heard: BTreeMap<i64, (i64, bool)>,
    /// Those of whom Redis was made to forget what was heard.
    forgotten: BTreeSet<i64>,
    has_crashed: bool,
    has_flushed: bool,
}

fn user(number: i64) -> UserId {
    UserId::new(number).unwrap()
}

impl World {
    /// Begins anew on a server that nobody else uses.
    pub async fn start(server: &'static Redis, edit: impl Fn(&str) -> String) -> Self {
        let still = StillTime::begin();
        server.ask("FLUSHALL").unwrap();
        let clock = RedisClock::start(server);
        let client = redis::Client::open(server.url()).unwrap();
        // Calls fail when the history says so, and not because the machine was busy for half a second.
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMES.answer))
            .set_response_timeout(Some(TIMES.answer));
        let connection =
            client.get_multiplexed_async_connection_with_config(&patient).await.unwrap();
        let transitions = client.get_async_pubsub().await.unwrap();
        let script = Arc::new(clock.script(edit));
        let mut world = Self {
            clock,
            _still: still,
            script,
            connection,
            transitions,
            replicas: Vec::new(),
            late: Vec::new(),
            heard: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            has_crashed: false,
            has_flushed: false,
        };
        let channels = [world.script.key("transitions"), world.script.key("marks")];
        world.transitions.subscribe(&channels).await.unwrap();
        world.replicas = (0..REPLICAS).map(|_| world.process()).collect();
        for replica in 0..REPLICAS {
            world.beat(replica).await;
        }
        world
    }

    fn process(&self) -> Replica {
        let held = Arc::new(Mutex::new(Held::new(TIMES.grace)));
        let manager = LeaseManager::new(Arc::clone(&self.script), TIMES, Arc::clone(&held));
        let link = Link { connection: self.connection.clone(), fate: None, late: Vec::new() };
        Replica { manager, held, link, is_connected: false, is_frozen: false }
    }

    pub async fn change(&mut self, replica: usize, number: i64, socket: i64, opens: bool) {
        let connection = ConnectionId::new(i64::try_from(replica).unwrap() * 10 + socket).unwrap();
        let user = user(number);
        let at = &mut self.replicas[replica];
        if at.is_frozen {
            return;
        }
        if opens {
            at.held.lock().join(user, connection);
        } else {
            at.held.lock().leave(user, connection);
        }
        at.is_connected = at.is_connected && at.manager.apply(&mut at.link).await.is_ok();
    }

    pub async fn beat(&mut self, replica: usize) {
        let at = &mut self.replicas[replica];
        if at.is_frozen {
            return;
        }
        if !at.is_connected {
            at.manager.reconnected();
        }
        at.is_connected = at.manager.renew(&mut at.link).await.is_ok();
    }

    pub async fn sweep(&mut self, replica: usize) {
        let at = &mut self.replicas[replica];
        if !at.is_frozen && at.is_connected {
            at.is_connected = at.manager.tidy(&mut at.link).await.is_ok();
        }
    }

    pub fn freeze(&mut self, replica: usize, is_frozen: bool) {
        self.replicas[replica].is_frozen = is_frozen;
    }

    pub fn crash(&mut self, replica: usize) {
        let next = self.process();
        let dead = std::mem::replace(&mut self.replicas[replica], next);
        self.late.extend(dead.link.late);
        self.has_crashed = true;
    }

    pub async fn close(&mut self, replica: usize) {
        let at = &mut self.replicas[replica];
        if at.is_frozen || at.manager.close(&mut at.link).await.is_err() {
            self.has_crashed = true;
        }
        // Redis may forget a leaving that only the process that has ended knows of.
        self.has_crashed |= self.has_flushed;
        let next = self.process();
        let closed = std::mem::replace(&mut self.replicas[replica], next);
        self.late.extend(closed.link.late);
        self.has_crashed = true;
    }

    pub fn fail_call(&mut self, replica: usize, calls_before: usize, fate: Fate) {
        self.replicas[replica].link.fate = Some((calls_before, fate));
    }

    pub async fn deliver(&mut self) {
        for at in &mut self.replicas {
            self.late.append(&mut at.link.late);
        }
        for call in self.late.drain(..) {
            call.exec_async(&mut self.connection).await.unwrap();
        }
    }

    pub async fn flush(&mut self) {
        redis::cmd("FLUSHALL").exec_async(&mut self.connection).await.unwrap();
        // There is no more than one transition in a microsecond, as there could be while time stands.
        self.clock.pass(Duration::from_millis(1)).await;
        self.forgotten = (1..=USERS).map(|number| user(number).get()).collect();
        self.has_flushed = true;
    }

    pub async fn pass(&self, time: Duration) {
        self.clock.pass(time).await;
    }

    /// Checks what must hold at any time: in Redis, and between Redis and what was announced.
    pub async fn check(&mut self) -> Result<(), String> {
        self.hear().await?;
        let mut check = redis::cmd("EVAL");
        check.arg(include_str!("check.lua")).arg(1).arg(self.script.key(""));
        check.arg(self.clock.now().as_millis());
        let answer: Vec<String> = check.query_async(&mut self.connection).await.unwrap();
        let (wrong, online) = answer.split_first().unwrap();
        if !wrong.is_empty() {
            return Err(wrong.clone());
        }
        for number in 1..=USERS {
            let user = user(number).get();
            let (is_here, is_known) =
                (online.contains(&user.to_string()), online.contains(&format!("?{user}")));
            let heard = self.heard.get(&user).is_some_and(|(_, online)| *online);
            // Of somebody who came and went while nothing could be written, only the end is heard.
            let is_right = if heard { is_here || is_known } else { !is_here };
            if !is_right && !self.forgotten.contains(&user) {
                return Err(format!("{user} here: {is_here}, known: {is_known}, heard: {heard}"));
            }
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<(), String> {
        let mut mark = redis::cmd("PUBLISH");
        mark.arg(self.script.key("marks"))
            .arg("mark")
            .exec_async(&mut self.connection)
            .await
            .unwrap();
        let now = self.clock.now();
        let mut messages = self.transitions.on_message();
        loop {
            let text: String = messages.next().await.unwrap().get_payload().unwrap();
            if text == "mark" {
                return Ok(());
            }
            // The last word says who announced it.
            let numbers = text.split(' ').take(4).map(|word| word.parse().unwrap());
            let [user, online, at, version] = numbers.collect::<Vec<i64>>()[..] else {
                panic!("{text}")
            };
            if online == 0 && now.as_millis() - at < i64::try_from(TIMES.grace.as_millis()).unwrap()
            {
                return Err(format!("{text}: announced offline within the grace, at {now}"));
            }
            let before = self.heard.insert(user, (version, online == 1));
            self.forgotten.remove(&user);
            if before.is_some_and(|(before, _)| before >= version) {
                return Err(format!("{text}: its version is not newer than {before:?}"));
            }
        }
    }

    /// Lets everything work again, and checks that each socket is known and no other.
    pub async fn calm_down(mut self) -> Result<(), String> {
        for at in &mut self.replicas {
            at.is_frozen = false;
            at.link.fate = None;
        }
        self.beat_all().await;
        self.lacks_nobody().await?;
        // What comes ever so late changes nothing for long, and loses nobody.
        self.deliver().await;
        for _ in 0..8 {
            self.clock.pass(TIMES.heartbeat).await;
            self.beat_all().await;
            self.lacks_nobody().await?;
            for replica in 0..REPLICAS {
                self.sweep(replica).await;
                self.sweep(replica).await;
            }
            self.check().await?;
        }
        let (known, open) = (self.known().await, self.open());
        if known != open {
            return Err(format!("ghosts: {known:?} instead of {open:?}"));
        }
        for number in 1..=USERS {
            let user = user(number).get();
            let is_here = open.iter().any(|(who, _)| *who == user);
            let announced = self.heard.get(&user).is_some_and(|(_, online)| *online);
            // Nobody is left who knows of those that both Redis and their replica have lost.
            let nobody_knows = !is_here && self.has_flushed && self.has_crashed;
            if is_here != announced && !nobody_knows {
                return Err(format!("{user} is here: {is_here}, announced: {announced}"));
            }
        }
        self.has_no_rubbish().await
    }

    async fn beat_all(&mut self) {
        for replica in 0..REPLICAS {
            self.beat(replica).await;
        }
    }

    fn open(&self) -> BTreeSet<(i64, i64)> {
        let mut open = BTreeSet::new();
        for at in &self.replicas {
            for (user, sockets) in at.held.lock().sockets.open(None) {
                open.extend(sockets.iter().map(|socket| (user.get(), socket.get())));
            }
        }
        open
    }

    /// The sockets at living replicas.
    async fn known(&mut self) -> BTreeSet<(i64, i64)> {
        let mut living = redis::cmd("ZRANGEBYSCORE");
        living.arg(self.script.key("leases"));
        living.arg(format!("({}", self.clock.now().as_millis())).arg("+inf");
        let living: Vec<String> = living.query_async(&mut self.connection).await.unwrap();
        let mut known = BTreeSet::new();
        for incarnation in living {
            let mut sockets = redis::cmd("HGETALL");
            sockets.arg(self.script.key(&format!("sockets:{incarnation}")));
            let sockets: BTreeMap<String, String> =
                sockets.query_async(&mut self.connection).await.unwrap();
            for (user, sockets) in sockets.iter().filter(|(user, _)| *user != "left") {
                let ids = sockets.split(',').filter(|id| !id.is_empty());
                known.extend(ids.map(|id| (user.parse().unwrap(), id.parse().unwrap())));
            }
        }
        known
    }

    async fn lacks_nobody(&mut self) -> Result<(), String> {
        let known = self.known().await;
        let missing: Vec<_> = self.open().difference(&known).copied().collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("missing: {missing:?}")) }
    }

    /// Checks that no key is left of what is gone.
    async fn has_no_rubbish(&mut self) -> Result<(), String> {
        let mut leases = redis::cmd("ZCARD");
        leases.arg(self.script.key("leases"));
        let leases: usize = leases.query_async(&mut self.connection).await.unwrap();
        let mut found = Vec::new();
        for kind in ["users:*", "sockets:*"] {
            let mut keys = redis::cmd("KEYS");
            keys.arg(self.script.key(kind));
            let keys: Vec<String> = keys.query_async(&mut self.connection).await.unwrap();
            found.push(keys.len());
        }
        let holding = |at: &&Replica| at.held.lock().sockets.open(None).next().is_some();
        let holding = self.replicas.iter().filter(holding).count();
        if leases == REPLICAS && found == [holding, holding] {
            return Ok(());
        }
        Err(format!("leases: {leases}; users, sockets: {found:?}, not {holding}"))
    }
}
