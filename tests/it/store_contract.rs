//! What every `store` implementation is held to.
