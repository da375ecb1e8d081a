//! What a client asks for over a socket, other than sends.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::{
    domain::{Destination, UserId},
    hub::Socket,
    protocol::{Text, client::Request, fault::ApiError, server::ServerFrame},
    service::Service,
};

/// Carries a request out; returns the frames that answer it.
pub(super) async fn carry_out(
    service: &Service,
    socket: &Arc<Socket>,
    watched: &Mutex<Vec<UserId>>,
    request: Request,
) -> Result<Vec<Text>, ApiError> {
    let messaging = &service.messaging;
    match request {
        Request::Read { conversation, up_to } => {
            messaging.mark_read(socket.user, conversation, up_to, Some(socket.id)).await?;
        }
        Request::Typing { to: Destination::Direct(target) } => {
            messaging.typing(socket.user, target).await?;
        }
        Request::Typing { to: Destination::Conversation(group) } => {
            messaging.typing_in(socket.user, group).await?;
        }
        Request::Watch { users } => {
            service.limits.presence(socket.user)?;
            let mut watched = watched.lock().await;
            let presence = messaging.watch(socket, &mut watched, &users).await?;
            let frames = presence.into_iter().map(|of| ServerFrame::Presence {
                user_id: of.user,
                online: of.online,
                last_seen_at: of.last_seen_at,
            });
            return Ok(frames.map(|frame| frame.encode()).collect());
        }
        Request::State { is_background } => messaging.note_state(socket, is_background).await,
        // The session sees to sends and pings itself.
        Request::Send(_) | Request::Ping => {}
    }
    Ok(Vec::new())
}
