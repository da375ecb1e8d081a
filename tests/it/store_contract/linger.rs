//! When a batch lingers, by a clock that stands still unless everybody waits.

use std::{sync::Arc, time::Duration};

use imserver::store::batcher::{Batcher, LINGER, Ticket};
use tokio::time::{Instant, sleep};

use super::{
    chat,
    fake::{FakeStore, Outcome},
};

/// A tick of the runtime's clock, to which it rounds up.
const TICK: Duration = Duration::from_millis(1);

fn lingering(store: &Arc<FakeStore>, linger: Duration) -> Batcher {
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

fn sizes(store: &FakeStore) -> Vec<usize> {
    store.batches.lock().iter().map(Vec::len).collect()
}

/// A batcher behind whose first commit, of one chat, so many chats wait. The commit ends now.
async fn with_waiting(count: usize, linger: Duration) -> (Arc<FakeStore>, Batcher, Vec<Ticket>) {
    let store = FakeStore::new(Vec::<Outcome>::new(), 0);
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

#[tokio::test(start_paused = true)]
async fn without_load_nothing_waits() {
    let store = FakeStore::new(Vec::<Outcome>::new(), 100);
    let batcher = lingering(&store, LINGER);
    for count in [1, 1, 2, 3, 1] {
        let begun = Instant::now();
        answered(enqueue(&batcher, count)).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sleep(Duration::from_millis(3)).await;
    }
    assert_eq!(sizes(&store), [1, 1, 2, 3, 1]);
    // Nor if a few have come while the last batch was being committed.
    let begun = Instant::now();
    let (store, _batcher, tickets) = with_waiting(3, LINGER).await;
    answered(tickets).await;
    assert_eq!((sizes(&store), begun.elapsed()), (vec![1, 3], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn under_load_a_batch_collects_what_comes_meanwhile() {
    let begun = Instant::now();
    let (store, batcher, mut tickets) = with_waiting(4, LINGER).await;
    sleep(TICK).await;
    assert_eq!(sizes(&store), [1]);
    tickets.extend(enqueue(&batcher, 7));
    answered(tickets).await;
    assert_eq!(sizes(&store), [1, 11]);
    assert!((LINGER..=LINGER + TICK).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_chats_does_not_make_it_longer() {
    let begun = Instant::now();
    let (store, batcher, mut tickets) = with_waiting(4, LINGER).await;
    while sizes(&store).len() < 2 {
        assert!(begun.elapsed() <= LINGER + TICK);
        tickets.extend(enqueue(&batcher, 1));
        sleep(TICK).await;
    }
    answered(tickets).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_goes_at_once() {
    let begun = Instant::now();
    let (store, _batcher, tickets) = with_waiting(500, LINGER).await;
    answered(tickets).await;
    assert_eq!((sizes(&store), begun.elapsed()), (vec![1, 500], Duration::ZERO));

    let (store, batcher, mut tickets) = with_waiting(4, LINGER).await;
    sleep(TICK).await;
    let filled = Instant::now();
    tickets.extend(enqueue(&batcher, 496));
    answered(tickets).await;
    assert_eq!((sizes(&store), filled.elapsed()), (vec![1, 500], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn without_a_linger_load_waits_for_nothing() {
    let begun = Instant::now();
    let (store, _batcher, tickets) = with_waiting(100, Duration::ZERO).await;
    answered(tickets).await;
    assert_eq!((sizes(&store), begun.elapsed()), (vec![1, 100], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_batcher_that_closes_lingers_for_nobody() {
    let begun = Instant::now();
    let (store, batcher, tickets) = with_waiting(4, LINGER).await;
    batcher.close().await;
    answered(tickets).await;
    assert_eq!(sizes(&store), [1, 4]);
    assert!(begun.elapsed() <= LINGER + TICK);
}
