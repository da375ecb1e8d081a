//! Logins.

use std::{collections::HashMap, time::Duration};

use imserver::{
    clock::{Clock, Timestamp},
    domain::SessionId,
    store::{Session, Store, StoreError, TokenHash},
};
use tokio::task::JoinSet;

use super::{Database, populated, user};

const START: Timestamp = Timestamp::from_millis(1_763_804_459_120);
const IDLE: Duration = Duration::from_secs(100);
const MAX: Duration = Duration::from_secs(1_000);

async fn begin(store: &dyn Store, token: u8, of: i64) -> Session {
    let token = TokenHash([token; 32]);
    store.create_session(token, user(of), START, IDLE, MAX).await.unwrap()
}

async fn again(store: &dyn Store, session: &Session) -> Session {
    store.sessions(&[session.id]).await.unwrap()[0]
}

pub(super) async fn a_session_is_found_by_its_token<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let first = begin(&*store, 1, 1).await;
    let second = begin(&*store, 2, 1).await;
    assert_eq!(
        first,
        Session {
            id: first.id,
            user: user(1),
            idle_expires_at: START.after(IDLE),
            expires_at: START.after(MAX),
            revoked: false,
        }
    );
    assert_ne!(first.id, second.id);
    assert_eq!(store.session(TokenHash([1; 32])).await.unwrap(), Some(first));
    assert_eq!(store.session(TokenHash([2; 32])).await.unwrap(), Some(second));
    assert_eq!(store.session(TokenHash([3; 32])).await.unwrap(), None);

    let nowhere = SessionId::new(1 << 40).unwrap();
    let mut found = store.sessions(&[second.id, nowhere, first.id, first.id]).await.unwrap();
    found.sort_by_key(|session| session.id);
    assert_eq!(found, [first, second]);
    assert!(store.sessions(&[]).await.unwrap().is_empty());

    let token = TokenHash([1; 32]);
    let occupied = store.create_session(token, user(2), START, IDLE, MAX).await.unwrap_err();
    assert!(matches!(occupied, StoreError::Rejected(_)), "a token is one session's: {occupied:?}");
    let token = TokenHash([9; 32]);
    let nobody = store.create_session(token, user(77), START, IDLE, MAX).await.unwrap_err();
    assert!(matches!(nobody, StoreError::Rejected(_)), "{nobody:?}");
    assert_eq!(store.session(token).await.unwrap(), None);
}

pub(super) async fn each_of_many_tokens_finds_its_own_session<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let other = database.open().await;
    let mut sessions = HashMap::new();
    for token in 0..100 {
        sessions.insert(token, begin(&*other, token, 1 + i64::from(token % 2)).await);
    }
    // What another replica has ended is ended here at once.
    other.revoke_session(sessions[&7].id).await.unwrap();
    sessions.get_mut(&7).unwrap().revoked = true;
    let mut asking = JoinSet::new();
    for token in (0..120).chain([7, 7]) {
        let store = store.clone();
        asking.spawn(async move { (token, store.session(TokenHash([token; 32])).await.unwrap()) });
    }
    for (token, found) in asking.join_all().await {
        assert_eq!(found.as_ref(), sessions.get(&token), "{token}");
    }
}

pub(super) async fn a_session_ends_of_idleness_and_of_age<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    let clock = Clock::manual(START);
    let session = begin(&*store, 1, 1).await;
    assert!(again(&*store, &session).await.is_live(clock.now()));
    clock.advance(IDLE.saturating_sub(Duration::from_millis(1)));
    assert!(again(&*store, &session).await.is_live(clock.now()));
    clock.advance(Duration::from_millis(1));
    assert!(!again(&*store, &session).await.is_live(clock.now()));

    store.extend_sessions(&[session.id], clock.now().after(MAX * 2)).await.unwrap();
    assert!(again(&*store, &session).await.is_live(clock.now()));
    clock.advance(MAX.saturating_sub(IDLE).saturating_sub(Duration::from_millis(1)));
    assert!(again(&*store, &session).await.is_live(clock.now()));
    clock.advance(Duration::from_millis(1));
    let ended = again(&*store, &session).await;
    assert!(!ended.is_live(clock.now()), "use does not prolong beyond the most");
    assert!(!ended.revoked);
}

pub(super) async fn extending_never_shortens<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    let (first, second) = (begin(&*store, 1, 1).await, begin(&*store, 2, 1).await);
    let third = begin(&*store, 3, 1).await;
    let until = START.after(IDLE * 2);
    store.extend_sessions(&[first.id, second.id], until).await.unwrap();
    store.extend_sessions(&[first.id], START.after(IDLE)).await.unwrap();
    store.extend_sessions(&[], START.after(MAX)).await.unwrap();
    for session in [first, second] {
        let extended = Session { idle_expires_at: until, ..session };
        assert_eq!(again(&*store, &session).await, extended);
    }
    assert_eq!(again(&*store, &third).await, third);
}

pub(super) async fn a_revoked_session_stays_revoked<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    let (session, other) = (begin(&*store, 1, 1).await, begin(&*store, 2, 1).await);
    store.revoke_session(session.id).await.unwrap();
    store.revoke_session(session.id).await.unwrap();
    store.revoke_session(SessionId::new(1 << 40).unwrap()).await.unwrap();
    store.extend_sessions(&[session.id, other.id], START.after(IDLE * 2)).await.unwrap();

    let revoked = again(&*store, &session).await;
    assert_eq!(revoked, Session { revoked: true, ..session }, "and is not extended");
    assert!(!revoked.is_live(START));
    assert_eq!(store.session(TokenHash([1; 32])).await.unwrap(), Some(revoked));
    assert!(again(&*store, &other).await.is_live(START));
}

pub(super) async fn all_sessions_of_a_user_end_at_once<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    assert_eq!(store.revoke_sessions(user(1)).await.unwrap(), None);
    let (first, second) = (begin(&*store, 1, 1).await, begin(&*store, 2, 1).await);
    let other = begin(&*store, 3, 2).await;
    store.revoke_session(first.id).await.unwrap();
    for _ in 0..2 {
        let last = store.revoke_sessions(user(1)).await.unwrap();
        assert_eq!(last, Some(second.id), "also where nothing is left to end");
    }
    for ended in [first, second] {
        assert_eq!(again(&*store, &ended).await, Session { revoked: true, ..ended });
    }
    assert_eq!(again(&*store, &other).await, other);
    let third = begin(&*store, 4, 1).await;
    assert!(third.id > second.id);
    assert!(again(&*store, &third).await.is_live(START));
    assert_eq!(store.revoke_sessions(user(77)).await.unwrap(), None);
}

pub(super) async fn no_session_that_is_begun_meanwhile_is_taken_for_an_old_one<D: Database>() {
    let (database, a) = populated::<D>(1).await;
    let b = database.open().await;
    begin(&*a, 0, 1).await;
    for round in 0..10 {
        let beginning = async {
            let mut begun = Vec::new();
            for number in 1..=20 {
                begun.push(begin(&*b, round * 21 + number, 1).await);
            }
            begun
        };
        let (begun, last) = tokio::join!(beginning, a.revoke_sessions(user(1)));
        let last = last.unwrap().unwrap();
        for session in begun {
            let is_ended = again(&*a, &session).await.revoked;
            assert_eq!(is_ended, session.id <= last, "{} and {last}", session.id);
        }
    }
}

pub(super) async fn all_sessions_of_a_user_end_a_few_at_a_time<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    for token in 1..=5 {
        begin(&*store, token, 1).await;
    }
    let others = begin(&*store, 6, 2).await;
    store
        .revoke_session(store.session(TokenHash([2; 32])).await.unwrap().unwrap().id)
        .await
        .unwrap();
    let (mut calls, mut more) = (0, true);
    while more {
        more = store.revoke_some_sessions(user(1), 2).await.unwrap();
        calls += 1;
    }
    assert_eq!(calls, 3, "four in pairs, and a look whether there are more");
    for token in 1..=5 {
        assert!(store.session(TokenHash([token; 32])).await.unwrap().unwrap().revoked);
    }
    assert_eq!(again(&*store, &others).await, others);
}

pub(super) async fn what_ended_long_ago_is_deleted_page_by_page<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    let mut sessions = Vec::new();
    for token in 0..7 {
        sessions.push(begin(&*store, token, 1).await);
    }
    let extended = START.after(IDLE * 2);
    store.extend_sessions(&[sessions[1].id, sessions[4].id], extended).await.unwrap();
    store.revoke_session(sessions[2].id).await.unwrap();
    // Extended beyond its age, by which it ends all the same.
    store.extend_sessions(&[sessions[6].id], START.after(MAX * 2)).await.unwrap();
    let sweep = async |before| {
        let (mut after, mut pages) = (None, Vec::new());
        loop {
            after = store.delete_ended_sessions(after, before, 3).await.unwrap();
            let Some(last) = after else { break };
            pages.push(last);
        }
        let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
        let mut left = store.sessions(&ids).await.unwrap();
        left.sort_by_key(|session| session.id);
        let places = left.iter().map(|left| ids.iter().position(|id| *id == left.id).unwrap());
        (pages, places.collect::<Vec<_>>())
    };
    let [.., third, _, _, sixth, last] = &sessions[..] else { panic!("seven") };
    let pages = vec![third.id, sixth.id, last.id];
    // Not at the end itself, but after it.
    assert_eq!(sweep(START.after(IDLE)).await, (pages.clone(), vec![0, 1, 2, 3, 4, 5, 6]));
    let after = START.after(IDLE + Duration::from_millis(1));
    assert_eq!(sweep(after).await, (pages, vec![1, 4, 6]));
    assert_eq!(sweep(extended).await, (vec![last.id], vec![1, 4, 6]));
    assert_eq!(sweep(START.after(MAX * 2)).await, (vec![last.id], vec![]));
    assert_eq!(sweep(START.after(MAX * 2)).await, (vec![], vec![]));
    // A login that comes now gets an id of its own, which no socket of an old session has.
    assert!(begin(&*store, 8, 1).await.id > last.id);
}
