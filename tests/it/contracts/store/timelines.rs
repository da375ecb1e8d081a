//! Reading what happened to a user.

use imserver::{
    clock::Clock,
    delivery::frame,
    domain::{Chat, ChatKind, Payload, Seq},
    media::MediaLinks,
    store::{Appended, Change, EventPage, StoreError, TimelineRange, TimelineState, Window},
};
use tokio::task::JoinSet;

use super::{Database, chat, places, populated, send, seq, timeline, user};

const EMPTY: EventPage = EventPage { range: TimelineRange::EMPTY, events: Vec::new() };

fn numbers(page: &EventPage) -> Vec<i64> {
    page.events.iter().map(|event| event.seq.get()).collect()
}

pub(super) async fn nothing_has_happened_yet<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    for nobody in [user(1), user(77)] {
        assert_eq!(store.timeline_range(nobody).await.unwrap(), TimelineRange::EMPTY);
        assert_eq!(store.events(nobody, Seq::ZERO, 10).await.unwrap(), EMPTY);
        assert_eq!(store.events(nobody, seq(5), 10).await.unwrap(), EMPTY);
        assert!(store.latest_chats(nobody, 10).await.unwrap().is_empty());
        assert!(store.conversations(nobody, None, 10).await.unwrap().conversations.is_empty());
        store.trim_timeline(nobody, seq(3)).await.unwrap();
        assert_eq!(store.timeline_range(nobody).await.unwrap(), TimelineRange::EMPTY);
    }
    assert!(store.last_seqs(&[user(1), user(77)]).await.unwrap().is_empty());
    assert!(store.last_seqs(&[]).await.unwrap().is_empty());
}

pub(super) async fn events_come_in_pages_without_holes<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let mut sent = Vec::new();
    for i in 0..7 {
        sent.push(send(&*store, 1 + i % 2, 2 - i % 2, "x").await.chat);
    }
    send(&*store, 3, 2, "not in the timeline of 1").await;

    let page = store.events(user(1), Seq::ZERO, 3).await.unwrap();
    assert_eq!(page.range, TimelineRange { first: seq(1), last: seq(7) });
    assert_eq!(numbers(&page), [1, 2, 3]);
    let page = store.events(user(1), seq(3), 4).await.unwrap();
    assert_eq!(numbers(&page), [4, 5, 6, 7]);
    let page = store.events(user(1), seq(6), 100).await.unwrap();
    assert_eq!(numbers(&page), [7]);
    assert_eq!(page.events[0].change, Change::Chat(Box::new((*sent[6]).clone())));
    let lasts = store.last_seqs(&[user(1), user(2), user(3), user(9)]).await.unwrap();
    assert_eq!(lasts, [(user(1), seq(7)), (user(2), seq(8)), (user(3), seq(1))].into());
}

pub(super) async fn a_seq_outside_the_range_gives_only_the_range<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    for _ in 0..3 {
        send(&*store, 1, 2, "x").await;
    }
    let range = TimelineRange { first: seq(1), last: seq(3) };
    for since in [3, 4, 1_000_000] {
        let page = store.events(user(2), seq(since), 10).await.unwrap();
        assert_eq!(page, EventPage { range, events: Vec::new() });
    }
}

pub(super) async fn a_trimmed_timeline_keeps_its_numbers<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let mut conversation = None;
    for _ in 0..5 {
        conversation = Some(send(&*store, 1, 2, "x").await.chat.conversation_id);
    }
    store.trim_timeline(user(2), seq(2)).await.unwrap();
    // Less than what is gone is nothing to do.
    store.trim_timeline(user(2), seq(1)).await.unwrap();

    let range = TimelineRange { first: seq(3), last: seq(5) };
    assert_eq!(store.timeline_range(user(2)).await.unwrap(), range);
    for since in [Seq::ZERO, seq(1)] {
        let page = store.events(user(2), since, 10).await.unwrap();
        assert_eq!(page, EventPage { range, events: Vec::new() });
    }
    assert_eq!(numbers(&store.events(user(2), seq(2), 10).await.unwrap()), [3, 4, 5]);
    assert_eq!(store.latest_chats(user(2), 10).await.unwrap().len(), 5);
    let chats = store.chats(user(2), conversation.unwrap(), Window::Newest, 10).await.unwrap();
    assert_eq!(chats.unwrap().chats.len(), 5, "chats stay in their conversation");
    assert_eq!(timeline(&*store, 1).await.len(), 5, "other timelines stay");

    // All of it: the last number stays, and the next one follows it.
    store.trim_timeline(user(2), seq(100)).await.unwrap();
    let range = TimelineRange { first: seq(6), last: seq(5) };
    assert_eq!(store.timeline_range(user(2)).await.unwrap(), range);
    assert!(store.events(user(2), seq(5), 10).await.unwrap().events.is_empty());
    assert_eq!(places(&send(&*store, 1, 2, "x").await), [(1, 6), (2, 6)]);
    let page = store.events(user(2), seq(5), 10).await.unwrap();
    assert_eq!((page.range.first, numbers(&page)), (seq(6), vec![6]));
}

pub(super) async fn a_hole_is_found<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let batch: Vec<_> = (0..6).map(|i| chat(1, 2, &format!("k{i}"), "x")).collect();
    store.append(&batch).await.unwrap();
    database.tamper("DELETE FROM timeline_events WHERE user_id = 2 AND seq = 4").await;

    assert_eq!(numbers(&store.events(user(2), Seq::ZERO, 3).await.unwrap()), [1, 2, 3]);
    assert_eq!(numbers(&store.events(user(2), seq(4), 10).await.unwrap()), [5, 6]);
    for (since, limit) in [(0, 10), (0, 4), (2, 2), (3, 1), (3, 10)] {
        let found = store.events(user(2), seq(since), limit).await.unwrap_err();
        assert!(matches!(found, StoreError::Corrupt(_)), "{since} {limit} {found:?}");
    }
    assert_eq!(timeline(&*store, 1).await.len(), 6);

    // The end of a timeline may be lost as well.
    database.tamper("DELETE FROM timeline_events WHERE user_id = 2 AND seq >= 4").await;
    let found = store.events(user(2), seq(2), 10).await.unwrap_err();
    assert!(matches!(found, StoreError::Corrupt(_)), "{found:?}");
    let found = store.events(user(2), seq(3), 10).await.unwrap_err();
    assert!(matches!(found, StoreError::Corrupt(_)), "{found:?}");
}

pub(super) async fn a_lost_chat_is_found<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let lost = send(&*store, 1, 2, "x").await.chat.id;
    send(&*store, 1, 2, "x").await;
    database.tamper(&format!("DELETE FROM chats WHERE id = {lost}")).await;

    let found = store.events(user(2), Seq::ZERO, 10).await.unwrap_err();
    assert!(matches!(found, StoreError::Corrupt(_)), "{found:?}");
    assert_eq!(numbers(&store.events(user(2), seq(1), 10).await.unwrap()), [2]);

    // The newest may be lost too; its id does not come back.
    database.tamper("DELETE FROM chats").await;
    assert!(send(&*store, 2, 1, "x").await.chat.id.get() > lost.get() + 1);
}

pub(super) async fn events_of_unknown_kinds_pass_through<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let first = send(&*store, 1, 2, "x").await.chat;
    send(&*store, 1, 2, "y").await;
    send(&*store, 1, 2, "z").await;
    database
        .tamper(
            r#"UPDATE timeline_events SET kind = 'poll', chat_id = NULL, payload = '{"b":1.50, "a":[]}'
             WHERE user_id = 2 AND seq = 2"#,
        )
        .await;
    database
        .tamper("UPDATE timeline_events SET kind = 'pinned' WHERE user_id = 2 AND seq = 1")
        .await;
    let page = store.events(user(2), Seq::ZERO, 10).await.unwrap();
    assert_eq!(numbers(&page), [1, 2, 3]);
    let chat = Some(Box::new((*first).clone()));
    let pinned = Change::Other { kind: "pinned".to_owned(), chat, payload: None };
    assert_eq!(page.events[0].change, pinned);
    let payload = Some(Payload::parse(r#"{"b":1.50, "a":[]}"#.to_owned()).unwrap());
    let poll = Change::Other { kind: "poll".to_owned(), chat: None, payload };
    assert_eq!(page.events[1].change, poll);
    assert!(matches!(page.events[2].change, Change::Chat(_)));

    let links = MediaLinks::new(String::new(), Clock::system());
    let frames: Vec<_> =
        page.events.iter().map(|event| frame(event, user(2), &links).text()).collect();
    let chat = serde_json::to_string(&first).unwrap();
    assert_eq!(
        frames[0].as_str(),
        format!(r#"{{"type":"event","seq":1,"event":"pinned","chat":{chat}}}"#)
    );
    assert_eq!(
        frames[1].as_str(),
        r#"{"type":"event","seq":2,"event":"poll","b":1.50, "a":[]}"#,
        "to the letter"
    );
}

pub(super) async fn chats_of_unknown_kinds_pass_through<D: Database>() {
    const BODY: &str = r#"{"url":"https://x", "width":1e3}"#;
    let (database, store) = populated::<D>(2).await;
    let plain = send(&*store, 1, 2, "[全息]").await.chat;
    database
        .tamper(&format!(
            "UPDATE chats SET kind = 'hologram', body = '{BODY}' WHERE id = {}",
            plain.id
        ))
        .await;
    let expected = Chat {
        kind: ChatKind::Other("hologram".into()),
        body: Some(Payload::parse(BODY.to_owned()).unwrap()),
        ..(*plain).clone()
    };
    let conversation = plain.conversation_id;
    let history = store.chats(user(1), conversation, Window::Newest, 10).await.unwrap().unwrap();
    assert_eq!(history.chats, std::slice::from_ref(&expected));
    let event = store.events(user(2), Seq::ZERO, 10).await.unwrap().events.remove(0);
    assert_eq!(event.change, Change::Chat(Box::new(expected.clone())));
    assert_eq!(store.latest_chats(user(2), 10).await.unwrap(), std::slice::from_ref(&expected));
    let listed = store.conversations(user(2), None, 10).await.unwrap().conversations.remove(0);
    assert_eq!(listed.last_chat.as_ref(), Some(&expected));

    // The key belongs to it, whatever it is.
    let key = plain.client_msg_id.as_str();
    let again = store.append(&[super::chat(1, 2, key, "[全息]")]).await.unwrap();
    assert_eq!(again, [Appended::KeyReused]);

    store.blank_chats(user(1), None, 10).await.unwrap();
    let blank = store.latest_chats(user(2), 10).await.unwrap().remove(0);
    assert_eq!(
        (&*blank.content, blank.body),
        ("", None),
        "an erased user's words, wherever they stand"
    );
}

pub(super) async fn latest_chats_are_in_the_order_of_the_timeline<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let mut sent = Vec::new();
    for (sender, target) in [(1, 2), (3, 1), (1, 1), (4, 1), (1, 3)] {
        sent.push((*send(&*store, sender, target, "x").await.chat).clone());
        send(&*store, 2, 4, "of others").await;
    }
    assert_eq!(store.latest_chats(user(1), 100).await.unwrap(), sent);
    assert_eq!(store.latest_chats(user(1), 5).await.unwrap(), sent);
    assert_eq!(store.latest_chats(user(1), 2).await.unwrap(), sent[3..]);
}

pub(super) async fn a_standing_is_of_its_user_and_of_now<D: Database>() {
    const USERS: i64 = 40;
    let (database, store) = populated::<D>(USERS).await;
    let other = database.open().await;
    for round in 1..=3 {
        // User `n` has `n` events more in each round; what another replica does counts at once.
        for of in 1..=USERS {
            let batch: Vec<_> =
                (0..of).map(|i| chat(of, of, &format!("{round} {i}"), "x")).collect();
            other.append(&batch).await.unwrap();
        }
        let epoch = other.rotate_epoch().await.unwrap();
        let mut asking = JoinSet::new();
        for of in (1..=USERS).chain([1, 77]) {
            let store = store.clone();
            asking.spawn(async move { (of, store.timeline_state(user(of)).await.unwrap()) });
        }
        for (of, standing) in asking.join_all().await {
            let range = match of {
                77 => TimelineRange::EMPTY,
                _ => TimelineRange { first: seq(1), last: seq(round * of) },
            };
            assert_eq!(standing, TimelineState { epoch, range }, "{of}");
        }
    }
    store.trim_timeline(user(USERS), seq(7)).await.unwrap();
    let standing = store.timeline_state(user(USERS)).await.unwrap();
    assert_eq!(standing.range, store.timeline_range(user(USERS)).await.unwrap());
    assert_eq!(standing.epoch, store.epoch().await.unwrap());
}
