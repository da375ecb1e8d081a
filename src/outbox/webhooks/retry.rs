//! Tries again what could not be delivered: the head of each lane, when its time has come.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep, sleep_until};

use super::sender::{Outcome, Sender};
use crate::{
    jobs::Job,
    store::{Delivery, Parked, StoreError},
};

/// Tries again and again, for ever, on one replica at a time.
pub(super) async fn keep_retrying(sender: Arc<Sender>, mut job: Job) {
    loop {
        if let Err(error) = retry_on(&sender, &mut job).await {
            tracing::warn!(endpoint = sender.name(), %error, "webhooks not repeated, later again");
        }
        note(&sender, Parked::default(), false);
        sleep(sender.timing.interval).await;
    }
}

/// Tries until another replica has the work. A lane whose attempt takes long holds up no other.
async fn retry_on(sender: &Sender, job: &mut Job) -> Result<(), StoreError> {
    if job.take().await?.is_none() {
        return Ok(());
    }
    let at_once = sender.timing.at_once;
    let page = u32::try_from(2 * at_once).expect("few are sent at once");
    let (mut attempts, mut lanes) = (FuturesUnordered::new(), HashSet::<String>::new());
    let mut look_at = Instant::now();
    // What is due, and not under way. It is looked up again when all of it has begun, or after a while.
    let mut due = VecDeque::new();
    while job.keep("").await? {
        let is_off = if Instant::now() < look_at {
            false
        } else {
            look_at = Instant::now() + sender.timing.interval;
            due.clear();
            let is_off = sender.is_off().await?;
            note(sender, sender.store.parked(sender.name()).await?, is_off);
            is_off
        };
        if is_off {
            sleep(sender.timing.interval).await;
            continue;
        }
        if due.is_empty() && lanes.len() < at_once {
            // Of those that are under way there are not more than a half of it.
            let page = sender.store.due_deliveries(sender.name(), sender.clock.now(), page).await?;
            due.extend(page.into_iter().filter(|delivery| !lanes.contains(&delivery.lane)));
        }
        while lanes.len() < at_once
            && let Some(delivery) = due.pop_front()
        {
            lanes.insert(delivery.lane.clone());
            attempts.push(retry(sender, delivery));
        }
        tokio::select! {
            Some(done) = attempts.next() => {
                let (lane, is_gone) = done?;
                lanes.remove(&lane);
                if is_gone {
                    look_at = Instant::now();
                }
            }
            () = sleep_until(look_at) => {}
        }
    }
    Ok(())
}

/// Tries once more. Returns the lane, and whether the endpoint is gone.
async fn retry(sender: &Sender, mut delivery: Delivery) -> Result<(String, bool), StoreError> {
    let outcome = sender.send(&delivery.entry).await?;
    let is_gone = outcome == Outcome::Gone;
    match outcome {
        Outcome::Delivered => sender.store.delivered(sender.name(), delivery.entry.id).await?,
        Outcome::Gone => {}
        Outcome::Failed(why) => {
            sender.note_failure(&mut delivery, why);
            sender.store.not_delivered(sender.name(), &delivery).await?;
        }
    }
    Ok((delivery.lane, is_gone))
}

fn note(sender: &Sender, parked: Parked, is_off: bool) {
    let gauge = |name: &'static str, value: f64| {
        metrics::gauge!(name, "endpoint" => sender.name().to_owned()).set(value);
    };
    let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    gauge("imserver_webhook_waiting", count(parked.due));
    gauge("imserver_webhook_dead", count(parked.dead));
    gauge("imserver_webhook_off", f64::from(u8::from(is_off)));
}
