//! Closes the sockets that a user has beyond [`MAX_SOCKETS`] over all replicas, and repeats which socket of
//! a device is the newest, in case that an order to close the others was lost.
//!
//! It checks a user some seconds after a socket opened, and everybody after the bus lost signals. At once would
//! be too early: a replaced socket needs a moment to leave the register, and the sockets of a replica that
//! has just died stand there beside those that their clients open elsewhere.

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

/// How long after a socket has opened its user is checked: later than [`HEARD_WITHIN`], so that a replica
/// that was heard of was alive when the socket opened.
const SETTLE: Duration = HEARD_WITHIN.saturating_add(Duration::from_millis(500));

/// Polling interval.
const INTERVAL: Duration = Duration::from_secs(1);

/// Users in one question to the register.
const SLICE: usize = 500;

/// The most users in one interval. After a gap it is everybody with a socket here, and the orders for all of
/// them at once would be more than the bus takes.
const MOST_AT_ONCE: usize = 1_000;

/// The most users that wait. Others are checked when they open the next socket.
const MAX_WAITING: usize = 65_536;

/// Users who wait to be checked.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// Who opened a socket, and when; by time.
    users: Mutex<VecDeque<(Instant, UserId)>>,
    /// When orders to this replica may have been lost.
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

    /// Notes that this replica may have lost orders. Replicas with newer sockets answer when it repeats
    /// which it takes for the newest.
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

/// Checks the users who are due, for ever.
pub async fn limit_sockets(delivery: Arc<Delivery>) {
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
        // Bounds the set while the register is away.
        due.retain(|user| delivery.hub.with(*user, |_| ()).is_some());
        // Orders are lost while the bus is down.
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

/// Checks some of these users, and removes those who need no further check.
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

/// The oldest socket that a user may keep; `None` if the user has no more than that.
fn oldest_that_stays(open: &[Connection]) -> Option<ConnectionId> {
    let mut newest = open.iter().rev().filter(|connection| connection.is_sure);
    let oldest = newest.nth(MAX_SOCKETS - 1)?;
    newest.next().map(|_| oldest.id)
}

impl Delivery {
    /// Publishes again which sockets here are the newest of their devices.
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
        let connection = |&(id, is_sure)| Connection {
            id: ConnectionId::new(id).unwrap(),
            is_sure,
            is_background: false,
        };
        sockets.iter().map(connection).collect()
    }

    #[test]
    fn only_what_lives_counts_against_the_others() {
        let oldest = |sockets: &[_]| oldest_that_stays(&open(sockets)).map(ConnectionId::get);
        let five = [(2, true), (3, true), (5, true), (7, true), (8, true)];
        assert_eq!(oldest(&five), None);
        assert_eq!(oldest(&[&[(1, true)], &five[..]].concat()), Some(2));
        assert_eq!(oldest(&[&five[..], &[(9, true), (10, true)]].concat()), Some(5));
        // Perhaps of a replica that has died: the same sockets may be open again elsewhere.
        assert_eq!(oldest(&[&five[..], &[(9, false), (10, false)]].concat()), None);
        assert_eq!(oldest(&[&[(1, false)], &five[..]].concat()), None);
    }
}
