//! The delivery state machine over random interleavings: commits, hints that are late, lost, doubled
//! or out of order, reads of the database that take their time, sockets that come, go and stall.
//!
//! Whatever happens, a device applies events in order, none missing, none twice; and once the world
//! is quiet, every device has all of them. A legacy socket shows the latest ones, none missing. Bugs are planted to show that this can fail.

mod world;

use std::collections::HashMap;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use world::World;

const DEVICES: usize = 3;

/// What is wrong with the machine or its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// An event that comes too early is sent at once.
    GapsAreIgnored,
    /// Nobody reads the database when a gap stays open.
    GapsNeverExpire,
    /// An event that was sent is sent again.
    DoublesAreSent,
    /// A socket that is being brought up is fed at the same time.
    BehindIsFed,
    /// What is committed during the last read of a replay is not noticed.
    LiveTooSoon,
    /// The comparison with the database repairs nobody.
    ReconcileIsDeaf,
    /// A socket is entered after its first read rather than before it.
    ReadBeforeAttach,
    /// A legacy socket whose queue was full does not read the database.
    OverflowIsForgotten,
    /// A legacy socket forgets the events that come while it reads the database.
    FillDropsEvents,
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Commit,
    Hint(usize),
    LoseHint(usize),
    DoubleHint(usize),
    GapExpires(usize),
    Reconcile,
    Connect(usize),
    Disconnect(usize),
    Task(usize),
    OpenLegacy,
    LegacyTask,
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0_usize..64;
    prop_oneof![
        6 => Just(Step::Commit),
        8 => any.clone().prop_map(Step::Hint),
        1 => any.clone().prop_map(Step::LoseHint),
        1 => any.clone().prop_map(Step::DoubleHint),
        2 => any.clone().prop_map(Step::GapExpires),
        1 => Just(Step::Reconcile),
        3 => (0..DEVICES).prop_map(Step::Connect),
        1 => (0..DEVICES).prop_map(Step::Disconnect),
        14 => (0..DEVICES).prop_map(Step::Task),
        1 => Just(Step::OpenLegacy),
        4 => Just(Step::LegacyTask),
    ]
}

/// Lives through these steps; the first thing that is wrong, if anything is.
fn live(bug: Bug, steps: &[Step]) -> Result<(), String> {
    let mut world = World::new(bug);
    for step in steps {
        world.take(step);
        if let Some(wrong) = world.wrong {
            return Err(wrong);
        }
    }
    // First those who are connected, by what they hear; a new socket's reads would help them.
    world.settle();
    world.check()?;
    for device in 0..DEVICES {
        world.connect(device);
    }
    world.settle();
    world.check()
}

fn search(bug: Bug, cases: u32) -> Result<(), String> {
    // What a planted bug looks like at its smallest is nobody's question.
    let max_shrink_iters = if bug == Bug::None { 10_000 } else { 0 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let mut runner = TestRunner::new(config);
    runner
        .run(&vec(step(), 0..120), |steps| live(bug, &steps).map_err(TestCaseError::fail))
        .map_err(|error| error.to_string())
}

#[test]
fn events_are_in_order_none_missing_none_twice() {
    search(Bug::None, 3_000).unwrap();
}

#[test]
fn planted_bugs_are_caught() {
    let mut missed = HashMap::new();
    for bug in [
        Bug::GapsAreIgnored,
        Bug::GapsNeverExpire,
        Bug::DoublesAreSent,
        Bug::BehindIsFed,
        Bug::LiveTooSoon,
        Bug::ReconcileIsDeaf,
        Bug::ReadBeforeAttach,
        Bug::OverflowIsForgotten,
        Bug::FillDropsEvents,
    ] {
        if search(bug, 3_000).is_ok() {
            missed.insert(format!("{bug:?}"), "not caught");
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
