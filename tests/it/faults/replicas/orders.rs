//! What a replica says of its sockets, and when: over a bus that notes what it is asked.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use imserver::{
    bus::{Bus, BusError, CloseOrder, Incoming, Signal, WideEvent},
    clock::Clock,
    delivery::{Attachment, Delivery},
    domain::{ConnectionId, DeviceId, ReplicaId, UserId},
    hub::{Mailbox, Socket},
    media::MediaLinks,
    presence::local::LocalPresence,
    protocol::close::CloseCode,
    store::sqlite::SqliteStore,
};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::harness::eventually;

#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Subscribed,
    Published(Signal),
}

#[derive(Default)]
struct NotingBus(Mutex<Vec<Asked>>);

#[async_trait]
impl Bus for NotingBus {
    fn publish(&self, _: UserId, signal: Signal) {
        self.0.lock().push(Asked::Published(signal));
    }

    fn publish_wide(&self, _: WideEvent) {
        unreachable!("nobody here is in a large conversation");
    }

    async fn subscribe(&self, _: UserId) -> Result<(), BusError> {
        // Long enough that whatever does not wait for it comes before it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.lock().push(Asked::Subscribed);
        Ok(())
    }

    fn unsubscribe(&self, _: UserId) {}

    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    fn replica(&self) -> Option<ReplicaId> {
        None
    }

    async fn out_of_reach(&self, _: &[ReplicaId]) -> Result<Vec<ReplicaId>, BusError> {
        Ok(Vec::new())
    }

    fn renew(&self) {}
}

struct Replica {
    delivery: Arc<Delivery>,
    bus: Arc<NotingBus>,
    others: mpsc::Sender<Incoming>,
    _folder: TempDir,
}

impl Replica {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("imserver.db"), Clock::system()).await;
        let (bus, (presence, _)) = (Arc::default(), LocalPresence::new(Clock::system()));
        let delivery = Delivery::start(
            Arc::new(store.unwrap()),
            Arc::clone(&bus) as Arc<dyn Bus>,
            Arc::new(presence),
            MediaLinks::new(String::new(), Clock::system()),
            TaskTracker::new(),
        );
        let delivery = delivery.await.unwrap();
        let (others, incoming) = mpsc::channel(16);
        tokio::spawn(Arc::clone(&delivery).listen(incoming));
        Self { delivery, bus, others, _folder: folder }
    }

    async fn open(&self, id: i64) -> (Arc<Socket>, Attachment) {
        let socket = Arc::new(Socket {
            id: connection(id),
            user: user(),
            session: None,
            device: Some(device()),
            mailbox: Mailbox::default(),
        });
        let attachment = self.delivery.attach(Arc::clone(&socket)).await;
        (socket, attachment)
    }

    async fn hear(&self, newest: i64) {
        self.others.send(Incoming::Signal(user(), replaced_by(newest))).await.unwrap();
    }

    fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.bus.0.lock())
    }
}

fn user() -> UserId {
    UserId::new(1).unwrap()
}

fn connection(id: i64) -> ConnectionId {
    ConnectionId::new(id).unwrap()
}

fn device() -> DeviceId {
    DeviceId::parse("phone").unwrap()
}

fn replaced_by(newest: i64) -> Signal {
    Signal::Close(CloseOrder::Device { device: device(), newest: connection(newest) })
}

#[tokio::test]
async fn a_replica_speaks_of_a_device_once_it_can_hear_the_answer() {
    let replica = Replica::start().await;
    let (_socket, _attachment) = replica.open(7).await;
    assert_eq!(replica.take_asked(), [Asked::Subscribed, Asked::Published(replaced_by(7))]);
}

#[tokio::test]
async fn whoever_takes_an_older_socket_for_the_newest_is_told() {
    let replica = Replica::start().await;
    let (socket, _attachment) = replica.open(7).await;
    replica.take_asked();
    replica.hear(5).await;
    eventually("it answers", || async {
        replica.take_asked() == [Asked::Published(replaced_by(7))]
    })
    .await;
    assert!(!socket.mailbox.is_closing(), "an order that comes late closes nobody newer");
    // Its own, as it comes back, and a newer one: there is nothing to say.
    replica.hear(7).await;
    replica.hear(9).await;
    assert_eq!(socket.mailbox.closing().await, CloseCode::Replaced);
    assert_eq!(replica.take_asked(), []);
    // The one that opens last here opened before them.
    let (early, _attachment) = replica.open(6).await;
    let (late, _attachment) = replica.open(8).await;
    assert_eq!(early.mailbox.closing().await, CloseCode::Replaced);
    let (crossed, _attachment) = replica.open(4).await;
    assert_eq!(crossed.mailbox.closing().await, CloseCode::Replaced);
    assert!(!late.mailbox.is_closing());
}
