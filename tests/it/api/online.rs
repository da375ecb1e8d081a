//! What it costs to tell somebody who is online: as much as there are acquaintances, whoever else is.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use imserver::{
    admission::Door,
    bus::local::LocalBroker,
    clock::Clock,
    delivery::Delivery,
    domain::{ClientMsgId, ConnectionId, Content, Destination, UserId, UserName},
    media::MediaLinks,
    messaging::Messaging,
    presence::{Connection, OnlineUser, Presence, PresenceError, local::LocalPresence},
    standing::Standings,
    store::{
        Acquaintance, NewChat, Store,
        batcher::{Batcher, LINGER},
        sqlite::SqliteStore,
    },
};
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::harness::rules;

/// Notes of whom it was asked.
struct Asked {
    register: Arc<LocalPresence>,
    of: Mutex<Vec<UserId>>,
}

#[async_trait]
impl Presence for Asked {
    async fn join(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        self.register.join(user, connection).await
    }

    async fn leave(&self, user: UserId, connection: ConnectionId) -> Result<(), PresenceError> {
        self.register.leave(user, connection).await
    }

    async fn set_background(
        &self,
        user: UserId,
        connection: ConnectionId,
        is_background: bool,
    ) -> Result<(), PresenceError> {
        self.register.set_background(user, connection, is_background).await
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<UserId>, PresenceError> {
        self.of.lock().extend(users);
        self.register.online(users).await
    }

    async fn connections(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<Connection>>, PresenceError> {
        self.of.lock().extend(users);
        self.register.connections(users).await
    }

    async fn list(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OnlineUser>, PresenceError> {
        let page = self.register.list(after, limit).await?;
        self.of.lock().extend(page.iter().map(|online| online.user));
        Ok(page)
    }
}

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

#[tokio::test]
async fn who_asks_who_is_online_asks_of_acquaintances_alone() {
    const STRANGERS: i64 = 3_000;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("im.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, Clock::default()).await.unwrap());
    let (register, _transitions) = LocalPresence::new(Clock::default());
    let asked = Arc::new(Asked { register: Arc::new(register), of: Mutex::default() });
    let presence = Arc::clone(&asked) as Arc<dyn Presence>;
    let (bus, _incoming) = LocalBroker::default().connect();
    let tasks = TaskTracker::new();
    let delivery = Delivery::start(
        Arc::clone(&store) as _,
        Arc::new(bus),
        Arc::clone(&presence),
        MediaLinks::new(String::new(), Clock::system()),
        tasks,
    )
    .await;
    let batcher = Batcher::start(Arc::clone(&store) as _, LINGER, Box::new(|_| {}));
    let messaging = |how| {
        Messaging::new(
            Arc::clone(&store),
            Door::new([]),
            batcher.clone(),
            Arc::clone(delivery.as_ref().unwrap()),
            Arc::clone(&presence),
            Standings::new(Arc::clone(&store), Clock::default()),
            rules(how),
        )
    };

    let everybody: Vec<_> =
        (1..=STRANGERS).map(|id| (user(id), UserName::placeholder(id))).collect();
    store.ensure_users(&everybody).await.unwrap();
    for id in 1..=STRANGERS {
        asked.join(user(id), ConnectionId::new(id).unwrap()).await.unwrap();
    }
    asked.join(user(2), ConnectionId::new(STRANGERS + 1).unwrap()).await.unwrap();
    let chats = [(1, 2), (2, 1), (3, 1), (1, 4)].map(|(sender, target)| {
        let content = Content::parse("x", 1).unwrap();
        NewChat::text(
            user(sender),
            Destination::Direct(user(target)),
            ClientMsgId::random(),
            content,
        )
    });
    store.append(&chats).await.unwrap();

    for (how, expected) in [
        (Acquaintance::Conversation, vec![(1, 1), (2, 2), (3, 1), (4, 1)]),
        (Acquaintance::BothWrote, vec![(1, 1), (2, 2)]),
    ] {
        asked.of.lock().clear();
        let online = messaging(how).online_users(Some(user(1))).await.unwrap();
        let online: Vec<_> =
            online.iter().map(|(user, (_, sockets))| (user.get(), *sockets)).collect();
        assert_eq!(online, expected);
        let mut of = std::mem::take(&mut *asked.of.lock());
        of.sort_unstable();
        let named: Vec<_> = expected.iter().map(|(id, _)| user(*id)).collect();
        assert_eq!(of, named, "nobody else was read");
    }
    let all = messaging(Acquaintance::BothWrote).online_users(None).await.unwrap();
    assert_eq!(i64::try_from(all.len()).unwrap(), STRANGERS);
}
