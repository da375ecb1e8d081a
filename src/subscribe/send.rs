//! Sends what is due to those who do not look, on one replica at a time.
//!
//! Two replicas may do so at once after a lease was lost: what counts is that the database gives each message to one
//! of them, before it is sent.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::{SendFault, SubscribeMessage, SubscribeSender};
use crate::{
    domain::{
        Chat, ChatId, ConversationKind, FieldFacts, GroupTitle, MessageTemplate, TemplateField,
        WechatUser,
    },
    jobs::Job,
    presence::{Connection, Presence, PresenceError},
    store::{Absence, Store, StoreError},
};

/// Polling interval.
const INTERVAL: Duration = Duration::from_millis(500);

/// The most absences of one round.
const PAGE: u32 = 500;

/// The most messages that are being sent at once.
const AT_ONCE: usize = 16;

/// No message of a round is begun later.
const BEGIN: Duration = Duration::from_secs(8);

/// How long the sender may take, at most.
const SEND_WAIT: Duration = Duration::from_secs(10);

/// The longest that a round takes, with its queries: less than the lease of a job.
const ROUND: Duration = Duration::from_secs(25);

/// How often a message is tried, if WeChat was not reached.
const MAX_ATTEMPTS: u32 = 3;

/// The wait after the first attempt; after each further one it is six times as long.
const RETRY: Duration = Duration::from_secs(10);

/// The pause after WeChat takes no messages at all.
const PAUSE: Duration = Duration::from_mins(10);

/// What stands in place of the words of a chat.
const NEUTRAL: &str = "[新消息]";

/// What a group without a name is called.
const NAMELESS: &str = "群聊";

/// How messages read.
#[derive(Clone, Debug)]
pub struct Wording {
    /// Which template.
    pub template: MessageTemplate,
    /// Its fields.
    pub fields: Vec<TemplateField>,
    /// Whether they show what a chat says.
    pub show_content: bool,
    /// The page that a message opens, in which `{conversation}` and `{peer}` stand for ids.
    pub page: String,
}

/// Why a round did not go to its end.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Presence(#[from] PresenceError),
}

/// Sends what is due.
pub struct Sending {
    store: Arc<dyn Store>,
    presence: Arc<dyn Presence>,
    sender: Arc<dyn SubscribeSender>,
    wording: Wording,
    job: Job,
    /// Nothing is sent before.
    paused_until: Mutex<Option<Instant>>,
}

impl Sending {
    /// Whoever has the job sends.
    pub fn new(
        store: Arc<dyn Store>,
        presence: Arc<dyn Presence>,
        sender: Arc<dyn SubscribeSender>,
        wording: Wording,
        job: Job,
    ) -> Self {
        Self { store, presence, sender, wording, job, paused_until: Mutex::default() }
    }

    /// Sends for ever. May be dropped at any time: what was taken then counts as sent.
    pub async fn run(mut self) {
        let mut is_failing = false;
        loop {
            let worked = self.work().await;
            if let Err(error) = &worked
                && !is_failing
            {
                tracing::warn!(%error, "no subscribe messages are sent, later again");
            }
            is_failing = worked.is_err();
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Works until another replica has the job.
    async fn work(&mut self) -> Result<(), Stopped> {
        if self.job.take().await?.is_none() {
            return Ok(());
        }
        while self.job.keep_for("", ROUND).await? {
            if !self.is_paused() {
                self.round().await?;
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(())
    }

    async fn round(&self) -> Result<(), Stopped> {
        let due = self.store.due_absences(PAGE).await?;
        if due.is_empty() {
            return Ok(());
        }
        let users: Vec<_> = due.iter().map(|absence| absence.user).collect();
        let open = self.presence.connections(&users).await?;
        let (mut looking, mut away) = (Vec::new(), Vec::new());
        for absence in due {
            match Gaze::of(open.get(&absence.user).map_or(&[], Vec::as_slice)) {
                Gaze::Looks => looking.push(absence),
                Gaze::Away => away.push(absence),
                Gaze::Unsure => {}
            }
        }
        if !looking.is_empty() {
            self.store.end_absences(&looking).await?;
        }
        let end = Instant::now() + BEGIN;
        stream::iter(away)
            .map(|absence| self.tell(absence, end))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    async fn tell(&self, absence: Absence, end: Instant) -> Result<(), StoreError> {
        let template = &self.wording.template;
        if self.is_paused() || Instant::now() >= end {
            return Ok(());
        }
        let Some(chat) = self.store.take_absence(&absence, template).await? else { return Ok(()) };
        let sent = match self.message(&absence, chat).await {
            Ok(Some(message)) => timeout(SEND_WAIT, self.sender.send(&message))
                .await
                .unwrap_or(Err(SendFault::Unclear)),
            Ok(None) => Err(SendFault::UserUnknown),
            Err(error) => {
                tracing::warn!(%error, "a subscribe message was not made, later again");
                Err(SendFault::NotSent)
            }
        };
        self.settle(&absence, sent).await
    }

    /// Notes in the ledger what became of a message.
    async fn settle(
        &self,
        absence: &Absence,
        sent: Result<(), SendFault>,
    ) -> Result<(), StoreError> {
        let template = &self.wording.template;
        let outcome = match sent {
            Ok(()) => "sent",
            // It may have been sent, so it counts as sent.
            Err(SendFault::Unclear) => "unclear",
            Err(SendFault::Refused) => {
                self.store.refuse_absence(absence, template).await?;
                "refused"
            }
            Err(SendFault::UserUnknown) => {
                self.store.refuse_absence(absence, template).await?;
                "user_unknown"
            }
            Err(fault @ (SendFault::BadTemplate | SendFault::Quota)) => {
                self.pause(fault);
                let again = (absence.attempts + 1 < MAX_ATTEMPTS).then_some(PAUSE);
                self.store.return_absence(absence, template, again).await?;
                if fault == SendFault::Quota { "quota" } else { "bad_template" }
            }
            Err(SendFault::NotSent) => {
                let attempts = absence.attempts + 1;
                let again = (attempts < MAX_ATTEMPTS).then(|| RETRY * 6_u32.pow(attempts - 1));
                self.store.return_absence(absence, template, again).await?;
                if again.is_some() { "not_sent" } else { "given_up" }
            }
        };
        metrics::counter!("imserver_subscribe_messages_total", "outcome" => outcome).increment(1);
        Ok(())
    }

    fn is_paused(&self) -> bool {
        self.paused_until.lock().is_some_and(|until| Instant::now() < until)
    }

    /// Sends nothing for a while, and logs it once.
    fn pause(&self, fault: SendFault) {
        let mut until = self.paused_until.lock();
        if until.is_none_or(|until| until <= Instant::now()) {
            tracing::error!(%fault, pause_secs = PAUSE.as_secs(), "no subscribe messages for a while");
            *until = Some(Instant::now() + PAUSE);
        }
    }

    /// The message about a chat; `None`: the user is not one of the mini program.
    async fn message(
        &self,
        absence: &Absence,
        chat: ChatId,
    ) -> Result<Option<SubscribeMessage>, StoreError> {
        let Some(user) = self.wechat_user(absence).await? else { return Ok(None) };
        let chat = self.store.chat(chat).await?.ok_or_else(|| lost("a chat"))?;
        let facts = self.store.conversation_facts(absence.conversation).await?;
        let facts = facts.ok_or_else(|| lost("a conversation"))?;
        let is_direct = facts.kind == ConversationKind::Direct;
        let title = facts.title.as_ref().map(GroupTitle::as_str);
        let conversation =
            if is_direct { chat.user_name.as_str() } else { title.unwrap_or(NAMELESS) };
        let Wording { template, fields, show_content, page } = &self.wording;
        let facts = FieldFacts {
            sender: chat.user_name.as_str(),
            preview: if *show_content { &chat.content } else { NEUTRAL },
            time: chat.create_time,
            conversation,
        };
        let data = fields.iter().map(|field| (field.name.clone(), field.value(&facts)));
        Ok(Some(SubscribeMessage {
            user,
            template: template.id.clone(),
            page: page_of(page, &chat, is_direct),
            data: data.collect(),
        }))
    }

    async fn wechat_user(&self, absence: &Absence) -> Result<Option<WechatUser>, StoreError> {
        let mut users = self.store.wechat_users(absence.user).await?;
        let appid = Some(&self.wording.template.appid);
        // Whoever is known only from before is of the main one.
        let place = users.iter().position(|user| user.appid.as_ref() == appid);
        let place = place.or_else(|| users.iter().position(|user| user.appid.is_none()));
        Ok(place.map(|place| users.swap_remove(place)))
    }
}

fn lost(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} that was there is lost"))
}

/// The page with its ids. `{peer}` is what the mini program's chat page takes: the other side of a direct
/// conversation, or `g` and the id of a group.
fn page_of(page: &str, chat: &Chat, is_direct: bool) -> String {
    let conversation = chat.conversation_id;
    let peer = if is_direct { chat.user_id.to_string() } else { format!("g{conversation}") };
    page.replace("{conversation}", &conversation.to_string()).replace("{peer}", &peer)
}

/// Whether a user looks at a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gaze {
    /// At one in the foreground.
    Looks,
    /// Only at sockets of a replica that perhaps has died; the register soon knows.
    Unsure,
    /// At none.
    Away,
}

impl Gaze {
    fn of(open: &[Connection]) -> Self {
        let mut foreground = open.iter().filter(|socket| !socket.is_background);
        match foreground.next() {
            None => Self::Away,
            Some(first) if first.is_sure || foreground.any(|socket| socket.is_sure) => Self::Looks,
            Some(_) => Self::Unsure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ConnectionId;

    #[test]
    fn one_socket_in_the_foreground_is_enough() {
        let gaze = |sockets: &[(bool, bool)]| {
            let socket = |&(is_sure, is_background)| Connection {
                id: ConnectionId::new(1).unwrap(),
                is_sure,
                is_background,
            };
            Gaze::of(&sockets.iter().map(socket).collect::<Vec<_>>())
        };
        assert_eq!(gaze(&[]), Gaze::Away);
        assert_eq!(gaze(&[(true, true), (false, true)]), Gaze::Away);
        assert_eq!(gaze(&[(true, true), (true, false)]), Gaze::Looks);
        assert_eq!(gaze(&[(true, true), (false, false)]), Gaze::Unsure);
        assert_eq!(gaze(&[(false, false), (true, false)]), Gaze::Looks);
    }
}
