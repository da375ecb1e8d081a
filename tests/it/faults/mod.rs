//! The service while something is wrong or too much: replicas, Redis, Postgres and clients that die, freeze,
//! stall or flood.

mod backpressure;
pub mod cluster;
mod database;
mod drain;
mod floods;
mod liveness;
mod load;
mod memory;
mod output;
mod presence_processes;
mod reconcile;
mod replicas;
