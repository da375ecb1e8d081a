//! Deliveries of webhooks that are parked.

use imserver::{
    clock::Timestamp,
    domain::OutboxId,
    store::{Delivery, OutboxEntry, Parked, ParkedLane, Store},
};

use super::Database;

const END: &str = "crm";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn entry(id: i64) -> OutboxEntry {
    OutboxEntry {
        id: OutboxId::new(id).unwrap(),
        kind: "moon.risen".to_owned(),
        conversation: None,
        chat: None,
        payload: Some(r#"{"phase": "满"}"#.into()),
        created_at: at(1_000 + id),
    }
}

fn delivery(id: i64, lane: &str) -> Delivery {
    Delivery {
        entry: entry(id),
        lane: lane.to_owned(),
        is_dead: false,
        attempts: 0,
        next_at: at(5_000),
        failure: None,
        parked_at: at(5_000),
    }
}

async fn due(store: &dyn Store, now: i64) -> Vec<i64> {
    let due = store.due_deliveries(END, at(now), 10).await.unwrap();
    due.iter().map(|delivery| delivery.entry.id.get()).collect()
}

async fn filled<D: Database>() -> (D, std::sync::Arc<dyn Store>) {
    let database = D::create().await;
    let store = database.open().await;
    let parked = [delivery(3, "a"), delivery(1, "a"), delivery(2, "b"), delivery(4, "b")];
    store.park(END, &parked).await.unwrap();
    store.park("other", &[delivery(1, "a"), delivery(9, "c")]).await.unwrap();
    (database, store)
}

pub(super) async fn heads_of_lanes_are_due_in_their_time<D: Database>() {
    let (_database, store) = filled::<D>().await;
    let mut lanes = store.parked_lanes(END).await.unwrap();
    lanes.sort_unstable_by(|a, b| a.lane.cmp(&b.lane));
    let lane = |lane: &str| ParkedLane { lane: lane.to_owned(), waiting: 2, since: at(5_000) };
    assert_eq!(lanes, ["a", "b"].map(lane));
    assert!(due(&*store, 4_999).await.is_empty());
    assert_eq!(due(&*store, 5_000).await, [1, 2]);
    assert_eq!(store.due_deliveries(END, at(5_000), 1).await.unwrap(), [delivery(1, "a")]);

    // One that fails holds up its lane, and no other.
    let failed = Delivery {
        attempts: 1,
        next_at: at(9_000),
        failure: Some("status 500".to_owned()),
        ..delivery(1, "a")
    };
    store.not_delivered(END, &failed).await.unwrap();
    assert_eq!(due(&*store, 8_999).await, [2]);
    assert_eq!(store.due_deliveries(END, at(9_000), 10).await.unwrap()[1], failed);
    // One that is parked again is as it is.
    store.park(END, &[delivery(1, "a")]).await.unwrap();
    assert_eq!(due(&*store, 8_999).await, [2]);
    store.delivered(END, entry(2).id).await.unwrap();
    assert_eq!(due(&*store, 8_999).await, [4]);
    // One that is given up holds up nothing.
    store.not_delivered(END, &Delivery { is_dead: true, ..failed }).await.unwrap();
    assert_eq!(due(&*store, 8_999).await, [3, 4]);
    for id in [3, 4] {
        store.delivered(END, entry(id).id).await.unwrap();
    }
    assert!(due(&*store, 99_999).await.is_empty());
    assert!(store.parked_lanes(END).await.unwrap().is_empty());
    assert_eq!(store.parked("other").await.unwrap(), Parked { due: 2, dead: 0 });
}

pub(super) async fn what_is_asked_for_again_is_due_at_once<D: Database>() {
    let (_database, store) = filled::<D>().await;
    for id in [1, 2] {
        let dead = Delivery { is_dead: true, attempts: 10, ..delivery(id, "a") };
        store.not_delivered(END, &dead).await.unwrap();
    }
    let ids = [1, 7, 8].map(|id| entry(id).id);
    let kept = [("a".to_owned(), entry(1)), ("d".to_owned(), entry(7))];
    assert_eq!(store.repeat_deliveries(END, &ids, &kept, at(3_000)).await.unwrap(), 2);
    assert_eq!(due(&*store, 3_000).await, [1, 7]);
    let first = &store.due_deliveries(END, at(3_000), 1).await.unwrap()[0];
    assert_eq!((first.attempts, first.parked_at), (0, at(3_000)));

    let dead = Delivery { is_dead: true, attempts: 10, ..delivery(1, "a") };
    store.not_delivered(END, &dead).await.unwrap();
    assert_eq!(store.revive_deliveries(END, at(1_002), at(2_000)).await.unwrap(), 1);
    assert_eq!(due(&*store, 2_000).await, [2], "the first one happened before");
    assert_eq!(store.revive_deliveries("other", at(0), at(2_000)).await.unwrap(), 0);
}

pub(super) async fn what_was_parked_since_a_time_can_be_due_at_once<D: Database>() {
    let (_database, store) = filled::<D>().await;
    let later = |id, lane| Delivery { next_at: at(9_000), ..delivery(id, lane) };
    let parked = [
        Delivery { parked_at: at(6_000), ..later(5, "c") },
        Delivery { parked_at: at(5_999), ..later(6, "d") },
        Delivery { parked_at: at(6_000), is_dead: true, ..later(7, "e") },
    ];
    store.park(END, &parked).await.unwrap();
    store.hasten_deliveries("other", at(0), at(7_000)).await.unwrap();
    assert_eq!(due(&*store, 8_999).await, [1, 2]);
    store.hasten_deliveries(END, at(6_000), at(7_000)).await.unwrap();
    assert_eq!(due(&*store, 6_999).await, [1, 2]);
    assert_eq!(due(&*store, 7_000).await, [1, 2, 5]);
}

pub(super) async fn an_endpoint_is_off_as_long_as_its_url_stays<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let off = async |digest| store.endpoint_off_since(END, digest).await.unwrap();
    assert_eq!(off("one").await, None);
    store.switch_endpoint_off(END, "one", at(5)).await.unwrap();
    store.switch_endpoint_off(END, "one", at(6)).await.unwrap();
    assert_eq!((off("one").await, off("two").await), (Some(at(5)), None));
    store.switch_endpoint_off(END, "two", at(7)).await.unwrap();
    assert_eq!((off("one").await, off("two").await), (None, Some(at(7))));
    store.switch_endpoint_on("other").await.unwrap();
    assert_eq!(off("two").await, Some(at(7)));
    store.switch_endpoint_on(END).await.unwrap();
    assert_eq!(off("two").await, None);
}

pub(super) async fn parked_deliveries_are_listed_counted_and_dropped<D: Database>() {
    let (_database, store) = filled::<D>().await;
    let dead = Delivery { is_dead: true, ..delivery(4, "b") };
    store.not_delivered(END, &dead).await.unwrap();
    assert_eq!(store.parked(END).await.unwrap(), Parked { due: 3, dead: 1 });
    assert_eq!(store.parked("nobody").await.unwrap(), Parked::default());
    let listed = async |after: Option<i64>, limit| {
        let after = after.map(|id| entry(id).id);
        let page = store.deliveries(END, after, limit).await.unwrap();
        page.iter().map(|delivery| delivery.entry.id.get()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 3).await, [1, 2, 3]);
    assert_eq!(listed(Some(3), 3).await, [4]);
    assert_eq!(store.deliveries(END, Some(entry(3).id), 9).await.unwrap(), [dead]);
    assert_eq!(store.drop_deliveries(at(5_000)).await.unwrap(), 0);
    assert_eq!(store.drop_deliveries(at(5_001)).await.unwrap(), 6);
    assert!(listed(None, 3).await.is_empty());
}
