//! Compares all books with each other and with what the service has in the end.

use super::{
    book::Book,
    changes::Changes,
    groups,
    load::Load,
    shown,
    stored::{self, Stored},
    timeline::Timeline,
    verdict::{Class, Verdict},
};
use crate::address;

/// What is wrong. Phones of one user may have several books. Every phone with a book is taken to be up
/// at the end, so that it was shown all that is stored after its cursor.
///
/// A server without numbers (nothing was acknowledged, shown or read back with any) resumes nothing:
/// with it, each phone of the target must have been shown what was acknowledged. The sender's other
/// phones need not be, nor need a sender who writes to himself.
pub fn judge(books: &[Book], timelines: &[Timeline]) -> Verdict {
    judge_changes(books, timelines, &Changes::default())
}

/// As [`judge`], of a load with groups, recalls and deletions, at a server with numbers. A group is there before
/// the first book begins, or all books begin at 0.
pub fn judge_changes(books: &[Book], timelines: &[Timeline], changes: &Changes) -> Verdict {
    let mut verdict = Verdict::default();
    let load = Load::new(books, timelines, changes, &mut verdict);
    for book in books {
        verdict.chats += book.sent.len() as u64;
        let loaded = book.beginnings.iter().map(|beginning| beginning.loaded).sum::<usize>();
        verdict.shown += (book.shown.len() - loaded) as u64;
        verdict.absorb(&book.at_once);
    }
    let stored = stored::read(&load, timelines, &mut verdict);
    compare_answers(&load, &stored, &mut verdict);
    groups::compare_members(&load, &stored, &mut verdict);
    groups::compare_recalls(&load, &stored, &mut verdict);
    groups::compare_deletions(&load, &stored, &mut verdict);
    if has_numbers(books, timelines) {
        for book in books {
            shown::compare_numbered(&load, book, &stored, &mut verdict);
        }
    } else {
        shown::compare_unnumbered(&load, &stored, &mut verdict);
    }
    verdict
}

fn has_numbers(books: &[Book], timelines: &[Timeline]) -> bool {
    let answers = |book: &Book| {
        let mut answers = book.sent.iter().filter_map(|sent| book.answer(sent));
        answers.any(|(seq, _)| seq.is_some())
    };
    timelines.iter().any(|timeline| timeline.events.iter().any(|(seq, _)| seq.is_some()))
        || books
            .iter()
            .any(|book| book.shown.iter().any(|shown| book.seq(shown).is_some()) || answers(book))
}

/// What is acknowledged is in both timelines, with the number and the id of the acknowledgement. Who else has
/// a chat to a group is compared elsewhere.
fn compare_answers(load: &Load<'_>, stored: &Stored<'_>, verdict: &mut Verdict) {
    for (at, book) in load.books.iter().enumerate() {
        for (number, sent) in book.sent.iter().enumerate() {
            let key = || format!("{:x}-{}-{number}", book.run, book.writer);
            let group = address::group_of(sent.target);
            if sent.is_refused() {
                if group.is_none_or(|group| load.members.stayed(group, book.user)) {
                    verdict.add(Class::Lost, || format!("{} was refused", key()));
                }
                continue;
            }
            let Some((seq, id)) = book.answer(sent) else {
                let what = if sent.first == 0 { "sent" } else { "acknowledged" };
                verdict.add(Class::Lost, || format!("{} was never {what}", key()));
                continue;
            };
            let at_sender = stored.at_sender(load, (at, number));
            let at_target = stored.at_target(load, (at, number));
            // A target without a phone in this load is not read back.
            let is_read =
                group.is_none() && (load.users.contains(&sent.target) || stored.has(sent.target));
            if at_sender != Some((seq, id)) || is_read && at_target.map(|(_, id)| id) != Some(id) {
                verdict.add(Class::Unstored, || {
                    format!(
                        "{} is acknowledged as {:?}, stored as {at_sender:?} for the sender and {at_target:?} for the target",
                        key(),
                        (seq, id)
                    )
                });
            }
        }
    }
}
