//! Notes in the audit log what machines decide. Nobody waits for that.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use crate::store::{MachineAct, Store};

/// The most decisions that wait to be noted. More are counted, and not noted.
const WAITING: usize = 4_096;

/// How long decisions gather: equal ones become one entry.
const GATHER: Duration = Duration::from_secs(1);

/// Takes what machines decide. Clones share the queue.
#[derive(Clone)]
pub struct MachineNotes(mpsc::Sender<MachineAct>);

impl MachineNotes {
    /// Begins; the future writes, for ever.
    pub fn new(store: Arc<dyn Store>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (notes, acts) = mpsc::channel(WAITING);
        (Self(notes), write(store, acts))
    }

    /// Has a decision be noted, at once.
    pub fn note(&self, act: MachineAct) {
        if self.0.try_send(act).is_err() {
            metrics::counter!("imserver_machine_acts_dropped_total").increment(1);
        }
    }
}

async fn write(store: Arc<dyn Store>, mut acts: mpsc::Receiver<MachineAct>) {
    let mut gathered = Vec::new();
    while let Some(first) = acts.recv().await {
        tokio::time::sleep(GATHER).await;
        gathered.push(first);
        let waiting = acts.len();
        if waiting > 0 {
            acts.recv_many(&mut gathered, waiting).await;
        }
        let mut times = BTreeMap::<_, u32>::new();
        for act in gathered.drain(..) {
            *times.entry(act).or_default() += 1;
        }
        let acts: Vec<_> = times.into_iter().collect();
        if let Err(error) = store.note_machine_acts(&acts).await {
            tracing::error!(%error, acts = acts.len(), "not noted in the audit log");
        }
    }
}
