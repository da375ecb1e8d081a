//! When a batch lingers, by a clock that stands still unless everybody waits.

use std::{sync::Arc, time::Duration};

use imserver::{
    domain::{ConversationId, Destination},
    store::{
        NewChat,
        batcher::{AppendError, Batcher, LINGER, Ticket},
    },
};
use tokio::time::{Instant, sleep};

use super::{
    chat,
    fake::{FakeAppends, Outcome},
};

/// A tick of the runtime's clock, to which it rounds up.
const TICK: Duration = Duration::from_millis(1);

fn lingering(store: &Arc<FakeAppends>, linger: Duration) -> Batcher {
    Batcher::start(store.clone(), linger, Box::new(|_| ()))
}

fn enqueue(batcher: &Batcher, count: usize) -> Vec<Ticket> {
    (0..count).map(|i| batcher.enqueue(chat(1, 2, &format!("k{i}"), "x")).unwrap()).collect()
}

async fn answered(tickets: Vec<Ticket>) {
    for ticket in tickets {
        ticket.wait().await.unwrap();
    }
}

fn sizes(store: &FakeAppends) -> Vec<usize> {
    store.batches.lock().iter().map(Vec::len).collect()
}

/// A batcher behind whose first commit, of one chat, so many chats wait. The commit ends now.
async fn with_waiting(count: usize, linger: Duration) -> (Arc<FakeAppends>, Batcher, Vec<Ticket>) {
    let store = FakeAppends::new(Vec::<Outcome>::new(), 0);
    let batcher = lingering(&store, linger);
    let mut tickets = enqueue(&batcher, 1);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sizes(&store), [1], "one alone does not wait");
    tickets.extend(enqueue(&batcher, count));
    store.permits.add_permits(100);
    (store, batcher, tickets)
}

/// Chats that may have hundreds of members each.
fn enqueue_named(batcher: &Batcher, count: usize) -> Vec<Ticket> {
    let to = Destination::Conversation(ConversationId::new(1).unwrap());
    let named = |i: usize| NewChat { destination: to, ..chat(1, 2, &format!("n{i}"), "x") };
    (0..count).map(|i| batcher.enqueue(named(i)).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn chats_with_many_members_are_divided_among_transactions() {
    let store = FakeAppends::new([], 100);
    let batcher = lingering(&store, Duration::ZERO);
    answered(enqueue_named(&batcher, 45)).await;
    assert_eq!(sizes(&store), [20, 20, 5]);

    // After one of which nothing is known, no later chat is tried.
    let store = FakeAppends::new([Outcome::Unavailable], 100);
    let batcher = lingering(&store, Duration::ZERO);
    for ticket in enqueue_named(&batcher, 45) {
        assert_eq!(ticket.wait().await, Err(AppendError::Unavailable));
    }
    assert_eq!(sizes(&store), [20]);
}

#[tokio::test(start_paused = true)]
async fn who_was_told_that_it_took_too_long_is_not_committed_after_a_slow_transaction() {
    let store = FakeAppends::new([], 0);
    let batcher = lingering(&store, Duration::ZERO);
    let tickets = enqueue_named(&batcher, 45);
    for ticket in tickets {
        assert_eq!(ticket.wait().await, Err(AppendError::Unavailable));
    }
    store.permits.add_permits(100);
    batcher.close().await;
    assert_eq!(sizes(&store), [20], "the first one had begun");
}

#[tokio::test(start_paused = true)]
async fn without_load_nothing_waits() {
    let store = FakeAppends::new(Vec::<Outcome>::new(), 100);
    let batcher = lingering(&store, LINGER);
    for count in [1, 1, 2, 5, 5, 1] {
        let begun = Instant::now();
        answered(enqueue(&batcher, count)).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sleep(Duration::from_millis(3)).await;
    }
    assert_eq!(sizes(&store), [1, 1, 2, 5, 5, 1]);
    // Nor if a few have come while the last batch was being committed.
    let begun = Instant::now();
    let (store, _batcher, tickets) = with_waiting(5, LINGER).await;
    answered(tickets).await;
    assert_eq!((sizes(&store), begun.elapsed()), (vec![1, 5], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn under_load_a_batch_collects_what_comes_meanwhile() {
    let begun = Instant::now();
    let (store, batcher, mut tickets) = with_waiting(6, LINGER).await;
    sleep(TICK).await;
    assert_eq!(sizes(&store), [1]);
    tickets.extend(enqueue(&batcher, 7));
    answered(tickets).await;
    assert_eq!(sizes(&store), [1, 13]);
    took(begun, Duration::from_millis(6));
}

#[tokio::test(start_paused = true)]
async fn it_lingers_for_each_chat_up_to_a_bound() {
    for (count, millis) in [(7, 7), (9, 9), (10, 10), (40, 10)] {
        let begun = Instant::now();
        let (store, _batcher, tickets) = with_waiting(count, LINGER).await;
        answered(tickets).await;
        assert_eq!(sizes(&store), [1, count]);
        took(begun, Duration::from_millis(millis));
    }
}

#[tokio::test(start_paused = true)]
async fn load_goes_on_until_batches_are_small_again() {
    let (store, batcher, tickets) = with_waiting(12, LINGER).await;
    answered(tickets).await;
    for (count, millis) in [(1, 10), (1, 0), (1, 0)] {
        let begun = Instant::now();
        answered(enqueue(&batcher, count)).await;
        took(begun, Duration::from_millis(millis));
    }
    assert_eq!(sizes(&store), [1, 12, 1, 1, 1]);
}

/// It took this long, on a clock that ticks.
fn took(begun: Instant, time: Duration) {
    let most = if time.is_zero() { time } else { time + TICK };
    assert!((time..=most).contains(&begun.elapsed()), "{:?}, not {time:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_chats_does_not_make_it_longer() {
    let begun = Instant::now();
    let (store, batcher, mut tickets) = with_waiting(10, LINGER).await;
    while sizes(&store).len() < 2 {
        assert!(begun.elapsed() <= LINGER + TICK);
        tickets.extend(enqueue(&batcher, 1));
        sleep(TICK).await;
    }
    answered(tickets).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_has_enough_goes_at_once() {
    for enough in [100, 500] {
        let begun = Instant::now();
        let (store, _batcher, tickets) = with_waiting(enough, LINGER).await;
        answered(tickets).await;
        assert_eq!((sizes(&store), begun.elapsed()), (vec![1, enough], Duration::ZERO));
    }

    let (store, batcher, mut tickets) = with_waiting(6, LINGER).await;
    sleep(TICK).await;
    let filled = Instant::now();
    tickets.extend(enqueue(&batcher, 494));
    answered(tickets).await;
    assert_eq!((sizes(&store), filled.elapsed()), (vec![1, 500], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn without_a_linger_load_waits_for_nothing() {
    let begun = Instant::now();
    let (store, _batcher, tickets) = with_waiting(90, Duration::ZERO).await;
    answered(tickets).await;
    assert_eq!((sizes(&store), begun.elapsed()), (vec![1, 90], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_batcher_that_closes_lingers_for_nobody() {
    let begun = Instant::now();
    let (store, batcher, tickets) = with_waiting(10, LINGER).await;
    batcher.close().await;
    answered(tickets).await;
    assert_eq!(sizes(&store), [1, 10]);
    assert!(begun.elapsed() <= LINGER + TICK);
}
