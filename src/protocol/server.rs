//! Frames that the service sends, other than the events of a timeline.

use std::time::Duration;

use serde::Serialize;

use super::{
    Text,
    fault::{ApiError, DenialReason},
};
use crate::{
    clock::Timestamp,
    domain::{ChatId, ClientMsgId, ConnectionId, ConversationId, Epoch, Seq, UserId},
};

/// A frame that is encoded as it stands.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ServerFrame<'a> {
    /// The answer to `hello`.
    Ready {
        /// Whose socket this is.
        user_id: UserId,
        /// Which socket this is.
        connection_id: ConnectionId,
        /// The database's history.
        epoch: Epoch,
        /// The end of the timeline.
        last_seq: Seq,
        /// How often the service pings, in milliseconds.
        heartbeat_ms: u64,
    },
    /// Load anew over HTTP and go on from `last_seq`.
    Reset {
        /// The database's history.
        epoch: Epoch,
        /// The end of the timeline.
        last_seq: Seq,
    },
    /// Somebody has read.
    Read {
        /// The conversation that was read.
        conversation_id: ConversationId,
        /// The member whose read mark moved.
        user_id: UserId,
        /// The last chat that this member has read.
        up_to: ChatId,
    },
    /// Somebody is typing.
    Typing {
        /// The user who types to the receiver of this frame.
        user_id: UserId,
        /// The group in which that user types.
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation_id: Option<ConversationId>,
    },
    /// Somebody came or went.
    Presence {
        /// A user that this socket watches.
        user_id: UserId,
        /// Whether that user is online.
        online: bool,
        /// When that user last went offline; `None` if never.
        last_seen_at: Option<Timestamp>,
    },
    /// A chat is held back until somebody decides about it.
    Held {
        /// The key of the send that this answers.
        client_msg_id: &'a ClientMsgId,
    },
    /// Something is wrong with a frame.
    Error {
        /// The stable word.
        code: &'static str,
        /// What is wrong this time.
        detail: &'a str,
        /// The key of the send that this answers.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_msg_id: Option<&'a ClientMsgId>,
        /// With `not_allowed`: why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
        /// When a repeat is worth while, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// The replica is draining.
    Reconnect {
        /// When to come back, in milliseconds.
        after_ms: u64,
    },
    /// The answer to `ping`.
    Pong,
}

impl<'a> ServerFrame<'a> {
    /// The frame for a fault.
    pub fn fault(fault: &'a ApiError, client_msg_id: Option<&'a ClientMsgId>) -> Self {
        Self::Error {
            code: fault.code.as_str(),
            detail: &fault.detail,
            client_msg_id,
            reason: fault.reason.map(DenialReason::as_str),
            retry_after_ms: fault.retry_after.map(millis),
        }
    }

    /// Encodes it.
    pub fn encode(&self) -> Text {
        // Strings, integers and booleans.
        serde_json::to_string(self).expect("a frame can be encoded").into()
    }
}

/// Whole milliseconds of a duration.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
