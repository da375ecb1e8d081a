//! People.

use std::collections::HashSet;

use imserver::{
    clock::Timestamp,
    domain::{GroupChange, User, UserId, UserName},
    store::{Acquaintance, Store},
};

use super::{
    Database, chat, committed, demo_user,
    groups::{RULES, quiet_group},
    name, peer, poisoned, populated, repeat, send, target, user, wechat_user,
};

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
        (chat.id, &chat.user_name, target(&chat).name.as_str()),
        (sent.id, &renamed.name, "user-2")
    );
    assert_eq!(target(&send(&*store, 2, 1, "x").await.chat).name, renamed.name);
    let page = store.conversations(user(2), None, 1).await.unwrap();
    assert_eq!(peer(&page.conversations[0]).user, renamed);
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
        let demo = demo_user(&*store, &format!("demo-{i}")).await;
        assert_eq!(demo.name.as_str(), format!("demo-{i}"));
        let wechat = wechat_user(&*store, &format!("openid-{i}")).await;
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
    let demo = demo_user(&*store, chosen[0].1.as_str()).await;
    assert_ne!(demo.id, chosen[0].0);
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
    let users: Vec<_> =
        (1..).zip(names).map(|(id, n)| (user(id), UserName::stored(n.to_owned()))).collect();
    store.ensure_users(&users).await.unwrap();
    let search = async |prefix: &str, limit| {
        let found = store.search_users(user(1), prefix, limit).await.unwrap();
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
    for nobody in ["'", "\0", "bob\0", "\u{fffd}", &"x".repeat(10_000)] {
        assert_eq!(search(nobody, 10).await, [0; 0], "{nobody:?}");
    }
}

pub(super) async fn acquaintances_share_a_conversation<D: Database>() {
    let (database, store) = populated::<D>(6).await;
    send(&*store, 1, 2, "x").await;
    send(&*store, 3, 1, "x").await;
    send(&*store, 2, 4, "x").await;
    let others = [1, 2, 2, 3, 4, 5, 99].map(user);
    let acquainted = async |of, others: &[UserId]| {
        let how = Acquaintance::Conversation;
        sorted(store.acquainted(user(of), others, how).await.unwrap())
    };
    assert_eq!(acquainted(1, &others).await, [1, 2, 3]);
    assert_eq!(acquainted(1, &others[3..]).await, [3]);
    assert_eq!(acquainted(4, &others).await, [2, 4]);
    assert_eq!(acquainted(5, &others).await, [5]);
    assert!(acquainted(1, &[]).await.is_empty());
    send(&*store, 5, 5, "x").await;
    assert_eq!(acquainted(5, &others).await, [5]);

    let all = async |of, limit| {
        let how = Acquaintance::Conversation;
        let all = store.acquaintances(user(of), how, limit).await.unwrap();
        all.into_iter().map(UserId::get).collect::<Vec<_>>()
    };
    // More chats make none of them newer.
    send(&*store, 1, 2, "x").await;
    assert_eq!(all(1, 10).await, [3, 2]);
    assert_eq!(all(1, 1).await, [3]);
    assert_eq!(all(2, 10).await, [4, 1]);
    assert_eq!(all(5, 10).await, [5]);
    assert_eq!(all(6, 10).await, [0; 0]);

    // A group makes its members acquainted, for as long as both are.
    let group = quiet_group(&database, [4, 6].map(user).to_vec()).await;
    assert_eq!(acquainted(6, &others).await, [4]);
    assert_eq!((all(6, 10).await, all(4, 10).await), (vec![4], vec![6, 2]));
    let answers = store.acquainted(user(6), &others, Acquaintance::BothWrote).await.unwrap();
    assert_eq!(answers, []);
    let leave = GroupChange::Remove(user(6));
    store.change_group(group, user(6), &leave, RULES).await.unwrap().unwrap();
    assert_eq!((acquainted(4, &others).await, acquainted(6, &others).await), (vec![2, 4], vec![]));
    assert_eq!((all(6, 10).await, all(4, 10).await), (vec![], vec![2]));
}

/// Of whom `user` may know by [`Acquaintance::BothWrote`], as each method says it.
async fn answered(store: &dyn Store, of: i64) -> Vec<i64> {
    let how = Acquaintance::BothWrote;
    let everybody: Vec<_> = (1..=10).map(user).collect();
    let mut acquainted = store.acquainted(user(of), &everybody, how).await.unwrap();
    let acquaintances = store.acquaintances(user(of), how, 10).await.unwrap();
    let page = store.conversations(user(of), None, 10).await.unwrap();
    let shown =
        page.conversations.into_iter().filter(|it| it.both_wrote).map(|it| peer(&it).user.id);
    let shown = sorted(shown.collect());
    assert_eq!(sorted(acquaintances), shown);
    // Oneself is on the first list in any case.
    acquainted.retain(|peer| *peer != user(of) || shown.contains(&of));
    assert_eq!(sorted(acquainted), shown);
    shown
}

pub(super) async fn both_have_written_from_the_first_answer_on<D: Database>() {
    let (database, store) = populated::<D>(10).await;
    for _ in 0..3 {
        send(&*store, 2, 1, "x").await;
        assert_eq!(answered(&*store, 1).await, [0; 0]);
        assert_eq!(answered(&*store, 2).await, [0; 0]);
    }
    // A repeat is no answer, nor is a chat that the database refuses.
    let first = chat(3, 1, "k", "x");
    committed(store.append(std::slice::from_ref(&first)).await.unwrap().remove(0));
    repeat(store.append(&[first]).await.unwrap().remove(0));
    assert!(store.append(&[poisoned(1, 3, "p")]).await.is_err());
    assert_eq!(answered(&*store, 1).await, [0; 0]);

    send(&*store, 1, 2, "x").await;
    assert_eq!(answered(&*store, 1).await, [2]);
    assert_eq!(answered(&*store, 2).await, [1]);
    assert_eq!(answered(&*store, 3).await, [0; 0]);
    assert!(store.conversation_with(user(1), user(2)).await.unwrap().unwrap().both_wrote);
    assert!(!store.conversation_with(user(1), user(3)).await.unwrap().unwrap().both_wrote);
    send(&*store, 4, 4, "x").await;
    assert_eq!(answered(&*store, 4).await, [4], "whoever writes to oneself has written as both");

    // What a replica of the version before has not noted is noted with the next chat.
    database.tamper("UPDATE conversations SET low_wrote = false, high_wrote = false").await;
    assert_eq!(answered(&*store, 1).await, [0; 0]);
    send(&*store, 1, 2, "x").await;
    assert_eq!(answered(&*store, 1).await, [0; 0]);
    send(&*store, 2, 1, "x").await;
    assert_eq!(answered(&*store, 1).await, [2]);
}

pub(super) async fn that_somebody_wrote_is_noted_whatever_the_batch<D: Database>() {
    let (_database, store) = populated::<D>(10).await;
    // Begun and answered in one batch.
    let talk = [chat(1, 2, "a", "x"), chat(3, 1, "b", "x"), chat(2, 1, "c", "x")];
    store.append(&talk).await.unwrap();
    assert_eq!(answered(&*store, 1).await, [2]);
    // Beside a conversation that begins.
    store.append(&[chat(1, 3, "d", "x"), chat(1, 4, "e", "x")]).await.unwrap();
    assert_eq!(answered(&*store, 1).await, [2, 3]);
    // As usual: all have begun. Several at once, of both sides.
    for peer in 5..=9 {
        send(&*store, peer, 1, "x").await;
    }
    let answers: Vec<_> = [4, 5, 6].map(|peer| chat(1, peer, &format!("f{peer}"), "x")).into();
    store.append(&answers).await.unwrap();
    assert_eq!(answered(&*store, 1).await, [2, 3, 5, 6]);
    // Beside a chat to nobody, and beside a repeat.
    store.append(&[chat(1, 7, "g", "x"), chat(1, 99, "h", "x")]).await.unwrap();
    store.append(&[chat(1, 8, "i", "x"), chat(1, 2, "a", "x")]).await.unwrap();
    store.append(&[chat(4, 1, "j", "x")]).await.unwrap();
    assert_eq!(answered(&*store, 1).await, [2, 3, 4, 5, 6, 7, 8]);
    for peer in [2, 3, 4, 5, 6, 7, 8] {
        assert_eq!(answered(&*store, peer).await, [1]);
    }
    assert_eq!(answered(&*store, 9).await, [0; 0]);
}

pub(super) async fn who_wrote_before_it_was_noted_is_found<D: Database>() {
    let backfill = include_str!("../../../../migrations/postgres/0006_who_wrote_before.sql");
    assert_eq!(backfill, include_str!("../../../../migrations/sqlite/0006_who_wrote_before.sql"));
    let (database, store) = populated::<D>(10).await;
    for (sender, target) in [(1, 2), (2, 1), (1, 3), (1, 3), (4, 1), (5, 5)] {
        send(&*store, sender, target, "x").await;
    }
    database.tamper("UPDATE conversations SET low_wrote = false, high_wrote = false").await;
    database.tamper(backfill).await;
    for (of, peers) in [(1, vec![2]), (2, vec![1]), (3, vec![]), (4, vec![]), (5, vec![5])] {
        assert_eq!(answered(&*store, of).await, peers);
    }
    // Which side has written, not only whether both have.
    send(&*store, 3, 1, "x").await;
    send(&*store, 1, 4, "x").await;
    assert_eq!(answered(&*store, 1).await, [2, 3, 4]);
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
