//! Brings each event to each socket, in order, none missing, none twice.
//!
//! [`Timeline`] decides. [`Delivery`] drives it from four sources: the commits of this replica, the hints of
//! others over the bus, reads of the database, and a regular comparison with the database, which finds lost
//! hints.

mod closures;
mod drain;
mod fan_out;
mod presence_events;
mod reading;
mod reconcile;
mod socket_limits;
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
use tokio::sync::Notify;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::{
    bus::{self, Bus, CloseOrder, Incoming, MAX_PLACES, Signal, WideEvent},
    domain::{ClientMsgId, ConnectionId, DeviceId, Epoch, Seq, UserId},
    hub::{Hub, Local, MAX_SOCKETS, Socket, Watchers},
    media::MediaLinks,
    presence::Presence,
    protocol::{
        Text,
        close::CloseCode,
        event::{EventBody, EventFrame},
    },
    store::{Change, Committed, DeliveryStore, StoreError},
};

pub use fan_out::fan_out;
pub use presence_events::announce;
pub use reading::{Latest, Pulled, frame};
pub use reconcile::reconcile;
pub use socket_limits::limit_sockets;
pub use split::watch_bus;
pub use timeline::{Effect, Gap, MAX_WAITING, Timeline};

/// How long a gap may stay open before the database is read: batches of two replicas overtake each other by
/// about this much.
const GAP_WAIT: Duration = Duration::from_millis(30);

/// How long a new socket waits for its subscription. Without one it depends on the reconcile.
const SUBSCRIBE_WAIT: Duration = Duration::from_secs(1);

/// An event in at most this many timelines is published on each user's channel, which only replicas with a
/// socket of the user receive. One in more timelines is cheaper to send to every replica.
const FEW: usize = 16;

/// Drives the timelines of one replica.
pub struct Delivery {
    hub: Hub<Timeline<EventFrame>>,
    watchers: Watchers,
    store: Arc<dyn DeliveryStore>,
    bus: Arc<dyn Bus>,
    presence: Arc<dyn Presence>,
    links: MediaLinks,
    epoch: Mutex<Epoch>,
    /// Users whose number of sockets is to be checked.
    opened: socket_limits::Opened,
    /// Events of large conversations for the sockets here.
    wide: fan_out::Queue,
    /// Whether the replica drains: sockets that are attached now are drained at once.
    is_draining: AtomicBool,
    /// Whether live replicas are on another bus.
    is_split: AtomicBool,
    tasks: TaskTracker,
}

impl Delivery {
    /// Reads the epoch, and begins without sockets.
    pub async fn start(
        store: Arc<dyn DeliveryStore>,
        bus: Arc<dyn Bus>,
        presence: Arc<dyn Presence>,
        links: MediaLinks,
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
            links,
            epoch,
            opened: socket_limits::Opened::default(),
            wide: fan_out::Queue::default(),
            is_draining: AtomicBool::new(false),
            is_split: AtomicBool::new(false),
            tasks,
        }))
    }

    /// The epoch, as last read.
    pub fn epoch(&self) -> Epoch {
        *self.epoch.lock()
    }

    /// What makes the URLs of what chats show.
    pub fn links(&self) -> &MediaLinks {
        &self.links
    }

    /// The sockets that watch the presence of others.
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Adds a socket, subscribes to its user and notes presence. This comes before the socket's task
    /// first reads the timeline. Closes the sockets that this one replaces, or this one if a newer one
    /// is there.
    pub async fn attach(self: &Arc<Self>, socket: Arc<Socket>) -> Attachment {
        let id = socket.id;
        let user = socket.user;
        let attachment = Attachment { delivery: Arc::clone(self), socket: Arc::clone(&socket) };
        let replaced = self.hub.add(Arc::clone(&socket), |local| {
            local.state.attach(id);
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
        if self.is_draining.load(Ordering::SeqCst) {
            socket.mailbox.drain();
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

    /// Delivers a committed chat: to the sockets here, and over the bus to the other replicas. The sockets
    /// here get one of a large conversation by [`fan_out`].
    pub fn committed(self: &Arc<Self>, committed: &Committed) {
        let Committed { chat, places } = committed;
        tracing::debug!(
            chat = chat.id.get(),
            conversation = chat.conversation_id.get(),
            timelines = places.len(),
            first = ?&places[..places.len().min(FEW)],
            "chat goes to its sockets"
        );
        let own = committed.sender_seq().map(|_| (chat.user_id, chat.client_msg_id.clone()));
        self.bring(&EventBody::chat(&self.links.shown(chat)), own.as_ref(), places);
    }

    /// Delivers another event that is committed, as [`Delivery::committed`] does a chat.
    pub fn told(self: &Arc<Self>, change: &Change, places: &[(UserId, Seq)]) {
        self.bring(&reading::body(change, &self.links), None, places);
    }

    fn bring(
        self: &Arc<Self>,
        body: &EventBody,
        own: Option<&(UserId, ClientMsgId)>,
        places: &[(UserId, Seq)],
    ) {
        let event = |places: &[_]| WideEvent {
            body: body.clone(),
            own: own.cloned(),
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

    /// Notes that a user's timeline reaches `seq`. Sockets here that get no hint of it within
    /// [`GAP_WAIT`] read the database.
    pub fn reached(self: &Arc<Self>, user: UserId, seq: Seq) {
        let delivery = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::time::sleep(GAP_WAIT).await;
            delivery.hub.with(user, |Local { sockets, state }| {
                state.raise(seq, |id, effect| carry_out(sockets, id, effect));
            });
        });
    }

    /// Sends a frame outside the timeline to the user's sockets on all replicas, except for one.
    pub fn notice(&self, user: UserId, frame: &Text, except: Option<ConnectionId>) {
        self.show(user, frame, except);
        self.bus.publish(user, Signal::Notice(frame.clone()));
    }

    /// Closes sockets of a user on all replicas.
    pub fn close(&self, user: UserId, order: CloseOrder) {
        self.hub.with(user, |local| close_matching(local, &order));
        self.bus.publish(user, Signal::Close(order));
    }

    /// Delivers what other replicas publish, until the bus ends. After a gap all are compared with the database; gaps
    /// during that ask for it once more, however many they are.
    pub async fn listen(self: Arc<Self>, incoming: bus::Receiver) {
        let gap = Arc::new(Notify::new());
        let (delivery, asked) = (Arc::clone(&self), Arc::clone(&gap));
        let _comparing = AbortOnDropHandle::new(self.tasks.spawn(async move {
            loop {
                asked.notified().await;
                reconcile::compare_all(&delivery).await;
            }
        }));
        self.hear(incoming, &gap).await;
    }

    async fn hear(self: Arc<Self>, mut incoming: bus::Receiver, gap: &Notify) {
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
                    gap.notify_one();
                }
            }
        }
    }

    /// Obeys another replica's order. If that replica does not know the newest socket of a device, which is
    /// here, it gets an order in return; so in the end all know the newest one.
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

    fn hint(self: &Arc<Self>, user: UserId, frame: &EventFrame) {
        tracing::debug!(%user, seq = frame.seq.get(), "event reached this replica");
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
        Effect::Reset => socket.mailbox.reset(),
    }
}

/// The order that closes all but the newest socket of a device, as far as this replica knows.
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

/// Keeps a socket in the hub until it is dropped.
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
