//! Sends the sockets of a replica that stops away.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use rand::Rng;
use tokio::time::{Instant, sleep_until};

use super::Delivery;
use crate::{hub::Socket, protocol::close::CloseCode};

impl Delivery {
    /// Has each socket here leave at a random moment of its own within `window`, and each that is
    /// entered from now on at once. Returns when the last one was told.
    pub async fn send_away(&self, window: Duration) {
        // Before the others are gathered, so that none slips in between.
        self.is_leaving.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        let mut leaving: Vec<(Instant, Arc<Socket>)> = Vec::new();
        self.hub.for_each(|_, local| {
            leaving.extend(local.sockets.iter().map(|socket| {
                let moment = window.mul_f64(rand::rng().random_range(0.0..1.0));
                (begun + moment, Arc::clone(socket))
            }));
        });
        leaving.sort_unstable_by_key(|(moment, _)| *moment);
        for (moment, socket) in leaving {
            sleep_until(moment).await;
            socket.mailbox.leave();
        }
    }

    /// Closes every socket here, whatever it is doing.
    pub fn close_all(&self, code: CloseCode) {
        self.hub.for_each(|_, local| {
            for socket in &local.sockets {
                socket.mailbox.close(code);
            }
        });
    }
}
