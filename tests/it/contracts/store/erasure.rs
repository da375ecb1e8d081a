//! Erasing a user.

use std::time::Duration;

use bytes::Bytes;
use imserver::{
    accounts,
    clock::Timestamp,
    domain::{AvatarHash, ClientMsgId, Role, UserName},
    store::{Appended, Store, StoreError, TimelineRange, TokenHash, Window},
};
use tokio::task::JoinSet;

use super::{
    Database, chat, demo_user, members, name, populated, send, timeline, user, wechat_user,
};

const NOW: Timestamp = Timestamp::from_millis(1_000);
const LONG: Duration = Duration::from_hours(1);

async fn log_in(store: &dyn Store, id: i64, token: u8) -> Result<(), StoreError> {
    store.create_session(TokenHash([token; 32]), user(id), NOW, LONG, LONG).await.map(drop)
}

pub(super) async fn what_says_who_it_was_goes<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let (demo, wechat) = (demo_user(&*store, "张三").await, wechat_user(&*store, "oA").await);
    let pictures = [b"first", b"other"].map(|bytes| {
        let bytes = Bytes::from_static(bytes);
        (AvatarHash::of(&bytes), bytes)
    });
    for (hash, bytes) in &pictures {
        store.set_avatar(demo.id, hash, "image/png", bytes.clone()).await.unwrap();
    }
    let (shared, bytes) = &pictures[1];
    store.set_avatar(user(2), shared, "image/png", bytes.clone()).await.unwrap();
    store.save_last_seen(&[(demo.id, NOW), (user(2), NOW)]).await.unwrap();
    log_in(&*store, demo.id.get(), 1).await.unwrap();
    log_in(&*store, 2, 2).await.unwrap();

    assert!(!store.erase_user(user(77)).await.unwrap(), "there never was one");
    for _ in 0..2 {
        assert!(store.erase_user(demo.id).await.unwrap());
    }
    assert!(store.users(&[demo.id]).await.unwrap().is_empty());
    assert_eq!(store.rename(demo.id, &name("back")).await.unwrap(), None);
    let again = store.set_avatar(demo.id, shared, "image/png", bytes.clone()).await.unwrap();
    assert_eq!(again, None);
    assert!(store.search_users(user(2), UserName::erased().as_str(), 10).await.unwrap().is_empty());
    assert!(store.avatar(&pictures[0].0).await.unwrap().is_none(), "nobody has it");
    assert!(store.avatar(shared).await.unwrap().is_some(), "somebody else has it");
    // Its sockets go after it.
    store.save_last_seen(&[(demo.id, NOW.after(LONG)), (user(2), NOW.after(LONG))]).await.unwrap();
    let seen = store.last_seen(&[demo.id, user(2)]).await.unwrap();
    assert_eq!(seen, [(user(2), NOW.after(LONG))].into());

    assert!(store.session(TokenHash([1; 32])).await.unwrap().unwrap().revoked);
    assert!(!store.session(TokenHash([2; 32])).await.unwrap().unwrap().revoked);
    let refused = log_in(&*store, demo.id.get(), 3).await.unwrap_err();
    assert!(matches!(refused, StoreError::Rejected(_)), "{refused:?}");
    // The same way in leads to somebody else.
    assert_ne!(demo_user(&*store, "张三").await.id, demo.id);
    assert!(store.erase_user(wechat.id).await.unwrap());
    assert_ne!(wechat_user(&*store, "oA").await.id, wechat.id);
}

pub(super) async fn its_words_go_and_timelines_of_others_stay<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    for word in ["eins", "zwei", "drei"] {
        send(&*store, 1, 2, word).await;
        send(&*store, 2, 1, word).await;
    }
    let conversation = send(&*store, 1, 2, "vier").await.chat.conversation_id;
    let before = timeline(&*store, 2).await;
    assert!(accounts::erase(&*store, user(1), |_| ()).await.unwrap());

    assert_eq!(timeline(&*store, 2).await, before, "no event is missing");
    let page = store.chats(user(2), conversation, Window::Newest, 10).await.unwrap().unwrap();
    let seen: Vec<_> = page.chats.iter().map(|chat| (chat.user_id.get(), &*chat.content)).collect();
    let [a, b, c] = [(2, "eins"), (2, "zwei"), (2, "drei")];
    assert_eq!(
        seen,
        [(1, ""), a, (1, ""), b, (1, ""), c, (1, "")],
        "another's words are another's"
    );
    assert_eq!(page.chats[0].user_name, UserName::erased());
    let peer =
        store.conversations(user(2), None, 1).await.unwrap().conversations.remove(0).peer.unwrap();
    assert_eq!((peer.user.name, peer.user.avatar), (UserName::erased(), None));
    assert_eq!(store.timeline_range(user(1)).await.unwrap(), TimelineRange::EMPTY);

    // Neither can it be written to, nor does it write, nor does it come back.
    store.ensure_users(&[(user(1), name("back"))]).await.unwrap();
    let batch = [chat(2, 1, "to", "x"), chat(1, 2, "from", "x"), chat(2, 3, "others", "x")];
    let answers = store.append(&batch).await.unwrap();
    assert_eq!(answers[..2], [Appended::TargetNotFound, Appended::SenderNotFound]);
    assert!(matches!(answers[2], Appended::Committed(_)));
    assert!(store.users(&[user(1)]).await.unwrap().is_empty());
}

pub(super) async fn groups_are_left_and_recalled_words_go<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let group = members::begin(&*store, 1, &[2, 3]).await.0;
    let recalled = send(&*store, 1, 2, "secret").await.chat.id;
    let window = Duration::from_mins(2);
    store.recall(user(1), recalled, window).await.unwrap();
    let others = send(&*store, 2, 3, "kept").await.chat.id;
    store.recall(user(2), others, window).await.unwrap();
    assert_eq!(database.count("chat_revisions").await, 2);
    assert!(accounts::erase(&*store, user(1), |_| ()).await.unwrap());

    let page = store.members(user(2), group, None, 10).await.unwrap().unwrap();
    let members: Vec<_> = page.members.iter().map(|(user, it)| (user.id.get(), it.role)).collect();
    assert_eq!(members, [(2, Role::Owner), (3, Role::Member)]);
    assert_eq!(store.some_groups(user(1), 10).await.unwrap(), []);
    assert_eq!(store.some_groups(user(2), 10).await.unwrap(), [group]);
    assert_eq!(database.count("chat_revisions").await, 1, "another's words are another's");
}

pub(super) async fn words_are_blanked_page_by_page<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let batch = ["b", "a", "c", "~"].map(|key| chat(1, 2, key, "word"));
    store.append(&batch).await.unwrap();
    let mut last: Option<ClientMsgId> = None;
    let mut left = Vec::new();
    loop {
        last = store.blank_chats(user(1), last.as_ref(), 3).await.unwrap();
        let chats = store.latest_chats(user(2), 10).await.unwrap();
        left.push(chats.iter().filter(|chat| !chat.content.is_empty()).count());
        if last.is_none() {
            break;
        }
    }
    assert_eq!(left, [1, 0, 0]);
    assert_eq!(store.blank_chats(user(2), None, 3).await.unwrap(), None);
}

/// Whatever was committed beside an erasure is blank, and nothing is committed after it.
pub(super) async fn no_word_and_no_session_slips_past_an_erasure<D: Database>() {
    const ROUNDS: i64 = 12;
    let (database, store) = populated::<D>(ROUNDS).await;
    let other = database.open().await;
    for erased in 1..ROUNDS {
        let mut busy = JoinSet::new();
        for n in 0..8_u8 {
            let store = other.clone();
            busy.spawn(async move {
                let words = [chat(erased, ROUNDS, &format!("{n}"), "word")];
                // On Postgres a replica appends one batch at a time; this one waits its turn.
                store.append(&words).await.unwrap();
                let token = u8::try_from(erased).unwrap() * 10 + n;
                let _ = log_in(&*store, erased, token).await;
            });
        }
        assert!(accounts::erase(&*store, user(erased), |_| ()).await.unwrap());
        busy.join_all().await;
        for n in 0..8_u8 {
            let token = u8::try_from(erased).unwrap() * 10 + n;
            let session = store.session(TokenHash([token; 32])).await.unwrap();
            assert!(session.is_none_or(|session| session.revoked));
        }
    }
    let chats = store.latest_chats(user(ROUNDS), 1_000).await.unwrap();
    assert!(chats.iter().all(|chat| chat.content.is_empty()), "{} chats", chats.len());
}
