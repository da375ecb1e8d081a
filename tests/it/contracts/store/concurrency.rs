//! What holds when replicas commit at once.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::poll;
use imserver::{
    domain::{ChatId, Seq, UserId},
    store::{
        Appended, Change, Committed, Store,
        batcher::{Batcher, LINGER},
    },
};
use tokio::task::JoinSet;

use super::{Database, chat, places, populated, timeline, user};

pub(super) async fn a_key_at_two_replicas_is_one_chat<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let other = database.open().await;
    for round in 0..25 {
        let batch = [chat(1, 2, &format!("k{round}"), "hello")];
        let (one, two) = tokio::join!(store.append(&batch), other.append(&batch));
        let answers = [one.unwrap().remove(0), two.unwrap().remove(0)];
        let chats: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                Appended::Committed(c) | Appended::Repeat(c) => (c.chat.clone(), c.sender_seq()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(chats[0], chats[1]);
        let firsts = answers.iter().filter(|a| matches!(a, Appended::Committed(_))).count();
        assert_eq!(firsts, 1);
    }
    assert_eq!(timeline(&*store, 2).await.len(), 25);
}

/// Batches that name the same users in opposite orders, and each other's keys.
pub(super) async fn crossed_batches_of_replicas_do_not_deadlock<D: Database>() {
    let (database, store) = populated::<D>(10).await;
    let other = database.open().await;
    for round in 0..20 {
        let batch: Vec<_> = (1..10_i64)
            .map(|i| chat(i, i + 1, &format!("r{round}"), "x"))
            .chain((1..10_i64).map(|i| chat(11 - i, i, &format!("s{round}"), "x")))
            .collect();
        let reversed: Vec<_> = batch.iter().rev().cloned().collect();
        let (one, two) = tokio::join!(store.append(&batch), other.append(&reversed));
        let committed = one.unwrap().into_iter().chain(two.unwrap());
        assert_eq!(committed.filter(|a| matches!(a, Appended::Committed(_))).count(), 18);
    }
}

/// A caller that is dropped half-way: what it asked for happened or did not, and the store goes on.
pub(super) async fn a_dropped_call_leaves_nothing_half_done<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let batches: Vec<_> = (0..40)
        .map(|i| [chat(1, 2, &format!("a{i}"), "x"), chat(3, 1, &format!("b{i}"), "x")])
        .collect();
    for (polls, batch) in batches.iter().enumerate() {
        let mut call = store.append(batch);
        for _ in 0..polls % 20 {
            // Each time, what was asked for may be one step further.
            if poll!(&mut call).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
    }
    for batch in &batches {
        let answers = store.append(batch).await.unwrap();
        let repeats = answers.iter().filter(|a| matches!(a, Appended::Repeat(_))).count();
        assert!(repeats == 0 || repeats == 2, "a batch is whole: {answers:?}");
    }
    assert_eq!(timeline(&*store, 1).await.len(), 80);
    assert_eq!(timeline(&*store, 2).await.len(), 40);
}

const USERS: i64 = 20;
const WRITERS: i64 = 16;
const CHATS: i64 = 40;

pub(super) async fn a_timeline_has_no_holes_and_nothing_overtakes<D: Database>() {
    let (database, store) = populated::<D>(USERS).await;
    let replicas = [
        Batcher::start(store.clone(), LINGER, Box::new(|_| ())),
        Batcher::start(database.open().await, LINGER, Box::new(|_| ())),
    ];
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for first in [1, USERS / 2 + 1] {
        let (store, over) = (database.open().await, over.clone());
        readers.spawn(async move {
            let mut seen = HashMap::new();
            while !over.load(Ordering::Relaxed) {
                for of in first..first + USERS / 2 {
                    let known = seen.entry(of).or_insert_with(Vec::new);
                    look(&*store, user(of), known).await;
                }
            }
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let batcher = replicas[usize::try_from(writer).unwrap() % 2].clone();
        writers.spawn(async move {
            let mut answers = Vec::new();
            for i in 0..CHATS {
                let sender = (writer * 7 + i * 3) % USERS + 1;
                let target = (writer + i * i) % USERS + 1;
                let new = chat(sender, target, &format!("{writer}-{i}"), "x");
                match batcher.append(new).await.unwrap() {
                    Appended::Committed(committed) => answers.push(committed),
                    other => panic!("{other:?}"),
                }
            }
            answers
        });
    }
    let answers: Vec<Committed> = tokio::time::timeout(Duration::from_mins(1), writers.join_all())
        .await
        .expect("the writers came to an end")
        .into_iter()
        .flatten()
        .collect();
    over.store(true, Ordering::Relaxed);
    readers.join_all().await;
    check(&*store, answers).await;
}

/// What a reader sees of a timeline is whole, and goes on from what it saw before.
async fn look(store: &dyn Store, of: UserId, known: &mut Vec<ChatId>) {
    let announced = store.last_seqs(&[of]).await.unwrap().get(&of).copied().unwrap_or_default();
    let page = store.events(of, Seq::ZERO, 100_000).await.expect("no holes");
    assert!(page.range.last >= announced, "a number that was seen has its event");
    let chats: Vec<_> = page
        .events
        .iter()
        .map(|event| match &event.change {
            Change::Chat(chat) => chat.id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(i64::try_from(chats.len()).unwrap(), page.range.last.get());
    assert!(chats.starts_with(known), "what was seen stays where it was");
    *known = chats;
}

async fn check(store: &dyn Store, answers: Vec<Committed>) {
    let mut expected: HashMap<i64, HashSet<(i64, ChatId)>> = HashMap::new();
    for committed in &answers {
        for (of, seq) in places(committed) {
            assert!(expected.entry(of).or_default().insert((seq, committed.chat.id)));
        }
    }
    for (of, expected) in expected {
        let events = store.events(user(of), Seq::ZERO, 100_000).await.unwrap().events;
        assert_eq!(events.len(), expected.len());
        let mut newest: HashMap<_, ChatId> = HashMap::new();
        for event in events {
            let Change::Chat(chat) = event.change else { panic!("{:?}", event.change) };
            assert!(expected.contains(&(event.seq.get(), chat.id)), "as it was answered");
            let before = newest.insert(chat.conversation_id, chat.id);
            assert!(before < Some(chat.id), "ids rise within a conversation");
        }
    }
}
