//! What people do over HTTP beside reading: they come and go, recall, delete, and upload pictures.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::task::JoinSet;

use phone::{Form, Order, Orders, Upload, World, clock::Moment, ledger::Change};

use crate::{
    measure::{Meter, Timed},
    plan::Plan,
};

/// See the module.
pub(super) struct Doing {
    world: Arc<World>,
    meter: Arc<Meter>,
    /// The picture that everybody sends.
    form: Option<Arc<Form>>,
    /// Where those are who come and go: absent in their group.
    roving: Rc<RefCell<HashMap<u32, Roving>>>,
    tasks: JoinSet<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roving {
    Away,
    /// On the way, or nobody knows.
    Between,
}

impl Doing {
    pub(super) fn new(world: Arc<World>, meter: Arc<Meter>, form: Option<Arc<Form>>) -> Self {
        Self { world, meter, form, roving: Rc::default(), tasks: JoinSet::new() }
    }

    /// Has a person leave the group, or brought back by its owner. Who is on the way already stays so.
    pub(super) fn rove(&mut self, plan: &Plan, phone: u32, due: Moment) {
        let before = self.roving.borrow_mut().insert(phone, Roving::Between);
        if before == Some(Roving::Between) {
            return;
        }
        let index = plan.group_of(phone);
        let group = self.world.groups[index as usize].id;
        let user = self.world.people[phone as usize].id;
        let (asker, change) = match before {
            None => (phone, Change::Leave { group, user }),
            Some(_) => (plan.owner_of(index), Change::Join { group, user }),
        };
        let roving = Rc::clone(&self.roving);
        self.ask(asker, change, due, move |is_done| {
            let mut roving = roving.borrow_mut();
            match (is_done, before) {
                (false, _) => {}
                (true, None) => _ = roving.insert(phone, Roving::Away),
                (true, Some(_)) => _ = roving.remove(&phone),
            }
        });
    }

    /// Recalls what the person wrote last.
    pub(super) fn recall(&mut self, phone: u32, due: Moment) {
        let chat = self.world.marks[phone as usize].own_chat.load(Relaxed);
        if chat > 0 {
            self.ask(phone, Change::Recall { chat }, due, |_| ());
        }
    }

    /// Deletes what the person was shown last.
    pub(super) fn delete(&mut self, phone: u32, due: Moment) {
        let chat = self.world.marks[phone as usize].shown_chat.load(Relaxed);
        let user = self.world.people[phone as usize].id;
        if chat > 0 {
            self.ask(phone, Change::Delete { user, chat }, due, |_| ());
        }
    }

    fn ask(&mut self, phone: u32, change: Change, due: Moment, then: impl FnOnce(bool) + 'static) {
        let (world, meter) = (Arc::clone(&self.world), Arc::clone(&self.meter));
        self.spawn(async move {
            let is_done = world.ask(phone, change).await;
            meter.count(meter.is_load(due), |totals| {
                totals.requests += 1;
                totals.errors += u64::from(!is_done);
            });
            then(is_done);
        });
    }

    /// Uploads the picture, and has the phone send it.
    pub(super) fn send_picture(&mut self, phone: u32, target: i64, due: Moment, to: Arc<Orders>) {
        let (world, meter) = (Arc::clone(&self.world), Arc::clone(&self.meter));
        let Some(form) = self.form.clone() else { return };
        let is_load = meter.is_load(due);
        let begun = world.clock.now();
        self.spawn(async move {
            match world.upload(phone, &form).await {
                Ok(media) => {
                    meter.count(is_load, |totals| totals.requests += 1);
                    if is_load {
                        meter.time(Timed::Upload, world.clock.now().since(due));
                    }
                    to.give(Order::Write { target, picture: Some(Upload { media, begun }), due });
                }
                Err(error) => world.break_off(|| format!("phone {phone}: {error:#}")),
            }
        });
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        // What has ended is let go.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn_local(task);
    }

    /// Waits until all that was begun has ended.
    pub(super) async fn end(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
