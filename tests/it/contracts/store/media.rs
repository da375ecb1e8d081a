//! Uploads: what is found, who may send it, and what is collected.

use std::{sync::Arc, time::Duration};

use imserver::{
    accounts,
    clock::Timestamp,
    domain::{
        ChatId, ChatKind, ChatState, ClientMsgId, FileName, Media, MediaId, MediaShape, Payload,
    },
    store::{Appended, NewChat, Recalled, Store},
};
use sqlx::Connection;
use tokio::task::JoinSet;

use super::{Database, chat, populated, postgres::PgDatabase, send, user};
use crate::harness::postgres;

/// Later than everything.
const LATER: Timestamp = Timestamp::from_millis(1 << 50);

/// An upload of this user.
fn upload(owner: i64) -> Media {
    let shape = MediaShape::Image { width: 1_080, height: 1_440, thumb_size: 9_000 };
    let (id, owner) = (MediaId::random(), user(owner));
    let content_type = "image/jpeg".to_owned();
    Media { id, owner, content_type, size: 183_000, sha256: [7; 32], shape }
}

/// An upload that is stored.
pub(super) async fn kept(store: &dyn Store, owner: i64) -> MediaId {
    let media = upload(owner);
    store.begin_media(&media).await.unwrap();
    assert!(store.keep_media(media.id).await.unwrap());
    media.id
}

pub(super) async fn collect(store: &dyn Store) -> Vec<MediaId> {
    let mut collected = store.collect_media(LATER, 100).await.unwrap();
    collected.sort_unstable();
    collected
}

/// A chat that shows this upload.
pub(super) fn showing(sender: i64, target: i64, id: MediaId) -> NewChat {
    NewChat {
        kind: ChatKind::Image,
        client_msg_id: ClientMsgId::random(),
        media: Some(id),
        ..chat(sender, target, "-", "[图片]")
    }
}

/// Sends a chat that shows this upload. `None`: it cannot.
async fn show(store: &dyn Store, sender: i64, target: i64, id: MediaId) -> Option<ChatId> {
    match store.append(&[showing(sender, target, id)]).await.unwrap().remove(0) {
        Appended::Committed(committed) => Some(committed.chat.id),
        Appended::MediaNotFound => None,
        other => panic!("{other:?}"),
    }
}

async fn recall(store: &dyn Store, actor: i64, chat: ChatId) {
    let recalled = store.recall(user(actor), chat, Duration::from_mins(2)).await.unwrap();
    assert!(matches!(recalled, Recalled::Done(..)), "{recalled:?}");
}

pub(super) async fn an_upload_is_found_once_it_is_stored<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    let image = upload(1);
    let duration = Duration::from_millis(59_999);
    let voice = Media {
        content_type: "audio/mpeg".to_owned(),
        shape: MediaShape::Voice { duration },
        ..upload(1)
    };
    let name = FileName::sanitise("年度报告 'x'.pdf");
    let file = Media {
        content_type: "application/pdf".to_owned(),
        size: 20_000_000,
        shape: MediaShape::File { name },
        ..upload(1)
    };
    for media in [image, voice, file] {
        assert_eq!(store.media(media.id).await.unwrap(), None);
        assert!(!store.keep_media(media.id).await.unwrap(), "it was not begun");
        store.begin_media(&media).await.unwrap();
        assert_eq!(store.media(media.id).await.unwrap(), None, "its bytes are not stored");
        assert_eq!(store.sendable_media(user(1), media.id).await.unwrap(), None);
        assert!(store.keep_media(media.id).await.unwrap());
        assert_eq!(store.media(media.id).await.unwrap(), Some(media));
    }
}

pub(super) async fn who_can_read_it_can_send_it<D: Database>() {
    let (database, store) = populated::<D>(4).await;
    let id = kept(&*store, 1).await;
    let may_send = async |of: i64| store.sendable_media(user(of), id).await.unwrap().is_some();
    assert!(may_send(1).await && !may_send(2).await, "one's own");
    let first = show(&*store, 1, 2, id).await.unwrap();
    assert!(may_send(2).await, "who got it may forward it");
    assert!(!may_send(3).await && !may_send(4).await, "others may not");
    let forwarded = show(&*store, 2, 3, id).await.unwrap();
    assert!(may_send(3).await && !may_send(4).await);
    recall(&*store, 2, forwarded).await;
    assert!(may_send(2).await && !may_send(3).await, "a recalled chat shows nothing");
    store.delete_for(user(2), first).await.unwrap().unwrap();
    assert!(may_send(1).await && !may_send(2).await, "who has deleted it reads it no more");
    let again = show(&*store, 1, 2, id).await.unwrap();
    assert!(may_send(2).await && again > first);
    database.tamper("UPDATE members SET state = 'left' WHERE user_id = 2").await;
    assert!(may_send(1).await && !may_send(2).await, "who has left sends nothing of it");
}

pub(super) async fn what_no_chat_shows_is_collected<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let (unused, used) = (kept(&*store, 1).await, kept(&*store, 1).await);
    let begun = upload(1);
    store.begin_media(&begun).await.unwrap();
    assert_eq!(show(&*store, 1, 2, begun.id).await, None, "its bytes are not stored");
    let first = show(&*store, 1, 2, used).await.unwrap();
    let second = show(&*store, 2, 1, used).await.unwrap();
    let early = Timestamp::from_millis(1);
    assert_eq!(store.collect_media(early, 100).await.unwrap(), [], "none is so old");
    let mut expected = vec![unused, begun.id];
    expected.sort_unstable();
    assert_eq!(collect(&*store).await, expected);
    for gone in &expected {
        assert_eq!(store.media(*gone).await.unwrap(), None);
        assert_eq!(store.sendable_media(user(1), *gone).await.unwrap(), None);
        assert!(!store.keep_media(*gone).await.unwrap());
        assert_eq!(show(&*store, 1, 2, *gone).await, None, "no chat takes it");
    }
    assert_eq!(collect(&*store).await, expected, "until they are forgotten");
    store.forget_media(&[unused, begun.id, used]).await.unwrap();
    assert_eq!(collect(&*store).await, []);
    assert!(store.media(used).await.unwrap().is_some(), "what is in use is not forgotten");

    // One of two chats is enough.
    recall(&*store, 1, first).await;
    assert_eq!(collect(&*store).await, []);
    for _ in 0..2 {
        recall(&*store, 2, second).await;
    }
    assert_eq!(store.collect_media(early, 100).await.unwrap(), [], "unused since just now");
    let again = show(&*store, 1, 2, used).await.unwrap();
    assert_eq!(collect(&*store).await, [], "and in use again");
    recall(&*store, 1, again).await;
    assert_eq!(collect(&*store).await, [used]);
    store.forget_media(&[used]).await.unwrap();
    assert_eq!(database.count("media").await, 0);
}

/// The key of a chat outlives what it showed.
pub(super) async fn a_repeat_needs_no_upload<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let (id, other) = (kept(&*store, 1).await, kept(&*store, 1).await);
    let asked = |id: MediaId| {
        let asked = NewChat { media: None, body: None, ..showing(1, 2, id) };
        let body = Payload::parse(format!(r#"{{"mediaId":"{id}"}}"#)).ok();
        Some(NewChat { body, ..asked }.digest())
    };
    let first = NewChat { asked: asked(id), ..showing(1, 2, id) };
    let Appended::Committed(committed) = append(&*store, &first).await else { panic!() };
    assert!(matches!(append(&*store, &first).await, Appended::Repeat(_)));
    recall(&*store, 1, committed.chat.id).await;
    let mut gone = vec![id, other];
    gone.sort_unstable();
    assert_eq!(collect(&*store).await, gone);
    let repeat = NewChat { media: None, ..first.clone() };
    let Appended::Repeat(again) = append(&*store, &repeat).await else { panic!() };
    assert_eq!(again.chat.state, Some(ChatState::Recalled));
    let reused = NewChat { asked: asked(other), media: Some(other), ..first.clone() };
    assert_eq!(append(&*store, &reused).await, Appended::KeyReused);
    let new = NewChat { client_msg_id: ClientMsgId::random(), ..repeat };
    assert_eq!(append(&*store, &new).await, Appended::MediaNotFound);
}

async fn append(store: &dyn Store, new: &NewChat) -> Appended {
    store.append(std::slice::from_ref(new)).await.unwrap().remove(0)
}

pub(super) async fn what_an_erased_user_has_sent_is_collected<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let (own, forwarded) = (kept(&*store, 1).await, kept(&*store, 1).await);
    for id in [own, forwarded] {
        show(&*store, 1, 2, id).await.unwrap();
    }
    show(&*store, 2, 1, forwarded).await.unwrap();
    assert!(accounts::erase(&*store, user(1), |_| ()).await.unwrap());
    assert_eq!(collect(&*store).await, [own], "what somebody else shows too stays");
}

pub(super) async fn uploads_are_collected_page_by_page<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(kept(&*store, 1).await);
    }
    let mut found = Vec::new();
    loop {
        let page = store.collect_media(LATER, 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        store.forget_media(&page).await.unwrap();
        found.extend(page);
    }
    all.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, all);
}

/// Replicas send, recall and collect at the same time.
pub(super) async fn nothing_is_collected_under_a_chat<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let other = database.open().await;
    for round in 0..8 {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(kept(&*store, 1).await);
        }
        let mut calls = JoinSet::new();
        for index in 0..12 {
            let at: Arc<dyn Store> = Arc::clone(if index % 2 == 0 { &store } else { &other });
            let id = ids[index % 3];
            calls.spawn(async move {
                let chat = show(&*at, 1, 2, id).await?;
                // Of the second half of the chats all are recalled at once.
                if index >= 6 {
                    recall(&*at, 1, chat).await;
                    return None;
                }
                Some((chat, id))
            });
        }
        let collector = Arc::clone(&other);
        let collected =
            tokio::spawn(async move { collector.collect_media(LATER, 100).await.unwrap() });
        let shown: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
        let collected = collected.await.unwrap();
        for (_, id) in &shown {
            assert!(!collected.contains(id), "round {round}: collected under a chat");
            assert!(store.media(*id).await.unwrap().is_some(), "round {round}");
        }
        for (chat, _) in shown {
            recall(&*store, 1, chat).await;
        }
        let left = collect(&*store).await;
        store.forget_media(&left).await.unwrap();
        assert_eq!(database.count("media").await, 0, "round {round}: all was collected");
    }
}

pub(super) async fn the_newest_key_signs_and_others_last_for_a_while<D: Database>() {
    let (database, store) = populated::<D>(1).await;
    let other = database.open().await;
    let keep = Duration::from_hours(48);
    assert_eq!(store.media_keys().await.unwrap(), []);
    store.ensure_media_key([1; 32]).await.unwrap();
    other.ensure_media_key([2; 32]).await.unwrap();
    let first = other.media_keys().await.unwrap();
    assert_eq!(first.iter().map(|key| key.secret).collect::<Vec<_>>(), [[1; 32]]);
    let second = store.rotate_media_key([3; 32], keep).await.unwrap();
    let secrets = async || -> Vec<u8> {
        let keys = other.media_keys().await.unwrap();
        keys.iter().map(|key| key.secret[0]).collect()
    };
    assert_eq!(other.media_keys().await.unwrap()[0].id, second);
    assert!(second > first[0].id);
    assert_eq!(secrets().await, [3, 1]);
    // The second key has signed for three days when it is replaced, so the first goes and it stays.
    database.tamper("UPDATE media_keys SET created_at = created_at - 259200000").await;
    store.rotate_media_key([4; 32], keep).await.unwrap();
    assert_eq!(secrets().await, [4, 3]);
}

/// The rows of what a batch sends are locked until its commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_sent_is_not_collected() {
    let (database, store) = populated::<PgDatabase>(2).await;
    let (sending, unused) = (kept(&*store, 1).await, kept(&*store, 1).await);
    let chat = send(&*store, 1, 2, "[图片]").await.chat.id;
    let mut batch = postgres::connect(database.url()).await;
    let mut batch = batch.begin().await.unwrap();
    let lock = "SELECT id FROM media WHERE state = 'kept' AND id = $1 ORDER BY id FOR KEY SHARE";
    sqlx::query(lock).bind(sending).execute(&mut *batch).await.unwrap();
    assert_eq!(collect(&*store).await, [unused], "the other one is not waited for");
    sqlx::query("INSERT INTO chat_media (chat_id, media_id) VALUES ($1, $2)")
        .bind(chat)
        .bind(sending)
        .execute(&mut *batch)
        .await
        .unwrap();
    batch.commit().await.unwrap();
    assert_eq!(collect(&*store).await, [unused], "a chat shows it, whatever else is noted");
}
