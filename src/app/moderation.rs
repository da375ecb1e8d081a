//! The machines that check what people write.

use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;

use crate::{
    admission::{Rule, Words},
    checks::{names::Names, notes::MachineNotes, words::WordFilter},
    config::Settings,
    store::Store,
};

/// What checks chats and names, and the work that this needs.
pub(super) struct Machines {
    pub(super) words: Option<Arc<dyn Rule>>,
    pub(super) names: Names,
    pub(super) work: BoxFuture<'static, ()>,
}

/// Reads the lists of words.
pub(super) fn machines(settings: &Settings, store: &Arc<dyn Store>) -> anyhow::Result<Machines> {
    let filter = WordFilter::load(&settings.moderation.words);
    let filter = filter.context("setting `moderation.words`")?.map(Arc::new);
    let (notes, work) = MachineNotes::new(Arc::clone(store));
    let words = filter.clone().map(|filter| {
        Arc::new(Words::new(filter, Arc::clone(store), notes.clone())) as Arc<dyn Rule>
    });
    Ok(Machines { words, names: Names::new(filter, notes), work: Box::pin(work) })
}
