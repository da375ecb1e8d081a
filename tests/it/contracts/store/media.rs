//! Uploads: what is found, who may send it, and what is collected.

use std::{sync::Arc, time::Duration};

use imserver::{
    accounts,
    clock::Timestamp,
    domain::{ChatId, FileName, Media, MediaId, MediaShape},
    store::Store,
};
use sqlx::Connection;
use tokio::task::JoinSet;

use super::{Database, populated, postgres::PgDatabase, send, user};
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
async fn kept(store: &dyn Store, owner: i64) -> MediaId {
    let media = upload(owner);
    store.begin_media(&media).await.unwrap();
    assert!(store.keep_media(media.id).await.unwrap());
    media.id
}

async fn collect(store: &dyn Store) -> Vec<MediaId> {
    let mut collected = store.collect_media(LATER, 100).await.unwrap();
    collected.sort_unstable();
    collected
}

/// A chat, which shows nothing yet.
async fn sent(store: &dyn Store, sender: i64, target: i64) -> ChatId {
    send(store, sender, target, "[图片]").await.chat.id
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
    let chat = sent(&*store, 1, 2).await;
    sent(&*store, 2, 3).await;
    assert!(!may_send(2).await, "no chat shows it");
    assert_eq!(store.note_media(chat, &[id]).await.unwrap(), [id]);
    assert!(may_send(2).await, "who got it may forward it");
    assert!(!may_send(3).await && !may_send(4).await, "others may not");
    let forwarded = sent(&*store, 2, 3).await;
    store.note_media(forwarded, &[id]).await.unwrap();
    assert!(may_send(3).await && !may_send(4).await);
    database
        .tamper(&format!("UPDATE chats SET state = 'recalled' WHERE id = {}", forwarded.get()))
        .await;
    assert!(may_send(2).await && !may_send(3).await, "a recalled chat shows nothing");
    database.tamper("UPDATE members SET state = 'left' WHERE user_id = 2").await;
    assert!(may_send(1).await && !may_send(2).await, "who has left reads nothing");
}

pub(super) async fn what_no_chat_shows_is_collected<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let (unused, used) = (kept(&*store, 1).await, kept(&*store, 1).await);
    let begun = upload(1);
    store.begin_media(&begun).await.unwrap();
    let (first, second) = (sent(&*store, 1, 2).await, sent(&*store, 2, 1).await);
    for chat in [first, second, first] {
        assert_eq!(store.note_media(chat, &[used]).await.unwrap(), [used]);
    }
    let early = Timestamp::from_millis(1);
    assert_eq!(store.collect_media(early, 100).await.unwrap(), [], "none is so old");
    let mut expected = vec![unused, begun.id];
    expected.sort_unstable();
    assert_eq!(collect(&*store).await, expected);
    for gone in &expected {
        assert_eq!(store.media(*gone).await.unwrap(), None);
        assert_eq!(store.sendable_media(user(1), *gone).await.unwrap(), None);
        assert!(!store.keep_media(*gone).await.unwrap());
        assert_eq!(store.note_media(first, &[*gone]).await.unwrap(), [], "no chat takes it");
    }
    assert_eq!(collect(&*store).await, expected, "until they are forgotten");
    store.forget_media(&[unused, begun.id, used]).await.unwrap();
    assert_eq!(collect(&*store).await, []);
    assert!(store.media(used).await.unwrap().is_some(), "what is in use is not forgotten");

    // One of two chats is enough.
    store.release_media(first).await.unwrap();
    assert_eq!(collect(&*store).await, []);
    for _ in 0..2 {
        store.release_media(second).await.unwrap();
    }
    assert_eq!(store.collect_media(early, 100).await.unwrap(), [], "unused since just now");
    let again = sent(&*store, 1, 2).await;
    assert_eq!(store.note_media(again, &[used]).await.unwrap(), [used], "and in use again");
    assert_eq!(collect(&*store).await, []);
    store.release_media(again).await.unwrap();
    assert_eq!(collect(&*store).await, [used]);
    store.forget_media(&[used]).await.unwrap();
    assert_eq!(database.count("media").await, 0);
}

pub(super) async fn what_an_erased_user_has_sent_is_collected<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let (own, forwarded) = (kept(&*store, 1).await, kept(&*store, 1).await);
    let (by_one, by_other) = (sent(&*store, 1, 2).await, sent(&*store, 2, 1).await);
    store.note_media(by_one, &[own, forwarded]).await.unwrap();
    store.note_media(by_other, &[forwarded]).await.unwrap();
    assert!(accounts::erase(&*store, user(1)).await.unwrap());
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
    let mut chats = Vec::new();
    for _ in 0..12 {
        chats.push(sent(&*store, 1, 2).await);
    }
    for round in 0..8 {
        let mut ids = Vec::new();
        for _ in 0..6 {
            ids.push(kept(&*store, 1).await);
        }
        ids.sort_unstable();
        let mut calls: JoinSet<Vec<MediaId>> = JoinSet::new();
        for (index, chat) in chats.iter().copied().enumerate() {
            let at: Arc<dyn Store> = Arc::clone(if index % 2 == 0 { &store } else { &other });
            let ids = ids.clone();
            calls.spawn(async move {
                // Of the second half of the chats all are recalled at once.
                let shown = at.note_media(chat, &ids[index % 3..]).await.unwrap();
                if index >= 6 {
                    at.release_media(chat).await.unwrap();
                    return Vec::new();
                }
                shown
            });
        }
        let collector = Arc::clone(&other);
        let collected =
            tokio::spawn(async move { collector.collect_media(LATER, 100).await.unwrap() });
        let shown: Vec<_> = calls.join_all().await.concat();
        let collected = collected.await.unwrap();
        for id in shown {
            assert!(!collected.contains(&id), "round {round}: collected under a chat");
            assert!(store.media(id).await.unwrap().is_some(), "round {round}");
        }
        for chat in &chats {
            store.release_media(*chat).await.unwrap();
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
    let chat = sent(&*store, 1, 2).await;
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
