//! Pictures: kept while somebody has them, and no longer.

use std::sync::Arc;

use bytes::Bytes;
use imserver::{
    domain::{AvatarHash, AvatarUrl, User, UserFacts},
    store::Store,
};
use tokio::task::JoinSet;

use super::{Database, populated, user};

/// Gives a user a picture.
async fn give(store: &dyn Store, id: i64, picture: &'static str) -> Option<User> {
    let (hash, bytes) = (hash(picture), Bytes::from_static(picture.as_bytes()));
    store.set_avatar(user(id), &hash, "image/png", bytes).await.unwrap()
}

fn hash(picture: &str) -> AvatarHash {
    AvatarHash::of(picture.as_bytes())
}

/// Which of these pictures are kept.
async fn kept<const N: usize>(store: &dyn Store, pictures: [&str; N]) -> [bool; N] {
    let mut kept = [false; N];
    for (kept, picture) in kept.iter_mut().zip(pictures) {
        *kept = store.avatar(&hash(picture)).await.unwrap().is_some();
    }
    kept
}

pub(super) async fn avatars_are_kept_by_their_hash<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let picture = Bytes::from_static(b"\x89PNG\0\xff");
    let hash = AvatarHash::of(&picture);
    assert_eq!(store.avatar(&hash).await.unwrap(), None);
    let nobody = store.set_avatar(user(77), &hash, "image/png", picture.clone()).await.unwrap();
    assert_eq!(nobody, None);
    assert_eq!(store.avatar(&hash).await.unwrap(), None, "not kept for nobody");

    for id in [1, 2, 1] {
        let set = store.set_avatar(user(id), &hash, "image/png", picture.clone()).await.unwrap();
        assert_eq!(set.unwrap().avatar, Some(hash.clone()));
    }
    assert_eq!(store.users(&[user(1)]).await.unwrap()[0].avatar, Some(hash.clone()));
    assert_eq!(store.avatar(&hash).await.unwrap(), Some(("image/png".to_owned(), picture)));

    let other = AvatarHash::of(b"other");
    let other_picture = Bytes::from_static(b"other");
    store.set_avatar(user(1), &other, "image/webp", other_picture).await.unwrap();
    assert_eq!(store.users(&[user(1)]).await.unwrap()[0].avatar, Some(other));
    assert!(store.avatar(&hash).await.unwrap().is_some(), "somebody else has it");
}

pub(super) async fn a_replaced_picture_goes_unless_somebody_has_it<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    for id in [1, 2] {
        give(&*store, id, "first").await;
    }
    give(&*store, 1, "second").await;
    assert_eq!(kept(&*store, ["first", "second"]).await, [true, true]);
    give(&*store, 2, "second").await;
    assert_eq!(kept(&*store, ["first", "second"]).await, [false, true]);
    // The same again takes nothing away.
    give(&*store, 2, "second").await;
    give(&*store, 1, "third").await;
    assert_eq!(kept(&*store, ["second", "third"]).await, [true, true]);
    // Neither does a picture for nobody.
    assert_eq!(give(&*store, 77, "fourth").await, None);
    store.erase_user(user(2)).await.unwrap();
    assert_eq!(give(&*store, 2, "fourth").await, None);
    assert_eq!(kept(&*store, ["second", "third", "fourth"]).await, [false, true, false]);
}

/// Each of sixteen people goes through the same few pictures, at two replicas, and some are erased
/// meanwhile: what one has just let go another takes up.
pub(super) async fn writers_of_few_pictures_lose_none_and_leave_none<D: Database>() {
    const PICTURES: [&str; 3] = ["a", "b", "c"];
    const WRITERS: i64 = 16;
    let (database, store) = populated::<D>(WRITERS).await;
    let stores = [Arc::clone(&store), database.open().await];
    let mut writers = JoinSet::new();
    for id in 1..=WRITERS {
        let store = Arc::clone(&stores[usize::from(id % 2 == 0)]);
        writers.spawn(async move {
            for round in 0..24 {
                let picture = PICTURES[usize::try_from(id * 7 + round * round).unwrap() % 3];
                give(&*store, id, picture).await.unwrap();
                if round == 12 && id % 4 == 0 {
                    store.drop_unused_avatars(None, 10).await.unwrap();
                }
            }
            if id % 4 == 1 {
                store.erase_user(user(id)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let ids: Vec<_> = (1..=WRITERS).map(user).collect();
    let people = store.users(&ids).await.unwrap();
    assert_eq!(people.len(), 12);
    let mut had = [false; 3];
    for person in people {
        let avatar = person.avatar.unwrap();
        assert!(store.avatar(&avatar).await.unwrap().is_some(), "{} has none", person.id);
        let place = PICTURES.iter().position(|picture| hash(picture) == avatar).unwrap();
        had[place] = true;
    }
    assert_eq!(kept(&*store, PICTURES).await, had, "what nobody has is not kept");
}

pub(super) async fn an_upload_counts_in_place_of_a_picture_elsewhere<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    let url = AvatarUrl::parse("https://shop.example/1.png");
    let facts = UserFacts { name: None, avatar_url: Some(url.clone()), profile: None };
    let first = give(&*store, 1, "first").await.unwrap();
    let told = store.update_user(user(1), &facts).await.unwrap().unwrap();
    assert_eq!(told, User { avatar_url: url, ..first });
    assert_eq!(store.users(&[user(1)]).await.unwrap(), std::slice::from_ref(&told));
    let own = give(&*store, 1, "second").await.unwrap();
    assert_eq!(own, User { avatar: Some(hash("second")), avatar_url: None, ..told });
}

pub(super) async fn pictures_of_old_are_dropped_page_by_page<D: Database>() {
    const PICTURES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
    let (database, store) = populated::<D>(7).await;
    for (id, picture) in (1..).zip(PICTURES) {
        give(&*store, id, picture).await;
    }
    // As earlier versions left them.
    database.tamper("UPDATE users SET avatar = NULL WHERE id IN (1, 3, 4, 7)").await;
    let mut all: Vec<_> = PICTURES.map(hash).into();
    all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    let (mut last, mut ends) = (None, Vec::new());
    loop {
        last = store.drop_unused_avatars(last.as_ref(), 3).await.unwrap();
        let Some(end) = &last else { break };
        ends.push(end.clone());
    }
    assert_eq!(ends, [all[2].clone(), all[5].clone(), all[6].clone()]);
    assert_eq!(kept(&*store, PICTURES).await, [false, true, false, false, true, true, false]);
}
