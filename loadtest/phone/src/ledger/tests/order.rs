//! Which order is required, and of what not.

use super::*;

#[test]
fn a_number_that_comes_late_is_a_gap_and_reordered() {
    let story = Story::new(true).all_stored().shown([0, 2, 1]);
    story.assert_only(&[(Class::Gap, 1), (Class::Reordered, 1)], "1002 was shown 42 after 43");
}

/// 张三's chats as they are stored: 2 before 1, and the ids so that the conversation is in order.
fn swapped(mut story: Story) -> Story {
    let rows = [0, 2, 1].into_iter().zip(0..).map(|(number, row)| Seen { id: row, ..chat(number) });
    let rows: Vec<_> = rows.collect();
    for (book, first) in [(&mut story.zhang, 1), (&mut story.li, BEFORE + 1)] {
        let has_numbers = story.has_numbers;
        let numbered = (first..).map(|seq| has_numbers.then_some(seq)).zip(rows.clone());
        let events: Vec<_> = numbered.collect();
        for (seq, row) in &events {
            book.show(*seq, row);
            if book.user == ZHANG {
                book.acknowledge(*seq, row);
            }
        }
        story.timelines.push(Timeline { user: book.user, events, ..Timeline::default() });
    }
    story
}

fn sending(has_numbers: bool, connections: [&[u32]; 3]) -> Story {
    let mut story = Story::new(has_numbers);
    story.zhang = Book::new(ZHANG, RUN, 0, 0);
    for connections in connections {
        let key = story.zhang.write(LI);
        for connection in connections {
            story.zhang.send(key, *connection);
        }
    }
    swapped(story)
}

#[test]
fn what_overtakes_on_its_connection_is_reordered() {
    // In both timelines; without numbers it is seen where it is shown as well.
    let story = sending(true, [&[1], &[1], &[1]]);
    story.assert_only(&[(Class::Reordered, 2)], "feed-0-1 as 43, id 2, which is too late");
    let story = sending(false, [&[1], &[1], &[1]]);
    story.assert_only(&[(Class::Reordered, 3)], "1002 was shown feed-0-1 too late");
}

#[test]
fn what_was_repeated_may_be_overtaken() {
    for connections in [[&[1][..], &[1, 2], &[2]], [&[1], &[1, 2], &[1, 2]], [&[1], &[1], &[2]]] {
        for has_numbers in [true, false] {
            sending(has_numbers, connections).assert_only(&[], "");
        }
    }
}

#[test]
fn what_overtakes_what_was_acknowledged_before_it_is_reordered() {
    for (has_numbers, count) in [(true, 2), (false, 3)] {
        let mut story = Story::new(has_numbers);
        story.zhang = Book::new(ZHANG, RUN, 0, 0);
        for (number, id) in [(0, 0), (1, 2), (2, 1)] {
            let key = story.zhang.write(LI);
            story.zhang.send(key, number);
            story.zhang.send(key, number + 10);
            let seq = story.has_numbers.then_some(id + 1);
            story.zhang.acknowledge(seq, &Seen { id, ..chat(number) });
        }
        swapped(story).assert_only(&[(Class::Reordered, count)], "too late");
    }
}

#[test]
fn ids_that_fall_are_reordered() {
    for story in Story::both() {
        let mut story = story.all_stored();
        // The id is wrong everywhere alike.
        let wrong = Seen { id: 25, ..chat(0) };
        story.zhang = Book::new(ZHANG, RUN, 0, 0);
        for (number, seen) in (0..).zip(&[wrong, chat(1), chat(2)]) {
            let [at_zhang, at_li] = [ZHANG, LI].map(|user| story.seq(user, number));
            let key = story.zhang.write(LI);
            story.zhang.send(key, 1);
            story.zhang.acknowledge(at_zhang, seen);
            story.zhang.show(at_zhang, seen);
            story.li.show(at_li, seen);
        }
        for timeline in &mut story.timelines {
            timeline.events[0].1 = wrong;
        }
        let count = if story.has_numbers { 2 } else { 3 };
        story.assert_only(&[(Class::Reordered, count)], "feed-0-1");
    }
}

#[test]
fn other_chats_at_the_same_numbers_are_reordered() {
    let mut story = Story::new(true).all_stored().shown([0]);
    story.li.show(Some(BEFORE + 2), &chat(2));
    story.li.show(Some(BEFORE + 3), &chat(1));
    story.assert_only(&[(Class::Reordered, 2)], "1002 was shown feed-0-2 as 42, which is feed-0-1");
}
