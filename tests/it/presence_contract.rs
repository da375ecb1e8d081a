//! What every `presence` implementation is held to.
