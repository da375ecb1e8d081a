//! The door: asks the rules about a chat, in their order and within a time, and lets it pass.
//!
//! Nothing else is in this file, because whatever is can make an [`Admitted`].

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use super::Rule;
use crate::{protocol::fault::ApiError, store::NewChat};

/// How long all rules together may take for one chat. A sender is answered within 5 s, and the commit
/// needs the rest of that.
pub const ADMISSION_WAIT: Duration = Duration::from_millis(2_500);

/// Asks rules about chats. Clones share the rules.
#[derive(Clone)]
pub struct Door(Arc<[Arc<dyn Rule>]>);

/// A chat that has passed the rules.
///
/// [`Door::admit`] alone makes one: the fields are private to its file, and there is no constructor. It
/// cannot be cloned, so it is committed once.
#[derive(Debug)]
#[must_use = "a chat that is admitted is not sent yet"]
pub struct Admitted {
    chat: NewChat,
    asked_at: Instant,
}

impl Door {
    /// A door with these rules, in this order. Without any it lets every chat pass.
    pub fn new(rules: impl IntoIterator<Item = Arc<dyn Rule>>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// Asks the rules whether a chat may be sent. The answer is there within [`ADMISSION_WAIT`] of the
    /// call.
    ///
    /// The rules are asked by the call itself, until one of them has to wait; the future goes on from
    /// there. So chats that are admitted one after another are asked about in that order, whether or
    /// not anybody waits for the answers yet.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn admit(
        &self,
        chat: NewChat,
    ) -> impl Future<Output = Result<Admitted, ApiError>> + Send + use<> {
        self.admit_since(chat, Instant::now())
    }

    /// As [`Door::admit`], for a chat whose sender has waited since `asked_at`.
    pub fn admit_since(
        &self,
        chat: NewChat,
        asked_at: Instant,
    ) -> impl Future<Output = Result<Admitted, ApiError>> + Send + use<> {
        self.ask(chat, asked_at, |_| true)
    }

    /// As [`Door::admit`], of a chat that was held back and is released: asks the rules that ask again.
    pub fn readmit(
        &self,
        chat: NewChat,
    ) -> impl Future<Output = Result<Admitted, ApiError>> + Send + use<> {
        self.ask(chat, Instant::now(), |rule| rule.asks_again())
    }

    fn ask(
        &self,
        mut chat: NewChat,
        asked_at: Instant,
        is_asked: fn(&dyn Rule) -> bool,
    ) -> impl Future<Output = Result<Admitted, ApiError>> + Send + use<> {
        let rules = Arc::clone(&self.0);
        let mut asking = Box::pin(async move {
            let answer_by = asked_at + ADMISSION_WAIT;
            for rule in rules.iter().filter(|rule| is_asked(&***rule)) {
                let checked = timeout_at(answer_by, rule.check(&mut chat)).await;
                checked.unwrap_or_else(|_| Err(too_late(rule.name())))?;
            }
            Ok(Admitted { chat, asked_at })
        });
        // The first poll. Whoever waits for the future polls again, and is woken instead.
        let answer = asking.as_mut().now_or_never();
        async move {
            match answer {
                Some(answer) => answer,
                None => asking.await,
            }
        }
    }
}

fn too_late(rule: &'static str) -> ApiError {
    tracing::warn!(rule, "did not decide about a chat in time, answered as unavailable");
    ApiError::unavailable("whether the chat may be sent could not be found out in time")
}

impl Admitted {
    /// The chat, and since when its sender waits: [`Door::admit`] was called then.
    pub fn into_parts(self) -> (NewChat, Instant) {
        (self.chat, self.asked_at)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use async_trait::async_trait;
    use parking_lot::Mutex;
    use tokio::time::sleep;

    use super::*;
    use crate::{
        domain::{ClientMsgId, Content, Destination, UserId},
        protocol::fault::ErrorCode,
    };

    /// What a rule of the tests does.
    #[derive(Clone, Copy)]
    enum Does {
        Passes,
        Takes(Duration),
        Refuses,
        NeverAnswers,
    }

    /// Which rules were asked about which chat, in order.
    type Log = Arc<Mutex<Vec<String>>>;

    struct Noted {
        name: &'static str,
        does: Does,
        log: Log,
    }

    #[async_trait]
    impl Rule for Noted {
        fn name(&self) -> &'static str {
            self.name
        }

        async fn check(&self, chat: &mut NewChat) -> Result<(), ApiError> {
            self.log.lock().push(format!("{} {}", self.name, chat.client_msg_id.as_str()));
            match self.does {
                Does::Passes => {}
                Does::Takes(time) => sleep(time).await,
                Does::Refuses => return Err(ApiError::new(ErrorCode::Forbidden, "as told")),
                Does::NeverAnswers => pending().await,
            }
            Ok(())
        }
    }

    /// A door whose rules are called `a`, `b`, …, and what they note.
    fn door(rules: &[Does]) -> (Door, Log) {
        let log = Log::default();
        let rules = rules.iter().zip(["a", "b", "c"]).map(|(does, name)| -> Arc<dyn Rule> {
            Arc::new(Noted { name, does: *does, log: Arc::clone(&log) })
        });
        (Door::new(rules), log)
    }

    fn chat(key: &str) -> NewChat {
        NewChat::text(
            UserId::new(1).unwrap(),
            Destination::Direct(UserId::new(2).unwrap()),
            ClientMsgId::parse(key).unwrap(),
            Content::parse("x", 1).unwrap(),
        )
    }

    /// The key of a chat that is admitted, or the code of its refusal.
    async fn admitted(door: &Door, key: &str) -> Result<String, ErrorCode> {
        let admitted = door.admit(chat(key)).await.map_err(|fault| fault.code)?;
        Ok(admitted.into_parts().0.client_msg_id.as_str().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_all_rules_is_admitted_as_it_is() {
        let (door, log) = door(&[Does::Passes, Does::Takes(Duration::from_secs(1)), Does::Passes]);
        let begun = Instant::now();
        let (chat, asked_at) = door.admit(chat("k")).await.unwrap().into_parts();
        assert_eq!((chat.client_msg_id.as_str(), asked_at), ("k", begun));
        assert_eq!(*log.lock(), ["a k", "b k", "c k"]);
    }

    #[tokio::test]
    async fn the_first_refusal_ends_it() {
        let (door, log) = door(&[Does::Passes, Does::Refuses, Does::Passes]);
        assert_eq!(admitted(&door, "k").await, Err(ErrorCode::Forbidden));
        assert_eq!(*log.lock(), ["a k", "b k"]);
    }

    #[tokio::test(start_paused = true)]
    async fn rules_are_asked_by_the_call_until_one_waits() {
        let (door, log) = door(&[Does::Passes, Does::Takes(Duration::from_secs(1)), Does::Passes]);
        let (one, two) = (door.admit(chat("1")), door.admit(chat("2")));
        assert_eq!(*log.lock(), ["a 1", "b 1", "a 2", "b 2"]);
        // Whoever waits first, it takes no longer.
        let begun = Instant::now();
        assert!(two.await.is_ok() && one.await.is_ok());
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert_eq!(log.lock().len(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rules_have_a_time_together() {
        let (slow, half) = (ADMISSION_WAIT + Duration::from_millis(1), ADMISSION_WAIT / 2);
        for rules in [
            vec![Does::NeverAnswers, Does::Passes],
            vec![Does::Takes(slow), Does::Passes],
            vec![Does::Takes(half), Does::Takes(half), Does::Takes(half)],
            vec![Does::Takes(half), Does::NeverAnswers],
        ] {
            let begun = Instant::now();
            assert_eq!(admitted(&door(&rules).0, "k").await, Err(ErrorCode::Unavailable));
            assert_eq!(begun.elapsed(), ADMISSION_WAIT);
        }
        let (door, _) =
            door(&[Does::Takes(half), Does::Takes(half.saturating_sub(Duration::from_millis(1)))]);
        assert_eq!(admitted(&door, "k").await, Ok("k".to_owned()));
    }

    #[tokio::test]
    async fn without_rules_every_chat_passes() {
        assert_eq!(admitted(&Door::new([]), "k").await, Ok("k".to_owned()));
    }
}
