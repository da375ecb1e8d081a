//! Each class of fault, fed to the books on its own, is found, counted and told.

use super::*;

#[test]
fn a_good_load_is_clean() {
    for mut story in Story::both() {
        // The answer to a repeat says the same again.
        story.zhang.acknowledge(story.seq(ZHANG, 1), &chat(1));
        let verdict = story.all_stored().shown(0..3).verdict();
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!((verdict.chats, verdict.shown), (3, 6));
    }
}

#[test]
fn what_is_not_shown_is_lost() {
    for story in Story::both() {
        story.all_stored().shown(0..2).assert_only(&[(Class::Lost, 1)], "1002 was not shown");
    }
}

#[test]
fn each_phone_of_a_user_is_to_be_shown_it() {
    for story in Story::both() {
        let mut other = Book::new(LI, RUN, 7, BEFORE);
        for number in 0..2 {
            other.show(story.seq(LI, number), &chat(number));
        }
        let Story { zhang, li, wang, timelines, .. } = story.all_stored().shown(0..3);
        let verdict = judge(&[zhang, li, wang, other], &timelines);
        assert_eq!(verdict.count(Class::Lost), 1, "{verdict}");
    }
}

#[test]
fn what_is_never_acknowledged_or_never_sent_is_lost() {
    for mut story in Story::both() {
        let key = story.zhang.write(LI);
        story.zhang.send(key, 1);
        story.zhang.write(LI);
        let story = story.all_stored().shown(0..3);
        story.assert_only(&[(Class::Lost, 2)], "feed-0-3 was never acknowledged");
    }
}

#[test]
fn what_is_shown_twice_is_doubled() {
    for story in Story::both() {
        let story = story.all_stored().shown([0, 1, 1, 2]);
        story.assert_only(&[(Class::Doubled, 1)], "again");
    }
}

#[test]
fn a_replay_from_too_early_is_doubled() {
    let story = Story::new(true).all_stored().shown([0, 1, 2, 0, 1, 2]);
    story.assert_only(&[(Class::Doubled, 3)], "1002 was shown 41 again");
}

#[test]
fn a_replay_from_before_the_cursor_is_doubled() {
    let mut story = Story::new(true).all_stored().shown(0..3);
    story.li.show(Some(BEFORE), &Seen { key: Key { run: 1, writer: 0, number: 0 }, ..chat(0) });
    story.assert_only(&[(Class::Doubled, 1)], "1002 was shown 40 after 43");
}

#[test]
fn what_is_shown_at_the_number_of_another_is_doubled_and_a_loss() {
    let mut story = Story::new(true).all_stored().shown(0..2);
    story.li.show(Some(BEFORE + 3), &chat(1));
    let expected = [(Class::Doubled, 1), (Class::Lost, 1)];
    story.assert_only(&expected, "1002 was shown feed-0-1 as 43, which is feed-0-2");
}

#[test]
fn what_is_acknowledged_as_two_is_doubled() {
    for mut story in Story::both() {
        story.zhang.acknowledge(story.seq(ZHANG, 1), &Seen { id: 40, ..chat(1) });
        let story = story.all_stored().shown(0..3);
        story.assert_only(&[(Class::Doubled, 1)], "feed-0-1 is acknowledged as");
    }
    let mut story = Story::new(true);
    story.zhang.acknowledge(Some(4), &chat(1));
    let story = story.all_stored().shown(0..3);
    let told = "feed-0-1 is acknowledged as (Some(2), 20) and as (Some(4), 20)";
    story.assert_only(&[(Class::Doubled, 1)], told);
}

#[test]
fn what_is_stored_twice_is_doubled() {
    let mut story = Story::new(true).all_stored().shown(0..3);
    let again = Seen { id: 40, ..chat(1) };
    story.timelines[1].events.push((Some(BEFORE + 4), again));
    story.li.show(Some(BEFORE + 4), &again);
    story.assert_only(&[(Class::Doubled, 1)], "1002's timeline has feed-0-1 as 44");
    let mut story = Story::new(false).all_stored().shown(0..3);
    story.timelines[1].events.push((None, again));
    story.assert_only(&[(Class::Doubled, 1)], "1002's timeline has feed-0-1, id 40, and before");
}

#[test]
fn a_number_that_is_passed_over_is_a_gap_and_a_loss() {
    let story = Story::new(true).all_stored().shown([0, 2]);
    story.assert_only(&[(Class::Gap, 1), (Class::Lost, 1)], "1002 was shown 43 after 41");
}

#[test]
fn a_hole_in_the_database_is_a_gap() {
    let mut story = Story::new(true).all_stored().shown(0..2);
    story.timelines[1].events[2].0 = Some(BEFORE + 4);
    story.li.show(Some(BEFORE + 4), &chat(2));
    // Once where it is stored, once where it is shown.
    story.assert_only(&[(Class::Gap, 2)], "1002's timeline has 44 after 42");
}

#[test]
fn a_timeline_that_begins_too_late_has_a_gap() {
    let mut story = Story::new(true).all_stored();
    for (number, (seq, seen)) in (BEFORE + 2..).zip(&mut story.timelines[1].events) {
        *seq = Some(number);
        story.li.show(*seq, seen);
    }
    story.assert_only(&[(Class::Gap, 2)], "1002's timeline has 42 after 40");
}

#[test]
fn chats_of_other_runs_are_not_judged_and_fill_their_numbers() {
    let others = |number| Seen {
        key: Key { run: 1, writer: 0, number },
        id: 1,
        sender: WANG,
        target: LI,
        words: Words::Changed,
    };
    // What was there before may be read back in part.
    let mut story = Story::new(true).all_stored().shown(0..3);
    story.timelines[1].events.insert(0, (Some(7), others(1)));
    story.timelines[1].events.insert(1, (Some(BEFORE), others(2)));
    assert!(story.verdict().is_clean());
    // One that comes in during the load is shown and stored like any other.
    let later = || (Some(BEFORE + 4), others(3));
    let mut story = Story::new(true).all_stored().shown(0..3);
    story.timelines[1].events.push(later());
    story.li.show(later().0, &later().1);
    assert!(story.verdict().is_clean());
    let mut story = Story::new(true).all_stored().shown(0..3);
    story.timelines[1].events.push(later());
    story.assert_only(&[(Class::Lost, 1)], "1002 was not shown 44, 1-0-3");
    let mut story = Story::new(true).all_stored().shown(0..3);
    story.timelines[1].events.push(later());
    story.li.show(later().0, &others(4));
    story.assert_only(&[(Class::Lost, 1), (Class::Reordered, 1)], "which is 1-0-3");
}

#[test]
fn events_that_are_no_chats_have_their_numbers() {
    let story = || {
        let mut story = Story::new(true).all_stored().shown(0..3);
        story.timelines[1].events.push((Some(BEFORE + 4), Seen::NO_CHAT));
        story
    };
    let mut shown = story();
    shown.li.show(Some(BEFORE + 4), &Seen::NO_CHAT);
    assert!(shown.verdict().is_clean());
    let told = "1002 was not shown 44, an event that is no chat";
    story().assert_only(&[(Class::Lost, 1)], told);
    let mut passed_over = story();
    passed_over.timelines[1].events.push((Some(BEFORE + 5), Seen::NO_CHAT));
    passed_over.li.show(Some(BEFORE + 5), &Seen::NO_CHAT);
    passed_over.assert_only(&[(Class::Gap, 1), (Class::Lost, 1)], told);
}

#[test]
fn what_is_shown_to_others_is_foreign() {
    for mut story in Story::both() {
        story.wang.show(story.seq(WANG, 0), &chat(0));
        let story = story.all_stored().shown(0..3).stored(WANG, &[0]);
        // Once where it is shown, once where it is stored.
        story.assert_only(&[(Class::Foreign, 2)], "it does not concern this user");
    }
}

#[test]
fn what_nobody_sent_is_foreign() {
    for key in
        [Key { writer: 77, ..chat(0).key }, Key { number: 3, ..chat(0).key }, Key::UNREADABLE]
    {
        for story in Story::both() {
            let mut story = story.all_stored().shown(0..3);
            let (seq, strange) = (story.seq(LI, 3), Seen { key, id: 40, ..chat(0) });
            story.li.show(seq, &strange);
            story.timelines[1].events.push((seq, strange));
            story.assert_only(&[(Class::Foreign, 2)], "nobody sent it");
        }
    }
}

#[test]
fn what_was_changed_is_foreign() {
    for strange in [
        Seen { words: Words::Changed, ..chat(2) },
        Seen { sender: WANG, ..chat(2) },
        Seen { target: WANG, ..chat(2) },
    ] {
        let mut story = Story::new(true).all_stored().shown(0..2);
        story.li.show(Some(BEFORE + 3), &strange);
        story.assert_only(&[(Class::Foreign, 1)], "it was sent otherwise");
        for mut story in Story::both() {
            story.zhang.acknowledge(story.seq(ZHANG, 2), &strange);
            let story = story.all_stored().shown(0..3);
            story.assert_only(&[(Class::Foreign, 1)], "acknowledged to 1001");
        }
        // Nobody was shown what was sent.
        let mut story = Story::new(false).all_stored().shown(0..2);
        story.li.show(None, &strange);
        story.assert_only(&[(Class::Foreign, 1), (Class::Lost, 1)], "it was sent otherwise");
    }
}

#[test]
fn an_answer_to_somebody_else_is_foreign() {
    for mut story in Story::both() {
        story.li.acknowledge(story.seq(LI, 0), &chat(0));
        let story = story.all_stored().shown(0..3);
        story.assert_only(&[(Class::Foreign, 1)], "1002 did not send what is acknowledged");
    }
}

#[test]
fn what_is_acknowledged_and_not_there_is_not_stored() {
    // 李四 was not shown it, as it is not there; without numbers the acknowledgement alone counts.
    let story = Story::new(true).stored(ZHANG, &[0, 1]).stored(LI, &[0, 1]).shown(0..2);
    // The acknowledgement, and what 张三 was shown.
    story.assert_only(&[(Class::Unstored, 2)], "feed-0-2 is acknowledged as (Some(3), 30)");
    let story = Story::new(false).stored(ZHANG, &[0, 1]).stored(LI, &[0, 1]).shown(0..3);
    // The acknowledgement, and what each was shown.
    story.assert_only(&[(Class::Unstored, 3)], "stored as None for the sender and None");
}

#[test]
fn what_was_shown_and_is_not_there_is_not_stored() {
    let story = Story::new(true).stored(ZHANG, &[0, 1, 2]).stored(LI, &[0, 1]).shown(0..3);
    // The acknowledgement, and what was shown.
    story.assert_only(&[(Class::Unstored, 2)], "1002 was shown feed-0-2 as 43, which is not there");
}

#[test]
fn what_only_one_side_has_is_not_stored() {
    let story = Story::new(true).stored(ZHANG, &[0, 1, 2]).stored(LI, &[0, 1]).shown(0..2);
    story.assert_only(&[(Class::Unstored, 1)], "None for the target");
    let story = Story::new(false).stored(ZHANG, &[0, 1, 2]).stored(LI, &[0, 1]).shown(0..3);
    story.assert_only(&[(Class::Unstored, 2)], "None for the target");
}

#[test]
fn another_id_or_number_is_not_stored() {
    for story in Story::both() {
        let mut story = story.all_stored().shown(0..3);
        story.timelines[1].events[2].1.id = 31;
        // The acknowledgement and the showing.
        story.assert_only(&[(Class::Unstored, 2)], "1002 was shown feed-0-2 with id 30");
    }
    let mut story = Story::new(true);
    story.zhang = Book::new(ZHANG, RUN, 0, 0);
    for (number, seq) in [(0, 1), (1, 2), (2, 9)] {
        let key = story.zhang.write(LI);
        story.zhang.send(key, 1);
        story.zhang.acknowledge(Some(seq), &chat(number));
        story.zhang.show(story.seq(ZHANG, number), &chat(number));
    }
    let story = story.all_stored().shown(0..3);
    story.assert_only(&[(Class::Unstored, 1)], "feed-0-2 is acknowledged as (Some(9), 30)");
}

#[test]
fn a_user_who_was_not_read_back_has_nothing_stored() {
    for story in Story::both() {
        let verdict = story.shown(0..3).verdict();
        // Three acknowledgements, and three showings on either side.
        assert_eq!(verdict.count(Class::Unstored), 9, "{verdict}");
    }
}

#[test]
fn whoever_loads_anew_has_what_was_loaded() {
    let load = |numbers: &[u32], goes_on: i64| {
        let mut story = Story::new(true).all_stored().shown([0]);
        let events = story.events(LI, numbers);
        let events: Vec<_> = events.into_iter().map(|(seq, seen)| (seq.unwrap(), seen)).collect();
        story.li.reload(&events, BEFORE + goes_on);
        story
    };
    let verdict = load(&[0, 1, 2], 2).shown([2]).verdict();
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.shown, 5, "what is loaded is not shown");
    // What the load did not bring either is lost.
    load(&[1], 2).shown([2]).assert_only(&[(Class::Lost, 1)], "1002 was not shown 41");
    load(&[0, 1], 2).shown([1, 2]).assert_only(&[(Class::Doubled, 1)], "1002 was shown 42 again");
    // What was wrong before stays wrong.
    let mut story = Story::new(true).all_stored().shown([1]);
    story.li.reload(&[], BEFORE);
    story.shown(0..3).assert_only(&[(Class::Gap, 1)], "1002 was shown 42 after 40");
}

#[test]
fn a_chat_to_oneself_is_one_event() {
    for has_numbers in [true, false] {
        let seq = |number: u32| has_numbers.then_some(i64::from(number) + 1);
        let own = |number| Seen { target: ZHANG, ..chat(number) };
        let timeline = |events| Timeline { user: ZHANG, events, ..Timeline::default() };
        let mut book = Book::new(ZHANG, RUN, 0, 0);
        let mut events = vec![];
        for number in 0..2 {
            let key = book.write(ZHANG);
            book.send(key, 1);
            book.acknowledge(seq(number), &own(number));
            if has_numbers {
                book.show(seq(number), &own(number));
            }
            events.push((seq(number), own(number)));
        }
        let books = [book];
        let verdict = judge(&books, &[timeline(events.clone())]);
        assert!(verdict.is_clean(), "{verdict}");
        events.push((seq(2), Seen { id: 30, ..own(1) }));
        let verdict = judge(&books, &[timeline(events)]);
        assert_eq!(verdict.count(Class::Doubled), 1, "{verdict}");
    }
}

#[test]
fn numbers_out_of_reach_are_told_and_break_nothing() {
    for seq in [i64::MAX, i64::MIN] {
        let mut story = Story::new(true).all_stored().shown(0..3);
        story.li.show(Some(seq), &chat(2));
        let verdict = story.verdict();
        assert!(!verdict.is_clean(), "{verdict}");
    }
}

#[test]
fn ten_cases_are_told_and_all_are_counted() {
    let story = Story::new(true).all_stored().shown(0..3).shown(std::iter::repeat_n(2, 25));
    story.assert_only(&[(Class::Doubled, 25)], "Doubled: and 15 more");
}

#[test]
fn what_has_no_number_among_numbers_is_not_stored() {
    let mut story = Story::new(true).all_stored().shown(0..2);
    story.li.show(None, &chat(2));
    story.assert_only(&[(Class::Lost, 1), (Class::Unstored, 1)], "feed-0-2 without number");
    let mut story = Story::new(true).all_stored().shown(0..3);
    let others = Seen { key: Key { run: 1, writer: 0, number: 0 }, ..chat(2) };
    story.timelines[1].events.push((None, others));
    story.assert_only(&[(Class::Unstored, 1)], "1-0-0 has no number for 1002");
}

#[test]
fn numbers_of_other_runs_may_not_fall_either() {
    let mut story = Story::new(true).all_stored().shown(0..3);
    let others = Seen { key: Key { run: 1, writer: 0, number: 0 }, ..chat(2) };
    story.timelines[1].events.insert(1, (Some(BEFORE), others));
    story.assert_only(&[(Class::Reordered, 1)], "1002's timeline has 1-0-0 as 40");
}
