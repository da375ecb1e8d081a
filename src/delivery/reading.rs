//! Reads of the database for sockets that are behind.

use super::{Delivery, carry_out, restart};
use crate::{
    domain::{Chat, Epoch, Seq, UserId},
    hub::{Local, Socket},
    media::MediaLinks,
    protocol::event::{EventBody, EventFrame},
    store::{Change, EventPage, StoreError, TimelineEvent, TimelineState},
};

/// Events in one read for a socket.
const PAGE: u32 = 100;

/// What a socket that is behind writes next.
#[derive(Debug)]
pub enum Pulled {
    /// These events.
    Events {
        /// The events after the asked number, in order.
        frames: Vec<EventFrame>,
        /// Whether they reach the end of the timeline: then [`Delivery::go_live`] is next.
        is_end: bool,
    },
    /// The timeline does not have what follows: the client loads anew and goes on from `last`.
    Reset {
        /// The database's history.
        epoch: Epoch,
        /// The end of the timeline.
        last: Seq,
    },
}

/// What a legacy socket shows.
#[derive(Debug)]
pub struct Latest {
    /// No event up to this number is missing in `chats`.
    pub last: Seq,
    /// The latest chats of the user's direct conversations, oldest first.
    pub chats: Vec<Chat>,
}

/// An event as a frame in the timeline of `user`.
pub fn frame(event: &TimelineEvent, user: UserId, links: &MediaLinks) -> EventFrame {
    let own = match &event.change {
        Change::Chat(chat) => (chat.user_id == user).then(|| chat.client_msg_id.clone()),
        _ => None,
    };
    EventFrame { seq: event.seq, own, body: body(&event.change, links) }
}

/// What an event says, as all who get it are told.
pub(super) fn body(change: &Change, links: &MediaLinks) -> EventBody {
    match change {
        Change::Chat(chat) => EventBody::chat(&links.shown(chat)),
        Change::Changed(chat) => EventBody::changed(&links.shown(chat)),
        Change::Gone { chat, conversation } => EventBody::gone(*chat, *conversation),
        Change::Conversation(change) => EventBody::conversation(change),
        Change::Other { kind, chat, payload } => {
            let chat = chat.as_deref().map(|chat| links.shown(chat));
            EventBody::other(kind, chat.as_deref(), payload.as_ref())
        }
    }
}

impl Delivery {
    /// Reads the events after `after`, for a socket that is behind.
    pub async fn pull(&self, socket: &Socket, after: Seq) -> Result<Pulled, StoreError> {
        let user = socket.user;
        // Before the read: the database has every number that was known by then.
        let head = self.head(user);
        let EventPage { range, events } = match self.store.events(user, after, PAGE).await {
            Err(StoreError::Corrupt(problem)) => {
                tracing::error!(%user, %after, problem, "timeline is broken, client loads anew");
                return self.begin_anew(socket).await;
            }
            page => page?,
        };
        self.check_head(user, head, range.last);
        if after.next() < range.first || after > range.last {
            return Ok(Pulled::Reset { epoch: self.epoch(), last: range.last });
        }
        let is_end = events.last().map_or(after, |event| event.seq) >= range.last;
        let frames = events.iter().map(|event| frame(event, user, &self.links)).collect();
        Ok(Pulled::Events { frames, is_end })
    }

    /// Reads where a client goes on after it has loaded anew.
    pub async fn begin_anew(&self, socket: &Socket) -> Result<Pulled, StoreError> {
        let TimelineState { epoch, range } = self.store.timeline_state(socket.user).await?;
        Ok(Pulled::Reset { epoch, last: range.last })
    }

    /// Makes a socket live, which has everything up to `last`; `false`: there is more to pull.
    pub fn go_live(&self, socket: &Socket, last: Seq) -> bool {
        let is_live = self.hub.with(socket.user, |Local { sockets, state }| {
            state.go_live(socket.id, last, |id, effect| carry_out(sockets, id, effect))
        });
        is_live.unwrap_or(true)
    }

    /// Reads what a legacy socket shows: at most `limit` chats.
    pub async fn latest(&self, socket: &Socket, limit: u32) -> Result<Latest, StoreError> {
        let user = socket.user;
        let head = self.head(user);
        // Before the chats: those of later events may be among them, none of an earlier one is missing.
        let last = self.store.timeline_range(user).await?.last;
        self.check_head(user, head, last);
        let mut chats = self.store.latest_chats(user, limit).await?;
        self.links.show_all(&mut chats);
        Ok(Latest { last, chats })
    }

    fn head(&self, user: UserId) -> Seq {
        self.hub.with(user, |local| local.state.head()).unwrap_or_default()
    }

    /// Compares the end of a timeline in the database with the head as it was before that was read.
    fn check_head(&self, user: UserId, head: Seq, last: Seq) {
        if head > last {
            tracing::warn!(%user, %head, %last, "timeline went back, clients load anew");
            self.hub.with(user, restart);
        }
    }
}
