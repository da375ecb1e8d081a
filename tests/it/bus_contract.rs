//! What every `bus` implementation is held to.
