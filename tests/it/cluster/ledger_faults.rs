//! Each class of fault, fed to the ledger, is found, counted once and told.

use std::time::Instant;

use loadtest::ledger::{Class, Verdict};

use super::{
    chat::Chat,
    ledger::{ClientNumber, Ledger},
};

const ZHANG: i64 = 1;
const LI: i64 = 2;
const WANG: i64 = 3;

/// Books in which 张三 sent three chats to 李四, and all went well so far as it went.
struct Story {
    ledger: Ledger,
    zhang: ClientNumber,
    li: ClientNumber,
    wang: ClientNumber,
    now: Instant,
}

fn chat(number: i64) -> Chat {
    Chat {
        id: number * 10,
        conversation: 5,
        sender: ZHANG,
        target: LI,
        key: format!("0-{number}"),
        content: format!("第{number}"),
    }
}

fn timeline(numbers: impl IntoIterator<Item = i64>) -> Vec<(i64, Option<Chat>)> {
    numbers.into_iter().map(|number| (number, Some(chat(number)))).collect()
}

impl Story {
    /// Sent and acknowledged; who is shown what, and what is stored, is for the test to tell.
    fn sent() -> Self {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        let [zhang, li, wang] = [ZHANG, LI, WANG].map(|user| ledger.enter(user));
        for number in 1..=3 {
            let Chat { key, content, .. } = chat(number);
            ledger.write(zhang, LI, &key, &content, now);
        }
        for number in 1..=3 {
            ledger.acknowledge(zhang, number, &chat(number), now);
        }
        Self { ledger, zhang, li, wang, now }
    }

    fn shown(mut self, client: ClientNumber, numbers: impl IntoIterator<Item = i64>) -> Self {
        for number in numbers {
            self.ledger.show(client, number, Some(&chat(number)), self.now);
        }
        self
    }

    fn stored(mut self, user: i64, events: Vec<(i64, Option<Chat>)>) -> Self {
        let chats = events.iter().filter_map(|(_, chat)| chat.clone()).collect();
        self.ledger.read_timeline(user, events);
        self.listed(user, chats)
    }

    fn listed(mut self, user: i64, chats: Vec<Chat>) -> Self {
        self.ledger.read_conversation(user, 5, chats);
        self
    }

    /// All is well for 张三, so that what is wrong is wrong for 李四.
    fn well_for_zhang() -> Self {
        let story = Self::sent().stored(ZHANG, timeline(1..=3));
        let zhang = story.zhang;
        story.shown(zhang, 1..=3)
    }

    /// All is stored for both, and 张三 was shown it.
    fn all_stored() -> Self {
        Self::well_for_zhang().stored(LI, timeline(1..=3))
    }

    fn verdict(&self) -> Verdict {
        self.ledger.verdict()
    }

    /// Just this is wrong, so often, and the words are told.
    #[track_caller]
    fn assert_only(&self, class: Class, count: u64, told: &str) {
        let verdict = self.verdict();
        let text = verdict.to_string();
        for other in Class::ALL {
            let expected = if other == class { count } else { 0 };
            assert_eq!(verdict.count(other), expected, "{other:?}: {text}");
        }
        assert!(!verdict.is_clean() && text.contains(told), "{text}");
    }
}

#[test]
fn a_good_history_is_clean() {
    let story = Story::all_stored();
    let li = story.li;
    let mut story = story.shown(li, 1..=3);
    // The answer to a repeat says the same again.
    story.ledger.acknowledge(story.zhang, 2, &chat(2), story.now);
    let verdict = story.verdict();
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.chats, verdict.shown), (3, 6));
}

#[test]
fn what_is_not_shown_is_lost() {
    let story = Story::all_stored();
    let li = story.li;
    story.shown(li, 1..=2).assert_only(Class::Lost, 1, "2 was not shown 3 0-3");
}

#[test]
fn what_is_never_acknowledged_is_lost() {
    let story = Story::all_stored();
    let li = story.li;
    let mut story = story.shown(li, 1..=3);
    story.ledger.write(story.zhang, LI, "0-4", "第4", story.now);
    story.assert_only(Class::Lost, 1, "0-4 was never acknowledged");
}

#[test]
fn what_is_shown_twice_is_doubled() {
    let story = Story::all_stored();
    let li = story.li;
    story.shown(li, [1, 2, 2, 3]).assert_only(Class::Doubled, 1, "2 was shown 2 again");
}

#[test]
fn a_replay_from_too_early_is_doubled() {
    let story = Story::all_stored();
    let li = story.li;
    story.shown(li, [1, 2, 3, 1, 2, 3]).assert_only(Class::Doubled, 3, "2 was shown 1 again");
}

#[test]
fn what_is_acknowledged_with_two_numbers_is_doubled() {
    let story = Story::all_stored();
    let li = story.li;
    let mut story = story.shown(li, 1..=3);
    story.ledger.acknowledge(story.zhang, 4, &Chat { id: 40, ..chat(2) }, story.now);
    story.assert_only(Class::Doubled, 1, "0-2 is acknowledged as (2, 20) and as (4, 40)");
}

#[test]
fn what_is_stored_twice_is_doubled() {
    let story = Story::well_for_zhang();
    let li = story.li;
    let mut events = timeline(1..=3);
    let again = Chat { id: 40, ..chat(2) };
    events.push((4, Some(again.clone())));
    let mut story = story.stored(LI, events).shown(li, 1..=3);
    story.ledger.show(li, 4, Some(&again), story.now);
    let verdict = story.verdict();
    assert_eq!(verdict.count(Class::Doubled), 1, "{verdict}");
}

#[test]
fn a_gap_that_is_filled_later_is_a_gap_and_a_reordering() {
    let story = Story::all_stored();
    let li = story.li;
    let verdict = story.shown(li, [1, 3, 2]).verdict();
    let counts = [Class::Gap, Class::Reordered, Class::Lost].map(|class| verdict.count(class));
    assert_eq!(counts, [1, 1, 0], "{verdict}");
}

#[test]
fn a_number_that_is_passed_over_is_a_gap_and_a_loss() {
    let story = Story::all_stored();
    let li = story.li;
    let verdict = story.shown(li, [1, 3]).verdict();
    let counts = [Class::Gap, Class::Reordered, Class::Lost].map(|class| verdict.count(class));
    assert_eq!(counts, [1, 0, 1], "{verdict}");
}

#[test]
fn a_hole_in_the_database_is_a_gap() {
    let story = Story::well_for_zhang();
    let li = story.li;
    let mut events = timeline(1..=3);
    events[2].0 = 4;
    let mut story = story.stored(LI, events).shown(li, 1..=2);
    story.ledger.show(li, 4, Some(&chat(3)), story.now);
    // Once where it is stored, once where it is shown.
    story.assert_only(Class::Gap, 2, "2's timeline has 4 after 2");
}

#[test]
fn what_overtakes_what_was_sent_before_it_is_reordered() {
    let mut story = Story::sent();
    let swapped = |seq, number| (seq, Some(Chat { id: seq * 10, ..chat(number) }));
    let events = vec![swapped(1, 1), swapped(2, 3), swapped(3, 2)];
    for (client, user) in [(story.zhang, ZHANG), (story.li, LI)] {
        for (seq, chat) in &events {
            story.ledger.show(client, *seq, chat.as_ref(), story.now);
        }
        story = story.stored(user, events.clone());
    }
    let verdict = story.verdict();
    assert_eq!(verdict.count(Class::Reordered), 2, "{verdict}");
}

#[test]
fn ids_that_fall_are_reordered() {
    let story = Story::well_for_zhang();
    let li = story.li;
    let mut events = timeline(1..=3);
    events[0].1.as_mut().unwrap().id = 25;
    let story = story.stored(LI, events).listed(LI, vec![]).shown(li, 1..=3);
    let verdict = story.verdict();
    assert_eq!(verdict.count(Class::Reordered), 1, "{verdict}");
}

#[test]
fn other_chats_at_the_same_numbers_are_reordered() {
    let mut story = Story::all_stored();
    for (seq, number) in [(1, 1), (2, 3), (3, 2)] {
        story.ledger.show(story.li, seq, Some(&chat(number)), story.now);
    }
    story.assert_only(Class::Reordered, 2, "2 was shown 0-3 as 2, which is 0-2");
}

#[test]
fn what_is_shown_to_others_is_foreign() {
    let story = Story::all_stored();
    let (li, wang) = (story.li, story.wang);
    let story = story.shown(li, 1..=3).shown(wang, [1]).stored(WANG, timeline([1]));
    // Once where it is shown, once where it is stored.
    story.assert_only(Class::Foreign, 2, "3 was shown");
}

#[test]
fn what_nobody_sent_and_what_was_changed_is_foreign() {
    for strange in [
        Chat { key: "9-9".into(), ..chat(3) },
        Chat { content: "别的".into(), ..chat(3) },
        Chat { sender: WANG, ..chat(3) },
    ] {
        let story = Story::all_stored();
        let li = story.li;
        let mut story = story.shown(li, 1..=2);
        story.ledger.show(li, 3, Some(&strange), story.now);
        assert_eq!(story.verdict().count(Class::Foreign), 1, "{}", story.verdict());
    }
    let mut story = Story::all_stored();
    story.ledger.acknowledge(story.li, 1, &chat(1), story.now);
    assert_eq!(story.verdict().count(Class::Foreign), 1);
}

#[test]
fn what_is_acknowledged_and_not_there_is_not_stored() {
    let story = Story::sent().stored(ZHANG, timeline(1..=2)).stored(LI, timeline(1..=2));
    let (zhang, li) = (story.zhang, story.li);
    let story = story.shown(zhang, 1..=2).shown(li, 1..=2);
    story.assert_only(Class::Unstored, 1, "0-3 is acknowledged as (3, 30), stored as None");
}

#[test]
fn what_only_one_side_has_is_not_stored() {
    let story = Story::well_for_zhang().stored(LI, timeline(1..=2));
    let li = story.li;
    story.shown(li, 1..=2).assert_only(Class::Unstored, 1, "None for the target");
}

#[test]
fn what_was_shown_and_is_not_there_is_not_stored() {
    let story = Story::well_for_zhang().stored(LI, timeline(1..=2));
    let li = story.li;
    let verdict = story.shown(li, 1..=3).verdict();
    // The acknowledgement, and what was shown.
    assert_eq!(verdict.count(Class::Unstored), 2, "{verdict}");
}

#[test]
fn what_a_conversation_lacks_is_not_stored() {
    let story = Story::all_stored().listed(LI, vec![chat(1), chat(3)]);
    let li = story.li;
    story.shown(li, 1..=3).assert_only(Class::Unstored, 1, "2's conversation 5 lacks");
}

#[test]
fn whoever_loads_anew_has_what_was_loaded() {
    let story = Story::all_stored();
    let li = story.li;
    let mut story = story.shown(li, [1]);
    story.ledger.reload(li, &timeline(1..=3), 2);
    story = story.shown(li, [3]);
    assert!(story.verdict().is_clean(), "{}", story.verdict());
    // What the load did not bring either is lost.
    let story = Story::all_stored();
    let mut story = story.shown(li, [1]);
    story.ledger.reload(li, &timeline([2]), 2);
    story.shown(li, [3]).assert_only(Class::Lost, 1, "2 was not shown 1 0-1");
}

#[test]
fn ten_cases_are_told_and_all_are_counted() {
    let story = Story::all_stored();
    let li = story.li;
    let story = story.shown(li, 1..=3).shown(li, std::iter::repeat_n(3, 25));
    story.assert_only(Class::Doubled, 25, "Doubled: and 15 more");
}
