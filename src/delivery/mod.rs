//! Brings each event to each socket, in order, none missing, none twice.
//!
//! [`Timeline`] decides; [`Delivery`] drives it: from commits of this replica, from what the bus
//! brings of others, from reads of the database, and from a comparison with the database every so
//! often, which bounds what a lost hint can cost.

mod announce;
mod fan_out;
mod leave;
mod recheck;
mod reconcile;
mod review;
mod split;
mod timeline;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::{
    bus::{self, Bus, CloseOrder, Incoming, MAX_PLACES, Signal, WideEvent},
    domain::{ConnectionId, DeviceId, Epoch, Seq, SessionId, UserId},
    hub::{Hub, Local, MAX_SOCKETS, Socket, Watchers},
    presence::Presence,
    protocol::{
        Text,
        close::CloseCode,
        event::{EventBody, EventFrame},
    },
    store::{Bounds, Committed, EventPage, Standing, Store, StoreError},
};

pub use announce::announce;
pub use fan_out::fan_out;
pub use recheck::recheck;
pub use reconcile::reconcile;
pub use review::review;
pub use split::watch_bus;
pub use timeline::{Effect, Gap, MAX_WAITING, Timeline};

/// How long a gap is waited for before the database is read: two replicas' batches overtake each
/// other by about this much.
const GAP_WAIT: Duration = Duration::from_millis(30);

/// How long a new socket waits for its subscription; then it lives on reconcile until it stands.
const SUBSCRIBE_WAIT: Duration = Duration::from_secs(1);

/// How many events are read for a socket at a time.
const PAGE: u32 = 100;

/// An event in no more timelines than this goes to each user's channel, which reaches only replicas that
/// have a socket of the user; one in more is cheaper to send to every replica.
const FEW: usize = 16;

/// What a socket is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each event, by its number.
    Events,
    /// A snapshot of the latest chats, at each event.
    Snapshots,
}

/// What a socket that is behind gets to write.
#[derive(Debug)]
pub enum Pulled {
    /// These events, and then it may be live: [`Delivery::go_live`].
    Events {
        /// The events after the asked number, in order.
        frames: Vec<EventFrame>,
        /// Whether they reach the end of the timeline.
        is_end: bool,
    },
    /// The number means nothing any more: the client is to load anew and go on from `last`.
    Reset {
        /// The database's history.
        epoch: Epoch,
        /// The end of the timeline.
        last: Seq,
    },
}

/// The driver. One for a replica.
pub struct Delivery {
    hub: Hub<Timeline<EventFrame>>,
    watchers: Watchers,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    presence: Arc<dyn Presence>,
    epoch: Mutex<Epoch>,
    /// Whose sockets are to be looked at again.
    opened: review::Opened,
    /// Events of large conversations that the sockets here have not been fed yet.
    wide: fan_out::Queue,
    /// Whether the replica stops, so that no socket stays.
    is_leaving: AtomicBool,
    /// Whether replicas that live are on another bus.
    is_split: AtomicBool,
    tasks: TaskTracker,
}

impl Delivery {
    /// A driver without sockets, in the database's present history.
    pub async fn start(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        presence: Arc<dyn Presence>,
        tasks: TaskTracker,
    ) -> Result<Arc<Self>, StoreError> {
        let epoch = Mutex::new(store.epoch().await?);
        let (hub, watchers) = (Hub::default(), Watchers::default());
        Ok(Arc::new(Self {
            hub,
            watchers,
            store,
            bus,
            presence,
            epoch,
            opened: review::Opened::default(),
            wide: fan_out::Queue::default(),
            is_leaving: AtomicBool::new(false),
            is_split: AtomicBool::new(false),
            tasks,
        }))
    }

    /// The database's history, as last read.
    pub fn epoch(&self) -> Epoch {
        *self.epoch.lock()
    }

    /// Who shows whose presence.
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Enters a socket, before its task first reads the timeline, and sees to the user's
    /// subscription and presence. Sockets that this one replaces are closed, and so is this one if it
    /// is older than what would have to give way to it.
    pub async fn attach(self: &Arc<Self>, socket: Arc<Socket>, kind: Kind) -> Attachment {
        let id = socket.id;
        let user = socket.user;
        let attachment = Attachment { delivery: Arc::clone(self), socket: Arc::clone(&socket) };
        let replaced = self.hub.enter(Arc::clone(&socket), |local| {
            match kind {
                Kind::Events => local.state.attach(id),
                Kind::Snapshots => local.state.attach_classic(id),
            }
            let replaced = socket.device.as_ref().and_then(|device| replaced(local, device));
            if let Some(order) = &replaced {
                close_matching(local, order);
            }
            let staying = local.sockets.iter().filter(|socket| !socket.mailbox.is_closing());
            let excess = staying.clone().count().saturating_sub(MAX_SOCKETS);
            for oldest in staying.take(excess) {
                oldest.mailbox.close(CloseCode::Replaced);
            }
            replaced
        });
        self.opened.note(user);
        if self.is_leaving.load(Ordering::SeqCst) {
            socket.mailbox.leave();
        }
        let subscribe = async {
            let subscribed = tokio::time::timeout(SUBSCRIBE_WAIT, self.bus.subscribe(user)).await;
            // Not before: a replica that has a newer one answers, and that must be heard.
            if let Some(order) = replaced {
                self.bus.publish(user, Signal::Close(order));
            }
            subscribed
        };
        let (subscribed, joined) = tokio::join!(
            subscribe,
            tokio::time::timeout(SUBSCRIBE_WAIT, self.presence.join(user, id)),
        );
        if !matches!(subscribed, Ok(Ok(()))) {
            tracing::warn!(%user, connection = %id, "not subscribed yet, living on reconcile");
        }
        if !matches!(joined, Ok(Ok(()))) {
            tracing::warn!(%user, connection = %id, "presence not noted");
        }
        attachment
    }

    /// Feeds a chat that was committed just now to the sockets here of all who have it, and hands it to
    /// the other replicas. Of a large conversation it leaves the sockets to [`fan_out`].
    pub fn committed(self: &Arc<Self>, committed: &Committed) {
        let Committed { chat, places } = committed;
        let body = EventBody::chat(chat);
        let own = committed.sender_seq().map(|_| (chat.user_id, chat.client_msg_id.clone()));
        let event = |places: &[_]| WideEvent {
            body: body.clone(),
            own: own.clone(),
            places: Arc::from(places),
        };
        if places.len() > FEW {
            for places in places.chunks(MAX_PLACES) {
                let event = event(places);
                self.bus.publish_wide(event.clone());
                self.wide.push(event);
            }
            return;
        }
        for (user, frame) in event(places).frames() {
            self.hint(user, &frame);
            self.bus.publish(user, Signal::Event(frame));
        }
    }

    /// Learns otherwise than by a hint that a user's timeline reaches `seq`. Sockets here to which no
    /// hint brings it meanwhile read the database.
    pub fn reached(self: &Arc<Self>, user: UserId, seq: Seq) {
        let delivery = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::time::sleep(GAP_WAIT).await;
            delivery.hub.with(user, |Local { sockets, state }| {
                state.raise(seq, |id, effect| carry_out(sockets, id, effect));
            });
        });
    }

    /// Shows a frame outside the timeline to a user's sockets everywhere, except for one.
    pub fn notice(&self, user: UserId, frame: &Text, except: Option<ConnectionId>) {
        self.show(user, frame, except);
        self.bus.publish(user, Signal::Notice(frame.clone()));
    }

    /// Closes sockets of a user everywhere.
    pub fn close(&self, user: UserId, order: CloseOrder) {
        self.hub.with(user, |local| close_matching(local, &order));
        self.bus.publish(user, Signal::Close(order));
    }

    /// Feeds what other replicas publish until the bus ends.
    pub async fn listen(self: Arc<Self>, mut incoming: bus::Receiver) {
        while let Some(heard) = incoming.recv().await {
            match heard {
                Incoming::Signal(user, Signal::Event(frame)) => self.hint(user, &frame),
                Incoming::Wide(event) => {
                    for (user, frame) in event.frames() {
                        self.hint(user, &frame);
                    }
                }
                Incoming::Signal(user, Signal::Notice(text)) => self.show(user, &text, None),
                Incoming::Signal(user, Signal::Close(order)) => self.obey(user, &order),
                Incoming::Gap => {
                    self.opened.note_gap();
                    let delivery = Arc::clone(&self);
                    self.tasks.spawn(async move { reconcile::compare_all(&delivery).await });
                }
            }
        }
    }

    /// Closes what another replica says. One that takes an older socket of a device for the newest is
    /// told of a newer one here; so it goes on until all have heard of the newest of all.
    fn obey(&self, user: UserId, order: &CloseOrder) {
        let answer = self.hub.with(user, |local| {
            close_matching(local, order);
            let CloseOrder::Device { device, newest } = order else { return None };
            replaced(local, device).filter(|_| local.newest_of(device) > Some(*newest))
        });
        if let Some(answer) = answer.flatten() {
            self.bus.publish(user, Signal::Close(answer));
        }
    }

    /// Reads what comes after `after` for a socket that is behind.
    pub async fn pull(&self, socket: &Socket, after: Seq) -> Result<Pulled, StoreError> {
        let user = socket.user;
        // Before the read: a number that was heard of by then must be in it.
        let head = self.hub.with(user, |local| local.state.head()).unwrap_or_default();
        let EventPage { bounds, events } = match self.store.events(user, after, PAGE).await {
            Err(StoreError::Corrupt(problem)) => {
                tracing::error!(%user, %after, problem, "timeline is broken, client loads anew");
                return self.begin_anew(socket).await;
            }
            page => page?,
        };
        if head > bounds.last {
            tracing::warn!(%user, %head, last = %bounds.last, "timeline went back, clients load anew");
            self.hub.with(user, restart);
        }
        if after.next() < bounds.first || after > bounds.last {
            return Ok(Pulled::Reset { epoch: self.epoch(), last: bounds.last });
        }
        let is_end = events.last().map_or(after, |event| event.seq) >= bounds.last;
        let frames = events.into_iter().map(|event| event.into_frame(user)).collect();
        Ok(Pulled::Events { frames, is_end })
    }

    /// Reads where a client goes on that is to load anew.
    pub async fn begin_anew(&self, socket: &Socket) -> Result<Pulled, StoreError> {
        let Standing { epoch, bounds } = self.store.standing(socket.user).await?;
        Ok(Pulled::Reset { epoch, last: bounds.last })
    }

    /// Feeds a socket from commits and the bus from now on; `false`: there is more to pull.
    pub fn go_live(&self, socket: &Socket, last: Seq) -> bool {
        let is_live = self.hub.with(socket.user, |Local { sockets, state }| {
            state.go_live(socket.id, last, |id, effect| carry_out(sockets, id, effect))
        });
        is_live.unwrap_or(true)
    }

    /// Tells where a classic socket begins.
    pub fn begin_classic(&self, socket: &Socket, bounds: Bounds) {
        self.hub.with(socket.user, |Local { sockets, state }| {
            let sink = |id, effect| carry_out(sockets, id, effect);
            state.begin_classic(socket.id, bounds.last, sink);
        });
    }

    /// The sessions of all sockets here, with their users.
    fn sessions(&self) -> Vec<(SessionId, UserId)> {
        let mut sessions = Vec::new();
        self.hub.for_each(|user, local| {
            sessions
                .extend(local.sockets.iter().filter_map(|socket| Some((socket.session?, user))));
        });
        sessions.sort_unstable();
        sessions.dedup();
        sessions
    }

    fn hint(self: &Arc<Self>, user: UserId, frame: &EventFrame) {
        let gap = self.hub.with(user, |Local { sockets, state }| {
            state.hint(frame.seq, frame, |id, effect| carry_out(sockets, id, effect))
        });
        if let Some(gap) = gap.flatten() {
            let delivery = Arc::clone(self);
            // At most one for each user at a time: the next gap opens when this one has expired.
            self.tasks.spawn(async move {
                tokio::time::sleep(GAP_WAIT).await;
                delivery.hub.with(user, |Local { sockets, state }| {
                    state.gap_expired(gap, |id, effect| {
                        if effect == Effect::Pull {
                            metrics::counter!("imserver_gap_repairs_total").increment(1);
                        }
                        carry_out(sockets, id, effect);
                    });
                });
            });
        }
    }

    fn show(&self, user: UserId, frame: &Text, except: Option<ConnectionId>) {
        self.hub.with(user, |local| {
            for socket in local.sockets.iter().filter(|socket| Some(socket.id) != except) {
                socket.mailbox.push_lossy(frame.clone());
            }
        });
    }
}

fn restart(Local { sockets, state }: &mut Local<Timeline<EventFrame>>) {
    state.restart(|id, effect| carry_out(sockets, id, effect));
}

fn carry_out(sockets: &[Arc<Socket>], id: ConnectionId, effect: Effect<EventFrame>) {
    let Some(socket) = sockets.iter().find(|socket| socket.id == id) else { return };
    match effect {
        Effect::Send(event) => {
            if socket.mailbox.push(event).is_err() {
                metrics::counter!("imserver_slow_readers_total").increment(1);
            }
        }
        Effect::Pull => socket.mailbox.pull(),
        Effect::Dirty => socket.mailbox.dirty(),
        Effect::Reset => socket.mailbox.reset(),
    }
}

/// Those that the newest socket of a device here replaces.
fn replaced<T>(local: &Local<T>, device: &DeviceId) -> Option<CloseOrder> {
    let newest = local.newest_of(device)?;
    Some(CloseOrder::Device { device: device.clone(), newest })
}

fn close_matching<T>(local: &Local<T>, order: &CloseOrder) {
    for socket in &local.sockets {
        let (matches, code) = match order {
            CloseOrder::UpTo(last) => (socket.id <= *last, CloseCode::Kicked),
            CloseOrder::Session(session) => {
                (socket.session == Some(*session), CloseCode::SessionEnded)
            }
            CloseOrder::Sessions(last) => {
                let matches = socket.session.is_some_and(|session| session <= *last);
                (matches, CloseCode::SessionEnded)
            }
            CloseOrder::Device { device, newest } => {
                let matches = socket.device.as_ref() == Some(device) && socket.id < *newest;
                (matches, CloseCode::Replaced)
            }
            CloseOrder::Surplus { oldest } => (socket.id < *oldest, CloseCode::Replaced),
        };
        if matches {
            socket.mailbox.close(code);
        }
    }
}

/// A socket's place in the hub; given up when it is dropped.
pub struct Attachment {
    delivery: Arc<Delivery>,
    socket: Arc<Socket>,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let Self { delivery, socket } = self;
        delivery.hub.remove(socket.user, socket.id, |local, last| {
            local.state.detach(socket.id);
            if last {
                // Under the lock, so that it cannot overtake the subscription of a socket that
                // opens now.
                delivery.bus.unsubscribe(socket.user);
            }
        });
        let (presence, user, id) = (Arc::clone(&delivery.presence), socket.user, socket.id);
        delivery.tasks.spawn(async move {
            if let Err(error) = presence.leave(user, id).await {
                tracing::warn!(%user, connection = %id, %error, "presence not noted");
            }
        });
    }
}
