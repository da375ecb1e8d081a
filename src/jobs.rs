//! Work that one replica at a time does, by a lease in the database. When that replica dies, another goes
//! on where it was, once the lease is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    domain::ReplicaId,
    store::{Store, StoreError},
};

/// How long work stays with a replica that says nothing more.
pub const LEASE: Duration = Duration::from_secs(30);

/// The right to do a work, while this replica has it.
pub struct Job {
    store: Arc<dyn Store>,
    name: String,
    /// Who has it: this replica, since the work was last laid down.
    holder: ReplicaId,
    lease: Duration,
    renewed: Instant,
}

impl Job {
    /// The work of this name, which is not taken yet. A step of it must end within `lease`, or another
    /// replica begins it too.
    pub fn new(store: Arc<dyn Store>, name: impl Into<String>, lease: Duration) -> Self {
        let (name, holder) = (name.into(), ReplicaId::random());
        Self { store, name, holder, lease, renewed: Instant::now() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the work, unless another replica has it. Returns how far it has come; empty before the
    /// beginning.
    pub async fn take(&mut self) -> Result<Option<String>, StoreError> {
        let asked = Instant::now();
        let taken = self.store.take_job(&self.name, self.holder, self.lease).await?;
        self.renewed = asked;
        Ok(taken)
    }

    /// Saves how far it has come, and keeps it. `false`: another replica has it.
    pub async fn save(&mut self, progress: &str) -> Result<bool, StoreError> {
        let asked = Instant::now();
        let saved = self.store.save_job(&self.name, self.holder, progress, self.lease).await?;
        self.renewed = asked;
        Ok(saved)
    }

    /// As [`Job::save`], if a third of the lease is over.
    pub async fn keep(&mut self, progress: &str) -> Result<bool, StoreError> {
        self.keep_for(progress, self.lease * 2 / 3).await
    }

    /// As [`Job::save`], if less than `time` of the lease is left.
    pub async fn keep_for(&mut self, progress: &str, time: Duration) -> Result<bool, StoreError> {
        let is_enough = self.renewed.elapsed() + time < self.lease;
        if is_enough { Ok(true) } else { self.save(progress).await }
    }

    /// Lays the work down. Nobody takes it until `pause` is over, this replica neither.
    pub async fn rest(&mut self, progress: &str, pause: Duration) -> Result<(), StoreError> {
        self.store.save_job(&self.name, self.holder, progress, pause).await?;
        self.holder = ReplicaId::random();
        Ok(())
    }
}
