//! State machines over random histories, each compared with a simple model of what it promises.

pub mod cache;
mod delivery;
mod frames;
mod presence;
