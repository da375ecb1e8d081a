//! The beginning of a socket of version 1: it receives `hello`, attaches the socket and answers `ready`.

use std::{sync::Arc, time::Duration};

use super::connection::{Connection, End, HEARTBEAT, Inbound};
use crate::{
    delivery::Attachment,
    domain::{ConnectionId, Seq, UserId},
    http::extract::Actor,
    hub::{Mailbox, Socket},
    messaging::Resume,
    protocol::{
        client::{Hello, read_frame},
        close::CloseCode,
        server::{ServerFrame, millis},
    },
    service::Service,
};

/// How long a client may take to send `hello`.
const HELLO_WAIT: Duration = Duration::from_secs(10);

/// The wait before a failed read of the timeline is retried.
const RETRY: Duration = Duration::from_secs(1);

/// A socket whose client has `ready`.
pub(super) struct Attached {
    pub(super) socket: Arc<Socket>,
    pub(super) attachment: Attachment,
    /// The last number that the client has applied.
    pub(super) cursor: Seq,
    /// Whether there are events after it that the client lacks.
    pub(super) is_behind: bool,
}

/// Receives `hello`, attaches the socket and answers `ready`.
pub(super) async fn hello(
    service: &Service,
    connection: &mut Connection,
    actor: Actor,
    id: ConnectionId,
) -> Result<Attached, End> {
    let none = Mailbox::default();
    let hello = tokio::time::timeout(HELLO_WAIT, recv_hello(connection, actor.user, &none));
    let hello = tokio::select! {
        received = hello => received.unwrap_or(Err(End::Close(CloseCode::NoProtocol)))?,
        () = service.drain.leaving() => return Err(End::Close(CloseCode::Restart)),
    };
    let socket = Arc::new(Socket {
        id,
        user: actor.user,
        session: Some(actor.session.id),
        device: hello.device.clone(),
        mailbox: Mailbox::default(),
    });
    let attachment = service.delivery.attach(Arc::clone(&socket)).await;
    let Resume { last, epoch, from } = loop {
        // The clients of a replica that died all come to this point together.
        let permit = tokio::select! {
            permit = service.handshakes.go_on() => permit,
            code = socket.mailbox.closing() => return Err(End::Close(code)),
        };
        let resume = service.messaging.resume(actor.user, hello.since, hello.epoch.as_ref());
        let resume = resume.await;
        drop(permit);
        match resume {
            Ok(resume) => break resume,
            Err(error) => {
                // The socket is open and stays so: the client need not come back for this.
                let frame = ServerFrame::fault(&error, None).encode();
                connection.write([frame], &socket.mailbox).await?;
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = service.drain.leaving() => return Err(End::Close(CloseCode::Restart)),
                    code = socket.mailbox.closing() => return Err(End::Close(code)),
                }
            }
        }
    };
    let ready = ServerFrame::Ready {
        user_id: actor.user,
        connection_id: id,
        epoch,
        last_seq: last,
        heartbeat_ms: millis(HEARTBEAT),
    };
    let mut frames = vec![ready.encode()];
    if from.is_none() {
        metrics::counter!("imserver_resets_total").increment(1);
        frames.push(ServerFrame::Reset { epoch, last_seq: last }.encode());
    }
    connection.write(frames, &socket.mailbox).await?;
    let cursor = from.unwrap_or(last);
    // Most clients miss nothing: what was read after the socket was attached need not be read again.
    let is_behind = cursor < last || !service.delivery.go_live(&socket, cursor);
    Ok(Attached { socket, attachment, cursor, is_behind })
}

async fn recv_hello(
    connection: &mut Connection,
    user: UserId,
    mailbox: &Mailbox,
) -> Result<Hello, End> {
    loop {
        let text = match connection.recv().await? {
            Inbound::Text(text) => text,
            Inbound::Binary => return Err(End::Close(CloseCode::NoProtocol)),
            Inbound::Life => continue,
        };
        let Some((kind, fields)) = read_frame(&text) else {
            return Err(End::Close(CloseCode::NoProtocol));
        };
        if kind != "hello" {
            return Err(End::Close(CloseCode::NoProtocol));
        }
        match Hello::read(&fields, user) {
            Ok(hello) => return Ok(hello),
            Err(fault) => {
                let frame = ServerFrame::fault(&fault, None).encode();
                connection.write([frame], mailbox).await?;
                return Err(End::Close(CloseCode::NoProtocol));
            }
        }
    }
}
