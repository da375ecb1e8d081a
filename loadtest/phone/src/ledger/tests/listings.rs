//! Each fault of a conversation as its members read it is found.

use super::*;

/// What 李四 reads of the conversation with 张三, of which the timeline has three chats.
fn listed(chats: &[i64]) -> Verdict {
    let Story { mut timelines, .. } = Story::new(true).all_stored();
    timelines[1].events.push((Some(BEFORE + 4), Seen::NO_CHAT));
    let listing = Listing { user: LI, peer: ZHANG, chats: chats.to_vec(), ..Listing::default() };
    judge_listings(&timelines, &[listing])
}

#[track_caller]
fn assert_only(verdict: &Verdict, class: Class, count: u64, told: &str) {
    let text = verdict.to_string();
    for other in Class::ALL {
        assert_eq!(verdict.count(other), if other == class { count } else { 0 }, "{text}");
    }
    assert!(text.contains(told), "{text}");
}

#[test]
fn what_the_timeline_has_in_its_order_is_clean() {
    let verdict = listed(&[10, 20, 30]);
    assert!(verdict.is_clean(), "{verdict}");
}

#[test]
fn what_a_conversation_lacks_is_not_stored() {
    let verdict = listed(&[10, 30]);
    assert_only(&verdict, Class::Unstored, 1, "1002's conversation with 1001 lacks id 20");
}

#[test]
fn what_a_conversation_lists_twice_is_doubled() {
    assert_only(&listed(&[10, 20, 20, 30]), Class::Doubled, 1, "lists chats twice");
}

#[test]
fn a_conversation_out_of_order_is_reordered() {
    assert_only(&listed(&[10, 30, 20]), Class::Reordered, 1, "is not in order");
}

#[test]
fn what_a_conversation_has_beyond_the_timeline_is_foreign() {
    assert_only(&listed(&[10, 20, 30, 40]), Class::Foreign, 1, "has id 40");
}

#[test]
fn a_conversation_that_is_not_listed_is_not_stored() {
    let Story { timelines, .. } = Story::new(true).all_stored();
    let elsewhere = Listing { user: LI, peer: WANG, ..Listing::default() };
    let verdict = judge_listings(&timelines, &[elsewhere]);
    assert_only(&verdict, Class::Unstored, 1, "1002 lacks the conversation with 1001");
}
