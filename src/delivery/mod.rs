//! Brings each event to each socket, in order, none missing, none twice.

pub mod frames;
