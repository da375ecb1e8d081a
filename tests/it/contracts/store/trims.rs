//! What is too old, or too much, at the beginning of a timeline.

use std::{sync::Arc, time::Duration};

use imserver::{
    clock::{Clock, Timestamp},
    domain::{ReplicaId, Seq},
    jobs::{self, Job},
    store::{Store, TRIM_STEP, TimelineRange, Trim, TrimPage},
    trimming::{Keep, keep_trimming},
};
use tokio::task::JoinHandle;

use super::{Database, chat, populated, send, seq, user};
use crate::harness::eventually;

const OLD: Timestamp = Timestamp::from_millis(2_000);

fn trim(of: i64, up_to: i64) -> Trim {
    Trim {
        user: user(of),
        up_to: seq(up_to),
        events: u32::try_from(up_to).unwrap(),
        has_more: false,
    }
}

pub(super) async fn events_are_as_old_as_they_say_or_as_their_chats<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    for _ in 0..8 {
        send(&*store, 1, 2, "x").await;
    }
    send(&*store, 3, 3, "fresh").await;
    let trims = async |keep| store.trims(None, OLD, keep, 10).await.unwrap();
    let last = Some(user(3));
    assert_eq!(trims(100).await, TrimPage { trims: vec![], last });

    for statement in [
        "UPDATE timeline_events SET created_at = 9000000000000",
        "UPDATE timeline_events SET created_at = 1999 WHERE user_id = 2 AND seq <= 4",
        "UPDATE timeline_events SET created_at = 2000 WHERE user_id = 2 AND seq = 5",
        // One that is old behind one that is not stays.
        "UPDATE timeline_events SET created_at = 1999 WHERE user_id = 2 AND seq = 7",
        "UPDATE timeline_events SET created_at = NULL WHERE user_id = 1",
        "UPDATE chats SET created_at = 1999 WHERE sender_id = 1 AND sender_seq <= 3",
    ] {
        database.tamper(statement).await;
    }
    let page = TrimPage { trims: vec![trim(1, 3), trim(2, 4)], last };
    assert_eq!(trims(100).await, page);
    assert_eq!(trims(4).await.trims, [trim(1, 4), trim(2, 4)]);
    assert_eq!(trims(1).await.trims, [trim(1, 7), trim(2, 7)]);
    assert_eq!(trims(u64::MAX).await, page);
    // One of which nobody knows how old it is goes with those around it.
    database
        .tamper(
            "UPDATE timeline_events SET created_at = NULL, chat_id = NULL, kind = 'mystery'
             WHERE user_id = 1 AND seq IN (2, 4)",
        )
        .await;
    assert_eq!(trims(100).await.trims, [trim(1, 4), trim(2, 4)]);

    // Page by page.
    let first = store.trims(None, OLD, 100, 1).await.unwrap();
    assert_eq!(first, TrimPage { trims: vec![trim(1, 4)], last: Some(user(1)) });
    let second = store.trims(first.last, OLD, 100, 1).await.unwrap();
    assert_eq!(second, TrimPage { trims: vec![trim(2, 4)], last: Some(user(2)) });
    let rest = store.trims(second.last, OLD, 100, 5).await.unwrap();
    assert_eq!(rest, TrimPage { trims: vec![], last });
    let none = store.trims(rest.last, OLD, 100, 5).await.unwrap();
    assert_eq!(none, TrimPage { trims: vec![], last: None });

    // What is trimmed is not found again, and all may be too old.
    store.trim_timeline(user(1), seq(4)).await.unwrap();
    assert_eq!(trims(100).await.trims, [trim(2, 4)]);
    assert_eq!(
        store.trims(None, Timestamp::from_millis(i64::MAX), 100, 1).await.unwrap().trims,
        [Trim { user: user(1), up_to: seq(8), events: 4, has_more: false }]
    );
    store.trim_timeline(user(1), seq(8)).await.unwrap();
    assert_eq!(store.trims(None, OLD, 100, 1).await.unwrap().trims, []);
}

const MANY: usize = 2_600;

pub(super) async fn timelines_are_trimmed_in_steps_and_one_round_a_day<D: Database>() {
    let (database, store) = populated::<D>(5).await;
    for first in (0..MANY).step_by(500) {
        let batch: Vec<_> =
            (first..MANY.min(first + 500)).map(|i| chat(1, 2, &format!("k{i}"), "x")).collect();
        store.append(&batch).await.unwrap();
    }
    for _ in 0..3 {
        send(&*store, 4, 5, "x").await;
    }
    database
        .tamper("UPDATE timeline_events SET created_at = 1000 WHERE user_id = 5 AND seq <= 2")
        .await;
    let page = store.trims(None, OLD, 100, 1).await.unwrap();
    let step =
        Trim { user: user(1), up_to: seq(TRIM_STEP.into()), events: TRIM_STEP, has_more: true };
    assert_eq!(page, TrimPage { trims: vec![step], last: Some(user(1)) });

    let keep = Keep { age: Duration::from_hours(24), events: 100 };
    let begin = |store: Arc<dyn Store>| {
        let job = Job::new(store.clone(), "trim", jobs::LEASE);
        tokio::spawn(keep_trimming(store, Clock::system(), keep, job))
    };
    let replicas = [begin(store.clone()), begin(database.open().await)];
    let last = i64::try_from(MANY).unwrap();
    for (of, first, last) in [(1, last - 99, last), (2, last - 99, last), (4, 1, 3), (5, 3, 3)] {
        let range = TimelineRange { first: seq(first), last: seq(last) };
        eventually(&format!("the timeline of {of} is trimmed"), async || {
            store.timeline_range(user(of)).await.unwrap() == range
        })
        .await;
        let page = store.events(user(of), seq(first - 1), 1_000).await.unwrap();
        assert_eq!(page.events.first().map(|event| event.seq), Some(seq(first)));
        let page = store.events(user(of), Seq::ZERO, 1_000).await.unwrap();
        assert_eq!(page.events.is_empty(), first > 1, "who is before it loads anew");
    }
    // The round is over, and the next one is due in a day.
    let hours_from_now = Clock::system().now().after(Duration::from_hours(20)).as_millis();
    let mark = format!("UPDATE jobs SET holder = 7 WHERE until > {hours_from_now}");
    let marker = ReplicaId::new(7).unwrap();
    eventually("the round is over", async || {
        database.tamper(&mark).await;
        store.save_job("trim", marker, "", Duration::from_hours(24)).await.unwrap()
    })
    .await;
    replicas.iter().for_each(JoinHandle::abort);
}
