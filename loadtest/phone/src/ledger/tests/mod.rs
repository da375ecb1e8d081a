//! Books that are written by hand.

mod classes;
mod groups;
mod listings;
mod order;
mod random;
mod recalls;
mod talk;
mod world;

use super::*;

const ZHANG: i64 = 1001;
const LI: i64 = 1002;
const WANG: i64 = 1003;
const RUN: u32 = 0xfeed;
/// 李四's timeline had so many events before.
const BEFORE: i64 = 40;

/// Books in which 张三 sends to 李四, and 王五 looks on.
struct Story {
    has_numbers: bool,
    zhang: Book,
    li: Book,
    wang: Book,
    timelines: Vec<Timeline>,
}

fn chat(number: u32) -> Seen {
    Seen {
        key: Key { run: RUN, writer: 0, number },
        id: i64::from(number) * 10 + 10,
        sender: ZHANG,
        target: LI,
        words: Words::Intact,
    }
}

impl Story {
    /// 张三 has sent three chats on one connection and been acknowledged.
    fn new(has_numbers: bool) -> Self {
        let mut story = Self {
            has_numbers,
            zhang: Book::new(ZHANG, RUN, 0, 0),
            li: Book::new(LI, RUN, 1, BEFORE),
            wang: Book::new(WANG, RUN, 2, 0),
            timelines: vec![],
        };
        let keys = [(); 3].map(|()| story.zhang.write(LI));
        for key in keys {
            story.zhang.send(key, 1);
        }
        for number in 0..3 {
            story.zhang.acknowledge(story.seq(ZHANG, number), &chat(number));
            story.zhang.show(story.seq(ZHANG, number), &chat(number));
        }
        story
    }

    /// In both kinds.
    fn both() -> [Self; 2] {
        [Self::new(true), Self::new(false)]
    }

    fn seq(&self, user: i64, number: u32) -> Option<i64> {
        let first = if user == LI { BEFORE + 1 } else { 1 };
        self.has_numbers.then_some(first + i64::from(number))
    }

    /// 李四 is shown these.
    fn shown(mut self, numbers: impl IntoIterator<Item = u32>) -> Self {
        for number in numbers {
            self.li.show(self.seq(LI, number), &chat(number));
        }
        self
    }

    fn events(&self, user: i64, numbers: &[u32]) -> Vec<(Option<i64>, Seen)> {
        numbers.iter().map(|number| (self.seq(user, *number), chat(*number))).collect()
    }

    /// A user has these.
    fn stored(mut self, user: i64, numbers: &[u32]) -> Self {
        let events = self.events(user, numbers);
        self.timelines.push(Timeline { user, events, ..Timeline::default() });
        self
    }

    /// All three are stored for both.
    fn all_stored(self) -> Self {
        self.stored(ZHANG, &[0, 1, 2]).stored(LI, &[0, 1, 2])
    }

    fn verdict(self) -> Verdict {
        judge(&[self.zhang, self.li, self.wang], &self.timelines)
    }

    /// Just these are wrong, so often, and the words are told.
    #[track_caller]
    fn assert_only(self, expected: &[(Class, u64)], told: &str) {
        let verdict = self.verdict();
        let text = verdict.to_string();
        for class in Class::ALL {
            let count = expected.iter().find(|(other, _)| *other == class).map_or(0, |(_, n)| *n);
            assert_eq!(verdict.count(class), count, "{class:?}: {text}");
        }
        assert!(text.contains(told), "{text}");
    }
}
