//! A checker of texts within bounds, and what is done by what it says.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{Place, Suggestion, Text, TextCheck, Unchecked};
use crate::{
    breaker::Breaker,
    domain::{OnFailure, OnReview, UserId},
};

/// How long an answer may take, the wait for a free call included.
pub const ANSWER_WAIT: Duration = Duration::from_millis(1_500);

/// The most Unicode scalar values of one question. A longer text is several.
pub const MAX_CHARS: usize = 2_500;

/// The most questions at once.
const AT_ONCE: usize = 64;

/// The most questions that wait for one to end.
const WAITING: usize = 4_096;

/// What part of the questions of a minute may be asked at once.
const BURST: f64 = 0.1;

/// What is done with a text.
#[derive(Clone, Copy, Debug)]
pub struct TextRules {
    /// That somebody is to look at.
    pub on_review: OnReview,
    /// That cannot be checked.
    pub on_unchecked: OnFailure,
    /// About which nothing is known, since the checker failed or may be asked no more.
    pub on_failure: OnFailure,
    /// The most questions in a minute.
    pub per_min: u32,
}

/// What is to be done with a text, and why. A greater one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// It may be shown.
    Pass,
    /// Somebody is to look at it.
    Hold(&'static str),
    /// It is not known whether it may be shown, and so it is not, now.
    Unavailable,
    /// It must not be shown.
    Refuse(&'static str),
}

/// Asks a checker of texts, within bounds. Clones share them.
#[derive(Clone)]
pub struct TextChecks(Arc<Inner>);

struct Inner {
    check: Arc<dyn TextCheck>,
    rules: TextRules,
    calls: Semaphore,
    line: Semaphore,
    bucket: Mutex<Bucket>,
    breaker: Breaker,
}

impl TextChecks {
    /// Asks this checker.
    pub fn new(check: Arc<dyn TextCheck>, rules: TextRules) -> Self {
        Self(Arc::new(Inner {
            check,
            rules,
            calls: Semaphore::new(AT_ONCE),
            line: Semaphore::new(AT_ONCE + WAITING),
            bucket: Mutex::new(Bucket::new(rules.per_min)),
            breaker: Breaker::default(),
        }))
    }

    /// What is to be done with a text, of any length. All of it is asked about at once; the worst answer wins. Is there
    /// within [`ANSWER_WAIT`], and not after `answer_by`.
    pub async fn judge(
        &self,
        author: UserId,
        place: Place,
        words: &str,
        answer_by: Instant,
    ) -> Judgement {
        let answer_by = answer_by.min(Instant::now() + ANSWER_WAIT);
        let asked = pieces(words).map(|words| async move {
            let text = Text { author, place, words: words.to_owned() };
            self.0.rules.judge(self.0.ask(&text, answer_by).await)
        });
        join_all(asked).await.into_iter().max().unwrap_or(Judgement::Pass)
    }
}

/// A text in pieces of at most [`MAX_CHARS`].
fn pieces(words: &str) -> impl Iterator<Item = &str> {
    let mut rest = words;
    std::iter::from_fn(move || {
        let end = rest.char_indices().nth(MAX_CHARS).map_or(rest.len(), |(end, _)| end);
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

impl TextRules {
    fn judge(self, answer: Result<Suggestion, Unchecked>) -> Judgement {
        match answer {
            Ok(Suggestion::Pass) => Judgement::Pass,
            Ok(Suggestion::Risky) => Judgement::Refuse("risky"),
            Ok(Suggestion::Review) => match self.on_review {
                OnReview::Allow => Judgement::Pass,
                OnReview::Hold => Judgement::Hold("review"),
            },
            // Another try would not be checked either.
            Err(Unchecked::Unable) => match self.on_unchecked {
                OnFailure::Allow => Judgement::Pass,
                OnFailure::Hold => Judgement::Hold("unchecked"),
                OnFailure::Deny => Judgement::Refuse("unchecked"),
            },
            Err(Unchecked::OutOfQuota | Unchecked::Failed) => match self.on_failure {
                OnFailure::Allow => Judgement::Pass,
                OnFailure::Hold => Judgement::Hold("failed"),
                OnFailure::Deny => Judgement::Unavailable,
            },
        }
    }
}

impl Inner {
    async fn ask(&self, text: &Text, answer_by: Instant) -> Result<Suggestion, Unchecked> {
        let (outcome, answer) = self.ask_in_line(text, answer_by).await;
        metrics::counter!("imserver_checks_total", "checker" => "wechat_text", "outcome" => outcome)
            .increment(1);
        answer
    }

    /// The answer, and the word of the metric.
    async fn ask_in_line(
        &self,
        text: &Text,
        answer_by: Instant,
    ) -> (&'static str, Result<Suggestion, Unchecked>) {
        let Ok(_place) = self.line.try_acquire() else {
            return ("overloaded", Err(Unchecked::Failed));
        };
        let Ok(Ok(_call)) = timeout_at(answer_by, self.calls.acquire()).await else {
            return ("overloaded", Err(Unchecked::Failed));
        };
        if !self.bucket.lock().take(Instant::now()) {
            return ("limited", Err(Unchecked::OutOfQuota));
        }
        if !self.breaker.may_call() {
            return ("resting", Err(Unchecked::Failed));
        }
        let answer = timeout_at(answer_by, self.check.check(text)).await;
        match answer {
            Ok(Ok(_) | Err(Unchecked::Unable)) => self.breaker.succeeded(),
            // It is there, and says no.
            Ok(Err(Unchecked::OutOfQuota)) => {}
            Ok(Err(Unchecked::Failed)) | Err(_) => {
                if self.breaker.failed() {
                    tracing::warn!("the checker of texts fails again and again");
                }
            }
        }
        match answer {
            Ok(answer) => (word(answer), answer),
            Err(_) => ("timed_out", Err(Unchecked::Failed)),
        }
    }
}

/// The word of the metric.
const fn word(answer: Result<Suggestion, Unchecked>) -> &'static str {
    match answer {
        Ok(Suggestion::Pass) => "pass",
        Ok(Suggestion::Review) => "review",
        Ok(Suggestion::Risky) => "risky",
        Err(Unchecked::Unable) => "unable",
        Err(Unchecked::OutOfQuota) => "out_of_quota",
        Err(Unchecked::Failed) => "failed",
    }
}

/// Counts questions.
struct Bucket {
    per_sec: f64,
    most: f64,
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    fn new(per_min: u32) -> Self {
        let most = (f64::from(per_min) * BURST).max(1.0);
        Self { per_sec: f64::from(per_min) / 60.0, most, tokens: most, filled_at: Instant::now() }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_sec).min(self.most);
        self.filled_at = now;
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use async_trait::async_trait;

    use super::*;

    /// Answers by what a text contains.
    #[derive(Default)]
    struct Scripted(AtomicUsize);

    #[async_trait]
    impl TextCheck for Scripted {
        async fn check(&self, text: &Text) -> Result<Suggestion, Unchecked> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let has = |word: &str| text.words.contains(word);
            match () {
                () if has("hang") => pending().await,
                () if has("fail") => Err(Unchecked::Failed),
                () if has("quota") => Err(Unchecked::OutOfQuota),
                () if has("unable") => Err(Unchecked::Unable),
                () if has("review") => Ok(Suggestion::Review),
                () if has("risky") => Ok(Suggestion::Risky),
                () => Ok(Suggestion::Pass),
            }
        }
    }

    const RULES: TextRules = TextRules {
        on_review: OnReview::Hold,
        on_unchecked: OnFailure::Allow,
        on_failure: OnFailure::Hold,
        per_min: 1_000_000,
    };

    fn checks(rules: TextRules) -> (Arc<Scripted>, TextChecks) {
        let scripted = Arc::new(Scripted::default());
        (Arc::clone(&scripted), TextChecks::new(scripted, rules))
    }

    async fn judged(checks: &TextChecks, words: &str) -> Judgement {
        let later = Instant::now() + Duration::from_mins(1);
        checks.judge(UserId::new(1).unwrap(), Place::Chat, words, later).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_settings_say_what_an_answer_means() {
        use OnFailure::{Allow, Deny, Hold};
        for (on_failure, failed, unchecked) in [
            (Allow, Judgement::Pass, Judgement::Pass),
            (Hold, Judgement::Hold("failed"), Judgement::Hold("unchecked")),
            (Deny, Judgement::Unavailable, Judgement::Refuse("unchecked")),
        ] {
            let (_, checks) = checks(TextRules { on_failure, on_unchecked: on_failure, ..RULES });
            for (words, judgement) in [
                ("fine", Judgement::Pass),
                ("risky", Judgement::Refuse("risky")),
                ("review", Judgement::Hold("review")),
                ("unable", unchecked),
                ("quota", failed),
                ("fail", failed),
                ("hang", failed),
                ("", Judgement::Pass),
            ] {
                let begun = Instant::now();
                assert_eq!(judged(&checks, words).await, judgement, "{on_failure:?} {words}");
                let waited = if words == "hang" { ANSWER_WAIT } else { Duration::ZERO };
                assert_eq!(begun.elapsed(), waited);
            }
        }
        let (_, checks) = checks(TextRules { on_review: OnReview::Allow, ..RULES });
        assert_eq!(judged(&checks, "review").await, Judgement::Pass);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_text_is_asked_about_in_pieces_and_the_worst_wins() {
        let (scripted, checks) = checks(RULES);
        let long = |end: &str| format!("{}{end}", "长".repeat(2 * MAX_CHARS));
        assert_eq!(judged(&checks, &long("")).await, Judgement::Pass);
        assert_eq!(scripted.0.load(Ordering::Relaxed), 2);
        assert_eq!(judged(&checks, &long("risky")).await, Judgement::Refuse("risky"));
        let (review, hang) = ("review".to_owned() + &long("fail"), long("hang"));
        assert_eq!(judged(&checks, &review).await, Judgement::Hold("review"));
        assert_eq!(judged(&checks, &(hang + "risky")).await, Judgement::Hold("failed"));
        let pieces: Vec<_> = pieces(&review).collect();
        assert_eq!(pieces.concat(), review);
        assert!(pieces.iter().all(|piece| piece.chars().count() <= MAX_CHARS));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_asked_than_may_be_in_a_minute() {
        let (scripted, checks) = checks(TextRules { per_min: 60, ..RULES });
        for _ in 0..20 {
            judged(&checks, "fine").await;
        }
        assert_eq!(scripted.0.load(Ordering::Relaxed), 6);
        assert_eq!(judged(&checks, "fine").await, Judgement::Hold("failed"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(judged(&checks, "fine").await, Judgement::Pass);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_at_a_checker_that_hangs_ends_in_time() {
        let (scripted, checks) = checks(RULES);
        let begun = Instant::now();
        let judged = join_all((0..5_000).map(|_| judged(&checks, "hang"))).await;
        assert!(judged.iter().all(|it| *it == Judgement::Hold("failed")));
        assert_eq!(begun.elapsed(), ANSWER_WAIT);
        assert!(scripted.0.load(Ordering::Relaxed) <= 2 * AT_ONCE);
        // And then it rests.
        assert_eq!(self::judged(&checks, "fine").await, Judgement::Hold("failed"));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(self::judged(&checks, "fine").await, Judgement::Pass);
    }
}
