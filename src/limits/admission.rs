//! How many handshakes a replica works on at once: after the death of another one all its clients
//! come together, and whoever is let in must be served, not wait with all the others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The door for handshakes.
#[derive(Clone, Debug)]
pub struct Admission {
    permits: Arc<Semaphore>,
    most: usize,
}

/// The right to work on one handshake; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Admission,
    permit: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// At most so many at once.
    pub fn new(most: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(most)), most }
    }

    /// Lets a handshake begin, or `None`: it is to come back later.
    pub fn admit(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(self.permit(permit))
    }

    /// Goes on with a handshake that was admitted before and waited for its client meanwhile. It
    /// comes before all that have not begun: while one waits here, none is admitted.
    pub async fn go_on(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        Some(self.permit(permit))
    }

    fn permit(&self, permit: OwnedSemaphorePermit) -> Permit {
        self.gauge();
        Permit { admission: self.clone(), permit: Some(permit) }
    }

    fn gauge(&self) {
        let under_way = self.most.saturating_sub(self.permits.available_permits());
        metrics::gauge!("imserver_handshakes_in_flight")
            .set(u32::try_from(under_way).unwrap_or(u32::MAX));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permit = None;
        self.admission.gauge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_admitted_goes_on_before_others_begin() {
        let admission = Admission::new(2);
        let (first, second) = (admission.admit().unwrap(), admission.admit().unwrap());
        assert!(admission.admit().is_none());
        let waiting = tokio::spawn({
            let admission = admission.clone();
            async move { admission.go_on().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(admission.admit().is_none(), "it overtook the one that waited");
        let third = waiting.await.unwrap();
        assert!(third.is_some() && admission.admit().is_none());
        drop((second, third));
        assert!(admission.admit().is_some());
    }
}
