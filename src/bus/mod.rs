//! What carries news between replicas, keyed by the user whom it concerns.
//!
//! [`Bus`] is the contract. Its documentation is what every implementation is held to by one suite,
//! `tests/it/contracts/bus.rs`. The bus is a hint: it makes delivery fast, and losing any of it loses
//! no event, since the database has them all.

mod inbox;
pub mod local;
pub mod redis;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    domain::{ClientMsgId, ConnectionId, DeviceId, ReplicaId, Seq, SessionId, UserId},
    protocol::{
        Text,
        event::{EventBody, EventFrame},
    },
};

/// Why a subscription could not be made now. The bus goes on trying by itself.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The link is down or did not answer in time.
    #[error("the bus is not available: {0}")]
    Unavailable(String),
}

/// News for the sockets of one user.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// The user's timeline has a new event, and here is its frame.
    Event(EventFrame),
    /// A frame outside the timeline (a read mark, somebody typing). May be lost.
    Notice(Text),
    /// Some of the user's sockets must close.
    Close(CloseOrder),
}

/// An event of a large conversation: one body, in the timelines of many.
#[derive(Clone, Debug, PartialEq)]
pub struct WideEvent {
    /// What it says.
    pub body: EventBody,
    /// Whose chat it is, and under which key; `None` if the sender has no timeline.
    pub own: Option<(UserId, ClientMsgId)>,
    /// Whose timelines have it, and as which number: in ascending id, each user once, at most
    /// [`MAX_PLACES`].
    pub places: Arc<[(UserId, Seq)]>,
}

impl WideEvent {
    /// The event in each of the timelines.
    pub fn frames(&self) -> impl Iterator<Item = (UserId, EventFrame)> {
        self.places.iter().map(|(user, seq)| {
            let own = self.own.as_ref().filter(|(sender, _)| sender == user);
            let own = own.map(|(_, key)| key.clone());
            (*user, EventFrame { seq: *seq, own, body: self.body.clone() })
        })
    }
}

/// The most timelines of one [`WideEvent`].
pub const MAX_PLACES: usize = 4_096;

/// Which of a user's sockets must close. None names a socket that opened after the reason for it: so an
/// order that comes late closes nobody who came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseOrder {
    /// Those up to this one: `/close`.
    UpTo(ConnectionId),
    /// Those of a session that has ended.
    Session(SessionId),
    /// Those of the user's sessions up to this one: all of them have ended.
    Sessions(SessionId),
    /// Those of a device that are older than its newest one.
    Device {
        /// The device.
        device: DeviceId,
        /// Its newest socket.
        newest: ConnectionId,
    },
    /// Those that are older than the ones that the user may have.
    Surplus {
        /// The oldest one that stays.
        oldest: ConnectionId,
    },
}

/// What a replica hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// Another replica published this for a user to whom this one is subscribed.
    Signal(UserId, Signal),
    /// Another replica published this for whoever has these timelines.
    Wide(WideEvent),
    /// Signals may have been lost, of any user: compare all with the database.
    Gap,
}

/// The way between replicas.
///
/// **Delivery.** A signal reaches every *other* replica that is subscribed to its user, at most once,
/// or not at all. A replica does not hear what it published itself: it feeds its own sockets at
/// commit. **Order.** Signals of one replica for one user arrive in the order in which they were
/// published; those of two replicas in any order. **Loss.** Whatever may have lost signals (a link
/// that broke, a queue that overflowed) is followed by [`Incoming::Gap`].
///
/// What is heard comes from the receiver that the constructor returns beside the bus. Its queue is
/// bounded; a replica that does not drain it loses signals and gets a gap.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Hands over a signal and returns at once. Never waits for the link, never fails: a signal that
    /// cannot be queued is dropped.
    fn publish(&self, user: UserId, signal: Signal);

    /// Hands over an event of many users and returns at once, as [`Bus::publish`] does. It crosses the bus
    /// once for each replica, however many users it has: every other replica hears it, subscribed to them
    /// or not, at most once. Its order among other signals is not kept.
    fn publish_wide(&self, event: WideEvent);

    /// Subscribes to a user. Once it returns `Ok`, what is published after is heard. Subscribing
    /// twice is no error and takes one unsubscription.
    async fn subscribe(&self, user: UserId) -> Result<(), BusError>;

    /// Ends a subscription. Signals that are under way may still be heard.
    fn unsubscribe(&self, user: UserId);

    /// Whether the link stands; `Err` says in a word what is wrong with it.
    fn health(&self) -> Result<(), String>;

    /// What this replica is called on the bus; `None` if no other process can be on it.
    fn replica(&self) -> Option<ReplicaId>;

    /// Those of these replicas that cannot hear this one, nor be heard: they are on another server, or
    /// away for some seconds. Not known while a link is down.
    async fn out_of_reach(&self, others: &[ReplicaId]) -> Result<Vec<ReplicaId>, BusError>;

    /// Makes all links anew, in case that they lead to the wrong server.
    fn renew(&self);
}

/// How many incoming signals wait for a replica before it loses some.
pub const INCOMING_QUEUE: usize = 8_192;

/// Where a replica hears.
pub type Receiver = mpsc::Receiver<Incoming>;
