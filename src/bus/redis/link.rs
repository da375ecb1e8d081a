//! One direction of the way to one Redis: whether it stands.

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::instances::Trouble;

/// The state of a direction, as health checks and metrics see it.
#[derive(Debug)]
pub(super) struct Link {
    /// Which Redis of the list, from 1.
    instance: usize,
    direction: &'static str,
    state: Mutex<State>,
    /// Becomes ready when the link has come up, or has failed to.
    pub(super) tried: Notify,
}

#[derive(Debug)]
struct State {
    trouble: Option<Trouble>,
    has_stood: bool,
}

impl Link {
    pub(super) fn new(instance: usize, direction: &'static str) -> Self {
        let state = State { trouble: Some("connecting".into()), has_stood: false };
        let link = Self { instance, direction, state: Mutex::new(state), tried: Notify::new() };
        link.gauge(0.0);
        link
    }

    /// It stands.
    pub(super) fn up(&self) {
        let mut state = self.state.lock();
        let Some(trouble) = state.trouble.take() else { return };
        let Self { instance, direction, .. } = self;
        tracing::info!(instance, direction, %trouble, "link to Redis stands");
        if std::mem::replace(&mut state.has_stood, true) {
            metrics::counter!("imserver_bus_reconnects_total", &self.labels()).increment(1);
        }
        self.gauge(1.0);
        self.tried.notify_one();
    }

    /// It broke, or was not made.
    pub(super) fn down(&self, trouble: Trouble) {
        let mut state = self.state.lock();
        // Once for each cause: one attempt follows the other for as long as it takes.
        if state.trouble.as_ref() != Some(&trouble) {
            let Self { instance, direction, .. } = self;
            tracing::warn!(instance, direction, %trouble, "no link to Redis, trying again");
        }
        state.trouble = Some(trouble);
        self.gauge(0.0);
        self.tried.notify_one();
    }

    /// What is wrong with it now.
    pub(super) fn health(&self) -> Result<(), String> {
        match &self.state.lock().trouble {
            None => Ok(()),
            Some(trouble) => Err(format!("redis {} {}: {trouble}", self.instance, self.direction)),
        }
    }

    fn gauge(&self, up: f64) {
        metrics::gauge!("imserver_bus_link_up", &self.labels()).set(up);
    }

    fn labels(&self) -> [(&'static str, String); 2] {
        [("instance", self.instance.to_string()), ("direction", self.direction.to_owned())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_says_which_and_why() {
        let link = Link::new(2, "subscriber");
        link.up();
        assert_eq!(link.health(), Ok(()));
        link.down("refused".into());
        assert_eq!(link.health(), Err("redis 2 subscriber: refused".into()));
    }
}
