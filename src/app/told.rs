//! What a company's own back end is told by.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    clock::Clock,
    config::{self, Settings},
    http_client::OutboundClient,
    media::MediaLinks,
    outbox::{
        events::Events,
        feed::Feed,
        webhooks::{Timing, Webhooks},
    },
    store::Store,
};

/// The feed and webhooks, as far as the settings have them.
pub(super) struct Told {
    pub(super) feed: Option<Feed>,
    pub(super) webhooks: Webhooks,
    /// What tells the endpoints.
    pub(super) work: Vec<BoxFuture<'static, ()>>,
}

impl Told {
    pub(super) fn new(
        settings: &Settings,
        store: &Arc<dyn Store>,
        links: MediaLinks,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let config::Webhooks { endpoints, allow_private } = &settings.webhooks;
        let events = Events::new(Arc::clone(store), links);
        let webhooks = Webhooks::new(Arc::clone(store), clock.clone(), endpoints.clone());
        let work = if endpoints.is_empty() {
            Vec::new()
        } else {
            webhooks.work(&OutboundClient::new(*allow_private)?, &events, &Timing::default())
        };
        let feed = settings.feed.enabled;
        let feed = feed.then(|| Feed::new(Arc::clone(store), events, clock.clone()));
        Ok(Self { feed, webhooks, work })
    }
}
