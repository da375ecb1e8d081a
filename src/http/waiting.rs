//! Connections whose clients have yet to send something: a request, or the rest of one. Beyond a
//! number, the one that has been silent longest is closed: who means to send does so at once, so that
//! thousands that send nothing cost nobody else the place.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The connections that wait.
#[derive(Debug)]
pub(super) struct WaitingRoom {
    most: usize,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    /// In the order in which their waits began.
    waiting: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// A place of a connection that waits. It is left when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<WaitingRoom>,
    number: u64,
}

impl WaitingRoom {
    /// A room for so many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, places: Mutex::default() })
    }

    /// Has a connection wait. `close` is cancelled if it waits too long for the others.
    pub(super) fn enter(self: &Arc<Self>, close: &CancellationToken) -> Place {
        let (number, is_full) = {
            let mut places = self.places.lock();
            let number = places.next;
            places.next += 1;
            places.waiting.insert(number, close.clone());
            (number, places.waiting.len() > self.most)
        };
        metrics::gauge!("imserver_connections_waiting").increment(1);
        if is_full {
            self.close_oldest();
        }
        Place { room: Arc::clone(self), number }
    }

    /// Closes the connection that has been silent longest. `false`: none waits.
    pub(super) fn close_oldest(&self) -> bool {
        let oldest = self.places.lock().waiting.pop_first();
        if let Some((_, close)) = &oldest {
            metrics::gauge!("imserver_connections_waiting").decrement(1);
            metrics::counter!("imserver_connections_closed_total", "why" => "silent").increment(1);
            close.cancel();
        }
        oldest.is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.room.places.lock().waiting.remove(&self.number).is_some() {
            metrics::gauge!("imserver_connections_waiting").decrement(1);
        }
    }
}

/// The body of a request, whose connection waits until all of it is there.
pub(super) struct Arriving {
    body: Incoming,
    place: Option<Place>,
}

impl Arriving {
    pub(super) fn new(body: Incoming, place: Option<Place>) -> Self {
        let place = place.filter(|_| !body.is_end_stream());
        Self { body, place }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.place = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_been_silent_longest_makes_room() {
        let room = WaitingRoom::new(2);
        let connections: Vec<_> = (0..4).map(|_| CancellationToken::new()).collect();
        let closed = || connections.iter().map(CancellationToken::is_cancelled).collect::<Vec<_>>();
        let first = room.enter(&connections[0]);
        let second = room.enter(&connections[1]);
        assert_eq!(closed(), [false; 4]);
        // The first one's request has come, and it waits for the next one.
        drop(first);
        let first = room.enter(&connections[0]);
        let third = room.enter(&connections[2]);
        assert_eq!(closed(), [false, true, false, false]);
        drop((second, third));
        let fourth = room.enter(&connections[3]);
        assert_eq!(closed(), [false, true, false, false]);
        assert!(room.close_oldest() && room.close_oldest() && !room.close_oldest());
        drop((first, fourth));
        assert_eq!(closed(), [true, true, false, true]);
    }
}
