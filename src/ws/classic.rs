//! The seed's kind of socket: at each chat, the array of the latest ones.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::sleep_until};

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
    // At most one snapshot is read at a time; `again`: it was out of date before it was there.
    let mut snapshot: Option<Snapshot> = None;
    let mut again = false;
    let mut wait = Duration::ZERO;
    let mut is_leaving = false;
    loop {
        if is_leaving && !again && snapshot.is_none() {
            return End::Close(CloseCode::Restart);
        }
        if again && snapshot.is_none() {
            again = false;
            snapshot = Some(read(service, entry.user, wait));
            wait = Duration::ZERO;
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
                        link.write([text.into()], &entry.mailbox).await
                    }
                    failed => {
                        tracing::warn!(user = %entry.user, failed = ?failed.map(|_| ()), "snapshot not read, later again");
                        again = true;
                        wait = RETRY;
                        Ok(())
                    }
                }
            }
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

fn read(service: &Arc<Service>, user: UserId, wait: Duration) -> Snapshot {
    let service = Arc::clone(service);
    // A task of its own: a read that is dropped halfway may harm the pool's connection.
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
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
