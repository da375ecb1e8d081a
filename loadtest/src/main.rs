//! The load test; see [`loadtest`].

fn main() {}
