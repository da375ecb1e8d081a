//! State machines over random histories, each compared with a simple model of what it promises.

mod delivery;
mod presence;
