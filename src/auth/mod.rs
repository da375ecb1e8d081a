//! Who somebody is: session tokens.

pub mod token;
