//! What a client is told when a part of the service fails or refuses.

use std::time::Duration;

use crate::{
    domain::GroupRefusal,
    limits::{Limit, Refused},
    outbox::{feed::FeedError, webhooks::WebhookError},
    presence::PresenceError,
    protocol::fault::{ApiError, ErrorCode},
    store::{Refusal, StoreError, batcher::AppendError},
    wechat::push::PushError,
    wechat_events::TakeError,
};

/// Logs what the client is not told: this is where such errors end.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "answered as unavailable");
                Self::unavailable("the database is away")
            }
            StoreError::Rejected(_)
            | StoreError::Corrupt(_)
            | StoreError::Unsuitable(_)
            | StoreError::Migrate(_) => {
                tracing::error!(%error, "answered as an internal error");
                Self::internal()
            }
        }
    }
}

/// Logs what the client is not told: this is where such errors end.
impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Overloaded => {
                Self::unavailable("too many chats are waiting to be committed")
            }
            AppendError::Unavailable => Self::unavailable(
                "whether the chat was committed is not known; repeat it with the same clientMsgId",
            ),
            AppendError::Rejected => {
                tracing::error!(%error, "chat refused by the database");
                Self::internal()
            }
        }
    }
}

/// Logs what the client is not told: this is where such errors end.
impl From<PresenceError> for ApiError {
    fn from(error: PresenceError) -> Self {
        tracing::warn!(%error, "answered as unavailable");
        Self::unavailable("presence is away")
    }
}

impl From<FeedError> for ApiError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Cursor(_) => Self::invalid("`after` is no cursor of this feed"),
            FeedError::Gone => Self::new(
                ErrorCode::CursorGone,
                "what comes after the cursor is not kept any more; begin without `after`",
            ),
            FeedError::Busy => Self::unavailable("too many requests wait for news"),
            FeedError::Store(error) => error.into(),
        }
    }
}

impl From<WebhookError> for ApiError {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NoEndpoint => Self::new(
                ErrorCode::NotFound,
                "there is no endpoint of this name in webhooks.endpoints",
            ),
            WebhookError::Busy => Self::unavailable("the endpoint is being told of much just now"),
            WebhookError::Store(error) => error.into(),
        }
    }
}

/// Logs what the operator has to see to: this is where such errors end.
impl From<TakeError> for ApiError {
    fn from(error: TakeError) -> Self {
        let detail = error.to_string();
        match error {
            TakeError::Push(PushError::Signature) => Self::new(ErrorCode::Forbidden, detail),
            TakeError::Push(PushError::App) => {
                tracing::warn!(%error, "a push of WeChat was refused");
                Self::new(ErrorCode::Forbidden, detail)
            }
            TakeError::Push(_) => {
                tracing::warn!(%error, "a push of WeChat was refused");
                Self::invalid(detail)
            }
            TakeError::Off => Self::new(ErrorCode::NotFound, detail),
            TakeError::Full => {
                tracing::warn!(%error, "a push of WeChat was refused");
                Self::unavailable(detail)
            }
            TakeError::Store(error) => error.into(),
        }
    }
}

impl From<GroupRefusal> for ApiError {
    fn from(refusal: GroupRefusal) -> Self {
        match refusal {
            GroupRefusal::NoMember => Self::conversation_not_found(),
            GroupRefusal::Forbidden => {
                Self::new(ErrorCode::Forbidden, "your role does not allow this")
            }
            GroupRefusal::NoSuchUser => Self::user_not_found(),
            GroupRefusal::TooMany { max } => {
                Self::new(ErrorCode::TooManyMembers, format!("a group has at most {max} members"))
            }
        }
    }
}

/// A code of a newer version is one that refuses the content.
impl From<Refusal> for ApiError {
    fn from(Refusal { code, detail }: Refusal) -> Self {
        Self::new(ErrorCode::parse(&code).unwrap_or(ErrorCode::ContentRejected), detail)
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let (limit, wait) = match refused {
            Refused::OverLimit { limit, wait } => (limit, wait),
            Refused::LoginsClosed { wait } => {
                let detail = "logins wait for a part of the service that is away";
                return Self { retry_after: Some(wait), ..Self::unavailable(detail) };
            }
        };
        let detail = match limit {
            Limit::Send => "you send too fast",
            Limit::NewConversation => "you begin too many conversations",
            Limit::History => "you read too fast",
            Limit::Presence => "you ask too often who is online",
            Limit::Write => "you change things too often",
            Limit::Avatar => "you change your picture too often",
            Limit::Upload => "you have uploaded too much today",
            Limit::Login => "you log in too often",
            Limit::Handshake => "you connect too often",
            Limit::FailedLogin => "too many logins from your network have failed",
            Limit::FailedHandshake => "too many sockets of your network were refused",
            Limit::FailedKey => "too many API keys from your network were refused",
        };
        // Clients are told whole milliseconds, and must not come a moment too early.
        let millis = u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        let retry_after = Some(Duration::from_millis(millis));
        Self { retry_after, ..Self::new(ErrorCode::RateLimited, detail) }
    }
}
