//! Redis changes its master: whoever is connected to the old one moves to the new one.

use std::time::Duration;

use imserver::bus::redis::Timing;

use super::{Net, until_health, until_it_flows};
use crate::{
    contracts::bus::user,
    harness::{Proxy, Redis, redis::url_of},
};

#[tokio::test]
async fn who_is_connected_to_the_old_master_moves_to_the_new_one() {
    let (old, new) = (Redis::start(), Redis::start());
    let name = Proxy::start(old.addr()).await;
    let mut net = Net::on([url_of(name.addr())]);
    net.timing = Timing { probe: Duration::from_millis(300), ..net.timing };
    let mut stayed = net.replica(&[user(1)]).await;
    let mut restarted = net.replica(&[user(1)]).await;
    until_it_flows(&stayed, user(1), &mut restarted).await;

    old.follow(&new);
    name.lead_to(new.addr());
    drop(restarted);
    let mut restarted = net.replica(&[user(1)]).await;

    until_it_flows(&stayed, user(1), &mut restarted).await;
    until_it_flows(&restarted, user(1), &mut stayed).await;
    until_health(&stayed, true).await;
    // Not by what the new master replicates to the old one: everybody is connected to the new one.
    let begun = std::time::Instant::now();
    while net.subscribers(&new, user(1)) < 2 || net.subscribers(&old, user(1)) > 0 {
        assert!(begun.elapsed() < crate::harness::DEADLINE, "a subscriber stays at the old master");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
