//! Each fault in a group whose members come and go is found.

use super::{
    talk::{GROUP, Talk, ZHAO, at},
    *,
};
use crate::{address, wire::Line};

#[test]
fn a_good_group_is_clean() {
    let (talk, _) = Talk::whole();
    talk.assert_only(&[], "6 chats");
}

#[test]
fn what_reaches_who_had_left_is_foreign() {
    let (mut talk, ids) = Talk::whole();
    let chat = *talk.stored(LI, ids[3]);
    talk.give(at(WANG), chat);
    // Once where it is stored, once where it is shown.
    talk.assert_only(&[(Class::Foreign, 2)], "1003 was shown feed-1-0, id 50: it does not concern");
}

#[test]
fn what_reaches_who_had_not_joined_is_foreign() {
    let (mut talk, ids) = Talk::whole();
    let chat = *talk.stored(ZHANG, ids[0]);
    talk.give(at(ZHAO), chat);
    talk.assert_only(&[(Class::Foreign, 2)], "1004's timeline has feed-0-0");
    let (mut talk, _) = Talk::whole();
    talk.give(at(ZHAO), Seen::event(Key::LINE, 40));
    talk.assert_only(&[(Class::Foreign, 1)], "no member then");
}

#[test]
fn what_a_member_is_not_shown_is_lost() {
    let (mut talk, _) = Talk::whole();
    let seen = talk.write(ZHANG);
    for member in talk.members.clone() {
        let seq = talk.store(member, seen);
        if member != at(ZHAO) {
            talk.books[member].show(seq, &seen);
        }
    }
    let seq = talk.timelines[0].events.last().unwrap().0;
    talk.books[0].acknowledge(seq, &seen);
    talk.assert_only(&[(Class::Lost, 1)], "1004 was not shown 5, feed-0-2");
}

#[test]
fn what_a_member_does_not_have_is_not_stored() {
    let (mut talk, _) = Talk::whole();
    talk.members.retain(|member| *member != at(ZHAO));
    talk.send(ZHANG);
    talk.assert_only(&[(Class::Unstored, 1)], "1004's timeline lacks id");
    // A line is committed like a chat.
    let mut talk = Talk::new();
    talk.members.retain(|member| *member != at(LI));
    talk.join(ZHAO);
    talk.assert_only(&[(Class::Unstored, 1)], "1002's timeline lacks id");
}

#[test]
fn what_a_member_has_twice_is_doubled() {
    let (mut talk, ids) = Talk::whole();
    let chat = *talk.stored(LI, ids[5]);
    talk.give(at(LI), chat);
    talk.assert_only(&[(Class::Doubled, 1)], "1002's timeline has feed-2-1");
    let (mut talk, ids) = Talk::whole();
    let again = *talk.stored(LI, ids[5]);
    let seq = talk.timelines[at(LI)].events.last().unwrap().0;
    talk.books[at(LI)].show(seq, &again);
    talk.assert_only(&[(Class::Doubled, 1)], "again");
}

#[test]
fn chats_of_a_group_out_of_order_are_reordered() {
    let (mut talk, _) = Talk::whole();
    let [first, second] = [talk.write(ZHANG), talk.write(LI)];
    for member in talk.members.clone() {
        talk.give(member, second);
        talk.give(member, first);
    }
    for (user, seen) in [(ZHANG, first), (LI, second)] {
        let mut events = talk.timelines[at(user)].events.iter();
        let seq = events.find(|(_, other)| other.key == seen.key).unwrap().0;
        talk.books[at(user)].acknowledge(seq, &seen);
    }
    talk.assert_only(&[(Class::Reordered, 4)], "which is too late");
}

#[test]
fn a_number_that_is_passed_over_is_a_gap() {
    let (mut talk, _) = Talk::whole();
    let seen = talk.write(ZHANG);
    for member in talk.members.clone() {
        let seq = talk.store(member, seen).map(|seq| seq + i64::from(member == at(ZHAO)));
        talk.timelines[member].events.last_mut().unwrap().0 = seq;
        talk.books[member].show(seq, &seen);
    }
    let seq = talk.timelines[0].events.last().unwrap().0;
    talk.books[0].acknowledge(seq, &seen);
    // Once where it is stored, once where it is shown.
    talk.assert_only(&[(Class::Gap, 2)], "1004's timeline has 6 after 4");
}

#[test]
fn a_chat_of_a_member_is_taken() {
    let refuse = |user: i64| {
        let (mut talk, _) = Talk::whole();
        let seen = talk.write(user);
        talk.books[at(user)].refuse(seen.key);
        (talk, seen)
    };
    refuse(LI).0.assert_only(&[(Class::Lost, 1)], "feed-1-1 was refused");
    // 王五 was away for a while.
    let (mut talk, seen) = refuse(WANG);
    talk.assert_only(&[], "");
    talk.give(at(LI), seen);
    talk.assert_only(&[(Class::Foreign, 2)], "1002 was shown feed-2-2, id 100: it was refused");
}

#[test]
fn joins_and_leaves_are_told_as_they_were_asked() {
    let (mut talk, _) = Talk::whole();
    talk.leave(ZHAO);
    talk.changes.asked.pop();
    talk.assert_only(&[(Class::Doubled, 1)], "1004 leaves 77 1 times, asked 0 to 0");
    let (mut talk, _) = Talk::whole();
    talk.asked(Change::Leave { group: GROUP, user: ZHAO });
    talk.assert_only(&[(Class::Unstored, 1)], "1004 leaves 77 0 times, asked 1 to 1");
    let (mut talk, _) = Talk::whole();
    talk.line(&[LI], &[]);
    talk.assert_only(&[(Class::Doubled, 1)], "1002 joins 77 again");
    let (mut talk, _) = Talk::whole();
    talk.timelines[at(LI)].lines[0].left = vec![LI];
    assert!(talk.verdict().count(Class::Foreign) > 0, "{}", talk.verdict());
}

#[test]
fn lines_of_other_groups_are_not_judged() {
    let (mut talk, _) = Talk::whole();
    talk.give(at(LI), Seen::event(Key::LINE, 500));
    let other = Line { id: 500, group: GROUP + 1, joined: vec![LI], left: vec![] };
    talk.timelines[at(LI)].lines.push(other);
    talk.assert_only(&[], "");
}

#[test]
fn a_group_is_listed_as_its_members_have_it() {
    let (talk, ids) = Talk::whole();
    let mut listing = Listing {
        user: LI,
        peer: address::of_group(GROUP),
        chats: vec![ids[0], ids[1], 40, ids[3], 60, ids[4], 80, ids[5]],
        recalled: vec![ids[1]],
    };
    let verdict = judge_listings(&talk.timelines, std::slice::from_ref(&listing));
    assert!(verdict.is_clean(), "{verdict}");
    listing.recalled.clear();
    let verdict = judge_listings(&talk.timelines, std::slice::from_ref(&listing));
    assert_eq!(verdict.count(Class::Foreign), 1, "{verdict}");
    listing.recalled.push(ids[1]);
    listing.chats.insert(2, ids[2]);
    let verdict = judge_listings(&talk.timelines, &[listing]);
    assert_eq!(verdict.count(Class::Foreign), 1, "it was deleted: {verdict}");
}
