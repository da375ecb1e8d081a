//! Each fault of recalls and deletions is found.

use super::{
    talk::{Talk, ZHAO, at},
    *,
};

#[test]
fn words_after_a_recall_are_foreign() {
    let (mut talk, ids) = Talk::whole();
    talk.stored(ZHANG, ids[1]).words = Words::Intact;
    talk.assert_only(&[(Class::Foreign, 1)], "1001's timeline has the words of feed-0-1");
    // One that loads anew gets them, and has heard of the recall before.
    let load_anew = |words| {
        let (mut talk, ids) = Talk::whole();
        let events = &talk.timelines[at(LI)].events;
        let mut events: Vec<_> = events.iter().map(|(seq, seen)| (seq.unwrap(), *seen)).collect();
        events.iter_mut().find(|(_, seen)| seen.id == ids[1]).unwrap().1.words = words;
        let last = events.last().unwrap().0;
        talk.books[at(LI)].reload(&events, last);
        talk
    };
    let told = "1002 was shown feed-0-1, id 20: its words were recalled";
    load_anew(Words::Intact).assert_only(&[(Class::Foreign, 1)], told);
    load_anew(Words::Recalled).assert_only(&[], "");
}

#[test]
fn who_left_is_not_told_that_what_was_read_before_is_recalled() {
    let (mut talk, ids) = Talk::whole();
    talk.stored(WANG, ids[1]).words = Words::Intact;
    talk.timelines[at(WANG)].early = 1;
    talk.assert_only(&[(Class::Foreign, 1)], "1003's timeline has the words of feed-0-1");
    talk.timelines[at(WANG)].early = 2;
    talk.assert_only(&[], "");
}

#[test]
fn a_chat_that_nobody_recalled_has_its_words() {
    let (mut talk, ids) = Talk::whole();
    talk.stored(LI, ids[0]).words = Words::Recalled;
    let expected = [(Class::Foreign, 1), (Class::Unstored, 1)];
    talk.assert_only(&expected, "nobody asked to recall it");
    let (mut talk, ids) = Talk::whole();
    talk.give(at(LI), Seen::event(Key::RECALL, ids[0]));
    talk.assert_only(&[(Class::Foreign, 1)], "nobody asked to recall id 10");
}

#[test]
fn a_recall_is_told_to_the_members_of_then_once() {
    let (mut talk, ids) = Talk::whole();
    talk.members.retain(|member| *member != at(LI));
    talk.recall(ids[4]);
    talk.assert_only(&[(Class::Unstored, 1)], "1002 is not told that id 70 is recalled");
    let (mut talk, ids) = Talk::whole();
    talk.asked(Change::Recall { chat: ids[4] });
    // Three members have the words.
    let expected = [(Class::Foreign, 3), (Class::Unstored, 1)];
    talk.assert_only(&expected, "nobody is told that id 70 is recalled");
    let (mut talk, ids) = Talk::whole();
    talk.recall(ids[5]);
    talk.give(at(LI), Seen::event(Key::RECALL, ids[5]));
    talk.assert_only(&[(Class::Doubled, 1)], "1002 is told again that id 90 is recalled");
    let (mut talk, ids) = Talk::whole();
    talk.leave(WANG);
    talk.members.push(at(WANG));
    talk.recall(ids[5]);
    // After the line of the leave, as to the others.
    talk.assert_only(&[(Class::Foreign, 1)], "1003 is told that id 90 is recalled");
    let (mut talk, ids) = Talk::whole();
    talk.recall(ids[4]);
    let recall = talk.timelines[at(LI)].events.pop().unwrap();
    talk.send(ZHANG);
    talk.timelines[at(LI)].events.push((recall.0.map(|seq| seq + 1), recall.1));
    assert!(talk.verdict().count(Class::Reordered) > 0, "{}", talk.verdict());
}

#[test]
fn what_somebody_deleted_is_gone_for_that_user_alone() {
    let (mut talk, ids) = Talk::whole();
    talk.give(at(ZHANG), Seen::event(Key::DELETION, ids[2]));
    // Shown where it is stored.
    talk.assert_only(&[(Class::Foreign, 1)], "1001's timeline has a chat that was deleted");
    let (mut talk, ids) = Talk::whole();
    *talk.stored(LI, ids[2]) = *talk.stored(ZHANG, ids[2]);
    assert!(talk.verdict().count(Class::Foreign) > 0, "{}", talk.verdict());
    let (mut talk, ids) = Talk::whole();
    talk.asked(Change::Delete { user: ZHAO, chat: ids[5] });
    talk.assert_only(
        &[(Class::Foreign, 1), (Class::Unstored, 1)],
        "1004 deleted id 90, of which 0",
    );
    let (mut talk, ids) = Talk::whole();
    for _ in 0..2 {
        talk.give(at(LI), Seen::event(Key::DELETION, ids[2]));
    }
    talk.assert_only(&[(Class::Doubled, 1)], "1002 deleted id 30, of which 4 events");
}

#[test]
fn a_chat_that_is_deleted_and_then_recalled_stays_gone() {
    let (mut talk, ids) = Talk::whole();
    talk.asked(Change::Recall { chat: ids[2] });
    for user in [ZHANG, WANG] {
        talk.stored(user, ids[2]).words = Words::Recalled;
    }
    // A socket shows all the same; what is read back has no more of it.
    for member in talk.who_have(ids[2]) {
        talk.give(member, Seen::event(Key::RECALL, ids[2]));
    }
    talk.timelines[at(LI)].events.last_mut().unwrap().1.key = Key::DELETION;
    // 赵六 joined after the chat, and is told nothing.
    talk.assert_only(&[], "");
}
