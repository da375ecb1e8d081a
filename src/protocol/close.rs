//! Why a socket is closed.

/// The close codes of the wire contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// The client is done.
    Normal,
    /// A text frame was no UTF-8.
    BadUtf8,
    /// A frame was over [`super::MAX_MESSAGE_BYTES`].
    TooBig,
    /// The replica restarts.
    Restart,
    /// A frame that is no protocol, or no `hello` in time.
    NoProtocol,
    /// The session expired or was revoked.
    SessionEnded,
    /// Closed by `/close` or an administrator.
    Kicked,
    /// Too slow a reader of live events.
    TooSlow,
    /// Replaced by a newer socket of the same device, or over the sockets that a user may have.
    Replaced,
    /// Silent for too long.
    Silent,
    /// Too many frames for too long.
    TooManyFrames,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::BadUtf8 => 1007,
            Self::TooBig => 1009,
            Self::Restart => 1012,
            Self::NoProtocol => 4400,
            Self::SessionEnded => 4401,
            Self::Kicked => 4403,
            Self::TooSlow => 4408,
            Self::Replaced => 4409,
            Self::Silent => 4410,
            Self::TooManyFrames => 4429,
        }
    }

    /// The reason on the wire: at most 123 bytes.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::BadUtf8 => "text is not UTF-8",
            Self::TooBig => "frame over 64 KiB",
            Self::Restart => "replica restarts",
            Self::NoProtocol => "not the protocol",
            Self::SessionEnded => "session ended",
            Self::Kicked => "closed by request",
            Self::TooSlow => "too slow a reader",
            Self::Replaced => "replaced by a newer socket",
            Self::Silent => "silent for too long",
            Self::TooManyFrames => "too many frames",
        }
    }
}
