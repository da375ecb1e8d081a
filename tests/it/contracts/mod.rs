//! What each seam promises, as suites that run on each of its implementations; and what one of these, such as
//! Redis, has to hold besides.

mod bus;
mod bus_redis;
mod limiter;
mod limiter_redis;
pub mod presence;
mod presence_redis;
pub mod store;
