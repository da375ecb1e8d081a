//! Connections that wait for their clients to send a request, or the rest of one. When there are too many,
//! the one that has been silent longest is closed. Honest clients send at once, so thousands of silent
//! connections push out none of them.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The idle connections of a listener.
#[derive(Debug)]
pub(super) struct IdleConnections {
    most: usize,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// In the order in which their waits began.
    waiting: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// Marks a connection as idle until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    idle: Arc<IdleConnections>,
    number: u64,
}

impl IdleConnections {
    /// Room for `most` of them.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, slots: Mutex::default() })
    }

    /// Marks a connection as idle. `evict` is cancelled if it has to make room.
    pub(super) fn enter(self: &Arc<Self>, evict: &CancellationToken) -> Slot {
        let (number, is_full) = {
            let mut slots = self.slots.lock();
            let number = slots.next;
            slots.next += 1;
            slots.waiting.insert(number, evict.clone());
            (number, slots.waiting.len() > self.most)
        };
        metrics::gauge!("imserver_connections_waiting").increment(1);
        if is_full {
            self.evict_oldest();
        }
        Slot { idle: Arc::clone(self), number }
    }

    /// Evicts the connection that has been silent longest. `false`: none is idle.
    pub(super) fn evict_oldest(&self) -> bool {
        let oldest = self.slots.lock().waiting.pop_first();
        if let Some((_, evict)) = &oldest {
            metrics::gauge!("imserver_connections_waiting").decrement(1);
            metrics::counter!("imserver_connections_closed_total", "why" => "silent").increment(1);
            evict.cancel();
        }
        oldest.is_some()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.idle.slots.lock().waiting.remove(&self.number).is_some() {
            metrics::gauge!("imserver_connections_waiting").decrement(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_been_silent_longest_makes_room() {
        let idle = IdleConnections::new(2);
        let connections: Vec<_> = (0..4).map(|_| CancellationToken::new()).collect();
        let closed = || connections.iter().map(CancellationToken::is_cancelled).collect::<Vec<_>>();
        let first = idle.enter(&connections[0]);
        let second = idle.enter(&connections[1]);
        assert_eq!(closed(), [false; 4]);
        // The first one's request has come, and it waits for the next one.
        drop(first);
        let first = idle.enter(&connections[0]);
        let third = idle.enter(&connections[2]);
        assert_eq!(closed(), [false, true, false, false]);
        drop((second, third));
        let fourth = idle.enter(&connections[3]);
        assert_eq!(closed(), [false, true, false, false]);
        assert!(idle.evict_oldest() && idle.evict_oldest() && !idle.evict_oldest());
        drop((first, fourth));
        assert_eq!(closed(), [true, true, false, true]);
    }
}
