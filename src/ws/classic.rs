//! The seed's kind of socket: at each chat, the array of the latest ones.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    CLASSIC, Counted, count_end,
    link::{End, Heard, Link},
};
use crate::{
    delivery::{Attachment, Kind},
    domain::{Chat, ConnectionId, UserId},
    http::{Problem, extract::Caller, push},
    hub::{Mailbox, Socket},
    messaging::Error,
    protocol::{Text, close::CloseCode, fault::Fault, fields::Fields},
    service::Service,
};

/// How long to wait before a snapshot is read again that could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// Snapshots are written at this rate of bytes: one of a hundred long chats is half a megabyte, and a
/// client may be owed five in a second. Those that are small come at once.
const BYTES_PER_SEC: u32 = 256 * 1024;

/// So many bytes ahead of that rate are written at once.
const BURST_BYTES: u32 = 1024 * 1024;

/// The longest pause after a snapshot, however large the settings let it be.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// A socket that is entered before its `101`, so that no chat after that is missed.
pub(super) struct Opened {
    caller: Caller,
    socket: Arc<Socket>,
    attachment: Attachment,
}

/// Enters a socket.
pub(super) async fn open(
    service: &Arc<Service>,
    caller: Caller,
    user: UserId,
    id: ConnectionId,
) -> Result<Opened, Fault> {
    let session = match &caller {
        Caller::User(actor) => Some(actor.session.id),
        Caller::Anonymous => None,
    };
    let socket = Arc::new(Socket { id, user, session, device: None, mailbox: Mailbox::default() });
    let attachment = service.delivery.attach(Arc::clone(&socket), Kind::Snapshots).await;
    let bounds = service.store.bounds(user).await?;
    service.delivery.begin_classic(&socket, bounds);
    Ok(Opened { caller, socket, attachment })
}

type Snapshot = JoinHandle<Result<Vec<Chat>, Error>>;

/// Serves a socket to its end.
pub(super) async fn run(service: Arc<Service>, mut link: Box<Link>, opened: Opened) {
    let Opened { caller, socket: entry, attachment } = opened;
    let counted = Counted::new(CLASSIC);
    let end = serve(&service, &mut link, &caller, &entry).await;
    drop(attachment);
    drop(counted);
    count_end(end);
    tracing::debug!(user = %entry.user, connection = %entry.id, ?end, "classic socket ends");
    Box::pin(link.end(None, end)).await;
}

async fn serve(
    service: &Arc<Service>,
    link: &mut Link,
    caller: &Caller,
    entry: &Arc<Socket>,
) -> End {
    // At most one snapshot is read at a time; `again`: the client lacks a chat that none has shown.
    let mut snapshot: Option<Snapshot> = None;
    let mut again = false;
    let mut is_leaving = false;
    let mut pace = Pace::new(Instant::now());
    let mut retry_at = Instant::now();
    loop {
        if is_leaving && !again && snapshot.is_none() {
            return End::Close(CloseCode::Restart);
        }
        let is_due = again && snapshot.is_none();
        // Where the replica stops there is no time for a pause.
        let next = if is_leaving { retry_at } else { retry_at.max(pace.next()) };
        if is_due && next <= Instant::now() {
            again = false;
            snapshot = Some(read(service, entry.user));
            continue;
        }
        let due = link.due();
        let step = tokio::select! {
            post = entry.mailbox.take() => {
                // Frames outside the timeline are not for this kind.
                again |= post.dirty;
                is_leaving |= post.leave;
                post.close.map_or(Ok(()), |code| Err(End::Close(code)))
            }
            chats = async { snapshot.as_mut()?.await.ok() }, if snapshot.is_some() => {
                snapshot = None;
                match chats {
                    Some(Ok(chats)) => {
                        let text = serde_json::to_string(&chats).unwrap_or_default();
                        pace.wrote(text.len(), Instant::now());
                        link.write([text.into()], &entry.mailbox).await
                    }
                    failed => {
                        tracing::warn!(user = %entry.user, failed = ?failed.map(|_| ()), "snapshot not read, later again");
                        again = true;
                        retry_at = Instant::now() + RETRY;
                        Ok(())
                    }
                }
            }
            () = sleep_until(next), if is_due => Ok(()),
            heard = link.hear() => match heard {
                Ok(Heard::Text(text)) => match accept(service, caller, &text).await {
                    Ok(()) => Ok(()),
                    Err(fault) => link.write([problem(&fault)], &entry.mailbox).await,
                },
                Ok(Heard::Binary) => {
                    let fault = Fault::invalid("a frame must be text");
                    link.write([problem(&fault)], &entry.mailbox).await
                }
                Ok(Heard::Life) => Ok(()),
                Err(end) => Err(end),
            },
            () = sleep_until(due) => link.heartbeat(&entry.mailbox).await,
        };
        if let Err(end) = step {
            return end;
        }
    }
}

/// When the next snapshot may be read: a bucket of bytes, as the moment at which it is full again.
struct Pace {
    full_at: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Notes a snapshot. It may go below what was left: its size is not known before it is read.
    fn wrote(&mut self, bytes: usize, now: Instant) {
        let size = u32::try_from(bytes).unwrap_or(u32::MAX);
        let took = Duration::from_secs(size.into()) / BYTES_PER_SEC;
        self.full_at = (self.full_at.max(now) + took).min(now + Self::burst() + MAX_PAUSE);
    }

    /// When the next one may be read.
    fn next(&self) -> Instant {
        self.full_at.checked_sub(Self::burst()).unwrap_or(self.full_at)
    }

    fn burst() -> Duration {
        Duration::from_secs(BURST_BYTES.into()) / BYTES_PER_SEC
    }
}

fn read(service: &Arc<Service>, user: UserId) -> Snapshot {
    let service = Arc::clone(service);
    // A task of its own: a read that is dropped halfway may harm the pool's connection.
    tokio::spawn(async move {
        let limit = service.settings.chat.classic_limit;
        service.messaging.latest_chats(user, limit).await
    })
}

async fn accept(service: &Service, caller: &Caller, text: &str) -> Result<(), Fault> {
    let fields = Fields::parse(text.as_bytes())
        .map_err(|_| Fault::invalid("a frame must be a chat: a JSON object"))?;
    push(service, caller, &fields).await
}

fn problem(fault: &Fault) -> Text {
    serde_json::to_string(&Problem::from(fault)).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn small_snapshots_come_at_once_and_large_ones_at_the_rate() {
        let begun = Instant::now();
        let mut pace = Pace::new(begun);
        // Five small ones a second, for ever.
        let mut now = begun;
        for _ in 0..1_000 {
            assert!(pace.next() <= now);
            pace.wrote(50_000, now);
            now += Duration::from_millis(200);
        }
        // Large ones: the burst, and then the rate.
        let (begun, mut written) = (now, 0);
        while now < begun + Duration::from_mins(1) {
            now = now.max(pace.next());
            pace.wrote(600_000, now);
            written += 600_000;
        }
        let most = BURST_BYTES + 61 * BYTES_PER_SEC + 600_000;
        assert!(written <= most && written > 60 * BYTES_PER_SEC, "{written}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_has_an_end() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.wrote(50_000_000, now);
        assert_eq!(pace.next(), now + MAX_PAUSE);
    }
}
