//! The bus within one process: what a replica that runs alone uses, and several of them in a test.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};

use super::{Bus, BusError, Incoming, Receiver, Signal, WideEvent, inbox::Inbox};
use crate::domain::{ReplicaId, UserId};

/// What the endpoints of one process have in common. Clones are the same broker.
#[derive(Clone, Debug, Default)]
pub struct LocalBroker {
    endpoints: Arc<RwLock<Vec<Arc<Endpoint>>>>,
}

impl LocalBroker {
    /// Makes an endpoint, which stands for one replica until it is dropped, and the receiver on
    /// which that replica hears.
    pub fn connect(&self) -> (LocalBus, Receiver) {
        let (inbox, receiver) = Inbox::new();
        let endpoint = Arc::new(Endpoint { inbox, users: Mutex::default() });
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
    inbox: Inbox,
    /// To whom the replica is subscribed.
    users: Mutex<HashSet<UserId>>,
}

impl Endpoint {
    fn hear(&self, user: UserId, signal: &Signal) {
        if self.users.lock().contains(&user) {
            self.inbox.hear(|| Incoming::Signal(user, signal.clone()));
        }
    }
}

impl LocalBus {
    fn for_others(&self, act: impl Fn(&Endpoint)) {
        for endpoint in self.broker.endpoints.read().iter() {
            if !Arc::ptr_eq(endpoint, &self.endpoint) {
                act(endpoint);
            }
        }
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, user: UserId, signal: Signal) {
        self.for_others(|endpoint| endpoint.hear(user, &signal));
    }

    fn publish_wide(&self, event: WideEvent) {
        self.for_others(|endpoint| {
            endpoint.inbox.hear(|| Incoming::Wide(event.clone()));
        });
    }

    async fn subscribe(&self, user: UserId) -> Result<(), BusError> {
        self.endpoint.users.lock().insert(user);
        Ok(())
    }

    fn unsubscribe(&self, user: UserId) {
        self.endpoint.users.lock().remove(&user);
    }

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

impl Drop for LocalBus {
    fn drop(&mut self) {
        self.broker.endpoints.write().retain(|endpoint| !Arc::ptr_eq(endpoint, &self.endpoint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::INCOMING_QUEUE;

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
