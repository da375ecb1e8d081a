//! What a client is told when something is wrong, over HTTP and in frames alike.

use std::{borrow::Cow, time::Duration};

use crate::domain::RestrictionKind;

/// Defines [`ErrorCode`] once, as a table of word, status and title.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $word:literal $status:literal $title:literal;)*) => {
        /// The stable word for what is wrong, its HTTP status and its title.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Reads what [`ErrorCode::as_str`] writes.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == word)
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A title, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// Malformed, missing or out of range.
    InvalidRequest "invalid_request" 400 "The request is not valid";
    /// A text that no chat can hold.
    InvalidContent "invalid_content" 400 "The content is not valid";
    /// A name that nobody can have.
    InvalidName "invalid_name" 400 "The name is not valid";
    /// No picture, or one that is not taken.
    InvalidImage "invalid_image" 400 "The picture is not valid";
    /// A first frame that is a `hello` with a bad value.
    InvalidHello "invalid_hello" 400 "The hello is not valid";
    /// A second `hello`.
    UnexpectedHello "unexpected_hello" 400 "Hello was said before";
    /// A frame of a type that is not known.
    UnknownType "unknown_type" 400 "The type of frame is not known";
    /// A list of users that holds what is no id.
    InvalidUserIds "invalid_user_ids" 400 "The list of users is not valid";
    /// A token in a query string, where logs and histories keep it.
    TokenInUrl "token_in_url" 400 "A token must not travel in a URL";
    /// Subprotocols among which there is none that is spoken here.
    UnsupportedSubprotocol "unsupported_subprotocol" 400 "The subprotocol is not supported";
    /// No valid token.
    Unauthorized "unauthorized" 401 "Log in first";
    /// WeChat refused the code.
    WechatCodeInvalid "wechat_code_invalid" 401 "WeChat refused the code";
    /// A token of a company's back end that is not good.
    TokenInvalid "token_invalid" 401 "The token is not valid";
    /// A token of a company's back end that was good once.
    TokenExpired "token_expired" 401 "The token has expired";
    /// Somebody else's.
    Forbidden "forbidden" 403 "Not yours";
    /// A page of an origin that is not allowed.
    OriginNotAllowed "origin_not_allowed" 403 "The origin is not allowed";
    /// Somebody who is blocked, muted or banned, or a rule about who may write; the reason says which.
    NotAllowed "not_allowed" 403 "Not allowed";
    /// The time for it is over.
    TooLate "too_late" 403 "It is too late";
    /// Reached by a name that is not the service's.
    HostNotAllowed "host_not_allowed" 403 "The host is not allowed";
    /// Anonymous, and not from this machine.
    AnonymousNotLocal "anonymous_not_local" 403 "Anonymous use is for this machine only";
    /// WeChat holds the user for a risk.
    WechatUserBlocked "wechat_user_blocked" 403 "WeChat has blocked this user";
    /// No such route or thing.
    NotFound "not_found" 404 "Not found";
    /// No such user.
    UserNotFound "user_not_found" 404 "No such user";
    /// No such conversation, or not one's own.
    ConversationNotFound "conversation_not_found" 404 "No such conversation";
    /// No such chat, or not in a conversation of one's own.
    ChatNotFound "chat_not_found" 404 "No such chat";
    /// The route does not take this method.
    MethodNotAllowed "method_not_allowed" 405 "Method not allowed";
    /// One key for two messages.
    ClientMsgIdReused "client_msg_id_reused" 409 "The key was used for another message";
    /// One key for two groups.
    KeyReused "key_reused" 409 "The key was used for another group";
    /// More members than a group has.
    TooManyMembers "too_many_members" 409 "Too many members";
    /// More pinned conversations than a user has.
    TooManyPinned "too_many_pinned" 409 "Too many pinned conversations";
    /// The place in the timeline means nothing here.
    TimelineReset "timeline_reset" 409 "Load anew";
    /// The place in the feed is older than what is kept.
    CursorGone "cursor_gone" 410 "The cursor is too old";
    /// A body over the limit.
    PayloadTooLarge "payload_too_large" 413 "The body is too large";
    /// An upload of a format that is not taken.
    UnsupportedMedia "unsupported_media" 415 "The format is not taken";
    /// A range of bytes that are not there.
    RangeNotSatisfiable "range_not_satisfiable" 416 "There are no such bytes";
    /// An upload that is damaged, or more than is taken.
    InvalidMedia "invalid_media" 422 "The upload is not valid";
    /// A chat that words, a check or the company's hook refuse.
    ContentRejected "content_rejected" 422 "The content is refused";
    /// A plain request to the socket's route.
    UpgradeRequired "upgrade_required" 426 "This route is a WebSocket";
    /// Too often.
    RateLimited "rate_limited" 429 "Too many requests";
    /// A fault of the service.
    Internal "internal" 500 "Something went wrong here";
    /// Something that the service needs is away.
    Unavailable "unavailable" 503 "Not available now";
    /// WeChat is away.
    WechatUnavailable "wechat_unavailable" 503 "WeChat is not available now";
}

/// Why somebody may not write, or log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialReason {
    /// The other side has blocked the sender.
    Blocked,
    /// The sender is muted.
    Muted,
    /// The user is banned.
    Banned,
    /// The setting `chat.who_may_write` forbids it.
    Policy,
}

impl DenialReason {
    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Muted => "muted",
            Self::Banned => "banned",
            Self::Policy => "policy",
        }
    }
}

impl From<RestrictionKind> for DenialReason {
    fn from(kind: RestrictionKind) -> Self {
        match kind {
            RestrictionKind::Muted => Self::Muted,
            RestrictionKind::Banned => Self::Banned,
        }
    }
}

/// What a client is told. The detail never holds SQL, a path, a token, or what others wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct ApiError {
    /// What is wrong.
    pub code: ErrorCode,
    /// What is wrong this time, for a developer.
    pub detail: Cow<'static, str>,
    /// When a repeat is worth while.
    pub retry_after: Option<Duration>,
    /// With [`ErrorCode::NotAllowed`]: why.
    pub reason: Option<DenialReason>,
}

impl ApiError {
    /// A fault with its detail.
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), retry_after: None, reason: None }
    }

    /// A malformed request.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, detail)
    }

    /// Something is away; repeat after a second.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = Some(Duration::from_secs(1));
        Self { retry_after, ..Self::new(ErrorCode::Unavailable, detail) }
    }

    /// One key for two messages.
    pub fn client_msg_id_reused() -> Self {
        let detail = "this clientMsgId was used for another target or content";
        Self::new(ErrorCode::ClientMsgIdReused, detail)
    }

    /// Somebody may not write, or not log in.
    pub fn not_allowed(reason: DenialReason) -> Self {
        let detail = match reason {
            DenialReason::Blocked => "the other side does not take your chats",
            DenialReason::Muted => "you may not send chats for now",
            DenialReason::Banned => "you are banned",
            DenialReason::Policy => "chats are not taken there from you",
        };
        Self { reason: Some(reason), ..Self::new(ErrorCode::NotAllowed, detail) }
    }

    /// A fault of the service, about which a client learns nothing more.
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, "the fault has been logged")
    }

    /// There is no such user.
    pub fn user_not_found() -> Self {
        Self::new(ErrorCode::UserNotFound, "there is no user with this id")
    }

    /// There is no such conversation, or it is not the user's: the answer is the same.
    pub fn conversation_not_found() -> Self {
        Self::new(ErrorCode::ConversationNotFound, "you have no conversation with this id")
    }

    /// There is no such chat, or the user may not see it: the answer is the same.
    pub fn chat_not_found() -> Self {
        Self::new(ErrorCode::ChatNotFound, "you have no chat with this id")
    }

    /// Somebody else's user id where one's own belongs.
    pub fn foreign_user() -> Self {
        Self::new(ErrorCode::Forbidden, "`userId` names another user")
    }
}
