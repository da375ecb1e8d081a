//! What a lost hint costs, on a clock that the test moves: the interval of the comparison at most,
//! whenever the socket opened and however many there are.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use imserver::{
    bus::local::LocalBroker,
    clock::Clock,
    delivery::{Attachment, Delivery, reconcile},
    domain::{ConnectionId, Seq, UserId},
    hub::{Mailbox, Socket},
    media::MediaLinks,
    presence::local::LocalPresence,
};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::contracts::store::fake::FakeTimelines;

const INTERVAL: Duration = Duration::from_secs(20);

/// A replica whose bus brings nothing.
#[derive(Clone)]
struct Replica {
    store: Arc<FakeTimelines>,
    delivery: Arc<Delivery>,
}

impl Replica {
    async fn start() -> Self {
        let store = FakeTimelines::new();
        let (bus, _) = LocalBroker::default().connect();
        let (presence, _) = LocalPresence::new(Clock::system());
        let delivery = Delivery::start(
            Arc::clone(&store) as _,
            Arc::new(bus),
            Arc::new(presence),
            MediaLinks::new(String::new(), Clock::system()),
            TaskTracker::new(),
        );
        let delivery = delivery.await.unwrap();
        tokio::spawn(reconcile(Arc::clone(&delivery), INTERVAL));
        Self { store, delivery }
    }

    async fn open(&self, who: i64) -> (Arc<Socket>, Attachment) {
        let socket = Arc::new(Socket {
            id: ConnectionId::new(who).unwrap(),
            user: UserId::new(who).unwrap(),
            session: None,
            device: None,
            mailbox: Mailbox::default(),
        });
        let attachment = self.delivery.attach(Arc::clone(&socket)).await;
        (socket, attachment)
    }

    /// Commits the first event of a user, of which this replica is not told.
    fn commit_silently(&self, who: i64) {
        self.store.last_seqs.lock().insert(UserId::new(who).unwrap(), Seq::ZERO.next());
    }

    /// Opens a socket after a while, loses a hint a while later, and returns how long it takes until
    /// the socket is told to read the database.
    async fn loses_a_hint(self, who: i64, opens: Duration, loses: Duration) -> Duration {
        tokio::time::sleep(opens).await;
        let (socket, _attachment) = self.open(who).await;
        assert!(self.delivery.go_live(&socket, Seq::ZERO));
        tokio::time::sleep(loses).await;
        let begun = Instant::now();
        self.commit_silently(who);
        assert!(socket.mailbox.take().await.pull);
        begun.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_a_socket_opens_a_lost_hint_costs_one_interval_at_most() {
    let replica = Replica::start().await;
    let lost = (1..=300_u32).map(|number| {
        let opens = INTERVAL / 83 * number;
        replica.clone().loses_a_hint(number.into(), opens, Duration::from_millis(1))
    });
    let latest = join_all(lost).await.into_iter().max().unwrap();
    assert!(latest <= INTERVAL, "{latest:?}");
    // One query reads them all: it is not that everybody is compared all the time.
    assert!(latest > INTERVAL / 2, "{latest:?}");
}

#[tokio::test(start_paused = true)]
async fn in_a_crowd_a_lost_hint_costs_one_interval_at_most() {
    let replica = Replica::start().await;
    let lost = (1..=30_000_u32).map(|number| {
        let opens = INTERVAL / 30_000 * (number % 7_000);
        replica.clone().loses_a_hint(number.into(), opens, INTERVAL * 3 / 2)
    });
    let latest = join_all(lost).await.into_iter().max().unwrap();
    assert!(latest <= INTERVAL, "{latest:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_before_a_socket_is_live_is_not_passed_over() {
    let replica = Replica::start().await;
    let (socket, _attached) = replica.open(1).await;
    // It has read the database by now, and is still at it.
    replica.commit_silently(1);
    tokio::time::sleep(INTERVAL).await;
    assert!(!replica.delivery.go_live(&socket, Seq::ZERO), "there is more to read");
}
