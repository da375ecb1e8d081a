//! Committing chats, one batch at a time.

use imserver::{
    clock::Clock,
    store::{Appended, Committed, StoreError, TimelineRange, Window},
};

use super::{
    Database, chat, committed, name, peer, places, poisoned, populated, repeat, send, seq, target,
    timeline, user,
};

pub(super) async fn commits_are_numbered_and_answered_in_order<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let before = Clock::system().now();
    let answers = store
        .append(&[
            chat(1, 2, "a", "one"),
            chat(2, 1, "a", "two"),
            chat(1, 3, "b", "three"),
            chat(1, 2, "c", "four"),
        ])
        .await
        .unwrap();
    let after = Clock::system().now();

    let all: Vec<_> = answers.into_iter().map(committed).collect();
    let said: Vec<_> = all.iter().map(|c| &*c.chat.content).collect();
    assert_eq!(said, ["one", "two", "three", "four"]);
    let numbers: Vec<_> = all.iter().map(places).collect();
    assert_eq!(numbers, [[(1, 1), (2, 1)], [(1, 2), (2, 2)], [(1, 3), (3, 1)], [(1, 4), (2, 3)]]);
    assert!(all.is_sorted_by(|a, b| a.chat.id < b.chat.id), "ids rise in the order of the batch");
    assert!(all.is_sorted_by_key(|c| c.chat.create_time));
    for Committed { chat, .. } in &all {
        assert!((before..=after).contains(&chat.create_time), "the time is that of the commit");
    }

    let first = &all[0].chat;
    assert_eq!((first.user_id, target(first).id), (user(1), user(2)));
    assert_eq!((first.user_name.as_str(), target(first).name.as_str()), ("user-1", "user-2"));
    assert_eq!(first.client_msg_id.as_str(), "a");
    assert_eq!(first.conversation_id, all[1].chat.conversation_id, "one for both directions");
    assert_ne!(first.conversation_id, all[2].chat.conversation_id);

    let ids: Vec<_> = all.iter().map(|c| c.chat.id).collect();
    assert_eq!(timeline(&*store, 1).await, [(1, ids[0]), (2, ids[1]), (3, ids[2]), (4, ids[3])]);
    assert_eq!(timeline(&*store, 2).await, [(1, ids[0]), (2, ids[1]), (3, ids[3])]);
    assert_eq!(timeline(&*store, 3).await, [(1, ids[2])]);

    let next = send(&*store, 3, 1, "five").await;
    assert!(next.chat.id > ids[3]);
    assert_eq!(places(&next), [(1, 5), (3, 2)]);
    assert_eq!(next.chat.conversation_id, all[2].chat.conversation_id);
}

pub(super) async fn the_same_key_is_the_same_chat_for_ever<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let new = chat(1, 2, "k", "hello");
    let first = committed(store.append(std::slice::from_ref(&new)).await.unwrap().remove(0));
    send(&*store, 2, 1, "in between").await;

    let again = repeat(store.append(std::slice::from_ref(&new)).await.unwrap().remove(0));
    assert_eq!(again.chat, first.chat);
    assert_eq!(places(&again), [(1, 1)], "where its sender has it");
    assert_eq!(timeline(&*store, 1).await.len(), 2);
    assert_eq!(timeline(&*store, 2).await.len(), 2);

    store.rename(user(2), &name("renamed")).await.unwrap();
    let again = repeat(store.append(&[new]).await.unwrap().remove(0));
    assert_eq!(target(&again.chat).name.as_str(), "renamed", "names are the current ones");

    // A key is its sender's own.
    committed(store.append(&[chat(2, 1, "k", "hello")]).await.unwrap().remove(0));
}

pub(super) async fn a_key_with_other_words_is_refused<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    store.append(&[chat(1, 2, "k", "hello")]).await.unwrap();
    let answers = store
        .append(&[
            chat(1, 2, "k", "hello "),
            chat(1, 3, "k", "hello"),
            chat(1, 99, "k", "hello"),
            chat(1, 2, "k", "hello"),
        ])
        .await
        .unwrap();
    assert_eq!(answers[..3], [Appended::KeyReused, Appended::KeyReused, Appended::KeyReused]);
    assert!(matches!(answers[3], Appended::Repeat(_)));
    assert_eq!(timeline(&*store, 1).await.len(), 1);
    assert_eq!(store.timeline_range(user(3)).await.unwrap(), TimelineRange::EMPTY);
}

pub(super) async fn repeats_within_a_batch_are_folded<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let mut answers = store
        .append(&[
            chat(1, 2, "k", "hello"),
            chat(1, 2, "k", "other"),
            chat(1, 2, "k", "hello"),
            chat(1, 3, "k", "hello"),
            chat(2, 1, "k", "hello"),
            chat(1, 2, "k", "hello"),
            // What was not committed does not hold its key.
            chat(1, 99, "l", "to nobody"),
            chat(1, 2, "l", "to somebody"),
        ])
        .await
        .unwrap();
    let last = committed(answers.remove(7));
    assert_eq!(answers[6], Appended::TargetNotFound);
    let Appended::Committed(first) = &answers[0] else { panic!("{:?}", answers[0]) };
    assert_eq!(answers[1], Appended::KeyReused);
    assert_eq!(answers[2], Appended::Repeat(first.clone()), "the first answer again");
    assert_eq!(answers[3], Appended::KeyReused);
    assert!(matches!(&answers[4], Appended::Committed(c) if c.chat.user_id == user(2)));
    assert_eq!(answers[5], Appended::Repeat(first.clone()));
    assert_eq!(places(&last), [(1, 3), (2, 3)]);
    assert_eq!(timeline(&*store, 1).await.len(), 3);
}

pub(super) async fn a_chat_to_oneself_is_one_event<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    let first = send(&*store, 1, 1, "a note").await;
    assert_eq!(places(&first), [(1, 1)]);
    assert_eq!(target(&first.chat).id, user(1));
    let second = send(&*store, 1, 1, "another").await;
    assert_eq!(places(&second), [(1, 2)]);
    assert_eq!(second.chat.conversation_id, first.chat.conversation_id);
    assert_eq!(timeline(&*store, 1).await, [(1, first.chat.id), (2, second.chat.id)]);

    let page = store.conversations(user(1), None, 10).await.unwrap();
    assert_eq!(page.conversations.len(), 1);
    let conversation = &page.conversations[0];
    assert_eq!((conversation.unread, peer(conversation).user.id), (0, user(1)));
    assert_eq!(
        store.conversation_with(user(1), user(1)).await.unwrap().as_ref(),
        Some(conversation)
    );
    let window = (conversation.id, Window::Newest);
    let chats = store.chats(user(1), window.0, window.1, 10).await.unwrap().unwrap();
    assert_eq!(chats.chats, [(*first.chat).clone(), (*second.chat).clone()]);
}

pub(super) async fn unknown_users_are_told_apart<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let answers = store
        .append(&[
            chat(98, 1, "a", "x"),
            chat(1, 99, "b", "x"),
            chat(98, 99, "c", "x"),
            chat(98, 98, "d", "x"),
            chat(1, 2, "e", "x"),
        ])
        .await
        .unwrap();
    assert_eq!(
        answers[..4],
        [
            Appended::SenderNotFound,
            Appended::TargetNotFound,
            Appended::SenderNotFound,
            Appended::SenderNotFound
        ]
    );
    assert!(matches!(&answers[4], Appended::Committed(c) if c.sender_seq() == Some(seq(1))));
    assert_eq!(store.timeline_range(user(98)).await.unwrap(), TimelineRange::EMPTY);
    assert_eq!(store.timeline_range(user(99)).await.unwrap(), TimelineRange::EMPTY);

    // Whoever comes to exist can be written to, under the key that found nobody.
    store.ensure_users(&[(user(99), name("late"))]).await.unwrap();
    committed(store.append(&[chat(1, 99, "b", "x")]).await.unwrap().remove(0));
}

pub(super) async fn an_empty_batch_touches_nothing<D: Database>() {
    let (_database, store) = populated::<D>(1).await;
    assert_eq!(store.append(&[]).await.unwrap(), []);
    assert_eq!(store.timeline_range(user(1)).await.unwrap(), TimelineRange::EMPTY);
}

pub(super) async fn a_refused_chat_takes_its_batch_along<D: Database>() {
    let (_database, store) = populated::<D>(3).await;
    let batch = [chat(1, 2, "a", "x"), poisoned(1, 3, "b"), chat(1, 2, "c", "x")];
    let refused = store.append(&batch).await.unwrap_err();
    assert!(matches!(refused, StoreError::Rejected(_)), "{refused:?}");
    assert!(!refused.to_string().contains("xxxx"), "an error shows no body");
    assert_eq!(store.timeline_range(user(1)).await.unwrap(), TimelineRange::EMPTY);
    assert_eq!(store.conversation_with(user(1), user(3)).await.unwrap(), None);

    // The store goes on, and nothing of the batch is known to it.
    let sent = committed(store.append(&batch[..1]).await.unwrap().remove(0));
    assert_eq!(places(&sent), [(1, 1), (2, 1)]);
}

pub(super) async fn content_comes_back_exactly<D: Database>() {
    let (_database, store) = populated::<D>(2).await;
    let mut texts: Vec<String> = [
        " 你好 ",
        "👩‍👩‍👧‍👦 \u{1f600}",
        "\u{202e}שלום العربية",
        "a\r\nb\tc\u{8}\u{c}",
        "\u{feff}bom",
        "\u{2028}\u{2029}x\u{85}\u{a0}",
        "\\ \\\\ \\n \\u0041 \\\" \" ' ` $1 ?1 :a @b",
        "{\"a\":[1,null,true]}",
        "[1,2]",
        "null",
        "123",
        "1e400",
        "0x10",
        "-0",
        "\"quoted\"",
        "\u{7f}\u{80}\u{9f}\u{fffd}\u{fffe}\u{ffff}\u{10ffff}\u{e000}\u{d7ff}",
        "e\u{301} é",
        "</script>&amp;<!-- -->",
        "'; DROP TABLE chats; --",
        "Infinity NaN",
    ]
    .map(str::to_owned)
    .into();
    texts.push((1..=0x1f_u8).map(char::from).chain(['x']).collect());
    texts.extend((1..=0x1f_u8).map(|control| format!("{}x", char::from(control))));
    texts.push("好".repeat(2_000));
    texts.push("x".repeat(65_536));

    let batch: Vec<_> =
        texts.iter().enumerate().map(|(i, text)| chat(1, 2, &format!("k{i}"), text)).collect();
    let ids: Vec<_> = store
        .append(&batch)
        .await
        .unwrap()
        .into_iter()
        .map(|answer| committed(answer).chat.id)
        .collect();

    let kept = store.latest_chats(user(2), 1_000).await.unwrap();
    assert_eq!(kept.iter().map(|chat| chat.id).collect::<Vec<_>>(), ids);
    for (chat, text) in kept.iter().zip(&texts) {
        assert_eq!(&*chat.content, text, "{}", text.escape_unicode());
    }
    for answer in store.append(&batch).await.unwrap() {
        repeat(answer);
    }

    // Keys, too, are any printable text.
    let keys = ["\"", "\\", "'", "{}", "[1]", "1", "01", " 1 ", "null", "a b"];
    let batch: Vec<_> = keys.iter().map(|key| chat(2, 1, key, "x")).collect();
    for (answer, key) in store.append(&batch).await.unwrap().into_iter().zip(keys) {
        assert_eq!(committed(answer).chat.client_msg_id.as_str(), key);
    }
    for (answer, key) in store.append(&batch).await.unwrap().into_iter().zip(keys) {
        assert_eq!(repeat(answer).chat.client_msg_id.as_str(), key);
    }
}

pub(super) async fn a_batch_may_be_large<D: Database>() {
    let (_database, store) = populated::<D>(40).await;
    let batch: Vec<_> =
        (0..2_000_i64).map(|i| chat(i % 40 + 1, i * 7 % 40 + 1, &format!("k{i}"), "x")).collect();
    let answers = store.append(&batch).await.unwrap();
    assert_eq!(answers.len(), 2_000);
    let mut last = [0; 41];
    for answer in answers {
        for (of, seq) in places(&committed(answer)) {
            let last = &mut last[usize::try_from(of).unwrap()];
            *last += 1;
            assert_eq!(*last, seq);
        }
    }
}
