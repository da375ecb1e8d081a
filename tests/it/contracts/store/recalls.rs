//! Chats that are recalled, or deleted by one user for oneself.

use std::time::Duration;

use imserver::{
    domain::{ChatId, ChatState, ConversationId, Seq, UserId},
    store::{Appended, Change, NewChat, OwnChange, Recalled, Store, Told, Window},
};

use super::{Database, chat, committed, populated, repeat, send, user};

const WINDOW: Duration = Duration::from_mins(2);

async fn recall(store: &dyn Store, actor: UserId, chat: ChatId) -> Recalled {
    store.recall(actor, chat, WINDOW).await.unwrap()
}

/// The versions of a chat in a timeline, in order: what its events show now.
async fn events(store: &dyn Store, of: UserId) -> Vec<String> {
    let events = store.events(of, Seq::ZERO, 1_000).await.unwrap().events;
    let words = events.into_iter().map(|event| match event.change {
        Change::Chat(chat) => format!("chat {} {}", chat.version, chat.content),
        Change::Changed(chat) => format!("changed {} {}", chat.version, chat.content),
        Change::Gone { .. } => "gone".to_owned(),
        other => panic!("{other:?}"),
    });
    words.collect()
}

pub(super) async fn a_recalled_chat_says_nothing_anywhere<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let asked = chat(1, 2, "k", "secret");
    let first = committed(store.append(std::slice::from_ref(&asked)).await.unwrap().remove(0)).chat;
    let quoting = NewChat { reply_to: Some(first.id), ..chat(2, 1, "q", "what?") };
    store.append(&[quoting]).await.unwrap();
    assert_eq!(recall(&*store, user(2), first.id).await, Recalled::Forbidden);
    assert_eq!(recall(&*store, user(3), first.id).await, Recalled::NotFound);
    assert_eq!(recall(&*store, user(1), ChatId::new(1 << 50).unwrap()).await, Recalled::NotFound);

    let Recalled::Done(recalled, told) = recall(&*store, user(1), first.id).await else { panic!() };
    assert_eq!((recalled.version, &*recalled.content), (2, ""));
    assert_eq!(recalled.state, Some(ChatState::Recalled));
    assert_eq!(told.events[0].0, Change::Changed(recalled.clone()));
    assert_eq!(told.events[0].1.len(), 2, "both sides");
    let again = recall(&*store, user(1), first.id).await;
    assert_eq!(again, Recalled::Done(recalled.clone(), Told::default()));

    for id in [1, 2] {
        assert_eq!(events(&*store, user(id)).await, ["chat 2 ", "chat 1 what?", "changed 2 "]);
        let page = store.chats(user(id), first.conversation_id, Window::Newest, 9).await.unwrap();
        let chats = page.unwrap().chats;
        assert_eq!(chats[0], *recalled);
        let quote = chats[1].reply_to.clone().unwrap();
        assert_eq!((&*quote.content, quote.state), ("", Some(ChatState::Recalled)));
        assert_eq!(store.latest_chats(user(id), 9).await.unwrap(), chats);
    }
    // Its key still knows it.
    assert_eq!(*repeat(store.append(&[asked]).await.unwrap().remove(0)).chat, *recalled);
    let other = store.append(&[chat(1, 2, "k", "other words")]).await.unwrap();
    assert_eq!(other, [Appended::KeyReused]);
}

pub(super) async fn a_recall_has_its_time<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let first = send(&*store, 1, 2, "x").await.chat;
    database
        .tamper(&format!(
            "UPDATE chats SET created_at = created_at - 130000 WHERE id = {}",
            first.id
        ))
        .await;
    assert_eq!(recall(&*store, user(1), first.id).await, Recalled::TooLate);
    let page =
        store.chats(user(2), first.conversation_id, Window::Newest, 9).await.unwrap().unwrap();
    assert_eq!(&*page.chats[0].content, "x");
}

pub(super) async fn changes_are_read_from_a_version_on<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(send(&*store, 1, 2, &n.to_string()).await.chat);
    }
    let conversation = sent[0].conversation_id;
    let version = async || {
        store.conversation(user(1), conversation).await.unwrap().unwrap().version.unwrap().get()
    };
    let known = version().await;
    recall(&*store, user(1), sent[1].id).await;
    let new = send(&*store, 2, 1, "new").await.chat;
    recall(&*store, user(1), sent[3].id).await;
    let changes = async |since, limit| {
        let page = store.changes(user(2), conversation, since, limit).await.unwrap().unwrap();
        let ids: Vec<_> = page.chats.iter().map(|chat| chat.id).collect();
        (ids, page.version, page.has_more)
    };
    let (first, next, has_more) = changes(known, 2).await;
    assert_eq!((first, has_more), (vec![sent[1].id, new.id], true));
    let (rest, last, has_more) = changes(next, 2).await;
    assert_eq!((rest, has_more, last), (vec![sent[3].id], false, version().await));
    assert_eq!(changes(last, 2).await, (Vec::new(), last, false));
    assert_eq!(changes(0, 100).await.0.len(), 6, "each once");
    assert_eq!(
        store.changes(user(1), ConversationId::new(1 << 50).unwrap(), 0, 1).await.unwrap(),
        None
    );
}

pub(super) async fn a_chat_deleted_for_oneself_is_gone_for_good<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let first = send(&*store, 1, 2, "a").await.chat;
    let last = send(&*store, 1, 2, "b").await.chat;
    let conversation = last.conversation_id;
    let unread = async || {
        let here = store.conversation(user(2), conversation).await.unwrap().unwrap().unread;
        (here, store.unread_total(user(2)).await.unwrap())
    };
    assert_eq!(store.delete_for(user(3), last.id).await.unwrap(), None);
    assert_eq!(unread().await, (2, 2));
    let told = store.delete_for(user(2), last.id).await.unwrap().unwrap();
    assert_eq!(unread().await, (1, 1));
    assert_eq!(
        told.events,
        [(Change::Gone { chat: last.id, conversation }, told.events[0].1.clone())]
    );
    assert_eq!(told.events[0].1.len(), 1, "one's own timeline alone");
    assert_eq!(store.delete_for(user(2), last.id).await.unwrap(), Some(Told::default()));
    // What changes later is not told to whoever has deleted it: it stays gone.
    recall(&*store, user(1), last.id).await;
    assert_eq!(events(&*store, user(2)).await, ["chat 1 a", "gone", "gone", "gone"]);
    let mine = store.conversation(user(2), conversation).await.unwrap().unwrap();
    assert_eq!((mine.last_chat.unwrap().id, mine.position), (first.id, Some(last.id)));
    let page = store.chats(user(2), conversation, Window::Newest, 9).await.unwrap().unwrap();
    assert_eq!(page.chats.iter().map(|chat| chat.id).collect::<Vec<_>>(), [first.id]);
    assert_eq!(store.latest_chats(user(2), 9).await.unwrap().len(), 1);
    assert_eq!(recall(&*store, user(2), last.id).await, Recalled::NotFound);
    assert_eq!(events(&*store, user(1)).await, ["chat 1 a", "chat 2 ", "changed 2 "]);
    let clear = OwnChange { clear: true, ..OwnChange::default() };
    store.change_own(user(2), conversation, &clear, 9).await.unwrap();
    let page = store.chats(user(2), conversation, Window::Newest, 9).await.unwrap().unwrap();
    assert_eq!(page.chats, []);
}

/// Recalls, deletions and chats at two replicas at once: no deadlock, no hole, versions rise.
pub(super) async fn recalls_and_chats_cross_without_a_deadlock<D: Database>() {
    let (database, store) = populated::<D>(2).await;
    let other = database.open().await;
    for round in 0..20 {
        let first = send(&*store, 1, 2, "x").await.chat;
        let second = send(&*store, 2, 1, "y").await.chat;
        let batch = [chat(1, 2, &format!("c{round}"), "z"), chat(2, 1, &format!("d{round}"), "z")];
        let (one, two, three, four) = tokio::join!(
            store.recall(user(1), first.id, WINDOW),
            other.recall(user(2), second.id, WINDOW),
            other.append(&batch),
            store.delete_for(user(2), first.id),
        );
        assert!(matches!(one.unwrap(), Recalled::Done(..)));
        assert!(matches!(two.unwrap(), Recalled::Done(..)));
        assert!(four.unwrap().is_some() && three.is_ok());
    }
    for id in [1, 2] {
        events(&*store, user(id)).await;
    }
}
