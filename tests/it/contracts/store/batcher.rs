//! The batcher, above a database and above a store that fails when it is told to.

use std::sync::Arc;

use imserver::{
    domain::ChatId,
    store::{
        Appended, Appends,
        batcher::{AppendError, Batcher, LINGER},
    },
};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{
    Database, chat, committed,
    fake::{FakeAppends, Outcome},
    poisoned, populated, seq, timeline, user,
};

fn silent(store: Arc<dyn Appends>) -> Batcher {
    Batcher::start(store, LINGER, Box::new(|_| ()))
}

pub(super) async fn a_key_fifty_times_at_once_is_one_chat<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let batcher = silent(store.clone());
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let batcher = batcher.clone();
        callers.spawn(async move { batcher.append(chat(1, 2, "k", "hello")).await.unwrap() });
    }
    let mut firsts = 0;
    let mut chats = Vec::new();
    for answer in callers.join_all().await {
        firsts += usize::from(matches!(answer, Appended::Committed(_)));
        match answer {
            Appended::Committed(c) | Appended::Repeat(c) => {
                chats.push((c.chat.clone(), c.sender_seq()));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((firsts, chats.len()), (1, 50));
    assert!(chats.iter().all(|answer| answer == &chats[0]));
    assert_eq!(timeline(&*store, 1).await, [(1, chats[0].0.id)]);
    assert_eq!(timeline(&*store, 2).await, [(1, chats[0].0.id)]);
}

pub(super) async fn chats_of_one_task_commit_in_their_order<D: Database>() {
    let (_database, store) = populated::<D>(8).await;
    let batcher = silent(store);
    let mut tasks = JoinSet::new();
    for sender in 1..=4 {
        let batcher = batcher.clone();
        tasks.spawn(async move {
            let tickets: Vec<_> = (0..300_i64)
                .map(|i| {
                    let key = format!("{sender}-{i}");
                    batcher.enqueue(chat(sender, i % 4 + 5, &key, "x")).unwrap()
                })
                .collect();
            for (number, ticket) in (1..).zip(tickets) {
                assert_eq!(committed(ticket.wait().await.unwrap()).sender_seq(), Some(seq(number)));
            }
        });
    }
    tasks.join_all().await;
}

pub(super) async fn commits_are_announced_before_they_are_answered<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let announced: Arc<Mutex<Vec<ChatId>>> = Arc::default();
    let heard = announced.clone();
    let batcher = Batcher::start(
        store.clone(),
        LINGER,
        Box::new(move |committed| {
            heard.lock().push(committed.chat.id);
            assert_ne!(&*committed.chat.content, "a panic of the observer ends nothing");
        }),
    );
    let tickets: Vec<_> = (0..100)
        .map(|i| {
            let content = if i == 50 { "a panic of the observer ends nothing" } else { "x" };
            // Each key comes twice: only the first is a commit.
            batcher.enqueue(chat(1, 2, &format!("k{}", i / 2), content))
        })
        .collect();
    for ticket in tickets {
        match ticket.unwrap().wait().await.unwrap() {
            Appended::Committed(c) => assert!(announced.lock().contains(&c.chat.id)),
            Appended::Repeat(_) | Appended::KeyReused => {}
            other => panic!("{other:?}"),
        }
    }
    let ids: Vec<_> = timeline(&*store, 1).await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), 50);
    assert_eq!(*announced.lock(), ids, "each once, in the order of the timeline");
}

pub(super) async fn a_poisoned_chat_fails_alone<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let batcher = silent(store.clone());
    for (round, culprits) in [vec![77], vec![0], vec![199], vec![3, 4, 150]].iter().enumerate() {
        let tickets: Vec<_> = (0..200)
            .map(|i| {
                let key = format!("{round}-{i}");
                let bad = culprits.contains(&i);
                let new = if bad { poisoned(1, 2, &key) } else { chat(1, 2, &key, "x") };
                batcher.enqueue(new).unwrap()
            })
            .collect();
        let mut last = None;
        for (i, ticket) in tickets.into_iter().enumerate() {
            let answer = ticket.wait().await;
            if culprits.contains(&i) {
                assert_eq!(answer, Err(AppendError::Rejected));
            } else {
                let number = committed(answer.unwrap()).sender_seq();
                assert!(number > last, "those around it keep their order");
                last = number;
            }
        }
    }
    assert_eq!(timeline(&*store, 2).await.len(), 4 * 200 - 6);
}

pub(super) async fn a_caller_may_go_away<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let batcher = silent(store.clone());
    for i in 0..10 {
        drop(batcher.enqueue(chat(1, 2, &format!("k{i}"), "x")).unwrap());
    }
    committed(batcher.append(chat(1, 2, "last", "x")).await.unwrap());
    assert_eq!(timeline(&*store, 2).await.len(), 11);
}

pub(super) async fn closing_commits_the_queue<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let batcher = silent(store.clone());
    let tickets: Vec<_> =
        (0..1_200).map(|i| batcher.enqueue(chat(1, 2, &format!("k{i}"), "x")).unwrap()).collect();
    batcher.close().await;
    assert_eq!(store.timeline_range(user(2)).await.unwrap().last, seq(1_200));
    assert_eq!(batcher.append(chat(1, 2, "late", "x")).await, Err(AppendError::Unavailable));
    for ticket in tickets {
        committed(ticket.wait().await.unwrap());
    }
    batcher.close().await;
}

#[tokio::test]
async fn a_panic_of_the_store_ends_one_batch() {
    let store = FakeAppends::new([Outcome::Panic], 2);
    let batcher = silent(store);
    assert_eq!(batcher.append(chat(1, 2, "a", "x")).await, Err(AppendError::Unavailable));
    assert_eq!(batcher.append(chat(1, 2, "a", "x")).await, Ok(Appended::TargetNotFound));
}

#[tokio::test]
async fn a_failure_fails_the_batch_and_not_the_next() {
    let store = FakeAppends::new([Outcome::Unavailable], 0);
    let batcher = silent(store.clone());
    let enqueue = |key: &str| batcher.enqueue(chat(1, 2, key, "x")).unwrap();
    let tickets = [enqueue("a"), enqueue("b")];
    while store.batches.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    // These come while the first batch is under way, and are the second one.
    let later: Vec<_> = (0..501).map(|i| enqueue(&format!("c{i}"))).collect();
    store.permits.add_permits(10);
    for ticket in tickets {
        assert_eq!(ticket.wait().await, Err(AppendError::Unavailable));
    }
    for ticket in later {
        assert_eq!(ticket.wait().await, Ok(Appended::TargetNotFound));
    }
    let sizes: Vec<_> = store.batches.lock().iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 500, 1]);
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let store = FakeAppends::new([], 0);
    let batcher = silent(store.clone());
    let first = batcher.enqueue(chat(1, 2, "first", "x")).unwrap();
    while store.batches.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    let waiting: Vec<_> =
        (0..8_192).map(|i| batcher.enqueue(chat(1, 2, &format!("k{i}"), "x")).unwrap()).collect();
    let refused = batcher.enqueue(chat(1, 2, "one too many", "x"));
    assert_eq!(refused.map(|_| ()), Err(AppendError::Overloaded));
    store.permits.add_permits(100);
    for ticket in [first].into_iter().chain(waiting) {
        ticket.wait().await.unwrap();
    }
    batcher.append(chat(1, 2, "room again", "x")).await.unwrap();
}

#[tokio::test]
async fn nobody_waits_longer_than_a_client_does() {
    let store = FakeAppends::new([], 0);
    let batcher = silent(store.clone());
    let begun = tokio::time::Instant::now();
    let under_way = batcher.enqueue(chat(1, 2, "a", "x")).unwrap();
    while store.batches.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    let queued = batcher.enqueue(chat(1, 2, "b", "x")).unwrap();
    assert_eq!(under_way.wait().await, Err(AppendError::Unavailable));
    assert_eq!(queued.wait().await, Err(AppendError::Unavailable));
    let waited = begun.elapsed().as_millis();
    // Half a second more than a client is promised, for a machine that is busy with other tests.
    assert!((4_500..5_500).contains(&waited), "{waited} ms");

    // What nobody waits for any more is not begun.
    store.permits.add_permits(10);
    batcher.append(chat(1, 2, "c", "x")).await.unwrap();
    assert_eq!(*store.batches.lock(), [["a"], ["c"]]);
}
