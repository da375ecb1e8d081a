//! What is published: a small binary header, and the frame as it will be written to sockets.
//!
//! | bytes | |
//! |---|---|
//! | 1 | [`VERSION`] |
//! | 1 | the kind |
//! | 8 | the replica that published it |
//! | the rest | by the kind: integers, short texts with their length, then the frame |
//!
//! Integers are big-endian. A version or a kind that is not known comes from a newer replica during
//! a deployment and is passed over; what it said is found by the reconcile.

use std::sync::Arc;

use crate::{
    bus::{CloseOrder, MAX_PLACES, Signal, WideEvent},
    domain::{ClientMsgId, DeviceId, OutOfRange, ReplicaId, Seq, UserId},
    protocol::event::{EventBody, EventFrame},
};

/// The version of the header. Kinds may be added to it; a change of what a kind holds is a new one.
const VERSION: u8 = 1;

/// The longest payload that is read or written, in bytes. The longest chat, each character of it
/// escaped, takes a third of it.
pub(super) const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

const EVENT: u8 = 1;
const NOTICE: u8 = 2;
const CLOSE_UP_TO: u8 = 3;
const CLOSE_SESSION: u8 = 4;
const CLOSE_DEVICE: u8 = 5;
const PROBE: u8 = 6;
const GAP: u8 = 7;
const CLOSE_SURPLUS: u8 = 8;
const CLOSE_SESSIONS: u8 = 9;
const WIDE: u8 = 10;

/// One start of one replica. It knows by this what it published itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin(pub(super) u64);

impl From<ReplicaId> for Origin {
    fn from(replica: ReplicaId) -> Self {
        Self(replica.get().cast_unsigned())
    }
}

/// What one payload says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// News of a user, on the user's channel.
    Signal(Signal),
    /// To all replicas: an event of many users.
    Wide(WideEvent),
    /// On a replica's own channel: the link carries what is published.
    Probe(u64),
    /// To all replicas: the one that says it has lost signals before they were published.
    Gap,
}

/// A payload that cannot be read. Says nothing of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    /// From a version or of a kind that is not known here.
    #[error("a version or kind that is not known")]
    Unknown,
    /// It is longer than anything that is published.
    #[error("too long")]
    TooLong,
    /// It ends before what its kind holds, or after it.
    #[error("not of the length that its kind has")]
    Length,
    /// A value that its type does not allow.
    #[error("a value out of range")]
    Value,
}

impl WireError {
    /// The error as a label of a metric.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::TooLong => "too_long",
            Self::Length => "length",
            Self::Value => "value",
        }
    }
}

impl Message {
    /// How many bytes of it wait in a queue, about.
    pub(super) fn size(&self) -> usize {
        let held = match self {
            Self::Signal(Signal::Event(frame)) => frame.size(),
            Self::Signal(Signal::Notice(text)) => text.as_str().len(),
            Self::Wide(event) => {
                event.body.size() + event.places.len() * size_of::<(UserId, Seq)>()
            }
            Self::Signal(Signal::Close(_)) | Self::Probe(_) | Self::Gap => 0,
        };
        size_of::<Self>() + held
    }

    /// The payload.
    pub(super) fn encode(&self, origin: Origin) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + self.size());
        // The kind is known below.
        out.extend([VERSION, 0]);
        out.extend(origin.0.to_be_bytes());
        let kind = match self {
            Self::Signal(Signal::Event(frame)) => {
                out.extend(frame.seq.get().to_be_bytes());
                put_short(&mut out, frame.own.as_ref().map_or("", ClientMsgId::as_str));
                out.extend(frame.text().as_str().as_bytes());
                EVENT
            }
            Self::Signal(Signal::Notice(text)) => {
                out.extend(text.as_str().as_bytes());
                NOTICE
            }
            Self::Signal(Signal::Close(order)) => put_close(&mut out, order),
            Self::Wide(WideEvent { body, own, places }) => {
                let (sender, key) =
                    own.as_ref().map_or((0, ""), |(sender, key)| (sender.get(), key.as_str()));
                out.extend(sender.to_be_bytes());
                put_short(&mut out, key);
                out.extend((places.len() as u64).to_be_bytes());
                for (user, seq) in places.iter() {
                    out.extend(user.get().to_be_bytes());
                    out.extend(seq.get().to_be_bytes());
                }
                out.extend(body.as_str().as_bytes());
                WIDE
            }
            Self::Probe(number) => {
                out.extend(number.to_be_bytes());
                PROBE
            }
            Self::Gap => GAP,
        };
        out[1] = kind;
        out
    }

    /// Whether this is an event or another signal that `origin` published, as far as the header tells.
    pub(super) fn is_signal_of(origin: Origin, payload: &[u8]) -> bool {
        matches!(payload, [VERSION, kind, rest @ ..]
            if !matches!(*kind, PROBE | GAP) && rest.starts_with(&origin.0.to_be_bytes()))
    }

    /// Reads a payload, and who published it.
    pub(super) fn decode(payload: &[u8]) -> Result<(Origin, Self), WireError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(WireError::TooLong);
        }
        let mut rest = payload;
        // The version first, since all else depends on it.
        if take(&mut rest, 1)? != [VERSION] {
            return Err(WireError::Unknown);
        }
        let kind = take(&mut rest, 1)?[0];
        let origin = Origin(take_u64(&mut rest)?);
        let close = |order| Self::Signal(Signal::Close(order));
        let message = match kind {
            EVENT => {
                let seq = Seq::new(take_i64(&mut rest)?).map_err(|_| WireError::Value)?;
                let own = match take_short(&mut rest)? {
                    "" => None,
                    key => Some(ClientMsgId::parse(key).map_err(|_| WireError::Value)?),
                };
                let frame = EventFrame::from_text(seq, own, take_text(&mut rest)?);
                let frame = frame.ok_or(WireError::Value)?;
                Self::Signal(Signal::Event(frame))
            }
            NOTICE => Self::Signal(Signal::Notice(take_text(&mut rest)?.into())),
            CLOSE_UP_TO => close(CloseOrder::UpTo(take_id(&mut rest)?)),
            CLOSE_SESSION => close(CloseOrder::Session(take_id(&mut rest)?)),
            CLOSE_SESSIONS => close(CloseOrder::Sessions(take_id(&mut rest)?)),
            CLOSE_SURPLUS => close(CloseOrder::Surplus { oldest: take_id(&mut rest)? }),
            CLOSE_DEVICE => {
                let newest = take_id(&mut rest)?;
                let device = DeviceId::parse(take_text(&mut rest)?);
                let device = device.map_err(|_| WireError::Value)?;
                close(CloseOrder::Device { device, newest })
            }
            WIDE => Self::Wide(take_wide(&mut rest)?),
            PROBE => Self::Probe(take_u64(&mut rest)?),
            GAP => Self::Gap,
            _ => return Err(WireError::Unknown),
        };
        if rest.is_empty() { Ok((origin, message)) } else { Err(WireError::Length) }
    }
}

/// Writes which sockets must close; returns the kind.
fn put_close(out: &mut Vec<u8>, order: &CloseOrder) -> u8 {
    let (kind, id, device) = match order {
        CloseOrder::UpTo(id) => (CLOSE_UP_TO, id.get(), ""),
        CloseOrder::Session(id) => (CLOSE_SESSION, id.get(), ""),
        CloseOrder::Sessions(id) => (CLOSE_SESSIONS, id.get(), ""),
        CloseOrder::Surplus { oldest } => (CLOSE_SURPLUS, oldest.get(), ""),
        CloseOrder::Device { device, newest } => (CLOSE_DEVICE, newest.get(), device.as_str()),
    };
    out.extend(id.to_be_bytes());
    out.extend(device.as_bytes());
    kind
}

fn take_wide(rest: &mut &[u8]) -> Result<WideEvent, WireError> {
    let (sender, key) = (take_i64(rest)?, take_short(rest)?);
    let own = match sender {
        0 => None,
        sender => {
            let sender = UserId::new(sender).map_err(|_| WireError::Value)?;
            Some((sender, ClientMsgId::parse(key).map_err(|_| WireError::Value)?))
        }
    };
    let count = usize::try_from(take_u64(rest)?).map_err(|_| WireError::Value)?;
    if count > MAX_PLACES {
        return Err(WireError::TooLong);
    }
    let place = |_| {
        let user: UserId = take_id(rest)?;
        Ok((user, Seq::new(take_i64(rest)?).map_err(|_| WireError::Value)?))
    };
    let places: Arc<[(UserId, Seq)]> = (0..count).map(place).collect::<Result<_, _>>()?;
    if !places.is_sorted_by(|(user, _), (next, _)| user < next) {
        return Err(WireError::Value);
    }
    Ok(WideEvent { body: EventBody::from_wire(take_text(rest)?), own, places })
}

/// Writes a key, which has at most 64 bytes, after its length.
fn put_short(out: &mut Vec<u8>, key: &str) {
    out.push(u8::try_from(key.len()).expect("a key is short"));
    out.extend(key.as_bytes());
}

fn take_short<'a>(rest: &mut &'a [u8]) -> Result<&'a str, WireError> {
    let length = take(rest, 1)?[0];
    str::from_utf8(take(rest, length.into())?).map_err(|_| WireError::Value)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], WireError> {
    let (taken, left) = rest.split_at_checked(count).ok_or(WireError::Length)?;
    *rest = left;
    Ok(taken)
}

fn take_u64(rest: &mut &[u8]) -> Result<u64, WireError> {
    let (taken, left) = rest.split_first_chunk().ok_or(WireError::Length)?;
    *rest = left;
    Ok(u64::from_be_bytes(*taken))
}

fn take_i64(rest: &mut &[u8]) -> Result<i64, WireError> {
    Ok(take_u64(rest)?.cast_signed())
}

fn take_id<T: TryFrom<i64, Error = OutOfRange>>(rest: &mut &[u8]) -> Result<T, WireError> {
    T::try_from(take_i64(rest)?).map_err(|_| WireError::Value)
}

/// The rest, as a text.
fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, WireError> {
    str::from_utf8(std::mem::take(rest)).map_err(|_| WireError::Value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ConnectionId, MAX_ID, SessionId};

    fn connection(id: i64) -> ConnectionId {
        ConnectionId::new(id).unwrap()
    }

    fn messages() -> impl Strategy<Value = Message> {
        let event = (0..=MAX_ID, proptest::option::of("[ -~]{1,64}"), ".{0,300}").prop_map(
            |(seq, own, body)| {
                Signal::Event(EventFrame {
                    seq: Seq::new(seq).unwrap(),
                    own: own.map(|key| ClientMsgId::parse(&key).unwrap()),
                    body: EventBody::from_wire(&body),
                })
            },
        );
        let places = proptest::collection::btree_map(1..=MAX_ID, 0..=MAX_ID, 0..20);
        let own = proptest::option::of((1..=MAX_ID, "[ -~]{1,64}"));
        let wide = (places, own, ".{0,300}").prop_map(|(places, own, body)| {
            let user = |id| UserId::new(id).unwrap();
            Message::Wide(WideEvent {
                body: EventBody::from_wire(&body),
                own: own.map(|(id, key)| (user(id), ClientMsgId::parse(&key).unwrap())),
                places: places
                    .into_iter()
                    .map(|(id, seq)| (user(id), Seq::new(seq).unwrap()))
                    .collect(),
            })
        });
        let device =
            ("[^\\pC]{1,64}", 1..=MAX_ID).prop_map(|(device, newest)| CloseOrder::Device {
                device: DeviceId::parse(&device).unwrap(),
                newest: connection(newest),
            });
        let close = prop_oneof![
            (1..=MAX_ID).prop_map(|id| CloseOrder::UpTo(connection(id))),
            (1..=MAX_ID).prop_map(|id| CloseOrder::Surplus { oldest: connection(id) }),
            (1..=MAX_ID).prop_map(|id| CloseOrder::Session(SessionId::new(id).unwrap())),
            (1..=MAX_ID).prop_map(|id| CloseOrder::Sessions(SessionId::new(id).unwrap())),
            device,
        ];
        prop_oneof![
            event.prop_map(Message::Signal),
            wide,
            ".{0,300}".prop_map(|text| Message::Signal(Signal::Notice(text.into()))),
            close.prop_map(|order| Message::Signal(Signal::Close(order))),
            any::<u64>().prop_map(Message::Probe),
            Just(Message::Gap),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(message in messages(), origin in any::<u64>()) {
            let origin = Origin(origin);
            prop_assert_eq!(Message::decode(&message.encode(origin)), Ok((origin, message)));
        }

        #[test]
        fn garbage_is_an_error_or_a_message(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::decode(&bytes);
        }

        #[test]
        fn a_damaged_payload_is_an_error_or_a_message(
            message in messages(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut payload = message.encode(Origin(1));
            let index = at.index(payload.len());
            payload[index] = byte;
            let _ = Message::decode(&payload[..cut.index(payload.len())]);
            let _ = Message::decode(&payload);
        }
    }

    #[test]
    fn the_layout_stays_as_other_replicas_know_it() {
        let event = Message::Signal(Signal::Event(EventFrame {
            seq: Seq::new(258).unwrap(),
            own: Some(ClientMsgId::parse("k1").unwrap()),
            body: EventBody::from_wire("}"),
        }));
        let head = b"\x01\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x01\x02\x02k1";
        let expected = [&head[..], br#"{"type":"event","seq":258}"#].concat();
        assert_eq!(event.encode(Origin(7)), expected);
        let wide = Message::Wide(WideEvent {
            body: EventBody::from_wire("}"),
            own: Some((UserId::new(3).unwrap(), ClientMsgId::parse("k1").unwrap())),
            places: Arc::from([(UserId::new(3).unwrap(), Seq::new(258).unwrap())]),
        });
        let expected = b"\x01\x0a\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x03\x02k1\
            \0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\x01\x02}";
        assert_eq!(wide.encode(Origin(7)), expected);
        let device = DeviceId::parse("手机").unwrap();
        for (order, kind, body) in [
            (CloseOrder::UpTo(connection(258)), 3, b"\0\0\0\0\0\0\x01\x02".as_slice()),
            (CloseOrder::Session(SessionId::new(3).unwrap()), 4, b"\0\0\0\0\0\0\0\x03"),
            (
                CloseOrder::Device { device, newest: connection(MAX_ID) },
                5,
                b"\0\x1f\xff\xff\xff\xff\xff\xff\xe6\x89\x8b\xe6\x9c\xba",
            ),
            (CloseOrder::Surplus { oldest: connection(1) }, 8, b"\0\0\0\0\0\0\0\x01"),
            (CloseOrder::Sessions(SessionId::new(3).unwrap()), 9, b"\0\0\0\0\0\0\0\x03"),
        ] {
            let expected = [b"\x01", &[kind][..], b"\0\0\0\0\0\0\0\x07", body].concat();
            let encoded = Message::Signal(Signal::Close(order)).encode(Origin(7));
            assert_eq!(encoded, expected);
        }
    }

    #[test]
    fn what_is_wrong_has_a_name() {
        let head = |version: u8, kind: u8| [&[version, kind][..], &[0; 8]].concat();
        let payload = |kind, body: &[u8]| [&head(VERSION, kind), body].concat();
        let zeros = &[0; 8][..];
        for (bytes, error) in [
            (vec![], WireError::Length),
            (b"hello".to_vec(), WireError::Unknown),
            (head(2, EVENT), WireError::Unknown),
            (head(VERSION, 99), WireError::Unknown),
            (vec![VERSION, EVENT], WireError::Length),
            (payload(CLOSE_UP_TO, b"x"), WireError::Length),
            (payload(CLOSE_UP_TO, &[zeros, b"x"].concat()), WireError::Value),
            (payload(CLOSE_SURPLUS, zeros), WireError::Value),
            (payload(CLOSE_SURPLUS, &[b"\0\0\0\0\0\0\0\x01", zeros].concat()), WireError::Length),
            (payload(CLOSE_DEVICE, b"\0\0\0\0\0\0\0\x01"), WireError::Value),
            (payload(CLOSE_SESSION, zeros), WireError::Value),
            (payload(EVENT, &[0xff; 9]), WireError::Value),
            (payload(EVENT, &[zeros, b"\x05abc"].concat()), WireError::Length),
            (payload(EVENT, &[zeros, b"\x01\n"].concat()), WireError::Value),
            // The number of the frame is another.
            (
                payload(EVENT, &[zeros, b"\0{\"type\":\"event\",\"seq\":1}"].concat()),
                WireError::Value,
            ),
            (payload(WIDE, &[zeros, b"\0", &[0xff; 8]].concat()), WireError::TooLong),
            (payload(WIDE, &[zeros, b"\0\0\0\0\0\0\0\0\x01"].concat()), WireError::Length),
            (
                payload(WIDE, &[zeros, b"\0\0\0\0\0\0\0\0\x01", zeros, zeros].concat()),
                WireError::Value,
            ),
            (payload(NOTICE, b"\xff"), WireError::Value),
            (payload(NOTICE, &vec![b' '; MAX_PAYLOAD_BYTES]), WireError::TooLong),
        ] {
            assert_eq!(Message::decode(&bytes), Err(error));
        }
    }
}
