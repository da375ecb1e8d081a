//! A generator thread: its share of the phones, and the script that tells them what to do.

use std::{collections::HashMap, sync::Arc};

use tokio::{sync::watch, task::LocalSet};

use phone::{Form, Observer, Order, Orders, Phone, World, address, clock::Moment, ledger::Book};

use crate::{
    measure::Meter,
    plan::Plan,
    scenario::{Action, Script},
};

use super::{browsing::Browsing, doing::Doing, timer::Timer};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Phones come, spread over the plan's ramp.
    Ramp,
    /// The script goes, since this moment.
    Load(Moment),
    /// Nothing is written any more; all come back.
    Settle,
    /// All end.
    End,
}

/// Runs a thread's phones until the end, and gives their books.
pub(super) fn generate(
    world: &Arc<World>,
    plan: &Plan,
    thread: usize,
    meter: &Arc<Meter>,
    form: Option<Arc<Form>>,
    stages: watch::Receiver<Stage>,
) -> std::io::Result<Vec<Book>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(async {
        let mut driver = Driver {
            timer: Timer::new()?,
            phones: HashMap::new(),
            browsing: Browsing::new(Arc::clone(world), Arc::clone(meter)),
            doing: Doing::new(Arc::clone(world), Arc::clone(meter), form),
            plan,
            world,
            stages,
        };
        let mut lives = Vec::new();
        for number in (0..plan.all_phones()).filter(|number| plan.thread_of(*number) == thread) {
            let orders = Arc::new(Orders::default());
            driver.phones.insert(number, Arc::clone(&orders));
            let (world, meter) = (Arc::clone(world), Arc::clone(meter) as Arc<dyn Observer>);
            // Dealt out one by one; the next phone of a person at the next target.
            let nth = number / plan.users;
            let at = (number % plan.users + nth) as usize % world.targets.len();
            let phone = Phone::new(number, at, world, meter, orders);
            lives.push(tokio::task::spawn_local(phone.run()));
        }
        driver.ramp().await?;
        driver.play(Script::new(plan, thread)).await?;
        let mut books = Vec::new();
        for life in lives {
            books.push(life.await?);
        }
        Ok(books)
    }))
}

struct Driver<'a> {
    timer: Timer,
    phones: HashMap<u32, Arc<Orders>>,
    browsing: Browsing,
    doing: Doing,
    plan: &'a Plan,
    world: &'a World,
    stages: watch::Receiver<Stage>,
}

impl Driver<'_> {
    /// Has the phones come, one after the other.
    async fn ramp(&mut self) -> std::io::Result<()> {
        let plan = self.plan;
        let begun = self.world.clock.now();
        let mut numbers: Vec<_> = self.phones.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let at = begun.after(plan.ramp() * number / plan.all_phones());
            let wait = at.since(self.world.clock.now());
            if !wait.is_zero() && *self.stages.borrow() == Stage::Ramp {
                self.timer.sleep(wait).await?;
            }
            self.phones[&number].give(Order::Come);
        }
        Ok(())
    }

    /// Gives out what the script says, and ends with the run.
    async fn play(&mut self, mut script: Script) -> std::io::Result<()> {
        loop {
            let stage = *self.stages.borrow_and_update();
            match stage {
                Stage::Load(begun) => {
                    if let Some(next) = script.next_at() {
                        let wait = begun.after(next).since(self.world.clock.now());
                        if !wait.is_zero() {
                            tokio::select! {
                                slept = self.timer.sleep(wait) => slept?,
                                _ = self.stages.changed() => continue,
                            }
                        }
                        self.give(&mut script, begun).await;
                        continue;
                    }
                }
                Stage::Settle => {
                    // It may have phones write.
                    self.doing.end().await;
                    self.all(Order::Settle);
                }
                Stage::End => {
                    self.all(Order::End);
                    return Ok(());
                }
                Stage::Ramp => {}
            }
            if self.stages.changed().await.is_err() {
                self.all(Order::End);
                return Ok(());
            }
        }
    }

    /// Gives out all that is due.
    async fn give(&mut self, script: &mut Script, begun: Moment) {
        let now = self.world.clock.now();
        // A thread that has fallen behind lets its phones work too.
        for _ in 0..1_000 {
            let Some(due) = script.next_at().map(|at| begun.after(at)).filter(|due| *due <= now)
            else {
                return;
            };
            for action in script.take() {
                self.act(action, due);
            }
        }
        tokio::task::yield_now().await;
    }

    fn act(&mut self, action: Action, due: Moment) {
        let user = |person: u32| self.world.people[person as usize].id;
        let write = |target| Order::Write { target, picture: None, due };
        let (phone, order) = match action {
            Action::Write { phone, target } => (phone, write(user(target))),
            Action::WriteToGroup { phone } => {
                let group = &self.world.groups[self.plan.group_of(phone) as usize];
                (phone, write(address::of_group(group.id)))
            }
            Action::Rove { phone } => return self.doing.rove(self.plan, phone, due),
            Action::Recall { phone } => return self.doing.recall(phone, due),
            Action::Delete { phone } => return self.doing.delete(phone, due),
            Action::SendPicture { phone, target } => {
                let orders = Arc::clone(&self.phones[&phone]);
                return self.doing.send_picture(phone, user(target), due, orders);
            }
            Action::Leave { phone } => (phone, Order::Leave),
            Action::Come { phone } => (phone, Order::Come),
            Action::Reconnect { phone } => (phone, Order::Reconnect),
            Action::ReadHistory { phone } => return self.browsing.history(phone, due),
            Action::ReadConversations { phone } => return self.browsing.conversations(phone, due),
        };
        self.phones[&phone].give(order);
    }

    fn all(&self, order: Order) {
        for orders in self.phones.values() {
            orders.give(order);
        }
    }
}
