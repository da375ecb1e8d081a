//! How the servers are spoken to that `imserver` is compared with. No I/O.

mod centrifuge;
mod plain;
mod socketio;

pub use centrifuge::Centrifuge;
pub use plain::Plain;
pub use socketio::SocketIo;

/// Whether a phone goes on after a peer closed its socket with this code. The others say that the phone has
/// done something wrong, or is not wanted.
fn is_to_come_back_after(code: u16) -> bool {
    matches!(code, 1000 | 1001 | 1005 | 1006 | 1011 | 1012)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use phone::wire::{ChatFrame, Content, Event, Heard, Wire};

    /// What a frame means, a text for each part.
    pub(super) fn heard(wire: &dyn Wire, frame: &str) -> Vec<String> {
        let mut parts = Vec::new();
        let read = wire.hear(frame, &mut |heard| {
            parts.push(match heard {
                Heard::Say(frame) => format!("say {frame}"),
                Heard::Ready { .. } => "ready".to_owned(),
                Heard::Sent { chat, .. } => format!("sent {} as {}", chat.key, chat.id),
                Heard::Event {
                    event: Event::Chat(ChatFrame { key, id, sender, target, content }),
                    ..
                } => {
                    let content = match content {
                        Content::Text(text) => text,
                        _ => Cow::Borrowed(""),
                    };
                    format!("event {key} as {id} from {sender} to {target}: {content}")
                }
                Heard::Refused { key, code, after } => {
                    let key = key.unwrap_or(Cow::Borrowed("-"));
                    let after = after.map(|after| format!(", again after {after:?}"));
                    format!("refused {key} {code}{}", after.unwrap_or_default())
                }
                Heard::Nothing => "nothing".to_owned(),
                other => format!("{other:?}"),
            });
        });
        read.unwrap();
        parts
    }
}
