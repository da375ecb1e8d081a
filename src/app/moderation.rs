//! The machines that check what people write.

use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;

use crate::{
    admission::{Decider, Rule, TextDecider, Words},
    checks::{
        TextCheck,
        names::Names,
        notes::MachineNotes,
        texts::{TextChecks, TextRules},
        words::WordFilter,
    },
    config::{Moderation, Settings},
    store::Store,
};

/// What checks chats and names, and the work that this needs.
pub(super) struct Machines {
    pub(super) words: Option<Arc<dyn Rule>>,
    pub(super) texts: Option<Box<dyn Decider>>,
    pub(super) names: Names,
    pub(super) work: BoxFuture<'static, ()>,
}

/// Reads the lists of words, and has texts be checked by `checker` if the settings say so.
pub(super) fn machines(
    settings: &Settings,
    store: &Arc<dyn Store>,
    checker: Arc<dyn TextCheck>,
) -> anyhow::Result<Machines> {
    let moderation = &settings.moderation;
    let filter = WordFilter::load(&moderation.words);
    let filter = filter.context("setting `moderation.words`")?.map(Arc::new);
    let (notes, work) = MachineNotes::new(Arc::clone(store));
    let words = filter.clone().map(|filter| {
        Arc::new(Words::new(filter, Arc::clone(store), notes.clone())) as Arc<dyn Rule>
    });
    let checks = text_checks(moderation, checker);
    let texts = checks
        .clone()
        .map(|checks| Box::new(TextDecider::new(checks, notes.clone())) as Box<dyn Decider>);
    Ok(Machines { words, texts, names: Names::new(filter, checks, notes), work: Box::pin(work) })
}

fn text_checks(moderation: &Moderation, checker: Arc<dyn TextCheck>) -> Option<TextChecks> {
    if !moderation.wechat_text {
        return None;
    }
    let &Moderation { on_review, on_unchecked, on_failure, wechat_per_min: per_min, .. } =
        moderation;
    let rules = TextRules { on_review, on_unchecked, on_failure, per_min };
    Some(TextChecks::new(checker, rules))
}
