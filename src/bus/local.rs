//! The bus within one process: what a replica that runs alone uses, and several of them in a test.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;

use super::{Bus, BusError, INCOMING_QUEUE, Incoming, Receiver, Signal};
use crate::domain::UserId;

/// What the endpoints of one process have in common. Clones are the same broker.
#[derive(Clone, Debug, Default)]
pub struct LocalBroker {
    endpoints: Arc<RwLock<Vec<Arc<Endpoint>>>>,
}

impl LocalBroker {
    /// Makes an endpoint, which stands for one replica until it is dropped, and the receiver on
    /// which that replica hears.
    pub fn connect(&self) -> (LocalBus, Receiver) {
        // One place more than signals may take: the gap's.
        let (sender, receiver) = mpsc::channel(INCOMING_QUEUE + 1);
        let inbox = Inbox { sender, users: HashSet::new(), ends_with_gap: false };
        let endpoint = Arc::new(Endpoint { inbox: Mutex::new(inbox) });
        self.endpoints.write().push(Arc::clone(&endpoint));
        (LocalBus { broker: self.clone(), endpoint }, receiver)
    }
}

/// One replica's way to the others in the same process.
#[derive(Debug)]
pub struct LocalBus {
    broker: LocalBroker,
    endpoint: Arc<Endpoint>,
}

#[derive(Debug)]
struct Endpoint {
    inbox: Mutex<Inbox>,
}

#[derive(Debug)]
struct Inbox {
    sender: mpsc::Sender<Incoming>,
    /// To whom the replica is subscribed.
    users: HashSet<UserId>,
    /// Whether the last that was queued is a gap. While it is, and the queue is full, that gap is
    /// still unread and stands for whatever else is lost.
    ends_with_gap: bool,
}

impl Inbox {
    fn hear(&mut self, user: UserId, signal: &Signal) {
        if !self.users.contains(&user) {
            return;
        }
        // The last free place is the gap's, so that a loss is noted where it happened: after what
        // came before it, and before whatever comes later.
        let full = self.sender.capacity() < 2;
        if full && self.ends_with_gap {
            return;
        }
        let next = if full { Incoming::Gap } else { Incoming::Signal(user, signal.clone()) };
        // Only this lock's holder sends, so there is a place; what fails is a receiver that is gone.
        let _ = self.sender.try_send(next);
        self.ends_with_gap = full;
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, user: UserId, signal: Signal) {
        for endpoint in self.broker.endpoints.read().iter() {
            if !Arc::ptr_eq(endpoint, &self.endpoint) {
                endpoint.inbox.lock().hear(user, &signal);
            }
        }
    }

    async fn subscribe(&self, user: UserId) -> Result<(), BusError> {
        self.endpoint.inbox.lock().users.insert(user);
        Ok(())
    }

    fn unsubscribe(&self, user: UserId) {
        self.endpoint.inbox.lock().users.remove(&user);
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Drop for LocalBus {
    fn drop(&mut self) {
        self.broker.endpoints.write().retain(|endpoint| !Arc::ptr_eq(endpoint, &self.endpoint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> UserId {
        UserId::new(7).unwrap()
    }

    fn notice(number: usize) -> Signal {
        Signal::Notice(number.to_string().into())
    }

    fn heard(number: usize) -> Incoming {
        Incoming::Signal(user(), notice(number))
    }

    /// Two replicas, the second of which hears the first and has a full queue with a gap at its end.
    async fn overflown() -> (LocalBus, LocalBus, Receiver) {
        let broker = LocalBroker::default();
        let (publisher, _) = broker.connect();
        let (listener, receiver) = broker.connect();
        listener.subscribe(user()).await.unwrap();
        for number in 0..INCOMING_QUEUE + 100 {
            publisher.publish(user(), notice(number));
        }
        (publisher, listener, receiver)
    }

    #[tokio::test]
    async fn one_gap_stands_where_signals_were_lost() {
        let (publisher, _listener, mut receiver) = overflown().await;
        assert_eq!(receiver.try_recv(), Ok(heard(0)));
        // The place that this has freed is not enough for a signal and the next gap.
        publisher.publish(user(), notice(1_000_000));
        for number in 1..INCOMING_QUEUE {
            assert_eq!(receiver.try_recv(), Ok(heard(number)));
        }
        publisher.publish(user(), notice(1_000_001));
        assert_eq!(receiver.try_recv(), Ok(Incoming::Gap));
        assert_eq!(receiver.try_recv(), Ok(heard(1_000_001)));
        assert!(receiver.try_recv().is_err(), "no second gap for one overflow");
    }

    #[tokio::test]
    async fn a_second_overflow_owes_a_second_gap() {
        let (publisher, _listener, mut receiver) = overflown().await;
        for _ in 0..INCOMING_QUEUE {
            receiver.try_recv().unwrap();
        }
        // The first gap is still unread at the head of the queue.
        for number in 0..INCOMING_QUEUE + 100 {
            publisher.publish(user(), notice(number));
        }
        assert_eq!(receiver.try_recv(), Ok(Incoming::Gap));
        let rest: Vec<_> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
        let gaps = rest.iter().filter(|incoming| **incoming == Incoming::Gap).count();
        assert_eq!((gaps, rest.last()), (1, Some(&Incoming::Gap)));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_dropped_ends_its_receiver() {
        let broker = LocalBroker::default();
        let (bus, mut receiver) = broker.connect();
        drop(bus);
        assert_eq!(receiver.recv().await, None);
        assert!(broker.endpoints.read().is_empty());
    }
}
