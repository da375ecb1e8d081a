//! Connections whose clients have yet to send something: a request, or the rest of one. Beyond a
//! number, the one that has been silent longest is closed: who means to send does so at once, so that
//! thousands that send nothing cost nobody else the place.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{BoxError, http::header};
use hyper::{
    Request,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::linger::{Leftover, Remains};

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

/// The body of a request, whose connection waits until all of it is there. What its route does not
/// read of it is left to the connection.
pub(super) struct Arriving {
    /// Until it is left to the connection.
    body: Option<Incoming>,
    place: Option<Place>,
    /// Cancelled where the connection has to make room.
    close: CancellationToken,
    /// The client waits for a word before it sends anything.
    is_awaited: bool,
    remains: Arc<Remains>,
    leftover: Arc<Mutex<Option<Leftover>>>,
}

impl Arriving {
    pub(super) fn new(
        request: Request<Incoming>,
        place: Option<Place>,
        close: &CancellationToken,
        remains: &Arc<Remains>,
        leftover: &Arc<Mutex<Option<Leftover>>>,
    ) -> Request<Self> {
        let is_awaited = request.headers().contains_key(header::EXPECT);
        request.map(|body| {
            let mut arriving = Self {
                body: Some(body),
                place,
                close: close.clone(),
                is_awaited,
                remains: Arc::clone(remains),
                leftover: Arc::clone(leftover),
            };
            if arriving.is_end_stream() {
                arriving.ended();
            }
            arriving
        })
    }

    fn ended(&mut self) {
        self.place = None;
        self.body = None;
        self.remains.request_ended();
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            *self.leftover.lock() = Some(Leftover::of(body, self.is_awaited));
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.close.is_cancelled() {
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())));
        }
        self.is_awaited = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let is_whole = frame.is_none() || body.is_end_stream();
        if is_whole {
            self.ended();
        } else if matches!(frame, Some(Err(_))) {
            self.place = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
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
