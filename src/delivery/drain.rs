//! Drains this replica's sockets.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use rand::Rng;
use tokio::time::{Instant, sleep_until};

use super::Delivery;
use crate::{hub::Socket, protocol::close::CloseCode};

impl Delivery {
    /// Drains each socket here at a random moment of its own within `window`, and each that is attached
    /// from now on at once. Returns when the last one was told.
    pub async fn drain_sockets(&self, window: Duration) {
        // Before the others are gathered, so that none slips in between.
        self.is_draining.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        let mut due: Vec<(Instant, Arc<Socket>)> = Vec::new();
        self.hub.for_each(|_, local| {
            due.extend(local.sockets.iter().map(|socket| {
                let moment = window.mul_f64(rand::rng().random_range(0.0..1.0));
                (begun + moment, Arc::clone(socket))
            }));
        });
        due.sort_unstable_by_key(|(moment, _)| *moment);
        for (moment, socket) in due {
            sleep_until(moment).await;
            socket.mailbox.drain();
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
