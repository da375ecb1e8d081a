//! What every `presence` implementation is held to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use imserver::{
    clock::{Clock, Timestamp},
    domain::{ConnectionId, UserId},
    presence::{
        Connection, OnlineUser, Presence, Transition,
        local::LocalPresence,
        redis::{RedisPresence, Scripts, Times},
    },
};
use proptest::{prelude::*, test_runner::TestRunner};
use rand::Rng as _;
use tokio::sync::mpsc;

use crate::harness::{DEADLINE, Redis};

/// How long after the last leave the tested registers announce offline.
const GRACE: Duration = Duration::from_millis(200);

/// The step of time in the model test. Its multiples stay clear of the grace.
const STEP: Duration = Duration::from_millis(30);

/// An empty register of its own.
trait PresenceFactory: Sized {
    /// How many random histories are tried.
    const HISTORIES: u32;

    async fn start(grace: Duration) -> Self;

    fn presence(&self) -> Arc<dyn Presence>;

    fn transitions(&mut self) -> &mut mpsc::Receiver<Transition>;

    /// The register's time.
    fn now(&self) -> Timestamp;

    /// Lets time pass, for the register's clock as for its timers.
    async fn pass(&self, time: Duration);
}

struct LocalFactory {
    presence: Arc<LocalPresence>,
    transitions: mpsc::Receiver<Transition>,
    clock: Clock,
}

impl PresenceFactory for LocalFactory {
    const HISTORIES: u32 = 256;

    async fn start(grace: Duration) -> Self {
        tokio::time::pause();
        let clock = Clock::manual(Timestamp::from_millis(1_763_804_459_120));
        let (presence, transitions) = LocalPresence::with_grace(clock.clone(), grace);
        Self { presence: Arc::new(presence), transitions, clock }
    }

    fn presence(&self) -> Arc<dyn Presence> {
        Arc::clone(&self.presence) as Arc<dyn Presence>
    }

    fn transitions(&mut self) -> &mut mpsc::Receiver<Transition> {
        &mut self.transitions
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::sleep(time).await;
    }
}

/// A register over a Redis whose time stands until a test moves it.
struct RedisFactory {
    presence: Arc<RedisPresence>,
    transitions: mpsc::Receiver<Transition>,
    clock: RedisClock,
}

impl PresenceFactory for RedisFactory {
    const HISTORIES: u32 = 64;

    async fn start(grace: Duration) -> Self {
        let clock = RedisClock::start(Redis::shared());
        // A test may let any time pass between two beats.
        let times =
            Times { grace, lease: Duration::from_hours(1), answer: DEADLINE, ..Times::default() };
        let urls = [Redis::shared().url().to_string()];
        let connected =
            RedisPresence::connect_with(&urls, &clock.namespace, times, clock.scripts()).await;
        let (presence, transitions) = connected.unwrap();
        Self { presence: Arc::new(presence), transitions, clock }
    }

    fn presence(&self) -> Arc<dyn Presence> {
        Arc::clone(&self.presence) as Arc<dyn Presence>
    }

    fn transitions(&mut self) -> &mut mpsc::Receiver<Transition> {
        &mut self.transitions
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }
}

/// The time of the scripts of one namespace: it stands until it is moved.
pub struct RedisClock {
    pub namespace: String,
    redis: &'static Redis,
    clock: Clock,
}

impl RedisClock {
    /// A clock of a new namespace.
    pub fn start(redis: &'static Redis) -> Self {
        static NAMESPACES: AtomicU64 = AtomicU64::new(0);
        let namespace = format!("presence-{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let clock = Clock::manual(Timestamp::from_millis(1_763_804_459_120));
        let started = Self { namespace, redis, clock };
        started.pass(Duration::ZERO);
        started
    }

    /// The scripts, on this clock.
    pub fn scripts(&self) -> Scripts {
        self.edited_scripts(|_, source| source)
    }

    /// The scripts with another change.
    pub fn edited_scripts(&self, edit: impl Fn(&'static str, String) -> String) -> Scripts {
        let time = format!("redis.call('HMGET', '{}:clock', 's', 'us')", self.namespace);
        Scripts::edited(|name, source| {
            assert!(source.contains("redis.call('TIME')"));
            edit(name, source.replace("redis.call('TIME')", &time))
        })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
        let now = self.now().as_millis();
        let (s, us) = (now / 1_000, now % 1_000 * 1_000);
        self.redis.ask(&format!("HSET {}:clock s {s} us {us}", self.namespace)).unwrap();
    }
}

macro_rules! presence_contract {
    ($name:ident, $factory:ty, $($case:ident),+ $(,)?) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(super::Register::<$factory>::start().await).await;
                }
            )+

            #[test]
            fn random_histories_agree_with_the_model() {
                super::random_histories_agree_with_the_model::<$factory>();
            }
        }
    };
    ($name:ident, $factory:ty) => {
        presence_contract!(
            $name,
            $factory,
            coming_and_going_are_announced_once_and_in_time,
            joining_and_leaving_twice_is_no_error,
            a_user_stays_for_as_long_as_one_socket_does,
            coming_back_within_the_grace_is_not_seen,
            the_grace_begins_anew_with_each_leave,
            lists_are_paged_by_id_and_show_sockets_only,
            the_sockets_of_users_are_known_by_id,
            versions_rise_and_follow_the_time,
        );
    };
}

presence_contract!(local, super::LocalFactory);
presence_contract!(redis, super::RedisFactory);

/// A register under test, and the words in which the cases speak.
struct Register<F> {
    factory: F,
    presence: Arc<dyn Presence>,
}

impl<F: PresenceFactory> Register<F> {
    async fn start() -> Self {
        let factory = F::start(GRACE).await;
        let presence = factory.presence();
        Self { factory, presence }
    }

    /// Joins, and returns when: not before the first time and not after the second.
    async fn join(&self, who: i64, socket: i64) -> (Timestamp, Timestamp) {
        let before = self.factory.now();
        self.presence.join(user(who), connection(socket)).await.unwrap();
        (before, self.factory.now())
    }

    /// Leaves, and returns when: not before the first time and not after the second.
    async fn leave(&self, who: i64, socket: i64) -> (Timestamp, Timestamp) {
        let before = self.factory.now();
        self.presence.leave(user(who), connection(socket)).await.unwrap();
        (before, self.factory.now())
    }

    async fn pass(&self, time: Duration) {
        self.factory.pass(time).await;
    }

    async fn hear(&mut self) -> Transition {
        tokio::time::timeout(DEADLINE, self.factory.transitions().recv())
            .await
            .expect("nothing was announced in time")
            .expect("the register is alive")
    }

    /// Hears that a user came or went at that time.
    async fn expect(&mut self, who: i64, online: bool, at: (Timestamp, Timestamp)) -> Transition {
        let heard = self.hear().await;
        assert_eq!((heard.user, heard.online), (user(who), online));
        assert!(heard.is_ours, "nobody else is there who could have announced it");
        assert!(at.0 <= heard.at && heard.at <= at.1, "{} is not within {at:?}", heard.at);
        heard
    }

    /// Asserts that all that was announced has been heard.
    async fn expect_silence(&mut self) {
        // A stranger's coming is announced after whatever was announced before it.
        let stranger = rand::rng().random_range(1 << 40..1 << 50);
        let at = self.join(stranger, 1).await;
        self.expect(stranger, true, at).await;
    }

    async fn is_online(&self, who: i64) -> bool {
        let online = self.presence.online(&[user(who), user(999)]).await.unwrap();
        assert!(!online.contains(&user(999)));
        online == [user(who)]
    }

    async fn list(&self, after: Option<i64>, limit: u32) -> Vec<(i64, u32)> {
        let users = self.presence.list(after.map(user), limit).await.unwrap();
        users.iter().map(|OnlineUser { user, connections }| (user.get(), *connections)).collect()
    }
}

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

fn connection(id: i64) -> ConnectionId {
    ConnectionId::new(id).unwrap()
}

async fn coming_and_going_are_announced_once_and_in_time(
    mut register: Register<impl PresenceFactory>,
) {
    assert!(!register.is_online(1).await);
    let came = register.join(1, 11).await;
    register.expect(1, true, came).await;
    assert!(register.is_online(1).await);

    register.pass(STEP).await;
    let left = register.leave(1, 11).await;
    assert!(register.is_online(1).await, "nobody is offline before the grace is over");
    register.pass(GRACE + STEP).await;
    register.expect(1, false, left).await;
    assert!(!register.is_online(1).await);
    register.pass(GRACE * 2).await;
    register.expect_silence().await;

    let again = register.join(1, 12).await;
    register.expect(1, true, again).await;
}

async fn joining_and_leaving_twice_is_no_error(mut register: Register<impl PresenceFactory>) {
    let came = register.join(1, 11).await;
    register.join(1, 11).await;
    register.expect(1, true, came).await;
    assert_eq!(register.list(None, 10).await, [(1, 1)]);

    let left = register.leave(1, 11).await;
    register.pass(STEP).await;
    register.leave(1, 11).await;
    register.leave(2, 11).await;
    register.pass(GRACE + STEP).await;
    register.expect(1, false, left).await;
    register.leave(1, 11).await;
    register.pass(GRACE * 2).await;
    register.expect_silence().await;
}

async fn a_user_stays_for_as_long_as_one_socket_does(mut register: Register<impl PresenceFactory>) {
    let came = register.join(1, 11).await;
    register.pass(STEP).await;
    register.join(1, 12).await;
    register.expect(1, true, came).await;
    assert_eq!(register.list(None, 10).await, [(1, 2)]);

    register.leave(1, 11).await;
    register.leave(1, 13).await;
    register.pass(GRACE * 2).await;
    assert_eq!(register.list(None, 10).await, [(1, 1)]);
    register.expect_silence().await;
    assert!(register.is_online(1).await);

    let left = register.leave(1, 12).await;
    register.pass(GRACE + STEP).await;
    register.expect(1, false, left).await;
}

async fn coming_back_within_the_grace_is_not_seen(mut register: Register<impl PresenceFactory>) {
    let came = register.join(1, 11).await;
    register.expect(1, true, came).await;
    register.leave(1, 11).await;
    register.pass(GRACE / 2).await;
    assert!(register.is_online(1).await);
    register.join(1, 12).await;
    register.pass(GRACE * 2).await;
    register.expect_silence().await;
    assert!(register.is_online(1).await);
}

async fn the_grace_begins_anew_with_each_leave(mut register: Register<impl PresenceFactory>) {
    let came = register.join(1, 11).await;
    register.expect(1, true, came).await;
    register.leave(1, 11).await;
    register.pass(STEP * 4).await;
    register.join(1, 12).await;
    let left = register.leave(1, 12).await;
    register.pass(STEP * 4).await;
    assert!(register.is_online(1).await, "the first leave was taken back");
    register.expect_silence().await;
    register.pass(STEP * 4).await;
    register.expect(1, false, left).await;
}

async fn lists_are_paged_by_id_and_show_sockets_only(register: Register<impl PresenceFactory>) {
    // Where ids are sorted as text, 10 comes before 9; where they are spread, anything does.
    for who in [100, 9, 10, 1_000_000, 2] {
        register.join(who, who).await;
    }
    register.join(9, 90).await;
    register.join(50, 50).await;
    register.leave(50, 50).await;

    assert!(register.is_online(50).await);
    assert_eq!(register.list(None, 2).await, [(2, 1), (9, 2)]);
    assert_eq!(register.list(Some(9), 2).await, [(10, 1), (100, 1)]);
    assert_eq!(register.list(Some(100), 2).await, [(1_000_000, 1)]);
    assert_eq!(register.list(Some(1_000_000), 2).await, []);
    assert_eq!(register.list(Some(3), 1).await, [(9, 2)], "a page may begin after anybody");
    assert_eq!(register.list(None, 100).await.len(), 5);
}

async fn the_sockets_of_users_are_known_by_id(register: Register<impl PresenceFactory>) {
    // As numbers, 9 comes before 10; and they are as large as ids get.
    let large = imserver::domain::MAX_ID;
    for (who, socket) in [(1, 10), (1, large), (1, 9), (2, 7), (3, 8), (1_000, 5)] {
        register.join(who, socket).await;
    }
    register.join(1, 10).await;
    register.leave(1, 9).await;
    register.leave(3, 8).await;
    let asked = [1_000, 1, 3, 77, 1, 2].map(user);
    let open = register.presence.connections(&asked).await.unwrap();
    let sure = |id| Connection { id: connection(id), is_sure: true };
    let expected = [
        (user(1), vec![sure(10), sure(large)]),
        (user(2), vec![sure(7)]),
        (user(1_000), vec![sure(5)]),
    ];
    assert_eq!(open, expected.into());
    assert!(register.presence.connections(&[]).await.unwrap().is_empty());
}

async fn versions_rise_and_follow_the_time(mut register: Register<impl PresenceFactory>) {
    let mut last = 0;
    for _ in 0..3 {
        let came = register.join(1, 11).await;
        let online = register.expect(1, true, came).await;
        assert!(online.version > last);
        // In microseconds of the time, so that they rise although all was forgotten.
        assert!(online.version >= came.0.as_millis() * 1_000);
        let left = register.leave(1, 11).await;
        register.pass(GRACE + STEP).await;
        let offline = register.expect(1, false, left).await;
        assert!(offline.version > online.version);
        last = offline.version;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Join { who: i64, socket: i64 },
    Leave { who: i64, socket: i64 },
    Pass { steps: u32 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 1..=3_i64;
    let socket = 1..=3_i64;
    let step = prop_oneof![
        3 => (who.clone(), socket.clone()).prop_map(|(who, socket)| Step::Join { who, socket }),
        4 => (who, socket).prop_map(|(who, socket)| Step::Leave { who, socket }),
        2 => (1..=12_u32).prop_map(|steps| Step::Pass { steps }),
    ];
    prop::collection::vec(step, 1..40)
}

/// What a register must say, written as simply as it can be.
#[derive(Default)]
struct Model {
    /// The sockets of those who are online; none within the grace.
    sockets: BTreeMap<i64, BTreeSet<i64>>,
    /// How long those within the grace have been there, and when they left.
    leaving: BTreeMap<i64, (Duration, (Timestamp, Timestamp))>,
}

impl Model {
    /// Lets time pass, and returns who goes offline.
    fn pass(&mut self, time: Duration) -> BTreeMap<i64, (Timestamp, Timestamp)> {
        for (gone_for, _) in self.leaving.values_mut() {
            *gone_for += time;
        }
        let over = self.leaving.iter().filter(|(_, (gone_for, _))| *gone_for > GRACE);
        let gone: BTreeMap<_, _> = over.map(|(who, (_, left))| (*who, *left)).collect();
        self.leaving.retain(|who, _| !gone.contains_key(who));
        self.sockets.retain(|who, _| !gone.contains_key(who));
        gone
    }
}

fn random_histories_agree_with_the_model<F: PresenceFactory>() {
    let config =
        ProptestConfig { cases: F::HISTORIES, failure_persistence: None, ..Default::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
                let mut register = Register::<F>::start().await;
                let mut model = Model::default();
                let mut versions = BTreeMap::new();
                for step in steps {
                    take(&step, &mut register, &mut model, &mut versions).await;
                }
                register.expect_silence().await;
            });
            Ok(())
        })
        .unwrap();
}

/// Takes one step in both and compares what they say after it.
async fn take<F: PresenceFactory>(
    step: &Step,
    register: &mut Register<F>,
    model: &mut Model,
    versions: &mut BTreeMap<i64, i64>,
) {
    match *step {
        Step::Join { who, socket } => {
            let at = register.join(who, socket).await;
            if !model.sockets.contains_key(&who) {
                let heard = register.expect(who, true, at).await;
                assert!(versions.insert(who, heard.version) < Some(heard.version));
            }
            model.leaving.remove(&who);
            model.sockets.entry(who).or_default().insert(socket);
        }
        Step::Leave { who, socket } => {
            let at = register.leave(who, socket).await;
            if let Some(sockets) = model.sockets.get_mut(&who)
                && sockets.remove(&socket)
                && sockets.is_empty()
            {
                model.leaving.insert(who, (Duration::ZERO, at));
            }
        }
        Step::Pass { steps } => {
            let time = STEP * steps;
            register.pass(time).await;
            let mut expected = model.pass(time);
            while !expected.is_empty() {
                let heard = register.hear().await;
                let who = heard.user.get();
                let left = expected.remove(&who).expect("only those whose grace is over go");
                assert!(!heard.online && left.0 <= heard.at && heard.at <= left.1);
                assert!(versions.insert(who, heard.version) < Some(heard.version));
            }
        }
    }
    let with_sockets: Vec<_> = model
        .sockets
        .iter()
        .filter(|(_, sockets)| !sockets.is_empty())
        .map(|(who, sockets)| (*who, u32::try_from(sockets.len()).unwrap()))
        .collect();
    assert_eq!(register.list(None, 100).await, with_sockets);
    for who in 1..=3 {
        assert_eq!(register.is_online(who).await, model.sockets.contains_key(&who));
    }
}
