//! Users whom a company's own back end makes and names.

use std::{collections::HashSet, sync::Arc};

use imserver::{
    domain::{AvatarUrl, ExternalId, Identity, Payload, Profile, User, UserFacts, UserId, UserRef},
    store::Store,
};
use tokio::task::JoinSet;

use super::{Database, demo_user, identities::VersionBefore, name, populated, send, user};

fn id(text: &str) -> ExternalId {
    ExternalId::parse(text).unwrap()
}

fn external(text: &str) -> UserRef {
    UserRef::External(id(text))
}

fn called(text: &str) -> UserFacts {
    UserFacts { name: Some(name(text)), avatar_url: None, profile: None }
}

fn payload(json: &str) -> Payload {
    Payload::parse(json.to_owned()).unwrap()
}

async fn put(store: &dyn Store, who: &str, facts: UserFacts) -> (User, bool) {
    store.put_users(&[(id(who), facts)]).await.unwrap().remove(0)
}

pub(super) async fn a_back_end_makes_each_user_once<D: Database>() {
    let database = D::create().await;
    let stores = [database.open().await, database.open().await];
    let mut calls = JoinSet::new();
    // Lists that overlap, in different orders, beside logins of the same people.
    for nth in 0..8_usize {
        let store = Arc::clone(&stores[nth % 2]);
        calls.spawn(async move {
            let mut list: Vec<_> = (nth..nth + 20)
                .map(|n| (id(&format!("u{n}")), called(&format!("人{n}"))))
                .collect();
            if nth % 3 == 0 {
                list.reverse();
            }
            let put = store.put_users(&list).await.unwrap();
            list.into_iter()
                .zip(put)
                .map(|((id, _), (user, is_new))| (id, user.id, is_new))
                .collect()
        });
        let store = Arc::clone(&stores[(nth + 1) % 2]);
        calls.spawn(async move {
            let id = id(&format!("u{}", nth * 3));
            let user = store.user_by_identity(&Identity::external(&id), None).await.unwrap();
            vec![(id, user.id, false)]
        });
    }
    let answers: Vec<(ExternalId, UserId, bool)> =
        calls.join_all().await.into_iter().flatten().collect();
    let pairs: HashSet<_> = answers.iter().map(|(id, user, _)| (id.clone(), *user)).collect();
    assert_eq!(pairs.len(), 27, "one user for each id: {pairs:?}");
    assert!(answers.iter().filter(|(.., is_new)| *is_new).count() <= 27);
    assert_eq!(database.count("users").await, 27, "nobody is left over");
    assert_eq!(database.count("identities WHERE provider = 'external'").await, 27);

    let [store, _] = &stores;
    let (first, is_new) = put(&**store, "u1", called("张三")).await;
    assert!(!is_new && first.id.get() >= UserId::FIRST_REGISTERED);
    assert_eq!((first.name.as_str(), first.external_id.clone()), ("张三", Some(id("u1"))));
    let (second, is_new) = put(&**store, "new", called("李四")).await;
    assert!(is_new);
    // They have timelines.
    let sent = send(&**store, first.id.get(), second.id.get(), "你好").await;
    assert_eq!(sent.places.len(), 2);
    assert_eq!(store.users(&[first.id]).await.unwrap(), [first]);
    assert!(store.put_users(&[]).await.unwrap().is_empty());
}

pub(super) async fn what_a_back_end_does_not_say_stays<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let all = UserFacts {
        name: Some(name("张三")),
        avatar_url: Some(AvatarUrl::parse("https://example.com/1.png")),
        profile: Some(Profile {
            public: Some(payload(r#"{"level": 3}"#)),
            hidden: Some(payload(r#"{"server":{"vip":true}}"#)),
        }),
    };
    let (told, _) = put(&*store, "u1", all).await;
    let hidden = "users WHERE hidden_profile = '{\"server\":{\"vip\":true}}'";
    let seen = (told.avatar_url.as_ref().map(AvatarUrl::as_str), told.public_profile.clone());
    assert_eq!(seen, (Some("https://example.com/1.png"), Some(payload(r#"{"level": 3}"#))));
    assert_eq!(database.count(hidden).await, 1);

    let (renamed, _) = put(&*store, "u1", called("李四")).await;
    assert_eq!(renamed, User { name: name("李四"), ..told.clone() });
    assert_eq!(database.count(hidden).await, 1);
    // Those who read users see the same.
    assert_eq!(
        store.rename(told.id, &name("王五")).await.unwrap().unwrap().avatar_url,
        told.avatar_url
    );
    assert_eq!(store.search_users(told.id, "王", 9).await.unwrap()[0].external_id, Some(id("u1")));

    let nothing = UserFacts { name: None, avatar_url: None, profile: None };
    let (same, _) = put(&*store, "u1", nothing.clone()).await;
    assert_eq!(same, User { name: name("王五"), ..told.clone() });
    let (nameless, _) = put(&*store, "u2", nothing).await;
    assert_eq!(nameless.name.as_str(), format!("用户{}", nameless.id));

    let none =
        UserFacts { avatar_url: Some(None), profile: Some(Profile::default()), ..called("张三") };
    let bare = store.update_user(told.id, &none).await.unwrap().unwrap();
    assert_eq!((&bare.avatar_url, &bare.public_profile), (&None, &None));
    assert_eq!(database.count(hidden).await, 0);
    assert_eq!(bare.external_id, Some(id("u1")));
    assert_eq!(store.update_user(user(77), &none).await.unwrap(), None);

    assert!(store.erase_user(told.id).await.unwrap());
    assert_eq!(store.update_user(told.id, &called("张三")).await.unwrap(), None);
    let (other, is_new) = put(&*store, "u1", called("张三")).await;
    assert!(is_new && other.id != told.id, "the id is free for somebody new");
}

pub(super) async fn what_a_back_end_said_goes_with_an_erasure<D: VersionBefore>() {
    let database = D::create().await;
    let store = database.open().await;
    let facts = UserFacts {
        avatar_url: Some(AvatarUrl::parse("https://example.com/1.png")),
        profile: Some(Profile {
            public: Some(payload(r#"{"a":1}"#)),
            hidden: Some(payload(r#"{"b":2}"#)),
        }),
        ..called("张三")
    };
    let told = "users WHERE coalesce(avatar_url, public_profile, hidden_profile) IS NOT NULL";
    let (first, _) = put(&*store, "u1", facts.clone()).await;
    let (second, _) = put(&*store, "u2", facts).await;
    assert_eq!(database.count(told).await, 2);
    assert!(store.erase_user(first.id).await.unwrap());
    database.erase(second.id).await;
    assert_eq!(database.count(told).await, 0, "by either version");
    assert_eq!(database.count("identities").await, 0);
}

pub(super) async fn names_lead_to_persons_alone<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let (known, _) = put(&*store, "u1", called("张三")).await;
    let (gone, _) = put(&*store, "gone", called("李四")).await;
    assert!(store.erase_user(gone.id).await.unwrap() && store.erase_user(user(2)).await.unwrap());
    database.tamper("UPDATE users SET kind = 'bot' WHERE id = 3").await;
    let service = store.service_user().await.unwrap();
    // Another way in is no external id.
    demo_user(&*store, "demo").await;
    let names: Vec<_> = ["u1", "gone", "demo", "U1"].into_iter().map(external).collect();
    let ids = [1, 2, 3, 77].map(user).into_iter().chain([known.id, service]);
    let names: Vec<_> = names.into_iter().chain(ids.map(UserRef::Id)).collect();
    let found = store.named_users(&names).await.unwrap();
    let expected = [
        (external("u1"), known.id),
        (UserRef::Id(user(1)), user(1)),
        (UserRef::Id(known.id), known.id),
    ];
    assert_eq!(found, expected.into_iter().collect());
    assert!(store.named_users(&[]).await.unwrap().is_empty());
}

pub(super) async fn the_service_has_one_user<D: Database>() {
    let database = D::create().await;
    let stores = [database.open().await, database.open().await];
    let mut calls = JoinSet::new();
    for nth in 0..10 {
        let store = Arc::clone(&stores[nth % 2]);
        calls.spawn(async move { store.service_user().await.unwrap() });
    }
    let users: HashSet<_> = calls.join_all().await.into_iter().collect();
    assert_eq!(users.len(), 1);
    assert_eq!(database.count("users").await, 1, "nobody is left over");
    assert_eq!(database.count("users WHERE kind = 'system'").await, 1);
    // It has no timeline, and writes to people all the same.
    let service = users.into_iter().next().unwrap();
    let (person, _) = put(&*stores[0], "u1", called("张三")).await;
    let sent = send(&*stores[1], service.get(), person.id.get(), "欢迎").await;
    assert_eq!(super::places(&sent), [(person.id.get(), 1)]);
    assert_eq!(sent.chat.user_name.as_str(), "系统");
}

pub(super) async fn a_thousand_users_are_put_at_once<D: Database>() {
    let database = D::create().await;
    let store = database.open().await;
    let list: Vec<_> =
        (0..1_000).map(|n| (id(&format!("user-{n}")), called(&format!("用户 {n}")))).collect();
    for is_new in [true, false] {
        let put = store.put_users(&list).await.unwrap();
        assert_eq!(put.len(), 1_000);
        assert!(put.iter().all(|(_, new)| *new == is_new));
    }
    assert_eq!(database.count("users").await, 1_000);
}
