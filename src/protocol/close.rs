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
    const fn on_the_wire(self) -> (u16, &'static str) {
        match self {
            Self::Normal => (1000, ""),
            Self::BadUtf8 => (1007, "text is not UTF-8"),
            Self::TooBig => (1009, "frame over 64 KiB"),
            Self::Restart => (1012, "replica restarts"),
            Self::NoProtocol => (4400, "not the protocol"),
            Self::SessionEnded => (4401, "session ended"),
            Self::Kicked => (4403, "closed by request"),
            Self::TooSlow => (4408, "too slow a reader"),
            Self::Replaced => (4409, "replaced by a newer socket"),
            Self::Silent => (4410, "silent for too long"),
            Self::TooManyFrames => (4429, "too many frames"),
        }
    }

    /// The number on the wire.
    pub const fn code(self) -> u16 {
        self.on_the_wire().0
    }

    /// The reason on the wire: at most 123 bytes.
    pub const fn reason(self) -> &'static str {
        self.on_the_wire().1
    }
}
