//! Conversations that the service itself makes and changes, as a company's own back end asks.

use std::{collections::BTreeMap, sync::Arc};

use imserver::{
    domain::{
        ConversationId, ConversationKind, ConversationRef, ExternalId, GroupChange, GroupRefusal,
        GroupRules, GroupTitle, Role, UserId,
        group::{GroupHistory, WhoMayAdd},
    },
    store::{Change, GroupBegun, NewConversation, NewMembers, Store, Told, Window},
};
use tokio::task::JoinSet;

use super::{Database, committed, places, populated, send, user};

const RULES: GroupRules =
    GroupRules { max_members: 5, who_may_add: WhoMayAdd::Admins, history: GroupHistory::Joined };

fn id(text: &str) -> ExternalId {
    ExternalId::parse(text).unwrap()
}

async fn group_of(
    store: &dyn Store,
    named: Option<&str>,
    members: &[(i64, Role)],
) -> NewConversation {
    let members: BTreeMap<_, _> = members.iter().map(|(id, role)| (user(*id), *role)).collect();
    NewConversation {
        external_id: named.map(id),
        service: store.service_user().await.unwrap(),
        members: NewMembers::Group { title: GroupTitle::parse("订单 4711").ok(), members },
    }
}

async fn direct(store: &dyn Store, named: Option<&str>, one: i64, other: i64) -> NewConversation {
    NewConversation {
        external_id: named.map(id),
        service: store.service_user().await.unwrap(),
        members: NewMembers::Direct(user(one), user(other)),
    }
}

async fn begun(store: &dyn Store, new: &NewConversation) -> (ConversationId, Told) {
    match store.begin_conversation(new).await.unwrap() {
        GroupBegun::Begun(id, told) => (id, told),
        other => panic!("not begun: {other:?}"),
    }
}

const MEMBER: Role = Role::Member;

pub(super) async fn a_back_end_begins_a_group_once_for_each_id<D: Database>() {
    let (database, store) = populated::<D>(4).await;
    let other = database.open().await;
    let new =
        group_of(&*store, Some("order-4711"), &[(1, Role::Owner), (2, MEMBER), (3, MEMBER)]).await;
    let mut calls = JoinSet::new();
    for nth in 0..6 {
        let (store, new) = (Arc::clone([&store, &other][nth % 2]), new.clone());
        calls.spawn(async move { store.begin_conversation(&new).await.unwrap() });
    }
    let answers = calls.join_all().await;
    let begun_ones: Vec<_> =
        answers.iter().filter(|answer| matches!(answer, GroupBegun::Begun(..))).collect();
    let [GroupBegun::Begun(group, told)] = &begun_ones[..] else { panic!("{answers:?}") };
    let repeats = answers.iter().filter(|answer| **answer == GroupBegun::Repeat(*group));
    assert_eq!(repeats.count(), 5);
    // Every member is told of it by a line of the service and by the event, and the service is not.
    let line = &told.chats[0];
    assert_eq!(places(line), [(1, 1), (2, 1), (3, 1)]);
    assert_eq!((line.chat.user_id, line.chat.kind.as_str()), (new.service, "system"));
    let [(Change::Conversation(change), event)] = &told.events[..] else { panic!("{told:?}") };
    let told_places: Vec<_> = event.iter().map(|(user, seq)| (user.get(), seq.get())).collect();
    assert_eq!(told_places, [(1, 2), (2, 2), (3, 2)]);
    assert_eq!(change.seen.as_ref().unwrap().external_id, Some(id("order-4711")));

    let found = store.managed_conversation(&ConversationRef::External(id("order-4711"))).await;
    let found = found.unwrap().unwrap();
    assert_eq!((found.id, found.kind.clone()), (*group, ConversationKind::Group));
    let face = found.group.clone().unwrap();
    assert_eq!((face.member_count, face.title), (3, GroupTitle::parse("订单 4711").ok()));
    assert_eq!(
        store.managed_conversation(&ConversationRef::Id(*group)).await.unwrap(),
        Some(found)
    );
    let seen = store.conversation(user(1), *group).await.unwrap().unwrap();
    assert_eq!((seen.role, seen.external_id), (Some(Role::Owner), Some(id("order-4711"))));
    assert_eq!(store.conversation(user(2), *group).await.unwrap().unwrap().role, Some(MEMBER));

    // The same id with anything else; nobody; and without an id it is always a new one.
    let fewer = group_of(&*store, Some("order-4711"), &[(1, Role::Owner), (2, MEMBER)]).await;
    assert_eq!(store.begin_conversation(&fewer).await.unwrap(), GroupBegun::KeyReused);
    let nobody = group_of(&*store, Some("order-1"), &[(1, MEMBER), (99, MEMBER)]).await;
    assert_eq!(store.begin_conversation(&nobody).await.unwrap(), GroupBegun::UserNotFound);
    let missing = ConversationRef::External(id("order-1"));
    assert_eq!(store.managed_conversation(&missing).await.unwrap(), None, "the id is free");
    let unnamed = group_of(&*store, None, &[(1, MEMBER)]).await;
    let (one, _) = begun(&*store, &unnamed).await;
    let (two, _) = begun(&*store, &unnamed).await;
    assert_ne!(one, two);
}

pub(super) async fn a_back_end_names_a_direct_conversation<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let talked = send(&*store, 1, 2, "你好").await.chat.conversation_id;
    let repeat = |answer: GroupBegun| answer == GroupBegun::Repeat(talked);
    let begin = async |new: NewConversation| store.begin_conversation(&new).await.unwrap();
    assert!(repeat(begin(direct(&*store, None, 2, 1).await).await));
    assert!(repeat(begin(direct(&*store, Some("a"), 2, 1).await).await));
    assert!(repeat(begin(direct(&*store, Some("a"), 1, 2).await).await));
    assert_eq!(begin(direct(&*store, Some("b"), 1, 2).await).await, GroupBegun::KeyReused);
    assert_eq!(begin(direct(&*store, Some("a"), 1, 3).await).await, GroupBegun::KeyReused);
    assert_eq!(begin(direct(&*store, Some("c"), 1, 99).await).await, GroupBegun::UserNotFound);
    let listed = store.conversation_with(user(1), user(2)).await.unwrap().unwrap();
    assert_eq!(listed.external_id, Some(id("a")));

    // One that has not begun is in no list until somebody writes in it.
    let new = direct(&*store, Some("d"), 4, 3).await;
    let (quiet, told) = begun(&*store, &new).await;
    assert_eq!(told, Told::default());
    assert_eq!(store.conversations(user(3), None, 9).await.unwrap().conversations, []);
    let sent = send(&*store, 3, 4, "在吗").await;
    assert_eq!(sent.chat.conversation_id, quiet);
    assert_eq!(store.conversations(user(4), None, 9).await.unwrap().conversations.len(), 1);
    let (own, _) = begun(&*store, &direct(&*store, None, 3, 3).await).await;
    assert_eq!(send(&*store, 3, 3, "note").await.chat.conversation_id, own);
}

async fn managed(
    store: &dyn Store,
    group: ConversationId,
    change: GroupChange,
) -> Result<Told, GroupRefusal> {
    let service = store.service_user().await.unwrap();
    store.manage_group(group, service, &change, RULES).await.unwrap()
}

pub(super) async fn the_service_changes_any_group<D: Database>() {
    let (_database, store) = populated::<D>(9).await;
    let new = group_of(&*store, None, &[(1, Role::Owner), (2, Role::Admin), (3, MEMBER)]).await;
    let (group, _) = begun(&*store, &new).await;
    let add = |ids: &[i64]| GroupChange::Add(ids.iter().map(|id| user(*id)).collect());
    let added = managed(&*store, group, add(&[4, 3])).await.unwrap();
    assert_eq!(added.chats[0].chat.user_id, new.service);
    assert_eq!(added.chats[0].places.len(), 4);
    assert_eq!(
        managed(&*store, group, add(&[3, 4])).await,
        Ok(Told::default()),
        "they are members"
    );
    let many = managed(&*store, group, add(&[5, 6])).await;
    assert_eq!(many, Err(GroupRefusal::TooMany { max: 5 }));
    assert_eq!(managed(&*store, group, add(&[99])).await, Err(GroupRefusal::NoSuchUser));
    let title = GroupTitle::parse("已完成").unwrap();
    let renamed = managed(&*store, group, GroupChange::Rename(title.clone())).await.unwrap();
    assert_eq!(renamed.chats.len(), 1);

    // The owner goes, and is told; the admin inherits.
    let removed = managed(&*store, group, GroupChange::Remove(user(1))).await.unwrap();
    assert_eq!(removed.chats.len(), 2);
    let left: Vec<UserId> = removed
        .events
        .iter()
        .flat_map(|(_, places)| places.iter().map(|(user, _)| *user))
        .collect();
    assert!(left.contains(&user(1)));
    assert!(store.conversation(user(1), group).await.unwrap().unwrap().left);
    let heir = store.conversation(user(2), group).await.unwrap().unwrap();
    assert_eq!((heir.role, heir.group.unwrap().title), (Some(Role::Owner), Some(title)));
    let gone = managed(&*store, group, GroupChange::Remove(user(1))).await;
    assert_eq!(gone, Err(GroupRefusal::NoSuchUser));

    let nowhere = ConversationId::new(999).unwrap();
    assert_eq!(managed(&*store, nowhere, add(&[4])).await, Err(GroupRefusal::NoMember));
    let direct = send(&*store, 1, 2, "x").await.chat.conversation_id;
    assert_eq!(managed(&*store, direct, add(&[4])).await, Err(GroupRefusal::NoMember));
}

pub(super) async fn the_service_reads_and_recalls_any_chat<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let (first, second) = (send(&*store, 1, 2, "secret").await, send(&*store, 2, 1, "二").await);
    let conversation = first.chat.conversation_id;
    // Whatever the two have put away.
    store.delete_for(user(1), first.chat.id).await.unwrap().unwrap();
    let read = async |window| {
        let page = store.all_chats(conversation, window, 1).await.unwrap();
        (page.chats.iter().map(|chat| chat.id).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(read(Window::Newest).await, (vec![second.chat.id], true));
    assert_eq!(read(Window::Oldest).await, (vec![first.chat.id], true));
    assert_eq!(read(Window::After(first.chat.id)).await, (vec![second.chat.id], false));
    assert_eq!(read(Window::Before(first.chat.id)).await, (vec![], false));

    database.tamper("UPDATE chats SET created_at = 1").await;
    let service = store.service_user().await.unwrap();
    let (chat, told) = store.recall_any(service, first.chat.id).await.unwrap().unwrap();
    assert_eq!((&*chat.content, chat.version), ("", 2), "however old it is");
    assert_eq!(told.events[0].1.len(), 2);
    let again = store.recall_any(service, first.chat.id).await.unwrap().unwrap();
    assert_eq!(again, (chat, Told::default()));
    let kept = format!("chat_revisions WHERE content = 'secret' AND changed_by = {service}");
    assert_eq!(database.count(&kept).await, 1);

    let (group, told) = begun(&*store, &group_of(&*store, None, &[(1, MEMBER)]).await).await;
    let line = told.chats[0].chat.id;
    assert!(store.recall_any(service, line).await.unwrap().is_some(), "a line too");
    let new = super::groups::into(1, group, "k");
    let sent = committed(store.append(&[new]).await.unwrap().remove(0));
    assert!(store.recall_any(service, sent.chat.id).await.unwrap().is_some());
    let nowhere = imserver::domain::ChatId::new(1 << 40).unwrap();
    assert_eq!(store.recall_any(service, nowhere).await.unwrap(), None);
}
