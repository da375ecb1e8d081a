//! How many handshakes a replica works on at once. When a replica dies, its clients come to the others all at
//! once. With a limit those that are let in are served, and do not all wait for the database together.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// How long a handshake waits to be let in. Clients give up later than this.
const LINE_WAIT: Duration = Duration::from_secs(5);

/// Limits how many handshakes are at work. Clones share the limit.
#[derive(Clone, Debug)]
pub struct HandshakeGate(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    most: usize,
    /// The rights to work.
    permits: Arc<Semaphore>,
    /// The places of those that wait to be let in.
    line: Semaphore,
    /// Held by the first in line. So only one of the line competes with handshakes that go on.
    first: Mutex<()>,
}

/// The right to work on one handshake; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    right: Option<OwnedSemaphorePermit>,
    step: &'static str,
    since: Instant,
}

impl HandshakeGate {
    /// At most `most` at once, while as many as `line` wait to be let in.
    pub fn new(most: usize, line: usize) -> Self {
        let permits = Arc::new(Semaphore::new(most));
        Self(Arc::new(Gate { most, permits, line: Semaphore::new(line), first: Mutex::default() }))
    }

    /// Waits for a permit to begin a handshake, 5 s at most. `None`: the client must come back later.
    pub async fn enter(&self) -> Option<Permit> {
        let permits = Arc::clone(&self.0.permits);
        let permit = if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            permit
        } else {
            let _place = self.0.line.try_acquire().ok()?;
            let entered = async {
                let _first = self.0.first.lock().await;
                permits.acquire_owned().await.ok()
            };
            timeout(LINE_WAIT, entered).await.ok()??
        };
        Some(self.permit(permit, "begin"))
    }

    /// Waits for a permit to continue a handshake that entered before and has waited for its client
    /// meanwhile. It goes before those that have not begun.
    pub async fn go_on(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.ok()?;
        Some(self.permit(permit, "go_on"))
    }

    fn permit(&self, permit: OwnedSemaphorePermit, step: &'static str) -> Permit {
        self.0.set_gauge();
        Permit { gate: Arc::clone(&self.0), right: Some(permit), step, since: Instant::now() }
    }
}

impl Gate {
    fn set_gauge(&self) {
        let under_way = self.most.saturating_sub(self.permits.available_permits());
        metrics::gauge!("imserver_handshakes_in_flight")
            .set(u32::try_from(under_way).unwrap_or(u32::MAX));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.right = None;
        metrics::histogram!("imserver_handshake_seconds", "step" => self.step)
            .record(self.since.elapsed());
        self.gate.set_gauge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_entered_goes_on_before_others_begin() {
        let gate = HandshakeGate::new(1, 8);
        let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let begun = gate.enter().await.unwrap();
        let mut waiting = Vec::new();
        for number in 0..6 {
            let (gate, order) = (gate.clone(), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                let goes_on = number >= 4;
                let permit = if goes_on { gate.go_on().await } else { gate.enter().await };
                assert!(permit.is_some());
                order.lock().push(number);
            }));
            tokio::task::yield_now().await;
        }
        drop(begun);
        for done in waiting {
            done.await.unwrap();
        }
        // The first of the line stood there before them; the others did not.
        assert_eq!(*order.lock(), [0, 4, 5, 1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_short_and_moves_or_is_left() {
        let gate = HandshakeGate::new(1, 2);
        let _begun = gate.enter().await.unwrap();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let gate = gate.clone();
                tokio::spawn(async move { gate.enter().await.is_some() })
            })
            .collect();
        tokio::task::yield_now().await;
        let now = Instant::now();
        assert!(gate.enter().await.is_none());
        assert_eq!(now.elapsed(), Duration::ZERO);
        for waiting in waiting {
            assert!(!waiting.await.unwrap());
        }
        assert_eq!(now.elapsed(), LINE_WAIT);
    }
}
