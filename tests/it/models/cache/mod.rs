//! The cache of a client over random interleavings: chats, recalls, deletions, and members who come and go;
//! events as they were when they happened or as they are read later, again and after a reset; pages and
//! changes that are served at any moment and arrive late. One of the clients hears no events at all, and asks for
//! changes.
//!
//! Whatever happens, a client that keeps the rules of `docs/protocol.md` never shows the words of a chat of
//! whose recall it has heard, nor a chat that is gone; and once all has arrived, it shows what the server has.
//! Bugs are planted to show that this can fail.

pub mod client;
mod server;
mod world;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use world::World;

const CASES: u32 = 1_000;

/// Which rule a client breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bug {
    #[default]
    None,
    /// What comes last counts, whatever its version.
    LowerVersionWins,
    /// A page brings back a chat that was deleted.
    DeletedComesBack,
    /// A higher version brings back a chat that was deleted.
    DeletedHasAVersion,
    /// A page brings back chats that were cleared.
    ClearedComesBack,
    /// The last event says how far it was cleared, and not the highest.
    ClearGoesBack,
    /// Quotes are not touched by a recall.
    QuotesKeepWords,
    /// Only the quotes that are there when a recall is heard of are touched.
    LaterQuotesKeepWords,
    /// What a quote says of the quoted chat is not heard.
    QuotesTellNothing,
    /// The recall of a chat that is not there yet is not remembered.
    UnknownRecallIsForgotten,
    /// A chat that only changed is shown, though one may not read it.
    ChangedAdds,
    /// The newest page replaces what events have brought.
    PagesReplace,
    /// The version of every answer counts as what one has.
    VersionOfLaterAnswers,
    /// The version is asked for after the first page.
    VersionAfterPage,
    /// Answers to what was asked before all was forgotten count.
    OldAnswersCount,
    /// A reset forgets nothing.
    ResetKeepsChats,
    /// Whoever comes back goes on with what was there.
    ReturnIsOverlooked,
    /// Whoever is no member goes on with what was there.
    FormerMembersForgetNothing,
}

/// What may happen. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Send(i64, Option<usize>),
    Recall(i64, usize),
    Delete(i64, usize),
    Clear(i64),
    Leave(i64),
    Return,
    /// The flag: as it is read now.
    Hear(usize, bool),
    HearAgain(usize, usize, bool),
    Reset(usize),
    /// What the client must ask.
    AskDue(usize),
    Ask(usize, usize),
    Serve(usize, usize),
    Arrive(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let nth = || 0_usize..64;
    let at = || 0_usize..3;
    prop_oneof![
        8 => (1..=3_i64, proptest::option::of(nth())).prop_map(|(user, n)| Step::Send(user, n)),
        5 => (1..=3_i64, nth()).prop_map(|(user, n)| Step::Recall(user, n)),
        2 => (1..=2_i64, nth()).prop_map(|(user, n)| Step::Delete(user, n)),
        2 => (1..=2_i64).prop_map(Step::Clear),
        2 => (1..=2_i64).prop_map(Step::Leave),
        3 => Just(Step::Return),
        10 => (at(), any::<bool>()).prop_map(|(at, is_late)| Step::Hear(at, is_late)),
        2 => (at(), nth(), any::<bool>()).prop_map(|(at, n, late)| Step::HearAgain(at, n, late)),
        1 => at().prop_map(Step::Reset),
        6 => at().prop_map(Step::AskDue),
        4 => (at(), nth()).prop_map(|(at, n)| Step::Ask(at, n)),
        4 => (at(), nth()).prop_map(|(at, n)| Step::Serve(at, n)),
        6 => (at(), nth()).prop_map(|(at, n)| Step::Arrive(at, n)),
    ]
}

/// Lives through these steps; the first thing that is wrong, if anything is.
fn live(bug: Bug, steps: &[Step]) -> Result<(), String> {
    let mut world = World::new(bug);
    steps.iter().try_for_each(|step| world.take(step))?;
    world.settle()
}

/// Returns how many histories it took.
fn search(bug: Bug, cases: u32) -> (u32, Result<(), String>) {
    // What a planted bug looks like at its smallest is nobody's question.
    let max_shrink_iters = if bug == Bug::None { 10_000 } else { 0 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let ran = std::cell::Cell::new(0);
    let found = TestRunner::new(config).run(&vec(step(), 0..100), |steps| {
        ran.set(ran.get() + 1);
        live(bug, &steps).map_err(TestCaseError::fail)
    });
    (ran.get(), found.map_err(|error| error.to_string()))
}

#[test]
fn a_cache_converges_and_shows_nothing_that_was_recalled() {
    search(Bug::None, CASES).1.unwrap();
}

#[test]
fn planted_bugs_are_caught() {
    let mut missed = Vec::new();
    for bug in [
        Bug::LowerVersionWins,
        Bug::DeletedComesBack,
        Bug::DeletedHasAVersion,
        Bug::ClearedComesBack,
        Bug::ClearGoesBack,
        Bug::QuotesKeepWords,
        Bug::LaterQuotesKeepWords,
        Bug::QuotesTellNothing,
        Bug::UnknownRecallIsForgotten,
        Bug::ChangedAdds,
        Bug::PagesReplace,
        Bug::VersionOfLaterAnswers,
        Bug::VersionAfterPage,
        Bug::OldAnswersCount,
        Bug::ResetKeepsChats,
        Bug::ReturnIsOverlooked,
        Bug::FormerMembersForgetNothing,
    ] {
        match search(bug, 20 * CASES) {
            (ran, Ok(())) => missed.push(format!("{bug:?} in {ran} histories")),
            (ran, Err(_)) => println!("{bug:?} is caught by history {ran}"),
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
