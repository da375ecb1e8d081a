//! What the outbox tells beside chats.

use std::time::Duration;

use imserver::{
    clock::{Clock, Timestamp},
    domain::{
        GroupChange, GroupRules, OutboxId, Role,
        group::{GroupHistory, WhoMayAdd},
    },
    store::{
        CHAT_CREATED, CONVERSATION_CREATED, CONVERSATION_MEMBERS_CHANGED, OutboxEntry, Store,
        USER_CREATED, USER_OFFLINE, USER_ONLINE,
    },
};
use serde_json::{Value, json};

use super::{Database, chat, demo_user, members::begin, name, populated, send, user, wechat_user};

const RULES: GroupRules =
    GroupRules { max_members: 9, who_may_add: WhoMayAdd::Members, history: GroupHistory::Joined };

pub(super) async fn entries(store: &dyn Store) -> Vec<OutboxEntry> {
    store.read_outbox(None, 1_000).await.unwrap().entries
}

fn kinds(entries: &[OutboxEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.kind.as_str()).collect()
}

fn payload(entry: &OutboxEntry) -> Value {
    serde_json::from_str(entry.payload.as_deref().unwrap()).unwrap()
}

pub(super) async fn a_conversation_is_told_before_its_chats_and_once<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let replica = database.open().await;
    begin(&*store, 1, &[2]).await;
    send(&*store, 1, 3, "untold").await;
    assert!(entries(&*store).await.is_empty());
    store.switch_outbox(true).await.unwrap();
    send(&*store, 3, 1, "begun before").await;
    store.append(&[chat(1, 2, "a", "x"), chat(2, 1, "b", "x")]).await.unwrap();
    send(&*replica, 2, 1, "the other side writes").await;
    let told = entries(&*store).await;
    let expected = [CHAT_CREATED, CONVERSATION_CREATED, CHAT_CREATED, CHAT_CREATED, CHAT_CREATED];
    assert_eq!(kinds(&told), expected);
    assert!(told[1..].iter().all(|entry| entry.conversation == told[1].conversation));

    let (group, _) = begin(&*store, 2, &[1, 3]).await;
    let told = entries(&*store).await;
    assert_eq!(kinds(&told[5..]), [CONVERSATION_CREATED, CHAT_CREATED], "and its first line");
    assert_eq!(told[5].conversation, Some(group));
    assert_eq!(payload(&told[5]), json!({"by": 2, "members": [1, 2, 3]}));
}

pub(super) async fn members_who_come_and_go_are_told<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let (group, _) = begin(&*store, 1, &[2]).await;
    store.switch_outbox(true).await.unwrap();
    let change = async |actor, change| {
        store.change_group(group, user(actor), &change, RULES).await.unwrap().unwrap();
    };
    change(2, GroupChange::Add([user(3), user(4)].into())).await;
    change(1, GroupChange::SetRole(user(3), Role::Admin)).await;
    change(1, GroupChange::SetRole(user(3), Role::Admin)).await;
    change(3, GroupChange::Remove(user(2))).await;
    let told = entries(&*store).await;
    let told: Vec<_> =
        told.iter().filter(|entry| entry.kind == CONVERSATION_MEMBERS_CHANGED).collect();
    assert!(told.iter().all(|entry| entry.conversation == Some(group)));
    let told: Vec<_> = told.into_iter().map(payload).collect();
    let expected = [
        json!({"by": 2, "joined": [3, 4], "left": [], "roles": []}),
        json!({"by": 1, "joined": [], "left": [], "roles": [[3, "admin"]]}),
        json!({"by": 3, "joined": [], "left": [2], "roles": []}),
    ];
    assert_eq!(told, expected);
}

pub(super) async fn users_are_told_when_they_are_new_and_come_and_go<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let at = Timestamp::from_millis;
    let untold = demo_user(&*store, "张三").await;
    store.tell_online(&[(user(1), at(5))]).await.unwrap();
    store.save_last_seen(&[(user(1), at(9))]).await.unwrap();
    assert!(entries(&*store).await.is_empty());

    store.switch_outbox(true).await.unwrap();
    let made = [demo_user(&*store, "李四").await.id, wechat_user(&*store, "o-1").await.id];
    assert_eq!(demo_user(&*store, "张三").await.id, untold.id);
    demo_user(&*store, "李四").await;
    store.ensure_users(&[(user(2), name("x")), (user(77), name("x"))]).await.unwrap();
    let told = entries(&*store).await;
    assert_eq!(kinds(&told), [USER_CREATED; 3]);
    let of = |entry: &OutboxEntry| payload(entry)["userId"].as_i64().unwrap();
    assert_eq!(told.iter().map(of).collect::<Vec<_>>(), [made[0].get(), made[1].get(), 77]);

    store.tell_online(&[(user(1), at(10)), (user(2), at(11))]).await.unwrap();
    store.save_last_seen(&[(user(1), at(12)), (user(2), at(13))]).await.unwrap();
    // What is known is no news, whichever replica brings it.
    store.save_last_seen(&[(user(1), at(12)), (user(2), at(12))]).await.unwrap();
    let told = entries(&*store).await;
    let seen =
        told[3..].iter().map(|entry| (&*entry.kind, of(entry), entry.created_at.as_millis()));
    let mut seen: Vec<_> = seen.collect();
    seen.sort_by_key(|(.., at)| *at);
    let expected =
        [(USER_ONLINE, 1, 10), (USER_ONLINE, 2, 11), (USER_OFFLINE, 1, 12), (USER_OFFLINE, 2, 13)];
    assert_eq!(seen, expected);
}

pub(super) async fn entries_are_found_by_id_and_time<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    assert_eq!(store.outbox_since(Timestamp::from_millis(0)).await.unwrap(), None);
    store.switch_outbox(true).await.unwrap();
    for _ in 0..4 {
        send(&*store, 1, 2, "x").await;
    }
    let all = entries(&*store).await;
    let ids: Vec<OutboxId> = all.iter().map(|entry| entry.id).collect();
    let unknown = OutboxId::new(ids[4].get() + 1).unwrap();
    let found = store.outbox_entries(&[ids[3], unknown, ids[1]]).await.unwrap();
    assert_eq!(found, [all[1].clone(), all[3].clone()]);
    assert!(store.outbox_entries(&[]).await.unwrap().is_empty());

    let now = Clock::system().now();
    for (id, minutes) in [(ids[0], 30), (ids[1], 20), (ids[2], 10)] {
        let at = now.before(Duration::from_mins(minutes)).as_millis();
        database.tamper(&format!("UPDATE outbox SET created_at = {at} WHERE id = {id}")).await;
    }
    for (minutes, first) in [(60, 0), (30, 0), (29, 1), (15, 2), (5, 3)] {
        let since = now.before(Duration::from_mins(minutes));
        let place = store.outbox_since(since).await.unwrap().unwrap();
        let page = store.read_outbox(Some(&place), 100).await.unwrap();
        let read: Vec<_> = page.entries.iter().map(|entry| entry.id).collect();
        assert_eq!(read, ids[first..], "{minutes}");
        // Whoever has read on from there is beyond it.
        assert!(place.is_behind(&page.cursor) && !page.cursor.is_behind(&place));
        assert!(!place.is_behind(&place));
    }
    let later = now.after(Duration::from_mins(5));
    assert_eq!(store.outbox_since(later).await.unwrap(), None);
}
