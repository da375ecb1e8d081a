//! Every route that needs a token has a limit by user.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{Route, World, routes};
use crate::harness::{Person, Start, server::assert_problem};

/// Small enough that a few requests at once use them up, and large enough for the talk before.
const RATES: [(&str, u32); 9] = [
    ("sends_per_sec", 1),
    ("send_burst", 3),
    ("history_per_sec", 1),
    ("history_burst", 3),
    ("presence_per_sec", 1),
    ("presence_burst", 3),
    ("writes_per_sec", 1),
    ("write_burst", 3),
    ("avatars_per_min", 3),
];

/// How many requests are sent at once: more than the burst, and what is given back meanwhile.
const AT_ONCE: usize = 12;

#[tokio::test]
async fn every_route_refuses_who_asks_too_often() {
    let start = RATES
        .iter()
        .fold(Start::default(), |start, (key, value)| start.set(&format!("limits.{key}"), value));
    let world = World::at(start.set("limits.logins_per_min", 1_000).run()).await;
    let [seat, ..] = world.seats();
    for route in routes(&seat) {
        let mut route = route.with_query("userId", &seat.me.id.to_string());
        if route.body.is_some() {
            route = route.with_body("userId", &json!(seat.me.id));
        }
        let refused = is_refused(&world, &route).await;
        assert!(refused, "{} {} is not limited", route.method, route.template);
    }
}

/// Whether the route refuses the person, within some attempts: on a busy machine a flood may take so
/// long that all of it is within the rate.
async fn is_refused(world: &World, route: &Route) -> bool {
    for _ in 0..8 {
        // Anew each time, since one route ends the session.
        let me: Person = world.server.person(&world.people[0].name).await;
        if route.template == "/v1/logout" {
            let body = json!({}).to_string();
            let write = || me.request(Method::PATCH, "/v1/me").body(body.clone()).send();
            join_all((0..AT_ONCE).map(|_| write())).await;
        }
        let answers = join_all((0..AT_ONCE).map(|_| route.send_as(&world.server, &me))).await;
        if let Some(refused) = answers.into_iter().find(|answer| answer.status() == 429) {
            assert_problem(refused, 429, "rate_limited").await;
            return true;
        }
    }
    false
}
