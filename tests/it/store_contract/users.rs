//! People.

use std::collections::HashSet;

use imserver::{
    clock::Timestamp,
    domain::{User, UserId},
};
use tokio::task::JoinSet;

use super::{Database, name, populated, send, user};

fn sorted(mut ids: Vec<UserId>) -> Vec<i64> {
    ids.sort_unstable();
    ids.into_iter().map(UserId::get).collect()
}

pub(super) async fn names_are_those_of_now<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let sent = send(&*store, 1, 2, "x").await.chat;
    let renamed = store.rename(user(1), &name("新名字 👩‍👩‍👧‍👦")).await.unwrap().unwrap();
    assert_eq!((renamed.id, renamed.name.as_str()), (user(1), "新名字 👩‍👩‍👧‍👦"));
    assert_eq!(store.users(&[user(1)]).await.unwrap()[0], renamed);
    assert_eq!(store.rename(user(77), &name("nobody")).await.unwrap(), None);

    let chat = store.latest_chats(user(2), 1).await.unwrap().remove(0);
    assert_eq!(
        (chat.id, chat.user_name, chat.target_user_name.as_str()),
        (sent.id, renamed.name.clone(), "user-2")
    );
    assert_eq!(send(&*store, 2, 1, "x").await.chat.target_user_name, renamed.name);
    let page = store.conversations(user(2), None, 1).await.unwrap();
    assert_eq!(page.conversations[0].peer.user, renamed);
}

pub(super) async fn a_demo_user_is_found_by_the_first_name<D: Database>() {
    let database = D::create().await;
    let stores = [database.open().await, database.open().await];
    let mut calls = JoinSet::new();
    for i in 0..20 {
        let store = stores[i % 2].clone();
        calls.spawn(async move { store.demo_user(&name("张三")).await.unwrap() });
    }
    let answers: HashSet<_> = calls.join_all().await.into_iter().map(|user| user.id).collect();
    assert_eq!(answers.len(), 1);
    let first = stores[0].demo_user(&name("张三")).await.unwrap();
    assert_eq!(first.name.as_str(), "张三");
    assert!(first.id.get() >= UserId::FIRST_REGISTERED);

    let renamed = stores[0].rename(first.id, &name("李四")).await.unwrap().unwrap();
    assert_eq!(stores[0].demo_user(&name("张三")).await.unwrap(), renamed);
    // The display name of another is no login.
    let other = stores[0].demo_user(&name("李四")).await.unwrap();
    assert_ne!(other.id, first.id);
    // To the letter.
    assert_ne!(stores[0].demo_user(&name("张三 ")).await.unwrap().id, first.id);
    let lower = stores[0].demo_user(&name("bob")).await.unwrap();
    assert_ne!(stores[0].demo_user(&name("Bob")).await.unwrap().id, lower.id);
}

pub(super) async fn ids_never_collide_with_those_that_clients_chose<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let chosen: Vec<_> = (1_000_000..1_000_003)
        .chain([1_000_004])
        .map(|id| (user(id), name(&format!("anonymous-{id}"))))
        .collect();
    store.ensure_users(&chosen).await.unwrap();
    let mut ids = HashSet::new();
    for i in 0..3 {
        let demo = store.demo_user(&name(&format!("demo-{i}"))).await.unwrap();
        assert_eq!(demo.name.as_str(), format!("demo-{i}"));
        let wechat = store.wechat_user(&format!("openid-{i}")).await.unwrap();
        for made in [demo.id, wechat.id] {
            assert!(made.get() >= UserId::FIRST_REGISTERED);
            assert!(chosen.iter().all(|(id, _)| *id != made));
            assert!(ids.insert(made), "given out once");
        }
    }
    for (id, name) in &chosen {
        assert_eq!(store.users(&[*id]).await.unwrap()[0].name, *name);
    }
    // An anonymous user is no demo user, whatever the name.
    let demo = store.demo_user(&chosen[0].1).await.unwrap();
    assert_ne!(demo.id, chosen[0].0);
}

pub(super) async fn a_wechat_user_is_made_once<D: Database>() {
    let database = D::create().await;
    let stores = [database.open().await, database.open().await];
    let mut calls = JoinSet::new();
    for i in 0..20 {
        let store = stores[i % 2].clone();
        calls.spawn(async move { store.wechat_user("oA-b_1").await.unwrap() });
    }
    let answers: HashSet<_> = calls.join_all().await.into_iter().map(|user| user.id).collect();
    assert_eq!(answers.len(), 1);
    let same = stores[0].wechat_user("oA-b_1").await.unwrap();
    assert!(answers.contains(&same.id) && same.id.get() >= UserId::FIRST_REGISTERED);
    assert!(!same.name.as_str().contains("oA-b_1"), "an openid is shown to nobody");
    let renamed = stores[0].rename(same.id, &name("me")).await.unwrap().unwrap();
    assert_eq!(stores[0].wechat_user("oA-b_1").await.unwrap(), renamed);
    assert_ne!(stores[0].wechat_user("oa-b_1").await.unwrap().id, same.id);
    // The same word is not the same user on both ways in.
    assert_ne!(stores[0].demo_user(&name("oA-b_1")).await.unwrap().id, same.id);
}

pub(super) async fn ensuring_changes_nobody<D: Database>() {
    let (database, store) = populated::<D>(1).await;
    let wanted = [
        (user(1), name("another")),
        (user(2), name("第二")),
        (user(2), name("twice")),
        (user(5), name("五")),
    ];
    store.ensure_users(&wanted).await.unwrap();
    store.ensure_users(&[]).await.unwrap();
    let ids = [1, 2, 3, 5, 5].map(user);
    let mut users = store.users(&ids).await.unwrap();
    users.sort_by_key(|user| user.id);
    let found: Vec<_> = users.iter().map(|user| (user.id.get(), user.name.as_str())).collect();
    assert_eq!(found, [(1, "user-1"), (2, "第二"), (5, "五")]);
    assert!(users.iter().all(|user| user.avatar.is_none()));

    // The largest id of all, and everybody at once.
    let (a, b) = (store, database.open().await);
    let everybody: Vec<_> =
        (100..160).chain([imserver::domain::MAX_ID]).map(|id| (user(id), name("x"))).collect();
    let reversed: Vec<_> = everybody.iter().rev().cloned().collect();
    let (one, other) = tokio::join!(a.ensure_users(&everybody), b.ensure_users(&reversed));
    one.unwrap();
    other.unwrap();
    let ids: Vec<_> = everybody.iter().map(|&(id, _)| id).collect();
    assert_eq!(a.users(&ids).await.unwrap().len(), 61);
}

pub(super) async fn a_search_is_by_the_letter<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let names = [
        "100% sure",
        "100%",
        "1000",
        "a_b",
        "axb",
        "Bob",
        "bob",
        "bobby",
        "张三",
        "张三丰",
        "张",
        "\u{10ffff}",
        "\u{10ffff}z",
        "\u{d7ff}x",
        "\u{e000}",
        "back\\slash",
        "bob",
    ];
    let users: Vec<_> = (1..).zip(names).map(|(id, n)| (user(id), name(n))).collect();
    store.ensure_users(&users).await.unwrap();
    let search = async |prefix: &str, limit| {
        let found = store.search_users(prefix, limit).await.unwrap();
        found.into_iter().map(|User { id, .. }| id.get()).collect::<Vec<_>>()
    };
    assert_eq!(search("100%", 10).await, [2, 1]);
    assert_eq!(search("%", 10).await, [0; 0]);
    assert_eq!(search("a_", 10).await, [4]);
    assert_eq!(search("bob", 10).await, [7, 17, 8], "by name, then by id");
    assert_eq!(search("bob", 2).await, [7, 17]);
    assert_eq!(search("B", 10).await, [6]);
    assert_eq!(search("张三", 10).await, [9, 10]);
    assert_eq!(search("张三丰子", 10).await, [0; 0]);
    assert_eq!(search("\u{10ffff}", 10).await, [12, 13]);
    assert_eq!(search("\u{d7ff}", 10).await, [14]);
    assert_eq!(search("back\\", 10).await, [16]);
    assert_eq!(search("'", 10).await, [0; 0]);
}

pub(super) async fn acquaintances_share_a_conversation<D: Database>() {
    let (_database, store) = populated::<D>(6).await;
    send(&*store, 1, 2, "x").await;
    send(&*store, 3, 1, "x").await;
    send(&*store, 2, 4, "x").await;
    let others = [1, 2, 2, 3, 4, 5, 99].map(user);
    assert_eq!(sorted(store.acquainted(user(1), &others).await.unwrap()), [1, 2, 3]);
    assert_eq!(sorted(store.acquainted(user(1), &others[3..]).await.unwrap()), [3]);
    assert_eq!(sorted(store.acquainted(user(4), &others).await.unwrap()), [2, 4]);
    assert_eq!(sorted(store.acquainted(user(5), &others).await.unwrap()), [5]);
    assert!(store.acquainted(user(1), &[]).await.unwrap().is_empty());
    send(&*store, 5, 5, "x").await;
    assert_eq!(sorted(store.acquainted(user(5), &others).await.unwrap()), [5]);
}

pub(super) async fn last_seen_only_rises<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let at = Timestamp::from_millis;
    store.save_last_seen(&[(user(1), at(1_000)), (user(2), at(1_000))]).await.unwrap();
    store
        .save_last_seen(&[(user(1), at(999)), (user(2), at(1_002)), (user(2), at(1_001))])
        .await
        .unwrap();
    store.save_last_seen(&[]).await.unwrap();
    let seen = store.last_seen(&[user(1), user(2), user(3), user(99)]).await.unwrap();
    assert_eq!(seen, [(user(1), at(1_000)), (user(2), at(1_002))].into());
}
