//! What runs in the background.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::{
    accounts,
    auth::{self, Auth},
    bus,
    clock::Clock,
    config::Settings,
    delivery::{self, Delivery},
    jobs::{self, Job},
    media::{self, MediaLibrary, Storage},
    moderation, outbox,
    presence::Transition,
    revocation,
    store::Store,
    trimming::{self, Keep},
};

/// What one replica at a time does for all of them.
pub(super) fn shared_work(
    settings: &Settings,
    store: &Arc<dyn Store>,
    storage: &Storage,
    clock: &Clock,
) -> [BoxFuture<'static, ()>; 4] {
    let job = |name| Job::new(Arc::clone(store), name, jobs::LEASE);
    let keep = Keep { age: settings.timeline.keep, events: settings.timeline.keep_events };
    let trim = job("timelines.trim");
    [
        Box::pin(trimming::keep_trimming(Arc::clone(store), clock.clone(), keep, trim)),
        Box::pin(outbox::drop_old(
            Arc::clone(store),
            clock.clone(),
            settings.audit.keep,
            job("outbox.drop"),
        )),
        Box::pin(moderation::forget_keys(Arc::clone(store), clock.clone(), job("holds.forget"))),
        Box::pin(media::keep_collecting(
            Arc::clone(store),
            storage.clone(),
            clock.clone(),
            job("media.collect"),
        )),
    ]
}

/// What every replica does by itself.
pub(super) fn own_work(
    delivery: &Arc<Delivery>,
    incoming: bus::Receiver,
    transitions: mpsc::Receiver<Transition>,
    auth: &Auth,
    store: &Arc<dyn Store>,
    media: &MediaLibrary,
    settings: &Settings,
) -> [BoxFuture<'static, ()>; 10] {
    let reconcile_every = settings.delivery.reconcile_every;
    [
        Box::pin(Arc::clone(delivery).listen(incoming)),
        Box::pin(delivery::fan_out(Arc::clone(delivery))),
        Box::pin(delivery::announce(Arc::clone(delivery), transitions)),
        Box::pin(delivery::reconcile(Arc::clone(delivery), reconcile_every)),
        Box::pin(delivery::watch_bus(Arc::clone(delivery), reconcile_every)),
        Box::pin(revocation::watch_revocations(Arc::clone(delivery), auth.clone())),
        Box::pin(delivery::limit_sockets(Arc::clone(delivery))),
        Box::pin(auth::retention::keep_sweeping(auth.clone())),
        Box::pin(accounts::drop_unused_pictures(Arc::clone(store))),
        Box::pin(media.clone().follow_keys()),
    ]
}
