//! Conversations of any number of members, and chats of any kind in them.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use imserver::{
    domain::{
        Chat, ChatKind, ChatState, ClientMsgId, ConversationId, Destination, GroupChange,
        GroupRefusal, GroupRules, Mentions, Payload, Seq, UserId,
        group::{GroupHistory, WhoMayAdd},
    },
    store::{
        Appended, Change, Committed, NewChat, Store, StoreError, Window,
        batcher::{AppendError, Batcher, LINGER},
    },
};
use tokio::task::JoinSet;

use super::{
    Database, chat, committed, places, populated, repeat, send, seq, target, timeline, user,
};

/// A text into a conversation.
pub(super) fn into(sender: i64, conversation: ConversationId, key: &str) -> NewChat {
    NewChat {
        destination: Destination::Conversation(conversation),
        ..chat(sender, 1, key, "to all")
    }
}

async fn append(store: &dyn Store, new: NewChat) -> Appended {
    store.append(&[new]).await.unwrap().remove(0)
}

pub(super) const RULES: GroupRules = GroupRules {
    max_members: 1_000,
    who_may_add: WhoMayAdd::Members,
    history: GroupHistory::Joined,
};

fn add(ids: impl IntoIterator<Item = i64>) -> GroupChange {
    GroupChange::Add(users(ids).into_iter().collect())
}

async fn change(store: &dyn Store, group: ConversationId, actor: i64, change: &GroupChange) {
    store.change_group(group, user(actor), change, RULES).await.unwrap().unwrap();
}

/// As [`append`], again where one may have to wait for too long.
async fn append_at_last<D: Database>(store: &dyn Store, new: NewChat) -> Appended {
    loop {
        match store.append(std::slice::from_ref(&new)).await {
            Err(StoreError::Unavailable(_)) if D::MAKES_WAIT => {}
            answer => return answer.unwrap().remove(0),
        }
    }
}

/// As [`change`], again where one may have to wait for too long.
async fn change_at_last<D: Database>(
    store: &dyn Store,
    group: ConversationId,
    actor: i64,
    change: GroupChange,
) {
    loop {
        match store.change_group(group, user(actor), &change, RULES).await {
            Err(StoreError::Unavailable(_)) if D::MAKES_WAIT => {}
            answer => return drop(answer.unwrap().unwrap()),
        }
    }
}

/// A group of these users, of whom none was told. Nobody owns it.
pub(super) async fn quiet_group<D: Database>(database: &D, members: Vec<UserId>) -> ConversationId {
    let name = ClientMsgId::random();
    let name = name.as_str();
    let members: Vec<_> = members.iter().map(ToString::to_string).collect();
    for statement in [
        format!(
            "INSERT INTO conversations (kind, title, created_at) VALUES ('group', '{name}', 1)"
        ),
        format!(
            "INSERT INTO members (conversation_id, user_id) SELECT v.id, u.id
             FROM conversations v, users u WHERE v.title = '{name}' AND u.id IN ({})",
            members.join(",")
        ),
    ] {
        database.tamper(&statement).await;
    }
    let id = database.number(&format!("SELECT id FROM conversations WHERE title = '{name}'")).await;
    ConversationId::new(id).unwrap()
}

/// The chat that somebody sent by an event; `None`: a line of the service, or no chat.
fn sent(change: &Change) -> Option<&Chat> {
    match change {
        Change::Chat(chat) => (chat.kind != ChatKind::System).then_some(chat),
        Change::Conversation(_) => None,
        other => panic!("{other:?}"),
    }
}

fn users(ids: impl IntoIterator<Item = i64>) -> Vec<UserId> {
    ids.into_iter().map(user).collect()
}

pub(super) async fn every_member_gets_each_chat_and_nobody_else<D: Database>() {
    let (database, store) = populated::<D>(502).await;
    for size in [1, 2, 3, 50, 500] {
        let twice = (1..=size).chain(1..=size.min(2)).rev();
        let group = quiet_group(&database, users(twice)).await;
        let before: Vec<_> = store.last_seqs(&users(1..=size)).await.unwrap().into_iter().collect();
        let before: BTreeMap<_, _> = before.into_iter().collect();
        let batch = [
            into(1, group, &format!("{size}-a")),
            into(502, group, &format!("{size}-b")),
            chat(1, 501, &format!("{size}-c"), "beside it"),
            into(size, group, &format!("{size}-d")),
        ];
        let mut answers = store.append(&batch).await.unwrap();
        assert_eq!(answers.remove(1), Appended::ConversationNotFound, "502 is no member");
        let answers: Vec<_> = answers.into_iter().map(committed).collect();
        for (nth, answer) in [(1, &answers[0]), (2, &answers[2])] {
            assert_eq!(answer.chat.conversation_id, group);
            assert_eq!((&answer.chat.target, &*answer.chat.content), (&None, "to all"));
            let expected = (1..=size).map(|id| {
                let before = before.get(&user(id)).map_or(0, |seq| seq.get());
                // 1 has the chat beside it in between.
                (id, before + nth + i64::from(id == 1 && nth == 2))
            });
            assert_eq!(places(answer), expected.collect::<Vec<_>>());
        }
        assert_eq!(answers[0].sender_seq().unwrap().get(), places(&answers[0])[0].1);

        let again = repeat(append(&*store, into(1, group, &format!("{size}-a"))).await);
        assert_eq!(
            (&again.chat, places(&again)),
            (&answers[0].chat, places(&answers[0])[..1].into())
        );
        let other = NewChat {
            kind: ChatKind::from("card".to_owned()),
            ..into(1, group, &format!("{size}-a"))
        };
        assert_eq!(append(&*store, other).await, Appended::KeyReused);
        let elsewhere = chat(1, 2, &format!("{size}-a"), "to all");
        assert_eq!(append(&*store, elsewhere).await, Appended::KeyReused);

        for id in [1, size] {
            let page = store.chats(user(id), group, Window::Newest, 10).await.unwrap().unwrap();
            assert_eq!(page.chats, [(*answers[0].chat).clone(), (*answers[2].chat).clone()]);
            let last =
                store.conversations(user(id), None, 1).await.unwrap().conversations.remove(0);
            assert!(id == 1 || last.id == group && last.kind.as_str() == "group");
        }
        assert_eq!(store.chats(user(502), group, Window::Newest, 10).await.unwrap(), None);
    }
    assert_eq!(timeline(&*store, 502).await, []);
    assert_eq!(timeline(&*store, 501).await.len(), 5);
    let nowhere = ConversationId::new(999_999).unwrap();
    assert_eq!(append(&*store, into(1, nowhere, "n")).await, Appended::ConversationNotFound);
}

pub(super) async fn a_direct_conversation_can_be_named_by_its_id<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let first = send(&*store, 2, 1, "hello").await;
    let direct = first.chat.conversation_id;
    let batch = [
        into(1, direct, "a"),
        into(3, direct, "b"),
        chat(1, 2, "a", "to all"),
        into(2, direct, "c"),
    ];
    let answers = store.append(&batch).await.unwrap();
    let Appended::Committed(named) = &answers[0] else { panic!("{answers:?}") };
    assert_eq!((target(&named.chat).id, places(named)), (user(2), vec![(1, 2), (2, 2)]));
    assert_eq!(answers[1], Appended::ConversationNotFound);
    assert_eq!(answers[2], Appended::Repeat(named.clone()), "the same request by another name");
    assert!(matches!(&answers[3], Appended::Committed(c) if target(&c.chat).id == user(1)));
    repeat(append(&*store, chat(2, 1, "c", "to all")).await);
    for change in [add([3]), GroupChange::Remove(user(1))] {
        let refused = store.change_group(direct, user(1), &change, RULES).await.unwrap();
        assert_eq!(refused, Err(GroupRefusal::NoMember), "it has two for ever");
    }

    let note = send(&*store, 3, 3, "a note").await.chat.conversation_id;
    assert_eq!(places(&committed(append(&*store, into(3, note, "d")).await)), [(3, 2)]);
}

pub(super) async fn who_has_no_timeline_gets_no_event<D: Database>() {
    let (database, store) = populated::<D>(4).await;
    for statement in [
        "UPDATE users SET kind = 'bot' WHERE id = 3",
        "UPDATE users SET kind = 'system' WHERE id = 4",
        "DELETE FROM timelines WHERE user_id IN (3, 4)",
    ] {
        database.tamper(statement).await;
    }
    let group = quiet_group(&database, users([1, 2, 3])).await;
    assert_eq!(places(&committed(append(&*store, into(1, group, "a")).await)), [(1, 1), (2, 1)]);
    let by_bot = committed(append(&*store, into(3, group, "b")).await);
    assert_eq!((places(&by_bot), by_bot.sender_seq()), (vec![(1, 2), (2, 2)], None));
    let again = repeat(append(&*store, into(3, group, "b")).await);
    assert_eq!((places(&again), again.chat), (vec![], by_bot.chat));
    let by_service = committed(append(&*store, into(4, group, "c")).await);
    assert_eq!((places(&by_service), by_service.sender_seq()), (vec![(1, 3), (2, 3)], None));
    assert_eq!(places(&send(&*store, 3, 1, "hello").await), [(1, 4)]);
    assert_eq!(places(&send(&*store, 1, 3, "hello").await), [(1, 5)]);
    // Nobody's counter would keep replicas apart.
    for (key, target) in [("g", 3), ("h", 4)] {
        assert_eq!(append(&*store, chat(3, target, key, "x")).await, Appended::TargetNotFound);
    }

    // Who was erased is still a member, and has no timeline either.
    store.erase_user(user(2)).await.unwrap();
    assert_eq!(places(&committed(append(&*store, into(1, group, "d")).await)), [(1, 6)]);
    assert_eq!(append(&*store, into(2, group, "e")).await, Appended::SenderNotFound);
    assert_eq!(append(&*store, chat(1, 2, "f", "x")).await, Appended::TargetNotFound);
}

pub(super) async fn what_a_chat_holds_comes_back_as_it_was<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let group = quiet_group(&database, users([1, 2])).await;
    let long = "好".repeat(101);
    let quoted =
        NewChat { destination: Destination::Conversation(group), ..chat(2, 1, "q", &long) };
    let quoted = committed(append(&*store, quoted).await).chat;
    let elsewhere = send(&*store, 1, 3, "elsewhere").await.chat;
    let new = |key: &str| NewChat {
        kind: ChatKind::from("card".to_owned()),
        body: Some(Payload::parse(r#"{ "title":"\u4f60", "n":1.50 }"#.to_owned()).unwrap()),
        reply_to: Some(quoted.id),
        mentions: Some(Mentions::Users(users([2]).into())),
        ..into(1, group, key)
    };
    let first = committed(append(&*store, new("k")).await).chat;
    let quote = first.reply_to.clone().unwrap();
    assert_eq!((quote.id, quote.user_id, quote.user_name.as_str()), (quoted.id, user(2), "user-2"));
    assert_eq!((quote.kind, &*quote.content, quote.state), (ChatKind::Text, &long[..300], None));
    assert_eq!(first.body.as_ref().unwrap().as_str(), r#"{ "title":"\u4f60", "n":1.50 }"#);
    assert_eq!((first.version, &first.state), (1, &None));
    let all = NewChat { mentions: Some(Mentions::All), ..new("all") };
    assert_eq!(append(&*store, all.clone()).await, Appended::MentionForbidden);
    database.tamper("UPDATE members SET role = 'owner' WHERE user_id = 1").await;
    let stranger = NewChat { mentions: Some(Mentions::Users(users([3]).into())), ..new("s") };
    assert_eq!(append(&*store, stranger).await, Appended::MentionInvalid);
    let all = committed(append(&*store, all).await).chat;

    let page = store.chats(user(2), group, Window::Newest, 2).await.unwrap().unwrap();
    assert_eq!(page.chats, [(*first).clone(), (*all).clone()]);
    let event = store.events(user(2), seq(1), 1).await.unwrap().events.remove(0);
    assert_eq!(event.change, Change::Chat(Box::new((*first).clone())));
    assert_eq!(repeat(append(&*store, new("k")).await).chat, first);
    let mut others = [(); 4].map(|()| new("k"));
    others[0].body = None;
    others[1].reply_to = None;
    others[2].mentions = Some(Mentions::All);
    others[3].kind = ChatKind::Text;
    for other in others {
        assert_eq!(append(&*store, other).await, Appended::KeyReused);
    }
    for quoted in [elsewhere.id, imserver::domain::ChatId::new(999_999).unwrap()] {
        let new = NewChat { reply_to: Some(quoted), ..new("nothing") };
        assert_eq!(append(&*store, new).await, Appended::QuoteNotFound);
    }
    let direct = NewChat { reply_to: Some(elsewhere.id), ..chat(3, 1, "d", "yes") };
    assert!(committed(append(&*store, direct).await).chat.reply_to.is_some());
    let stranger = NewChat { reply_to: Some(elsewhere.id), ..chat(2, 3, "e", "yes") };
    assert_eq!(append(&*store, stranger).await, Appended::QuoteNotFound, "nothing has begun");
}

pub(super) async fn a_changed_chat_still_tells_a_repeat_from_another_request<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let new = chat(1, 2, "k", "hello");
    let first = committed(append(&*store, new.clone()).await).chat;
    let digest = new.digest().0.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    // As a later version recalls a chat.
    let literal = D::BYTES.replace("{}", &digest);
    database
        .tamper(&format!(
            "UPDATE chats SET content = '', state = 'recalled', version = 2, request_digest = {literal}"
        ))
        .await;
    let again = repeat(append(&*store, new.clone()).await).chat;
    assert_eq!((again.id, &*again.content, again.version), (first.id, "", 2));
    assert_eq!(again.state, Some(ChatState::Recalled));
    let empty = NewChat { body: Some(Payload::parse("{}".to_owned()).unwrap()), ..new.clone() };
    assert_eq!(append(&*store, empty).await, Appended::KeyReused);
    let reply = NewChat { reply_to: Some(first.id), ..chat(2, 1, "r", "what was it?") };
    let quote = committed(append(&*store, reply).await).chat.reply_to.clone().unwrap();
    assert_eq!((&*quote.content, quote.state), ("", Some(ChatState::Recalled)));
}

const WRITERS: i64 = 16;
const CHATS: i64 = 12;

/// Writers of groups that overlap, while members come and go: whoever is told that a member was removed
/// sees no chat in that member's timeline that is committed later, and all that come after an addition.
///
/// Of those who write without a pause `SQLite` may keep one waiting for longer than that one waits, so each asks
/// again.
pub(super) async fn what_nobody_decided_about_is_answered_if_it_is_a_repeat<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let group = quiet_group(&database, users([1, 2])).await;
    let direct = chat(1, 2, "direct", "x");
    let decided = [into(1, group, "a"), direct.clone()];
    let first: Vec<_> = store.append(&decided).await.unwrap().into_iter().map(committed).collect();
    let undecided = |chat: &NewChat| NewChat { must_be_repeat: true, ..chat.clone() };
    let batch =
        [undecided(&into(1, group, "b")), undecided(&direct), undecided(&into(1, group, "a"))];
    let answers = store.append(&batch).await.unwrap();
    assert_eq!(answers[0], Appended::ConversationNotFound);
    for (answer, first) in answers[1..].iter().zip(first.iter().rev()) {
        assert_eq!(repeat(answer.clone()).chat.id, first.chat.id);
    }
    assert_eq!(timeline(&*store, 2).await.len(), 2);
}

pub(super) async fn exactly_the_members_of_that_moment_get_a_chat<D: Database>() {
    let (database, store) = populated::<D>(520).await;
    let mut groups = Vec::new();
    for members in [1..=1, 1..=2, 1..=3, 10..=59, 1..=500] {
        groups.push(quiet_group(&database, users(members)).await);
    }
    let large = groups[4];
    let replicas = [
        Batcher::start(store.clone(), LINGER, Box::new(|_| ())),
        Batcher::start(database.open().await, LINGER, Box::new(|_| ())),
    ];
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let batcher = replicas[usize::try_from(writer).unwrap() % 2].clone();
        let groups = groups.clone();
        writers.spawn(async move {
            let mut answers: Vec<Committed> = Vec::new();
            for i in 0..CHATS {
                let key = format!("{writer}-{i}");
                let new = match (writer + i) % 6 {
                    5 => chat(writer + 1, (writer + i) % 20 + 1, &key, "direct"),
                    // 1 is a member of all but one.
                    3 => into(10 + writer, groups[3], &key),
                    place => into(1, groups[usize::try_from(place).unwrap()], &key),
                };
                let answer = loop {
                    match batcher.append(new.clone()).await {
                        Err(AppendError::Unavailable) if D::MAKES_WAIT => {}
                        answer => break answer.unwrap(),
                    }
                };
                answers.push(committed(answer));
            }
            answers
        });
    }
    // Three come and go for as long as that takes; each moment is fenced by a chat of one's own.
    let mut movers = JoinSet::new();
    for mover in 501..=503_i64 {
        let other = database.open().await;
        movers.spawn(async move {
            let mut own = Vec::new();
            for round in 0..8 {
                change_at_last::<D>(&*other, large, 1, add([mover])).await;
                let said = into(mover, large, &format!("m{round}"));
                own.push(committed(append_at_last::<D>(&*other, said).await));
                change_at_last::<D>(&*other, large, mover, GroupChange::Remove(user(mover))).await;
                let late = into(mover, large, &format!("n{round}"));
                let refused = append_at_last::<D>(&*other, late).await;
                assert_eq!(refused, Appended::ConversationNotFound);
            }
            own
        });
    }
    let in_time = |set: JoinSet<Vec<Committed>>| async move {
        let all = tokio::time::timeout(Duration::from_mins(2), set.join_all()).await;
        all.expect("they came to an end").into_iter().flatten().collect::<Vec<_>>()
    };
    let (answers, own) = tokio::join!(in_time(writers), in_time(movers));
    for mover in 501..=503 {
        let events = store.events(user(mover), Seq::ZERO, 100_000).await.unwrap().events;
        let mine = events.iter().filter_map(|event| Some(sent(&event.change)?.id));
        let mine: HashSet<_> = mine.collect();
        let said: Vec<_> = own.iter().filter(|said| said.chat.user_id == user(mover)).collect();
        assert_eq!(said.len(), 8);
        assert!(said.iter().all(|said| mine.contains(&said.chat.id)), "who was a member has it");
    }
    check(&store, answers.into_iter().chain(own).collect(), large).await;
}

/// Every timeline is whole and has exactly what was answered, and the members of each chat of a
/// conversation are those who were members all the time, and of the movers whoever was then.
async fn check(store: &Arc<dyn Store>, answers: Vec<Committed>, large: ConversationId) {
    let mut expected: BTreeMap<i64, BTreeSet<(i64, i64)>> = BTreeMap::new();
    for answer in &answers {
        let members: Vec<_> = answer.places.iter().map(|(user, _)| user.get()).collect();
        if answer.chat.conversation_id == large {
            assert_eq!(members[..500], (1..=500).collect::<Vec<_>>());
            assert!(members[500..].iter().all(|id| (501..=503).contains(id)));
        }
        for (of, seq) in places(answer) {
            assert!(expected.entry(of).or_default().insert((seq, answer.chat.id.get())));
        }
    }
    for (of, expected) in expected {
        let events = store.events(user(of), Seq::ZERO, 100_000).await.expect("no holes").events;
        let found: BTreeSet<_> = events
            .iter()
            .filter_map(|event| Some((event.seq.get(), sent(&event.change)?.id.get())))
            .collect();
        assert_eq!(found, expected, "{of}");
        let mut newest: BTreeMap<ConversationId, i64> = BTreeMap::new();
        for event in events {
            let Some(chat) = sent(&event.change) else { continue };
            let before = newest.insert(chat.conversation_id, chat.id.get());
            assert!(before < Some(chat.id.get()), "ids rise within a conversation");
        }
    }
}

/// Batches over the same groups and users in opposite orders, and changes of their members.
pub(super) async fn crossed_changes_and_batches_do_not_deadlock<D: Database>() {
    let (database, store) = populated::<D>(12).await;
    let other = database.open().await;
    let third = database.open().await;
    let one = quiet_group(&database, users(1..=10)).await;
    let two = quiet_group(&database, users(1..=10)).await;
    for round in 0..20 {
        let batch: Vec<_> = (1..=10_i64)
            .flat_map(|i| {
                [
                    into(i, one, &format!("a{round}")),
                    chat(i, 11 - i, &format!("b{round}"), "x"),
                    into(i, two, &format!("c{round}")),
                ]
            })
            .collect();
        let reversed: Vec<_> = batch
            .iter()
            .rev()
            .map(|chat| NewChat { client_msg_id: ClientMsgId::random(), ..chat.clone() })
            .collect();
        let (a, b, ()) = tokio::join!(store.append(&batch), other.append(&reversed), async {
            for group in [two, one] {
                change(&*third, group, 1, &add([11, 12])).await;
            }
            for group in [two, one] {
                change(&*third, group, 11, &GroupChange::Remove(user(11))).await;
            }
        });
        let all = a.unwrap().into_iter().chain(b.unwrap());
        assert_eq!(all.filter(|a| matches!(a, Appended::Committed(_))).count(), 60);
    }
}
