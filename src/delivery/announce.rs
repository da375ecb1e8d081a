//! Tells those who watch a user that the user came or went.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::mpsc;

use super::Delivery;
use crate::{domain::UserId, presence::Transition, protocol::server::ServerFrame};

/// The most transitions that are noted with one write.
const BATCH: usize = 500;

/// Notes and announces transitions until the register ends.
pub async fn announce(delivery: Arc<Delivery>, mut transitions: mpsc::Receiver<Transition>) {
    let mut batch = Vec::new();
    while transitions.recv_many(&mut batch, BATCH).await > 0 {
        let mut newest: HashMap<UserId, Transition> = HashMap::new();
        for transition in batch.drain(..) {
            let kept = newest.entry(transition.user).or_insert(transition);
            if kept.version < transition.version {
                *kept = transition;
            }
        }
        let gone: Vec<_> =
            newest.values().filter(|change| !change.online).map(|c| (c.user, c.at)).collect();
        // Before anybody is told, so that whoever asks next is told the same.
        if !gone.is_empty()
            && let Err(error) = delivery.store.save_last_seen(&gone).await
        {
            tracing::warn!(%error, users = gone.len(), "last seen not saved");
        }
        for change in newest.values().filter(|c| delivery.watchers.is_watched(c.user)) {
            let frame = ServerFrame::Presence {
                user_id: change.user,
                online: change.online,
                last_seen_at: (!change.online).then_some(change.at),
            };
            delivery.watchers.notify(change.user, &frame.encode());
        }
    }
}
