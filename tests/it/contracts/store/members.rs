//! Groups that begin and change, what their members may read, and what each keeps of a conversation.

use std::time::Duration;

use imserver::{
    domain::{
        ChatId, ChatKind, ClientMsgId, Conversation, ConversationId, GroupChange, GroupRefusal,
        GroupRules, GroupTitle, Mentions, OwnSettings, Role, Seq,
        group::{GroupHistory, WhoMayAdd},
    },
    store::{
        Appended, Change, GroupBegun, NewChat, NewGroup, OwnChange, OwnChanged, Recalled, Store,
        Told, Window,
    },
};

use super::{Database, committed, groups::into, populated, send, user};

const RULES: GroupRules =
    GroupRules { max_members: 4, who_may_add: WhoMayAdd::Members, history: GroupHistory::Joined };

fn new(creator: i64, key: &str, title: &str, members: &[i64]) -> NewGroup {
    NewGroup {
        creator: user(creator),
        key: ClientMsgId::parse(key).unwrap(),
        title: GroupTitle::parse(title).ok(),
        members: members.iter().map(|id| user(*id)).collect(),
    }
}

pub(super) async fn begin(
    store: &dyn Store,
    creator: i64,
    members: &[i64],
) -> (ConversationId, Told) {
    let new = new(creator, ClientMsgId::random().as_str(), "爬山", members);
    match store.begin_group(&new).await.unwrap() {
        GroupBegun::Begun(group, told) => (group, told),
        other => panic!("{other:?}"),
    }
}

async fn change(
    store: &dyn Store,
    group: ConversationId,
    actor: i64,
    change: GroupChange,
) -> Result<Told, GroupRefusal> {
    store.change_group(group, user(actor), &change, RULES).await.unwrap()
}

fn add(id: i64) -> GroupChange {
    GroupChange::Add([user(id)].into())
}

async fn say(store: &dyn Store, sender: i64, group: ConversationId, text: &str) -> ChatId {
    let new = into(sender, group, ClientMsgId::random().as_str());
    let content = imserver::domain::Content::parse(text, 100).unwrap();
    let mut answers = store.append(&[NewChat { content, ..new }]).await.unwrap();
    committed(answers.remove(0)).chat.id
}

/// What a user reads of a conversation, oldest first: words, or the event of a line.
async fn read(store: &dyn Store, id: i64, group: ConversationId) -> Vec<String> {
    let page = store.chats(user(id), group, Window::Newest, 100).await.unwrap().unwrap();
    page.chats.into_iter().map(|chat| shown(&chat)).collect()
}

fn shown(chat: &imserver::domain::Chat) -> String {
    match (&chat.kind, &chat.body) {
        (ChatKind::System, Some(body)) => {
            let body: serde_json::Value = serde_json::from_str(body.as_str()).unwrap();
            body["event"].as_str().unwrap().to_owned()
        }
        _ => chat.content.to_string(),
    }
}

async fn seen(store: &dyn Store, id: i64, group: ConversationId) -> Conversation {
    store.conversation(user(id), group).await.unwrap().unwrap()
}

/// The timeline of a user, as words.
async fn timeline(store: &dyn Store, id: i64) -> Vec<String> {
    let events = store.events(user(id), Seq::ZERO, 1_000).await.unwrap().events;
    let words = events.iter().map(|event| match &event.change {
        Change::Chat(chat) => shown(chat),
        Change::Conversation(change) => match &change.seen {
            Some(seen) if seen.own.is_some() => "own".to_owned(),
            Some(seen) => format!("{} members", seen.group.as_ref().unwrap().member_count),
            None => "left".to_owned(),
        },
        Change::Gone { .. } => "gone".to_owned(),
        other => panic!("{other:?}"),
    });
    words.collect()
}

pub(super) async fn a_group_begins_once_for_each_key<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let first = new(1, "k", "爬山", &[2, 3]);
    assert_eq!(store.group_begun(&first).await.unwrap(), None);
    let GroupBegun::Begun(group, told) = store.begin_group(&first).await.unwrap() else {
        panic!("it is new");
    };
    let line = &told.chats[0].chat;
    assert_eq!((line.kind.as_str(), &*line.content), ("system", "user-1创建了群聊"));
    assert_eq!(told.events[0].1.len(), 3, "oneself is a member without being named");
    assert_eq!(store.begin_group(&first).await.unwrap(), GroupBegun::Repeat(group));
    assert_eq!(store.group_begun(&first).await.unwrap(), Some(GroupBegun::Repeat(group)));
    for other in [new(1, "k", "游泳", &[2, 3]), new(1, "k", "爬山", &[2]), new(1, "k", "", &[2, 3])]
    {
        assert_eq!(store.begin_group(&other).await.unwrap(), GroupBegun::KeyReused);
        assert_eq!(store.group_begun(&other).await.unwrap(), Some(GroupBegun::KeyReused));
    }
    let theirs = store.begin_group(&new(2, "k", "爬山", &[3])).await.unwrap();
    assert!(matches!(theirs, GroupBegun::Begun(other, _) if other != group));
    let nobody = new(1, "n", "爬山", &[2, 99]);
    for _ in 0..2 {
        assert_eq!(store.begin_group(&nobody).await.unwrap(), GroupBegun::UserNotFound);
    }
    for id in 1..=3 {
        assert_eq!(timeline(&*store, id).await[..2], ["group_created", "3 members"]);
    }
    let mine = seen(&*store, 1, group).await;
    let face = mine.group.unwrap();
    assert_eq!((face.title.unwrap().as_str(), face.member_count), ("爬山", 3));
    assert_eq!(
        (mine.role, seen(&*store, 2, group).await.role),
        (Some(Role::Owner), Some(Role::Member))
    );
}

pub(super) async fn at_two_replicas_a_key_is_one_group<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let other = database.open().await;
    for round in 0..10 {
        let new = new(1, &format!("k{round}"), "爬山", &[2]);
        let (a, b) = tokio::join!(store.begin_group(&new), other.begin_group(&new));
        let ids = [a.unwrap(), b.unwrap()].map(|begun| match begun {
            GroupBegun::Begun(group, _) => (group, 1),
            GroupBegun::Repeat(group) => (group, 0),
            other => panic!("{other:?}"),
        });
        assert_eq!((ids[0].0, ids[0].1 + ids[1].1), (ids[1].0, 1));
    }
}

pub(super) async fn members_read_their_own_stretches_of_a_group<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let (group, _) = begin(&*store, 1, &[2]).await;
    let before = say(&*store, 1, group, "before").await;
    change(&*store, group, 2, add(3)).await.unwrap();
    let first = say(&*store, 1, group, "first").await;
    assert_eq!(read(&*store, 3, group).await, ["members_added", "first"]);
    change(&*store, group, 3, GroupChange::Remove(user(3))).await.unwrap();
    let between = say(&*store, 1, group, "between").await;

    // A former member reads on, up to the leaving, and can do nothing else.
    assert_eq!(read(&*store, 3, group).await, ["members_added", "first", "member_left"]);
    let left = seen(&*store, 3, group).await;
    assert_eq!((left.left, left.role, left.unread), (true, None, 0));
    assert_eq!(shown(left.last_chat.as_ref().unwrap()), "member_left");
    let lists = store.conversations(user(3), None, 10).await.unwrap().conversations;
    assert!(lists.is_empty(), "no list has it");
    let mark = store.mark_read(user(3), group, between).await.unwrap();
    assert_eq!((mark, store.members(user(3), group, None, 9).await.unwrap()), (None, None));
    assert_eq!(change(&*store, group, 3, add(4)).await, Err(GroupRefusal::NoMember));
    let pin = OwnChange { pinned: Some(true), ..OwnChange::default() };
    assert_eq!(store.change_own(user(3), group, &pin, 9).await.unwrap(), OwnChanged::NotFound);
    assert_eq!(store.recall(user(3), first, Duration::MAX / 2).await.unwrap(), Recalled::NotFound);
    assert_eq!(store.delete_for(user(3), first).await.unwrap(), None);
    let mut sent = store.append(&[into(3, group, "x")]).await.unwrap();
    assert_eq!(sent.remove(0), Appended::ConversationNotFound);

    // Who comes back keeps what was, and never sees the gap.
    change(&*store, group, 1, add(3)).await.unwrap();
    say(&*store, 1, group, "again").await;
    let all = ["members_added", "first", "member_left", "members_added", "again"];
    assert_eq!(read(&*store, 3, group).await, all);
    let unseen = NewChat { reply_to: Some(between), ..into(3, group, "q") };
    assert_eq!(store.append(&[unseen]).await.unwrap(), [Appended::QuoteNotFound]);
    let changes = store.changes(user(3), group, 0, 100).await.unwrap().unwrap();
    assert_eq!(changes.chats.iter().map(shown).collect::<Vec<_>>(), all);
    assert_eq!(
        timeline(&*store, 3).await,
        [
            "members_added",
            "3 members",
            "first",
            "member_left",
            "left",
            "members_added",
            "3 members",
            "again"
        ],
        "as it is now, with every number; that one was away stays known"
    );
    assert_eq!(store.chats(user(4), group, Window::Newest, 9).await.unwrap(), None);
    assert_eq!(store.conversation(user(4), group).await.unwrap(), None);

    // With the whole history for whoever joins.
    let all = GroupRules { history: GroupHistory::All, ..RULES };
    store.change_group(group, user(1), &add(4), all).await.unwrap().unwrap();
    assert_eq!(read(&*store, 4, group).await[..2], ["group_created", "before"]);

    // Of a recall those are told who may read the chat, or one that quotes it.
    let told = async |chat| match store.recall(user(1), chat, Duration::MAX / 2).await.unwrap() {
        Recalled::Done(_, told) => {
            told.events[0].1.iter().map(|(user, _)| user.get()).collect::<Vec<_>>()
        }
        refused => panic!("{refused:?}"),
    };
    assert_eq!(told(before).await, [1, 2, 4]);
    let quoting = NewChat { reply_to: Some(between), ..into(1, group, "about it") };
    committed(store.append(&[quoting]).await.unwrap().remove(0));
    assert_eq!(told(between).await, [1, 2, 3, 4]);
}

pub(super) async fn a_group_changes_as_its_roles_allow<D: Database>() {
    let (_database, store) = populated::<D>(6).await;
    let (group, _) = begin(&*store, 1, &[2, 3]).await;
    let admin = GroupChange::SetRole(user(2), Role::Admin);
    assert_eq!(change(&*store, group, 2, admin.clone()).await, Err(GroupRefusal::Forbidden));
    let told = change(&*store, group, 1, admin.clone()).await.unwrap();
    assert_eq!((told.chats.len(), told.events.len()), (0, 2), "to all, and to whom it is given");
    assert_eq!(
        change(&*store, group, 1, admin).await.unwrap(),
        Told::default(),
        "it is so already"
    );
    assert_eq!(seen(&*store, 2, group).await.role, Some(Role::Admin));
    let title = GroupChange::Rename(GroupTitle::parse("游泳").unwrap());
    assert_eq!(change(&*store, group, 3, title.clone()).await, Err(GroupRefusal::Forbidden));
    change(&*store, group, 2, title.clone()).await.unwrap();
    assert_eq!(change(&*store, group, 2, title).await.unwrap(), Told::default());
    assert_eq!(change(&*store, group, 3, add(99)).await, Err(GroupRefusal::NoSuchUser));
    change(&*store, group, 3, add(4)).await.unwrap();
    assert_eq!(change(&*store, group, 3, add(5)).await, Err(GroupRefusal::TooMany { max: 4 }));
    assert_eq!(change(&*store, group, 5, add(6)).await, Err(GroupRefusal::NoMember));

    let members = store.members(user(3), group, None, 2).await.unwrap().unwrap();
    let listed = |page: &imserver::store::MemberPage| {
        page.members.iter().map(|(user, member)| (user.id.get(), member.role)).collect::<Vec<_>>()
    };
    assert_eq!(listed(&members), [(1, Role::Owner), (2, Role::Admin)]);
    assert!(members.has_more && members.members_version > 1);
    let rest = store.members(user(3), group, Some(user(2)), 9).await.unwrap().unwrap();
    assert_eq!((listed(&rest), rest.has_more), (vec![(3, Role::Member), (4, Role::Member)], false));
    let rest = store.members(user(3), group, Some(user(5)), 9).await.unwrap().unwrap();
    assert_eq!(listed(&rest), [], "after somebody who is not there");
    assert_eq!(store.few_members(user(3), group, 4).await.unwrap().unwrap().len(), 4);
    assert_eq!(store.few_members(user(3), group, 3).await.unwrap(), Some(Vec::new()));

    // The owner leaves to the admin.
    change(&*store, group, 1, GroupChange::Remove(user(1))).await.unwrap();
    assert_eq!(seen(&*store, 2, group).await.role, Some(Role::Owner));
    change(&*store, group, 2, GroupChange::Remove(user(4))).await.unwrap();
    let rest = store.members(user(3), group, Some(user(4)), 9).await.unwrap().unwrap();
    assert_eq!(listed(&rest), [], "whoever was last on a page may go");
    let last = ["renamed", "members_added", "member_left", "owner_changed", "member_removed"];
    assert_eq!(read(&*store, 3, group).await[1..], last);
    assert_eq!(seen(&*store, 3, group).await.group.unwrap().member_count, 2);
}

pub(super) async fn what_one_keeps_of_a_conversation_is_ones_own<D: Database>() {
    let (_database, store) = populated::<D>(4).await;
    let direct = send(&*store, 2, 1, "hello").await.chat;
    let (group, _) = begin(&*store, 1, &[2, 3]).await;
    say(&*store, 2, group, "a").await;
    let list = async |before| {
        let page = store.conversations(user(1), before, 10).await.unwrap().conversations;
        page.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    let keep = async |conversation, change: OwnChange| {
        store.change_own(user(1), conversation, &change, 1).await.unwrap()
    };
    assert_eq!(list(None).await, [group, direct.conversation_id]);
    assert_eq!(store.unread_total(user(1)).await.unwrap(), 2);

    let all = OwnChange {
        pinned: Some(true),
        muted: Some(true),
        marked_unread: Some(true),
        draft: Some(Some("我先".to_owned())),
        ..OwnChange::default()
    };
    let OwnChanged::Done(told) = keep(group, all.clone()).await else { panic!() };
    assert_eq!((told.events.len(), told.events[0].1.len()), (1, 1), "one's own timeline alone");
    assert_eq!(keep(group, all.clone()).await, OwnChanged::Done(Told::default()));
    assert_eq!(keep(direct.conversation_id, all).await, OwnChanged::TooManyPinned);
    assert_eq!(list(None).await, [direct.conversation_id], "pinned ones stand apart");
    let pinned = store.pinned(user(1), 10).await.unwrap().remove(0);
    assert!(pinned.own.pinned && pinned.own.muted && pinned.own.marked_unread);
    assert_eq!((pinned.id, pinned.own.draft.as_deref()), (group, Some("我先")));
    assert_eq!(seen(&*store, 2, group).await.own, OwnSettings::default());
    assert_eq!(store.unread_total(user(1)).await.unwrap(), 1, "muted ones do not count");
    assert_eq!(timeline(&*store, 1).await.last().unwrap(), "own");
    keep(group, OwnChange { draft: Some(None), pinned: Some(false), ..OwnChange::default() }).await;
    assert_eq!(seen(&*store, 1, group).await.own.draft, None);

    // Out of the list until the next chat.
    keep(direct.conversation_id, OwnChange { hide: true, ..OwnChange::default() }).await;
    assert_eq!(list(None).await, [group]);
    send(&*store, 2, 1, "again").await;
    assert_eq!(list(None).await, [direct.conversation_id, group]);

    // Gone for oneself, which keeps its place.
    keep(group, OwnChange { clear: true, ..OwnChange::default() }).await;
    let cleared = seen(&*store, 1, group).await;
    assert_eq!((cleared.last_chat, cleared.unread), (None, 0));
    assert_eq!(list(cleared.position).await, Vec::<ConversationId>::new());
    assert_eq!(read(&*store, 1, group).await, Vec::<String>::new());
    assert!(timeline(&*store, 1).await.contains(&"gone".to_owned()));
    assert_eq!(read(&*store, 2, group).await, ["group_created", "a"]);
    assert_eq!(store.latest_chats(user(1), 10).await.unwrap().len(), 2);
}

pub(super) async fn whoever_is_called_by_name_sees_it_until_reading<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let (group, _) = begin(&*store, 1, &[2, 3]).await;
    let call = async |sender, key: &str, mentions| {
        let new = NewChat { mentions: Some(mentions), ..into(sender, group, key) };
        committed(store.append(&[new]).await.unwrap().remove(0)).chat.id
    };
    let first = call(1, "a", Mentions::Users([user(2)].into())).await;
    assert!(seen(&*store, 2, group).await.mentioned);
    assert!(!seen(&*store, 3, group).await.mentioned && !seen(&*store, 1, group).await.mentioned);
    store.mark_read(user(2), group, first).await.unwrap();
    assert!(!seen(&*store, 2, group).await.mentioned);
    let all = call(1, "b", Mentions::All).await;
    for (id, mentioned) in [(1, false), (2, true), (3, true)] {
        assert_eq!(seen(&*store, id, group).await.mentioned, mentioned, "{id}");
    }
    store.delete_for(user(2), all).await.unwrap();
    assert!(!seen(&*store, 2, group).await.mentioned, "it is gone for 2");
    store.recall(user(1), all, Duration::from_mins(1)).await.unwrap();
    assert!(!seen(&*store, 3, group).await.mentioned, "nobody is called any more");
    assert_eq!(seen(&*store, 3, group).await.unread, 1, "neither lines nor recalled chats count");
}

pub(super) async fn roles_and_own_settings_do_not_deadlock<D: Database>() {
    let (database, store) = populated::<D>(4).await;
    let other = database.open().await;
    let (group, _) = begin(&*store, 1, &[2, 3]).await;
    for round in 0..100 {
        let role = if round % 2 == 0 { Role::Admin } else { Role::Member };
        let draft = OwnChange { draft: Some(Some(round.to_string())), ..OwnChange::default() };
        let (changed, kept) = tokio::join!(
            change(&*store, group, 1, GroupChange::SetRole(user(2), role)),
            other.change_own(user(2), group, &draft, 9),
        );
        changed.unwrap();
        assert!(matches!(kept.unwrap(), OwnChanged::Done(_)));
    }
}
