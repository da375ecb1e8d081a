//! Who may not write: blocks, restrictions, and what is fixed about conversations.

use std::{collections::HashMap, time::Duration};

use imserver::{
    accounts,
    clock::Timestamp,
    domain::{Block, ConversationId, ConversationKey, Restriction, RestrictionKind, UserId},
    store::{ConversationOrigin, Standing, Store},
};

use super::{Database, groups, populated, send, user};

const LONG: Duration = Duration::from_hours(1);

fn block(by: i64, of: i64) -> Block {
    Block { by: user(by), of: user(of) }
}

async fn standing(store: &dyn Store, of: i64, limit: u32) -> Standing {
    store.standings(&[user(of)], limit).await.unwrap().remove(0)
}

/// The blocks of a user, as pairs of ids.
async fn blocks(store: &dyn Store, of: i64) -> Option<Vec<(i64, i64)>> {
    let blocks = standing(store, of, 10).await.blocks?;
    let mut pairs: Vec<_> = blocks.iter().map(|it| (it.by.get(), it.of.get())).collect();
    pairs.sort_unstable();
    Some(pairs)
}

/// Whose standing was noted to have changed.
async fn changed(store: &dyn Store) -> Vec<i64> {
    let changed = store.changed_standings(None, LONG).await.unwrap();
    let mut users: Vec<_> = changed.users.into_keys().map(UserId::get).collect();
    users.sort_unstable();
    users
}

pub(super) async fn a_block_is_between_two_until_it_is_taken_back<D: Database>() {
    let (_database, store) = populated::<D>(5).await;
    assert!(!store.block(block(1, 77)).await.unwrap(), "there is nobody");
    assert_eq!(changed(&*store).await, [0_i64; 0]);
    for _ in 0..2 {
        assert!(store.block(block(1, 2)).await.unwrap());
    }
    store.block(block(3, 1)).await.unwrap();
    store.block(block(1, 4)).await.unwrap();
    assert_eq!(changed(&*store).await, [1, 2, 3, 4]);
    assert_eq!(blocks(&*store, 1).await.unwrap(), [(1, 2), (1, 4), (3, 1)]);
    assert_eq!(blocks(&*store, 2).await.unwrap(), [(1, 2)]);
    assert_eq!(blocks(&*store, 5).await.unwrap(), []);
    assert_eq!(standing(&*store, 1, 2).await.blocks, None, "more than was asked for");
    let between = store.blocks_between(user(1), &[user(2), user(3), user(5)]).await.unwrap();
    assert_eq!(between, [block(1, 2), block(3, 1)]);

    let page = store.blocks(user(1), None, 1).await.unwrap();
    assert_eq!((page.blocks[0].0.id, page.has_more), (user(2), true));
    let page = store.blocks(user(1), Some(user(2)), 1).await.unwrap();
    assert_eq!((page.blocks[0].0.id, page.has_more), (user(4), false));

    for _ in 0..2 {
        store.unblock(block(1, 2)).await.unwrap();
    }
    assert_eq!(blocks(&*store, 2).await.unwrap(), []);
    // An erasure takes what is about either.
    assert!(accounts::erase(&*store, user(1), |_| ()).await.unwrap());
    assert_eq!(blocks(&*store, 3).await.unwrap(), []);
    assert!(!store.block(block(2, 1)).await.unwrap());
}

pub(super) async fn whoever_is_blocked_does_not_find_the_blocker<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let found = async |searcher: i64, limit| {
        let found = store.search_users(user(searcher), "user-", limit).await.unwrap();
        found.iter().map(|user| user.id.get()).collect::<Vec<_>>()
    };
    store.block(block(1, 2)).await.unwrap();
    assert_eq!(found(2, 9).await, [2, 3]);
    assert_eq!(found(2, 1).await, [2], "as many as are wanted");
    assert_eq!(found(1, 9).await, [1, 2, 3], "the blocker finds everybody");
    store.unblock(block(1, 2)).await.unwrap();
    assert_eq!(found(2, 9).await, [1, 2, 3]);
}

pub(super) async fn whoever_is_blocked_sees_the_read_mark_of_then<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let first = send(&*store, 1, 2, "first").await.chat;
    let last = send(&*store, 1, 2, "last").await.chat;
    let read = async |store: &dyn Store, of: i64| {
        let page = store.conversations(user(of), None, 1).await.unwrap();
        page.conversations[0].peer_read_up_to
    };
    store.mark_read(user(2), first.conversation_id, first.id).await.unwrap();
    store.block(block(2, 1)).await.unwrap();
    store.mark_read(user(2), first.conversation_id, last.id).await.unwrap();
    store.mark_read(user(1), first.conversation_id, last.id).await.unwrap();
    assert_eq!(read(&*store, 1).await, Some(first.id));
    assert_eq!(read(&*store, 2).await, Some(last.id), "the blocker sees the other's as before");
    store.unblock(block(2, 1)).await.unwrap();
    assert_eq!(read(&*store, 1).await, Some(last.id));
}

pub(super) async fn a_restriction_replaces_the_one_before<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let muted = Restriction {
        kind: RestrictionKind::Muted,
        until: Some(Timestamp::from_millis(1_900_000_000_000)),
    };
    let banned = Restriction { kind: RestrictionKind::Banned, until: None };
    assert!(!store.restrict(user(77), Some(muted), None).await.unwrap());
    for restriction in [Some(muted), Some(banned), None, Some(muted)] {
        assert!(store.restrict(user(1), restriction, Some("why")).await.unwrap());
        assert_eq!(
            standing(&*store, 1, 10).await,
            Standing { restriction, blocks: Some(Vec::new()) }
        );
    }
    assert_eq!(changed(&*store).await, [1]);
    assert_eq!(standing(&*store, 2, 10).await.restriction, None);
}

pub(super) async fn standings_come_in_the_order_of_the_users<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let muted = Some(Restriction { kind: RestrictionKind::Muted, until: None });
    store.restrict(user(2), muted, None).await.unwrap();
    store.block(block(1, 2)).await.unwrap();
    let of =
        |restriction, blocks: &[Block]| Standing { restriction, blocks: Some(blocks.to_vec()) };
    let (first, second) = (of(None, &[block(1, 2)]), of(muted, &[block(1, 2)]));
    let nothing = Standing { restriction: None, blocks: Some(Vec::new()) };
    let users = [3, 2, 77, 1, 2].map(user);
    assert_eq!(
        store.standings(&users, 10).await.unwrap(),
        [nothing.clone(), second.clone(), nothing, first, second],
    );
    assert_eq!(store.standings(&[], 10).await.unwrap(), []);
}

pub(super) async fn a_change_of_a_standing_is_found_by_its_time<D: Database>() {
    const SHORT: Duration = Duration::from_mins(5);
    let (database, store) = populated::<D>(4).await;
    store.block(block(1, 2)).await.unwrap();
    let before = store.changed_standings(None, LONG).await.unwrap();
    // As if the clock had jumped by ten minutes.
    database.tamper("UPDATE standing_changes SET changed_at = changed_at - 600000").await;
    assert_eq!(store.changed_standings(None, SHORT).await.unwrap().users, HashMap::new());
    let since = |time| store.changed_standings(Some(time), SHORT);
    let then = before.looked_at.before(Duration::from_mins(15));
    assert_eq!(since(then).await.unwrap().users.len(), 2);
    store.unblock(block(1, 2)).await.unwrap();
    // A time that is yet to come means now.
    let after = since(before.looked_at.after(LONG)).await.unwrap();
    assert!(after.looked_at >= before.looked_at);
    assert_eq!(after.users.len(), 2);
    assert!(after.users.iter().all(|(user, at)| *at >= before.users[user]));
}

pub(super) async fn what_is_fixed_about_a_conversation_is_found<D: Database>() {
    let (database, store) = populated::<D>(4).await;
    let direct = send(&*store, 3, 1, "x").await.chat.conversation_id;
    let group = groups::quiet_group(&database, vec![user(1), user(2)]).await;
    let pair = Some((user(1), user(3)));
    let of_direct = Some(ConversationOrigin { pair, is_managed: false });
    let of_group = Some(ConversationOrigin { pair: None, is_managed: false });
    let unknown = ConversationId::new(99).unwrap();
    let two = |one, other| ConversationKey::pair(user(one), user(other));
    let (keys, origins): (Vec<_>, Vec<_>) = [
        (two(1, 3), of_direct),
        (two(3, 1), of_direct),
        (ConversationKey::Id(direct), of_direct),
        (two(2, 1), None),
        (two(1, 1), None),
        (ConversationKey::Id(group), of_group),
        (ConversationKey::Id(unknown), None),
        (two(1, 3), of_direct),
    ]
    .into_iter()
    .unzip();
    assert_eq!(store.conversation_origins(&keys).await.unwrap(), origins);
    assert_eq!(store.conversation_origins(&[]).await.unwrap(), []);
    database
        .tamper(&format!("UPDATE conversations SET is_managed = true WHERE id = {direct}"))
        .await;
    let origins = store.conversation_origins(&keys[..1]).await.unwrap();
    assert!(origins[0].unwrap().is_managed);
}
