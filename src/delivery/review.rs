//! Looks again at users some seconds after they opened a socket, or after orders to this replica may
//! have been lost: whether they have too many over all replicas, and whether an older one of the same
//! device was left open, since an order to close it was lost.
//!
//! Not at once. What the new socket replaces needs a moment to leave the register, and of a replica
//! that has just died the register does not know it yet: its sockets, which the clients are opening
//! again elsewhere, would count twice.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Delivery, replaced};
use crate::{
    bus::{CloseOrder, Signal},
    domain::{ConnectionId, UserId},
    hub::MAX_SOCKETS,
    presence::{Connection, HEARD_WITHIN, PresenceError},
};

/// How long after a socket has opened its user is looked at: later than [`HEARD_WITHIN`], so that a
/// replica that was heard of lived when the socket opened.
const SETTLE: Duration = HEARD_WITHIN.saturating_add(Duration::from_millis(500));

/// How often it is looked whether somebody is due.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many users are looked at with one call.
const SLICE: usize = 500;

/// The most users who are looked at in one interval. After a gap it is all who have sockets here, and
/// what is said for each of them must not be more than the bus takes.
const MOST_AT_ONCE: usize = 1_000;

/// How many wait to be looked at. Those beyond are looked at when they open the next socket.
const MAX_WAITING: usize = 65_536;

/// Who is to be looked at again.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// Who opened a socket, and when, in that order.
    users: Mutex<VecDeque<(Instant, UserId)>>,
    /// Since when orders to this replica may have been lost.
    missed: Mutex<Option<Instant>>,
}

impl Opened {
    /// Notes that a user has opened a socket.
    pub(super) fn note(&self, user: UserId) {
        let mut opened = self.users.lock();
        if opened.len() < MAX_WAITING {
            opened.push_back((Instant::now(), user));
        } else {
            metrics::counter!("imserver_reviews_dropped_total").increment(1);
        }
    }

    /// Notes that this replica may not have heard that some sockets must close. Who has the newer ones
    /// answers what is said of the older ones.
    pub(super) fn note_gap(&self) {
        self.missed.lock().get_or_insert_with(Instant::now);
    }

    /// Whether everybody is due.
    fn take_gap(&self) -> bool {
        self.missed.lock().take_if(|since| since.elapsed() >= SETTLE).is_some()
    }

    fn take_due(&self) -> Vec<UserId> {
        let mut opened = self.users.lock();
        let due = opened.iter().take_while(|(since, _)| since.elapsed() >= SETTLE).count();
        opened.drain(..due).map(|(_, user)| user).collect()
    }
}

/// Looks at those who are due, again and again, for ever.
pub async fn review(delivery: Arc<Delivery>) {
    let mut due = BTreeSet::new();
    let mut is_failing = false;
    loop {
        tokio::time::sleep(INTERVAL).await;
        due.extend(delivery.opened.take_due());
        if delivery.opened.take_gap() {
            delivery.hub.for_each(|user, _| {
                due.insert(user);
            });
        }
        // So that nobody waits here who has no socket, however long the register is away.
        due.retain(|user| delivery.hub.with(*user, |_| ()).is_some());
        // What is said while the bus is down is not heard.
        if delivery.bus.health().is_err() {
            continue;
        }
        let looked = look(&delivery, &mut due).await;
        if let Err(error) = &looked
            && !is_failing
        {
            tracing::warn!(%error, users = due.len(), "surplus sockets not looked for");
        }
        is_failing = looked.is_err();
    }
}

/// Looks at some of these users once, and leaves those who are to be looked at again.
async fn look(delivery: &Delivery, due: &mut BTreeSet<UserId>) -> Result<(), PresenceError> {
    let users: Vec<_> = due.iter().copied().take(MOST_AT_ONCE).collect();
    for slice in users.chunks(SLICE) {
        let connections = delivery.presence.connections(slice).await?;
        for user in slice {
            delivery.repeat_replaced(*user);
            let open = connections.get(user).map(Vec::as_slice).unwrap_or_default();
            if let Some(oldest) = oldest_that_stays(open) {
                delivery.close(*user, CloseOrder::Surplus { oldest });
            }
            if open.len() <= MAX_SOCKETS {
                due.remove(user);
            }
        }
    }
    Ok(())
}

/// The oldest of those that a user may have, if there are more.
fn oldest_that_stays(open: &[Connection]) -> Option<ConnectionId> {
    let mut newest = open.iter().rev().filter(|connection| connection.is_sure);
    let oldest = newest.nth(MAX_SOCKETS - 1)?;
    newest.next().map(|_| oldest.id)
}

impl Delivery {
    /// Says again which sockets here are the newest of their devices.
    fn repeat_replaced(&self, user: UserId) {
        let orders = self.hub.with(user, |local| {
            let devices = local.sockets.iter().filter_map(|socket| socket.device.as_ref());
            devices.filter_map(|device| replaced(local, device)).collect::<Vec<_>>()
        });
        for order in orders.unwrap_or_default() {
            self.bus.publish(user, Signal::Close(order));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(sockets: &[(i64, bool)]) -> Vec<Connection> {
        let connection =
            |&(id, is_sure)| Connection { id: ConnectionId::new(id).unwrap(), is_sure };
        sockets.iter().map(connection).collect()
    }

    #[test]
    fn only_what_lives_counts_against_the_others() {
        let oldest = |sockets: &[_]| oldest_that_stays(&open(sockets)).map(ConnectionId::get);
        let five = [(2, true), (3, true), (5, true), (7, true), (8, true)];
        assert_eq!(oldest(&five), None);
        assert_eq!(oldest(&[&[(1, true)], &five[..]].concat()), Some(2));
        assert_eq!(oldest(&[&five[..], &[(9, true), (10, true)]].concat()), Some(5));
        // Of a replica that has died, perhaps: the same sockets may be open again elsewhere.
        assert_eq!(oldest(&[&five[..], &[(9, false), (10, false)]].concat()), None);
        assert_eq!(oldest(&[&[(1, false)], &five[..]].concat()), None);
    }
}
