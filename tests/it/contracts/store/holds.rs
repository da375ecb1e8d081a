//! Chats on which somebody else decides.

use std::time::Duration;

use imserver::{
    accounts,
    clock::Timestamp,
    domain::{ChatKind, Content, ConversationId, Destination, MediaId, Seq},
    store::{
        AllowedKey, Appended, Change, KeyState, NewChat, Preview, REFUSED, Refusal, RequestDigest,
        Store, WantedKey,
    },
};

use super::{Database, chat, committed, media, populated, repeat, send, user};

const LEASE: Duration = Duration::from_mins(1);

fn wanted(sender: i64, key: &str, content: &str) -> WantedKey {
    WantedKey::of(&chat(sender, 2, key, content))
}

async fn claim(store: &dyn Store, wanted: &WantedKey, lease: Duration) -> KeyState {
    store.claim_keys(std::slice::from_ref(wanted), lease).await.unwrap().remove(0)
}

fn taken(state: &KeyState) -> Timestamp {
    match state {
        KeyState::Taken(until, _) => *until,
        other => panic!("{other:?}"),
    }
}

fn refusal(detail: &str) -> Refusal {
    Refusal { code: "content_rejected".to_owned(), detail: detail.to_owned() }
}

fn held(sender: i64, target: i64, key: &str, content: &str) -> NewChat {
    NewChat { hold: true, ..chat(sender, target, key, content) }
}

pub(super) async fn a_key_is_at_one_caller_at_a_time<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let other = database.open().await;
    let (a, b) = (wanted(1, "a", "x"), wanted(3, "a", "x"));
    let states = store.claim_keys(&[b.clone(), a.clone(), b.clone()], LEASE).await.unwrap();
    assert_eq!(states[2], KeyState::Asked, "one of the same two has it");
    let (until, of_b) = (taken(&states[1]), taken(&states[0]));
    assert_eq!(claim(&*other, &a, LEASE).await, KeyState::Asked);
    // Something else under the key, or to somebody else: it may yet turn out that the first is not sent.
    assert_eq!(claim(&*other, &wanted(1, "a", "y"), LEASE).await, KeyState::Asked);
    let elsewhere = WantedKey { destination: Destination::Direct(user(3)), ..a.clone() };
    assert_eq!(claim(&*other, &elsewhere, LEASE).await, KeyState::Asked);

    let early = Timestamp::from_millis(until.as_millis() - 1);
    store.free_key(a.sender, &a.key, early).await.unwrap();
    assert_eq!(claim(&*other, &a, LEASE).await, KeyState::Asked, "not the caller's");
    store.free_key(a.sender, &a.key, until).await.unwrap();
    let again = taken(&claim(&*other, &wanted(1, "a", "y"), Duration::ZERO).await);
    // Its time is over.
    let later = taken(&claim(&*store, &a, LEASE).await);
    store.refuse_key(a.sender, &a.key, again, &refusal("late")).await.unwrap();
    assert_eq!(claim(&*store, &a, LEASE).await, KeyState::Asked);
    store.refuse_key(a.sender, &a.key, later, &refusal("no")).await.unwrap();
    assert_eq!(claim(&*other, &a, LEASE).await, KeyState::Refused(refusal("no")));
    assert_eq!(claim(&*other, &wanted(1, "a", "y"), LEASE).await, KeyState::Reused);
    assert_eq!(claim(&*other, &elsewhere, LEASE).await, KeyState::Reused);

    store.append(&[chat(3, 2, "a", "x")]).await.unwrap();
    assert_eq!(claim(&*other, &b, LEASE).await, KeyState::Commit);
    assert_eq!(claim(&*other, &wanted(3, "a", "y"), LEASE).await, KeyState::Commit);
    let forgotten = Timestamp::from_millis(of_b.as_millis() + 1);
    assert_eq!(store.forget_keys(of_b, 10).await.unwrap(), 0);
    assert_eq!(store.forget_keys(forgotten, 10).await.unwrap(), 1, "a refusal is kept for days");
}

pub(super) async fn a_key_at_two_replicas_is_asked_about_once<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let other = database.open().await;
    let keys: Vec<_> = (0..40).map(|n| wanted(1, &format!("k{n}"), "x")).collect();
    let back: Vec<_> = keys.iter().rev().cloned().collect();
    let (one, two) = tokio::join!(store.claim_keys(&keys, LEASE), other.claim_keys(&back, LEASE));
    let (one, two) = (one.unwrap(), two.unwrap());
    for (one, two) in one.iter().zip(two.iter().rev()) {
        let taken = [one, two].iter().filter(|it| matches!(it, KeyState::Taken(..))).count();
        assert_eq!(taken, 1, "{one:?} {two:?}");
    }
}

pub(super) async fn what_was_allowed_and_not_sent_is_remembered<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let key = |name: &str| wanted(1, name, "x");
    let allow = async |name: &str, until: Timestamp, content: Option<&str>| {
        let WantedKey { sender, key, .. } = key(name);
        let content = content.map(Content::of_service);
        store.allow_keys(&[AllowedKey { sender, key, until, content }]).await.unwrap();
    };
    let until = taken(&claim(&*store, &key("a"), LEASE).await);
    allow("a", Timestamp::from_millis(until.as_millis() - 1), None).await;
    assert_eq!(claim(&*store, &key("a"), LEASE).await, KeyState::Asked, "not the caller's");
    allow("a", until, None).await;
    assert_eq!(claim(&*store, &key("a"), LEASE).await, KeyState::Allowed(None));
    // It was not sent, so the key is free for something else.
    let until = taken(&claim(&*store, &wanted(1, "a", "y"), LEASE).await);
    assert_eq!(claim(&*store, &key("a"), LEASE).await, KeyState::Asked);
    allow("a", until, Some("***")).await;
    let masked = KeyState::Allowed(Some(Content::of_service("***")));
    assert_eq!(claim(&*store, &wanted(1, "a", "y"), LEASE).await, masked);
    let elsewhere = WantedKey { destination: Destination::Direct(user(3)), ..wanted(1, "a", "y") };
    taken(&claim(&*store, &elsewhere, LEASE).await);
    assert_eq!(database.count("held_chats WHERE content IS NOT NULL").await, 0);

    // One that is committed needs nothing more.
    let until = taken(&claim(&*store, &key("b"), LEASE).await);
    store.append(&[chat(1, 2, "b", "x")]).await.unwrap();
    allow("b", until, None).await;
    assert_eq!(database.count("held_chats WHERE client_msg_id = 'b'").await, 0);
    assert_eq!(claim(&*store, &key("b"), LEASE).await, KeyState::Commit);
    // What was allowed may be held back by somebody else.
    let until = taken(&claim(&*store, &key("c"), LEASE).await);
    allow("c", until, None).await;
    assert_eq!(store.hold(&held(1, 2, "c", "x")).await.unwrap(), KeyState::Held);
    allow("c", until, None).await;
    assert_eq!(claim(&*store, &key("c"), LEASE).await, KeyState::Held);
}

pub(super) async fn a_held_chat_is_sent_when_it_is_released<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let first = send(&*store, 1, 2, "before").await.chat;
    let asked = held(1, 2, "k", "what was asked").digest();
    let new = NewChat {
        asked: Some(asked),
        reply_to: Some(first.id),
        ..held(1, 2, "k", "something else")
    };
    for _ in 0..2 {
        assert_eq!(store.hold(&new).await.unwrap(), KeyState::Held);
    }
    assert_eq!(claim(&*store, &wanted(1, "k", "what was asked"), LEASE).await, KeyState::Held);
    let other = NewChat { asked: Some(RequestDigest([7; 32])), ..new.clone() };
    assert_eq!(store.hold(&other).await.unwrap(), KeyState::Reused);
    // One whose key was claimed before.
    taken(&claim(&*store, &wanted(1, "claimed", "x"), LEASE).await);
    assert_eq!(store.hold(&held(1, 2, "claimed", "x")).await.unwrap(), KeyState::Held);

    let page = store.held_chats(None, 1).await.unwrap();
    assert!(page.has_more);
    let id = page.chats[0].id;
    assert_eq!(page.chats[0].chat.content.as_str(), "something else");
    let page = store.held_chats(Some(id), 9).await.unwrap();
    assert_eq!((page.chats.len(), page.has_more), (1, false));
    assert_eq!(page.chats[0].chat.client_msg_id.as_str(), "claimed");

    // May be repeated until it has ended.
    for _ in 0..2 {
        let chat = store.begin_release(id).await.unwrap().unwrap();
        assert_eq!((chat.reply_to, chat.digest(), chat.hold), (Some(first.id), asked, false));
    }
    assert_eq!(store.refuse_held(id, false, &refusal("no")).await.unwrap(), None, "it is released");
    let chat = store.begin_release(id).await.unwrap().unwrap();
    let sent = committed(store.append(&[chat]).await.unwrap().remove(0)).chat;
    store.end_release(id).await.unwrap();
    assert_eq!((&*sent.content, sent.reply_to.as_ref().unwrap().id), ("something else", first.id));
    assert_eq!(store.begin_release(id).await.unwrap().map(drop), None);
    assert_eq!(store.hold(&new).await.unwrap(), KeyState::Commit);
    let again = NewChat { hold: false, ..held(1, 2, "k", "what was asked") };
    assert_eq!(repeat(store.append(&[again]).await.unwrap().remove(0)).chat.id, sent.id);
    assert_eq!(database.count("held_chats").await, 1);
    assert!(accounts::erase(&*store, user(1), |_| ()).await.unwrap());
    assert_eq!(database.count("held_chats").await, 0);
}

pub(super) async fn a_refused_chat_is_told_to_its_sender_alone<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let new = held(1, 2, "k", "secret");
    store.hold(&new).await.unwrap();
    let id = store.held_chats(None, 1).await.unwrap().chats[0].id;
    assert_eq!(store.refuse_held(id, true, &refusal("no")).await.unwrap(), None, "not released");
    let told = store.refuse_held(id, false, &refusal("no")).await.unwrap().unwrap();
    assert_eq!(store.refuse_held(id, false, &refusal("no")).await.unwrap(), None);
    assert_eq!(told.events[0].1.to_vec(), [(user(1), Seq::new(1).unwrap())]);
    let page = store.events(user(1), Seq::ZERO, 9).await.unwrap();
    let [event] = &page.events[..] else { panic!("{page:?}") };
    let Change::Other { kind, chat: None, payload: Some(payload) } = &event.change else {
        panic!("{event:?}")
    };
    assert_eq!(kind, REFUSED);
    let payload: serde_json::Value = serde_json::from_str(payload.as_str()).unwrap();
    let wanted =
        serde_json::json!({"clientMsgId": "k", "code": "content_rejected", "detail": "no"});
    assert_eq!(payload, wanted);
    assert_eq!(event.change, told.events[0].0);
    assert_eq!(store.timeline_range(user(2)).await.unwrap().last, Seq::ZERO);
    assert_eq!(store.hold(&new).await.unwrap(), KeyState::Refused(refusal("no")));
    assert_eq!(database.count("held_chats WHERE content IS NOT NULL").await, 0, "its words go");
    assert!(store.held_chats(None, 9).await.unwrap().chats.is_empty());
}

pub(super) async fn what_cannot_be_sent_is_not_held<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let direct = send(&*store, 1, 2, "x").await.chat.conversation_id;
    let into = |sender: i64, conversation: ConversationId| NewChat {
        destination: Destination::Conversation(conversation),
        ..held(sender, 1, "k", "x")
    };
    let picture = NewChat { kind: ChatKind::Image, media: None, ..held(1, 2, "picture", "x") };
    let gone = NewChat { media: Some(MediaId::random()), ..picture.clone() };
    for new in [
        held(1, 77, "k", "x"),
        into(3, direct),
        into(1, ConversationId::new(99).unwrap()),
        picture,
        gone,
    ] {
        assert_eq!(store.hold(&new).await.unwrap(), KeyState::Commit, "{new:?}");
        let answer = store.append(&[new]).await.unwrap().remove(0);
        assert!(!matches!(answer, Appended::Committed(_)), "{answer:?}");
    }
    for new in [held(1, 77, "k", "x"), into(3, direct)] {
        let state = claim(&*store, &WantedKey::of(&new), LEASE).await;
        assert_eq!(state, KeyState::Commit, "{new:?}");
    }
    assert_eq!(database.count("held_chats").await, 0);
}

pub(super) async fn whoever_takes_keys_learns_of_their_chats<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let direct = send(&*store, 1, 2, "x").await.chat.conversation_id;
    // The company's own name for somebody.
    database
        .tamper("INSERT INTO identities (provider, subject, user_id) VALUES ('external', 'u-2', 2)")
        .await;
    let into = Destination::Conversation(direct);
    let keys = [
        WantedKey { destination: into, ..wanted(2, "b", "x") },
        WantedKey { destination: into, ..wanted(3, "b", "x") },
        WantedKey { destination: Destination::Direct(user(3)), ..wanted(1, "a", "x") },
        wanted(1, "b", "x"),
    ];
    let mut states = store.claim_keys(&keys, LEASE).await.unwrap();
    assert_eq!(states.remove(1), KeyState::Commit, "not a member");
    let seen = states.into_iter().map(|state| {
        let KeyState::Taken(_, Preview { conversation, sender, target }) = state else {
            panic!("{state:?}")
        };
        let (id, name, external) = target.unwrap();
        assert_eq!(name.as_str(), format!("user-{id}"));
        (conversation, sender.0.as_str().to_owned(), sender.1, id, external)
    });
    let of_2 = Some("u-2".to_owned());
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            (Some(direct), "user-2".to_owned(), of_2.clone(), user(1), None),
            (None, "user-1".to_owned(), None, user(3), None),
            (Some(direct), "user-1".to_owned(), None, user(2), of_2),
        ]
    );
}

pub(super) async fn a_key_is_looked_up_without_being_taken<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let key = wanted(1, "k", "x");
    let state = async |wanted: &WantedKey| {
        store.key_states(std::slice::from_ref(wanted)).await.unwrap().remove(0)
    };
    assert_eq!(state(&key).await, KeyState::Asked);
    assert!(!store.has_decided_keys().await.unwrap());
    taken(&claim(&*store, &key, LEASE).await);
    assert!(!store.has_decided_keys().await.unwrap(), "nobody has decided");
    store.hold(&held(1, 2, "k", "x")).await.unwrap();
    assert_eq!(state(&key).await, KeyState::Held);
    assert_eq!(state(&wanted(1, "k", "y")).await, KeyState::Reused);
    assert!(store.has_decided_keys().await.unwrap());
    let id = store.held_chats(None, 1).await.unwrap().chats.remove(0).id;
    let released = store.begin_release(id).await.unwrap().unwrap();
    assert_eq!(state(&key).await, KeyState::Asked);
    store.refuse_held(id, true, &refusal("no")).await.unwrap();
    assert_eq!(state(&key).await, KeyState::Refused(refusal("no")));
    assert!(store.has_decided_keys().await.unwrap());
    let other = NewChat { client_msg_id: wanted(1, "l", "x").key, ..released };
    committed(store.append(&[other]).await.unwrap().remove(0));
    assert_eq!(state(&wanted(1, "l", "x")).await, KeyState::Commit);
    assert_eq!(state(&wanted(2, "l", "x")).await, KeyState::Asked);
    assert_eq!(state(&wanted(1, "L", "x")).await, KeyState::Asked);
}

pub(super) async fn what_a_held_chat_shows_is_not_collected<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let id = media::kept(&*store, 1).await;
    let new = NewChat { hold: true, ..media::showing(1, 2, id) };
    assert_eq!(store.hold(&new).await.unwrap(), KeyState::Held);
    assert_eq!(media::collect(&*store).await, []);
    let held = store.held_chats(None, 1).await.unwrap().chats.remove(0).id;
    store.refuse_held(held, false, &refusal("no")).await.unwrap();
    assert_eq!(media::collect(&*store).await, [id]);
}
