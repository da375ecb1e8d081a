//! Subscribe messages, if the settings have them.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    clock::Clock,
    config::{self, Settings},
    domain::MessageTemplate,
    jobs::{self, Job},
    outbox::{Pace, Reader},
    presence::Presence,
    store::Store,
    subscribe::{Begin, Sending, SubscribeSender, Subscriptions, Wording},
};

/// The template that users are asked for, and what sends its messages.
pub(super) struct Subscribe {
    pub(super) subscriptions: Option<Subscriptions>,
    pub(super) work: Vec<BoxFuture<'static, ()>>,
}

impl Subscribe {
    pub(super) fn new(
        settings: &Settings,
        store: &Arc<dyn Store>,
        presence: &Arc<dyn Presence>,
        clock: &Clock,
        sender: Arc<dyn SubscribeSender>,
    ) -> Self {
        let config::Subscribe { template_id, fields, show_content, page } =
            settings.wechat.subscribe.clone();
        let app = settings.wechat.mini_programs().into_iter().next();
        let Some((id, app)) = template_id.zip(app) else {
            return Self { subscriptions: None, work: Vec::new() };
        };
        let template = MessageTemplate { appid: app.appid.into(), id };
        let begin = Begin { store: Arc::clone(store), template: template.clone() };
        let (begin, pace) = (Arc::new(begin), Pace::default());
        let reader = Reader::new(Arc::clone(store), begin, clock.clone(), "wechat.subscribe", pace);
        let wording = Wording { template: template.clone(), fields, show_content, page };
        let job = Job::new(Arc::clone(store), "wechat.subscribe", jobs::LEASE);
        let sending = Sending::new(Arc::clone(store), Arc::clone(presence), sender, wording, job);
        Self {
            subscriptions: Some(Subscriptions::new(Arc::clone(store), template)),
            work: vec![Box::pin(reader.run()), Box::pin(sending.run())],
        }
    }
}
