//! What handshakes cost the database, in statements.

use futures_util::future::join_all;
use serde_json::json;
use tokio::task::block_in_place;

use crate::harness::{Cutter, Figures, Person, Socket, Start, postgres};

const PHONES: usize = 60;

/// One by one: the session, an id, the timeline's bounds, the epoch and the server that it is of; and
/// what the service asks by itself meanwhile.
const ALONE: f64 = 6.0;

/// Those that wait together share them.
const TOGETHER: f64 = 3.0;

#[expect(clippy::cast_precision_loss, reason = "a few hundred")]
fn each(statements: usize) -> f64 {
    statements as f64 / PHONES as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_wait_together_share_what_they_ask() {
    let mut url: url::Url = postgres::database().await.parse().unwrap();
    let to = format!("127.0.0.1:{}", url.port().unwrap()).parse().unwrap();
    let between = Cutter::start(to).await;
    url.set_port(Some(between.addr().port())).unwrap();
    url.set_query(Some("sslmode=disable"));
    let start = Start::default()
        .set("database.url", &url)
        .set("bus.single_replica", true)
        .set("auth.demo_login", true)
        .set("limits.enabled", false)
        .set("delivery.reconcile_secs", 3_600)
        .set("log.filter", "info");
    let server = block_in_place(|| start.run());
    let mut people: Vec<Person> = Vec::new();
    for n in 0..PHONES {
        people.push(server.person(&format!("phone {n}")).await);
    }

    let before = between.statements();
    let mut alone: Vec<Socket> = Vec::new();
    for person in &people {
        alone.push(person.online().await);
    }
    let cost_alone = each(between.statements() - before);

    let before = between.statements();
    let together = join_all(people.iter().map(|person| async {
        let (socket, ready) = person.hello(&json!({"since": 0})).await;
        assert_eq!(ready["userId"], person.id);
        socket
    }));
    let mut together = together.await;
    let cost_together = each(between.statements() - before);
    let figures = Figures::of("cost_of_a_handshake");
    figures.amount("alone", cost_alone, "statements");
    figures.amount(format!("one of {PHONES}"), cost_together, "statements");
    assert!(cost_alone < ALONE, "{cost_alone}");
    assert!(cost_together < TOGETHER, "{cost_together}");

    // Who was not read for is fed all the same.
    for (n, person) in people.iter().enumerate() {
        person.send(person.id, "k", &n.to_string()).await;
        for socket in [&mut alone[n], &mut together[n]] {
            let event = socket.expect("event").await;
            assert_eq!(
                (&event["seq"], &event["chat"]["content"]),
                (&1.into(), &n.to_string().into())
            );
            socket.expect_quiet().await;
        }
    }
}
