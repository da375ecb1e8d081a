//! Conversations as their members see them.

use imserver::{
    clock::Timestamp,
    domain::{ChatId, ConversationId, ConversationKind},
    store::{Change, ChatPage, ReadMark, Store, Window},
};

use super::{Database, chat, committed, peer, populated, send, seq, user};

fn ids(page: &ChatPage) -> Vec<ChatId> {
    page.chats.iter().map(|chat| chat.id).collect()
}

async fn unread(store: &dyn Store, of: i64, with: i64) -> u32 {
    let conversation = store.conversation_with(user(of), user(with)).await.unwrap().unwrap();
    let page = store.conversations(user(of), None, 100).await.unwrap();
    let listed = page.conversations.into_iter().find(|c| c.id == conversation.id).unwrap();
    assert_eq!(listed, conversation, "listed as it is found");
    conversation.unread
}

pub(super) async fn both_sides_see_one_conversation<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    assert_eq!(store.conversation_with(user(1), user(2)).await.unwrap(), None);
    let first = send(&*store, 2, 1, "x").await.chat;
    let last = send(&*store, 1, 2, "y").await.chat;
    send(&*store, 1, 3, "elsewhere").await;
    let seen = Timestamp::from_millis(1_700_000_000_123);
    store.save_last_seen(&[(user(2), seen)]).await.unwrap();
    store.mark_read(user(2), first.conversation_id, first.id).await.unwrap();

    let mine = store.conversation_with(user(1), user(2)).await.unwrap().unwrap();
    assert_eq!((mine.id, &mine.kind), (first.conversation_id, &ConversationKind::Direct));
    assert_eq!((peer(&mine).user.id, peer(&mine).user.name.as_str()), (user(2), "user-2"));
    assert_eq!(peer(&mine).last_seen_at, Some(seen));
    assert_eq!(mine.last_chat, Some((*last).clone()));
    assert_eq!((mine.unread, mine.read_up_to, mine.peer_read_up_to), (1, None, Some(first.id)));

    let theirs = store.conversation_with(user(2), user(1)).await.unwrap().unwrap();
    assert_eq!((theirs.id, peer(&theirs).user.id), (mine.id, user(1)));
    assert_eq!(peer(&theirs).last_seen_at, None);
    assert_eq!((theirs.unread, theirs.read_up_to), (1, Some(first.id)));
    assert_eq!(theirs.peer_read_up_to, None);

    assert_eq!(store.conversation_with(user(2), user(3)).await.unwrap(), None);
    assert_eq!(store.conversation_with(user(1), user(1)).await.unwrap(), None);
    assert_eq!(store.conversation_with(user(1), user(99)).await.unwrap(), None);
}

pub(super) async fn conversations_come_in_pages<D: Database>() {
    let (_database, store) = populated::<D>(8).await;
    for peer in 2..=6 {
        send(&*store, 1, peer, "x").await;
    }
    send(&*store, 7, 8, "of others").await;
    // The newest chat decides, not the age of the conversation.
    send(&*store, 3, 1, "again").await;

    let whole = store.conversations(user(1), None, 5).await.unwrap();
    let peers: Vec<_> = whole.conversations.iter().map(|c| peer(c).user.id.get()).collect();
    assert_eq!(peers, [3, 6, 5, 4, 2]);
    assert!(!whole.has_more, "exactly full");
    assert!(store.conversations(user(1), None, 4).await.unwrap().has_more);

    let mut read = Vec::new();
    let mut before = None;
    loop {
        let page = store.conversations(user(1), before, 2).await.unwrap();
        before = page.conversations.last().and_then(|c| c.position);
        read.extend(page.conversations);
        assert_eq!(page.has_more, read.len() < 5);
        if !page.has_more {
            break;
        }
    }
    assert_eq!(read, whole.conversations);
    let past = store.conversations(user(1), before, 2).await.unwrap();
    assert!(past.conversations.is_empty() && !past.has_more);
}

pub(super) async fn chats_come_in_pages_at_both_ends<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let mut sent = Vec::new();
    let mut conversation = None;
    for i in 0..7 {
        let chat = send(&*store, 1 + i % 2, 2 - i % 2, "x").await.chat;
        conversation = Some(chat.conversation_id);
        sent.push(chat.id);
        send(&*store, 1, 3, "elsewhere").await;
    }
    let page = async |window, limit| {
        let page = store.chats(user(2), conversation.unwrap(), window, limit).await;
        let page = page.unwrap().unwrap();
        (ids(&page), page.has_more)
    };

    assert_eq!(page(Window::Newest, 7).await, (sent.clone(), false));
    assert_eq!(page(Window::Newest, 8).await, (sent.clone(), false));
    assert_eq!(page(Window::Newest, 6).await, (sent[1..].to_vec(), true));
    assert_eq!(page(Window::Before(sent[4]), 4).await, (sent[..4].to_vec(), false));
    assert_eq!(page(Window::Before(sent[4]), 3).await, (sent[1..4].to_vec(), true));
    assert_eq!(page(Window::Before(sent[0]), 3).await, (vec![], false));
    assert_eq!(page(Window::Oldest, 7).await, (sent.clone(), false));
    assert_eq!(page(Window::Oldest, 6).await, (sent[..6].to_vec(), true));
    assert_eq!(page(Window::After(sent[2]), 4).await, (sent[3..].to_vec(), false));
    assert_eq!(page(Window::After(sent[2]), 3).await, (sent[3..6].to_vec(), true));
    assert_eq!(page(Window::After(sent[6]), 3).await, (vec![], false));
}

pub(super) async fn unread_is_counted_to_a_hundred<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let batch: Vec<_> = (0..102).map(|i| chat(1, 2, &format!("k{i}"), "x")).collect();
    let mut sent = Vec::new();
    for (upto, expected) in [(1, 1), (99, 99), (100, 100), (101, 100), (102, 100)] {
        let answers = store.append(&batch[sent.len()..upto]).await.unwrap();
        sent.extend(answers.into_iter().map(|answer| committed(answer).chat));
        assert_eq!(unread(&*store, 2, 1).await, expected, "of {upto}");
        assert_eq!(unread(&*store, 1, 2).await, 0, "one's own are read");
    }
    let conversation = sent[0].conversation_id;
    for (read, expected) in [(2, 100), (3, 99), (51, 51), (101, 1), (102, 0)] {
        store.mark_read(user(2), conversation, sent[read - 1].id).await.unwrap();
        assert_eq!(unread(&*store, 2, 1).await, expected, "read to {read}");
    }
    send(&*store, 2, 1, "x").await;
    assert_eq!(unread(&*store, 2, 1).await, 0);
    assert_eq!(unread(&*store, 1, 2).await, 1);
}

pub(super) async fn a_read_mark_only_rises_and_stays_within<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(send(&*store, 1, 2, "x").await.chat);
    }
    let conversation = sent[0].conversation_id;
    // A later chat elsewhere is no reason to pass the last one here.
    let elsewhere = send(&*store, 3, 2, "x").await.chat;
    let mark = async |up_to| {
        let mark = store.mark_read(user(2), conversation, up_to).await.unwrap().unwrap();
        let listed = store.conversation_with(user(2), user(1)).await.unwrap().unwrap();
        assert_eq!(listed.read_up_to, mark.up_to);
        assert_eq!(mark.peer, Some(user(1)));
        (mark.up_to, mark.moved)
    };
    assert_eq!(mark(sent[1].id).await, (Some(sent[1].id), true));
    assert_eq!(mark(sent[1].id).await, (Some(sent[1].id), false));
    assert_eq!(mark(sent[0].id).await, (Some(sent[1].id), false));
    assert_eq!(mark(elsewhere.id).await, (Some(sent[3].id), true));
    assert_eq!(mark(ChatId::new(1 << 50).unwrap()).await, (Some(sent[3].id), false));

    let new = send(&*store, 1, 2, "x").await.chat;
    assert_eq!(unread(&*store, 2, 1).await, 1, "what came later is unread");
    assert_eq!(mark(new.id).await, (Some(new.id), true));

    // The other side's mark is its own.
    let theirs = store.mark_read(user(1), conversation, sent[0].id).await.unwrap();
    assert_eq!(
        theirs,
        Some(ReadMark {
            up_to: Some(sent[0].id),
            moved: true,
            peer: Some(user(2)),
            marked_unread: false
        })
    );
}

pub(super) async fn strangers_see_no_conversation<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let chat = send(&*store, 1, 2, "x").await.chat;
    let nowhere = ConversationId::new(chat.conversation_id.get() + 1_000).unwrap();
    for (who, conversation) in [(3, chat.conversation_id), (1, nowhere), (99, nowhere)] {
        let page = store.chats(user(who), conversation, Window::Newest, 10).await.unwrap();
        assert_eq!(page, None);
        assert_eq!(store.mark_read(user(who), conversation, chat.id).await.unwrap(), None);
    }
    assert!(store.conversations(user(3), None, 10).await.unwrap().conversations.is_empty());
}

pub(super) async fn conversations_of_unknown_kinds_pass_through<D: Database>() {
    let (database, store) = populated::<D>(3).await;
    let direct = send(&*store, 1, 2, "x").await.chat;
    for statement in [
        "INSERT INTO conversations (kind, created_at) VALUES ('council', 1)",
        "INSERT INTO members (conversation_id, user_id)
         SELECT v.id, u.id FROM conversations v, users u WHERE v.kind = 'council'",
        "INSERT INTO chats (id, conversation_id, sender_id, sender_seq, client_msg_id, kind, content,
             created_at)
         SELECT 900, id, 3, 1, 'future', 'text', 'to all', 1 FROM conversations WHERE kind = 'council'",
        "INSERT INTO timeline_events (user_id, seq, kind, chat_id) VALUES (1, 2, 'chat', 900)",
        "UPDATE timelines SET last_seq = 2 WHERE user_id = 1",
    ] {
        database.tamper(statement).await;
    }
    let page = store.conversations(user(1), None, 10).await.unwrap();
    let kinds: Vec<_> = page.conversations.iter().map(|c| c.kind.as_str()).collect();
    assert_eq!(kinds, ["council", "direct"]);
    let council = &page.conversations[0];
    assert_eq!((&council.peer, council.unread, council.peer_read_up_to), (&None, 1, None));
    let chat = council.last_chat.clone().unwrap();
    assert_eq!((chat.user_id, &chat.target, &*chat.content), (user(3), &None, "to all"));

    let history = store.chats(user(1), council.id, Window::Newest, 10).await.unwrap().unwrap();
    assert_eq!(history.chats, std::slice::from_ref(&chat));
    let event = store.events(user(1), seq(1), 10).await.unwrap().events.remove(0);
    assert_eq!(event.change, Change::Chat(Box::new(chat.clone())));
    let mark = store.mark_read(user(1), council.id, chat.id).await.unwrap().unwrap();
    assert_eq!(
        mark,
        ReadMark { up_to: Some(chat.id), moved: true, peer: None, marked_unread: false }
    );
    // The clients of these know two people.
    assert_eq!(store.latest_chats(user(1), 1).await.unwrap(), [(*direct).clone()]);
}
