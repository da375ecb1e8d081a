//! What whoever keeps order does, by the use cases themselves: releases and refuses what is held back, restricts
//! people, and decides about reports.

use std::{sync::Arc, time::Duration};

use imserver::{
    accounts::{Accounts, LoginRules},
    admission::{Decided, Door, MayWrite, Rule},
    auth::Auth,
    bus::local::LocalBroker,
    checks::names::Names,
    clock::Clock,
    delivery::Delivery,
    domain::{
        ClientMsgId, Content, Destination, GroupChange, GroupTitle, HeldId, Identity, ReportReason,
        Restriction, RestrictionKind, Seq, UserId, UserName, WhoMayWrite,
    },
    identity::TokenVerifier,
    limits::Limits,
    media::MediaLinks,
    messaging::{Messaging, SendOutcome},
    moderation::{Moderation, ReportAction},
    presence::{Presence, local::LocalPresence},
    protocol::fault::{DenialReason, ErrorCode},
    standing::Standings,
    store::{
        Acquaintance, Change, NewChat, NewGroup, NewReport, ReportAbout, Store,
        batcher::{Batcher, LINGER},
        sqlite::SqliteStore,
    },
    wechat::Wechat,
};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use crate::harness::rules;

struct World {
    _home: TempDir,
    store: Arc<dyn Store>,
    accounts: Accounts,
    messaging: Messaging,
    moderation: Moderation,
}

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

impl World {
    /// A service in which 1 and 2 exist.
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (path, clock) = (home.path().join("im.db"), Clock::system());
        let store = SqliteStore::open(&path, clock.clone()).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let users = [1, 2].map(|id| (user(id), UserName::placeholder(id)));
        store.ensure_users(&users).await.unwrap();
        let (presence, _) = LocalPresence::new(clock.clone());
        let presence: Arc<dyn Presence> = Arc::new(presence);
        let (bus, _) = LocalBroker::default().connect();
        let delivery = Delivery::start(
            Arc::clone(&store) as _,
            Arc::new(bus),
            Arc::clone(&presence),
            MediaLinks::new(String::new(), clock.clone()),
            TaskTracker::new(),
        )
        .await
        .unwrap();
        let standings = Standings::new(Arc::clone(&store), clock.clone());
        let may_write = MayWrite::new(standings.clone(), Arc::clone(&store), WhoMayWrite::Anyone);
        let messaging = Messaging::new(
            Arc::clone(&store),
            Door::new([
                Arc::new(Decided::new(Arc::clone(&store))) as Arc<dyn Rule>,
                Arc::new(may_write),
            ]),
            Batcher::start(Arc::clone(&store) as _, LINGER, Box::new(|_| {})),
            delivery,
            presence,
            standings.clone(),
            rules(Acquaintance::Conversation),
        );
        let long = Duration::from_hours(1);
        let auth = Auth::new(Arc::clone(&store), clock, long, long);
        let limits = Limits::none();
        let accounts = Accounts::new(
            Arc::clone(&store),
            auth,
            Wechat::new(Vec::new()),
            TokenVerifier::default(),
            standings.clone(),
            LoginRules { demo: true, names: Names::default() },
            limits,
        );
        let moderation =
            Moderation::new(Arc::clone(&store), accounts.clone(), messaging.clone(), standings);
        Self { _home: home, store, accounts, messaging, moderation }
    }

    /// Has 1 send a chat to 2 that is held back.
    async fn hold(&self, key: &str) -> (NewChat, HeldId) {
        let chat = NewChat { hold: true, ..chat(key) };
        let outcome = self.messaging.send(chat.clone()).await.unwrap();
        assert_eq!(outcome, SendOutcome::Held);
        let page = self.moderation.held_chats(None, 10).await.unwrap();
        (chat, page.chats.last().unwrap().id)
    }

    /// What happened to 1.
    async fn events(&self) -> Vec<Change> {
        let page = self.store.events(user(1), Seq::ZERO, 10).await.unwrap();
        page.events.into_iter().map(|event| event.change).collect()
    }
}

fn chat(key: &str) -> NewChat {
    NewChat::text(
        user(1),
        Destination::Direct(user(2)),
        ClientMsgId::parse(key).unwrap(),
        Content::parse("x", 1).unwrap(),
    )
}

#[tokio::test]
async fn a_released_chat_is_an_event_with_its_key() {
    let world = World::new().await;
    let (chat, id) = world.hold("k").await;
    assert_eq!(world.messaging.send(chat.clone()).await.unwrap(), SendOutcome::Held);
    assert!(world.events().await.is_empty());
    world.moderation.release(id).await.unwrap();
    let events = world.events().await;
    let [Change::Chat(sent)] = &events[..] else { panic!("not sent") };
    assert_eq!(sent.client_msg_id.as_str(), "k");
    // A repeat gets the chat, whether or not a rule would hold it again.
    for hold in [true, false] {
        let again = world.messaging.send(NewChat { hold, ..chat.clone() }).await.unwrap();
        let SendOutcome::Sent(again) = again else { panic!("held again") };
        assert_eq!((again.chat.id, again.is_repeat), (sent.id, true));
    }
    let gone = world.moderation.release(id).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn a_release_asks_again_whether_the_sender_may_write() {
    let world = World::new().await;
    let (chat, id) = world.hold("k").await;
    world.messaging.block(user(2), user(1)).await.unwrap();
    let refused = world.moderation.release(id).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.reason),
        (ErrorCode::NotAllowed, Some(DenialReason::Blocked))
    );
    let events = world.events().await;
    let [Change::Other { kind, payload: Some(payload), .. }] = &events[..] else {
        panic!("not told")
    };
    assert_eq!(kind, "refused");
    assert!(payload.as_str().contains(r#""code":"not_allowed""#), "{}", payload.as_str());
    world.messaging.unblock(user(2), user(1)).await.unwrap();
    // It was refused, and stays so.
    let again = world.messaging.send(chat).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::NotAllowed);
    assert!(world.store.blocks_between(user(1), &[user(2)]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refused_chat_stays_refused() {
    let world = World::new().await;
    let (chat, id) = world.hold("k").await;
    let words = format!("not\u{0007}this {}", "字".repeat(300));
    world.moderation.refuse(id, Some(&words)).await.unwrap();
    let again = world.messaging.send(chat).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::ContentRejected);
    assert!(again.detail.starts_with("notthis 字") && again.detail.chars().count() == 200);
    assert_eq!(world.events().await.len(), 1);
    for done in [world.moderation.refuse(id, None).await, world.moderation.release(id).await] {
        assert_eq!(done.unwrap_err().code, ErrorCode::NotFound);
    }
}

#[tokio::test]
async fn a_ban_ends_sessions_and_logins_until_it_is_lifted() {
    let world = World::new().await;
    let name = UserName::parse("张三").unwrap();
    let (zhang, login) = world.accounts.log_in_demo(&name).await.unwrap();
    let session = async || world.accounts.authenticate(&login.token).await.unwrap();
    assert!(session().await.is_some());
    let restrict = async |restriction| {
        world.moderation.restrict(zhang.id, restriction, Some("spam")).await.unwrap();
    };
    let muted = Restriction { kind: RestrictionKind::Muted, until: None };
    restrict(Some(muted)).await;
    assert!(session().await.is_some());
    restrict(Some(Restriction { kind: RestrictionKind::Banned, ..muted })).await;
    assert!(session().await.is_none());
    let refused = world.accounts.log_in_demo(&name).await.unwrap_err();
    assert_eq!(refused.reason, Some(DenialReason::Banned));
    let now = Clock::system().now();
    let over = Restriction { kind: RestrictionKind::Banned, until: Some(now) };
    for lifted in [Some(over), None] {
        restrict(lifted).await;
        assert!(world.accounts.log_in_demo(&name).await.is_ok());
    }
    let nobody = world.moderation.restrict(user(77), Some(muted), None).await.unwrap_err();
    assert_eq!(nobody.code, ErrorCode::UserNotFound);
    assert_eq!(
        world.store.user_by_identity(&Identity::demo(&name), None).await.unwrap().id,
        zhang.id
    );
}

#[tokio::test]
async fn a_report_leads_to_something() {
    let world = World::new().await;
    let SendOutcome::Sent(sent) = world.messaging.send(chat("k")).await.unwrap() else {
        panic!("held")
    };
    let report = NewReport {
        reporter: user(2),
        about: ReportAbout::Chat(sent.chat.id),
        reason: ReportReason::Spam,
        detail: None,
    };
    let about_user = NewReport { about: ReportAbout::User(user(1)), ..report.clone() };
    let (first, second) = (
        world.messaging.report(&report).await.unwrap(),
        world.messaging.report(&about_user).await.unwrap(),
    );
    assert_eq!(world.messaging.report(&report).await.unwrap(), first);
    let open = async || {
        let page = world.moderation.open_reports(None, 10).await.unwrap();
        page.reports.iter().map(|report| report.id).collect::<Vec<_>>()
    };
    assert_eq!(open().await, [first, second]);
    world.moderation.act_on_report(first, ReportAction::Resolve).await.unwrap();
    assert!(world.messaging.send(chat("l")).await.is_ok());
    let muted = world.moderation.act_on_report(second, ReportAction::Mute).await.unwrap();
    assert_eq!(muted.outcome.as_deref(), Some("mute"));
    assert!(open().await.is_empty());
    let refused = world.messaging.send(chat("m")).await.unwrap_err();
    assert_eq!(refused.reason, Some(DenialReason::Muted));
    // A repeat of what was sent before is answered as before.
    assert!(world.messaging.send(chat("l")).await.is_ok());
}

#[tokio::test]
async fn a_repeat_is_answered_as_before_by_a_service_without_the_hook() {
    let world = World::new().await;
    let (held, id) = world.hold("k").await;
    let (refused, other) = world.hold("l").await;
    world.moderation.refuse(other, None).await.unwrap();
    let again =
        async |chat: &NewChat| world.messaging.send(NewChat { hold: false, ..chat.clone() }).await;
    assert_eq!(again(&held).await.unwrap(), SendOutcome::Held);
    assert_eq!(again(&refused).await.unwrap_err().code, ErrorCode::ContentRejected);
    assert!(matches!(again(&chat("m")).await, Ok(SendOutcome::Sent(_))));
    world.moderation.release(id).await.unwrap();
    assert!(matches!(again(&held).await, Ok(SendOutcome::Sent(_))));
}

#[tokio::test]
async fn a_repeat_of_what_is_held_is_held_whatever_became_of_its_sender() {
    let world = World::new().await;
    let group = NewGroup {
        creator: user(2),
        key: ClientMsgId::parse("g").unwrap(),
        title: None,
        members: [user(1)].into(),
    };
    let (group, _) = world.messaging.begin_group(&group).await.unwrap();
    let into = NewChat { destination: Destination::Conversation(group), ..chat("k") };
    let held = NewChat { hold: true, ..into.clone() };
    assert_eq!(world.messaging.send(held.clone()).await.unwrap(), SendOutcome::Held);
    let muted = Restriction { kind: RestrictionKind::Muted, until: None };
    world.moderation.restrict(user(1), Some(muted), None).await.unwrap();
    assert_eq!(world.messaging.send(held.clone()).await.unwrap(), SendOutcome::Held);
    world.moderation.restrict(user(1), None, None).await.unwrap();
    world.messaging.change_group(user(2), group, &GroupChange::Remove(user(1))).await.unwrap();
    for again in [&into, &held] {
        assert_eq!(world.messaging.send(again.clone()).await.unwrap(), SendOutcome::Held);
    }
    let new = NewChat { client_msg_id: ClientMsgId::parse("l").unwrap(), ..into };
    let refused = world.messaging.send(new).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::ConversationNotFound);
}

#[tokio::test]
async fn whoever_is_muted_makes_names_and_fills_no_group() {
    let world = World::new().await;
    let group = |key: &str| NewGroup {
        creator: user(1),
        key: ClientMsgId::parse(key).unwrap(),
        title: None,
        members: [user(2)].into(),
    };
    let (id, _) = world.messaging.begin_group(&group("g")).await.unwrap();
    let muted = Restriction { kind: RestrictionKind::Muted, until: None };
    world.moderation.restrict(user(1), Some(muted), None).await.unwrap();
    let title = GroupTitle::parse("买吗").unwrap();
    let changes = [GroupChange::Rename(title), GroupChange::Add([user(2)].into())];
    let mut refusals = vec![world.messaging.begin_group(&group("h")).await.unwrap_err()];
    for change in &changes {
        refusals.push(world.messaging.change_group(user(1), id, change).await.unwrap_err());
    }
    for refused in refusals {
        assert_eq!(refused.code, ErrorCode::NotAllowed);
        assert_eq!(refused.reason, Some(DenialReason::Muted));
    }
    // The company's back end still may, and whoever is muted may leave.
    world.messaging.manage_group(id, &changes[0]).await.unwrap();
    world.messaging.change_group(user(1), id, &GroupChange::Remove(user(1))).await.unwrap();
}
