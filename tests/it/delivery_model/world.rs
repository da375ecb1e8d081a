//! A user's sockets, hints and database, and the machine between them.

use std::collections::VecDeque;

use imserver::{
    delivery::{Effect, Gap, Timeline},
    domain::{ConnectionId, Seq},
};

use super::{Bug, DEVICES, Step};

/// Frames that wait for a socket before it is closed as too slow.
const MAILBOX: usize = 6;

/// Events that are read at a time.
const PAGE: i64 = 3;

/// A socket's task, as the session runs it.
struct Task {
    id: ConnectionId,
    mailbox: VecDeque<i64>,
    is_closed: bool,
    /// The mailbox's flag.
    pull: bool,
    is_behind: bool,
    /// The end of the database when the read under way began.
    reading: Option<i64>,
}

#[derive(Default)]
struct Device {
    /// The last event that the client has applied.
    cursor: i64,
    task: Option<Task>,
}

struct Classic {
    id: ConnectionId,
    is_dirty: bool,
    /// The last event in the snapshot that is being read.
    reading: Option<i64>,
    /// The last event that was shown.
    shown: i64,
}

pub(super) struct World {
    bug: Bug,
    timeline: Timeline<i64>,
    /// The last event in the database.
    committed: i64,
    hints: Vec<i64>,
    gaps: Vec<Gap>,
    devices: Vec<Device>,
    classic: Option<Classic>,
    ids: i64,
    /// The first thing that is wrong.
    pub(super) wrong: Option<String>,
}

fn seq(n: i64) -> Seq {
    Seq::new(n).unwrap()
}

impl World {
    pub(super) fn new(bug: Bug) -> Self {
        Self {
            bug,
            timeline: Timeline::default(),
            committed: 0,
            hints: Vec::new(),
            gaps: Vec::new(),
            devices: (0..DEVICES).map(|_| Device::default()).collect(),
            classic: None,
            ids: 0,
            wrong: None,
        }
    }

    fn new_id(&mut self) -> ConnectionId {
        self.ids += 1;
        ConnectionId::new(self.ids).unwrap()
    }

    fn task(&mut self, id: ConnectionId) -> Option<&mut Task> {
        self.devices.iter_mut().filter_map(|device| device.task.as_mut()).find(|task| task.id == id)
    }

    fn put(&mut self, id: ConnectionId, event: i64) {
        let Some(task) = self.task(id) else { return };
        if task.mailbox.len() == MAILBOX {
            task.is_closed = true;
        } else if !task.is_closed {
            task.mailbox.push_back(event);
        }
    }

    fn carry_out(&mut self, effects: Vec<(ConnectionId, Effect<i64>)>) {
        for (id, effect) in effects {
            match effect {
                Effect::Send(event) => self.put(id, event),
                Effect::Pull => self.task(id).into_iter().for_each(|task| task.pull = true),
                Effect::Dirty => {
                    if let Some(classic) = self.classic.as_mut().filter(|open| open.id == id) {
                        classic.is_dirty = true;
                    }
                }
                Effect::Reset => panic!("no history changes here"),
            }
        }
    }

    fn hint(&mut self, event: i64) {
        let mut effects = Vec::new();
        let gap = self.timeline.hint(seq(event), &event, |id, effect| effects.push((id, effect)));
        self.gaps.extend(gap);
        if self.bug == Bug::ClassicWantsTheNext {
            let is_next = self.classic.as_ref().is_some_and(|open| open.shown + 1 == event);
            effects.retain(|(_, effect)| *effect != Effect::Dirty || is_next);
        }
        let sent: Vec<_> = effects.iter().map(|(id, _)| *id).collect();
        self.carry_out(effects);
        let others: Vec<(ConnectionId, bool)> = self
            .devices
            .iter()
            .filter_map(|device| device.task.as_ref())
            .filter(|task| !sent.contains(&task.id))
            .map(|task| (task.id, task.is_behind || task.pull))
            .collect();
        for (id, is_behind) in others {
            // What is not sent to a live socket is early or known.
            let is_fed = match self.bug {
                Bug::GapsAreIgnored => !is_behind && seq(event) == self.timeline.head(),
                Bug::DoublesAreSent => !is_behind && seq(event) < self.timeline.head(),
                Bug::BehindIsFed => is_behind,
                _ => false,
            };
            if is_fed {
                self.put(id, event);
            }
        }
    }

    pub(super) fn connect(&mut self, device: usize) {
        self.disconnect(device);
        let id = self.new_id();
        let early = (self.bug == Bug::ReadBeforeAttach).then_some(self.committed);
        if early.is_none() {
            self.timeline.attach(id);
        }
        let task = Task {
            id,
            mailbox: VecDeque::new(),
            is_closed: false,
            pull: false,
            is_behind: true,
            reading: early,
        };
        self.devices[device].task = Some(task);
    }

    fn disconnect(&mut self, device: usize) {
        if let Some(task) = self.devices[device].task.take() {
            self.timeline.detach(task.id);
        }
    }

    fn apply(&mut self, device: usize, event: i64) {
        let cursor = &mut self.devices[device].cursor;
        if event != *cursor + 1 {
            self.wrong.get_or_insert(format!("device {device} at {cursor} was sent {event}"));
        }
        *cursor = event;
    }

    /// One step of a socket's task. Returns whether there was anything to do.
    fn run(&mut self, device: usize) -> bool {
        let committed = self.committed;
        let Some(task) = self.devices[device].task.as_mut() else { return false };
        if task.is_closed {
            self.disconnect(device);
            return true;
        }
        if !task.mailbox.is_empty() || task.pull {
            let letters = std::mem::take(&mut task.mailbox);
            task.is_behind |= std::mem::take(&mut task.pull);
            for event in letters {
                self.apply(device, event);
            }
            return true;
        }
        if !task.is_behind {
            return false;
        }
        let Some(end) = task.reading.take() else {
            task.reading = Some(committed);
            return true;
        };
        let id = task.id;
        if self.bug == Bug::ReadBeforeAttach {
            self.timeline.detach(id);
            self.timeline.attach(id);
        }
        let from = self.devices[device].cursor;
        let to = end.min(from + PAGE);
        for event in from + 1..=to {
            self.apply(device, event);
        }
        if to >= end {
            let mut last = seq(self.devices[device].cursor);
            if matches!(self.bug, Bug::LiveTooSoon | Bug::ReadBeforeAttach) {
                last = self.timeline.head().max(last);
            }
            let mut effects = Vec::new();
            let is_live = self.timeline.go_live(id, last, |id, effect| effects.push((id, effect)));
            self.carry_out(effects);
            self.devices[device].task.as_mut().unwrap().is_behind = !is_live;
        }
        true
    }

    fn open_classic(&mut self) {
        if let Some(open) = self.classic.take() {
            self.timeline.detach(open.id);
        }
        let id = self.new_id();
        self.timeline.attach_classic(id);
        self.classic = Some(Classic { id, is_dirty: false, reading: None, shown: self.committed });
        let mut effects = Vec::new();
        let sink = |id, effect| effects.push((id, effect));
        self.timeline.begin_classic(id, seq(self.committed), sink);
        self.carry_out(effects);
    }

    fn run_classic(&mut self) -> bool {
        let committed = self.committed;
        let Some(open) = self.classic.as_mut() else { return false };
        if let Some(end) = open.reading.take() {
            open.shown = end;
            return true;
        }
        let is_dirty = std::mem::take(&mut open.is_dirty);
        if is_dirty {
            open.reading = Some(committed);
        }
        is_dirty
    }

    fn expire(&mut self, index: usize) {
        let gap = self.gaps.remove(index);
        if self.bug != Bug::GapsNeverExpire {
            let mut effects = Vec::new();
            self.timeline.gap_expired(gap, |id, effect| effects.push((id, effect)));
            self.carry_out(effects);
        }
    }

    fn reconcile(&mut self) {
        if self.bug != Bug::ReconcileIsDeaf {
            let mut effects = Vec::new();
            self.timeline.raise(seq(self.committed), |id, effect| effects.push((id, effect)));
            self.carry_out(effects);
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        match *step {
            Step::Commit => {
                self.committed += 1;
                self.hints.push(self.committed);
            }
            Step::Hint(n) if !self.hints.is_empty() => {
                let event = self.hints.remove(n % self.hints.len());
                self.hint(event);
            }
            Step::LoseHint(n) if !self.hints.is_empty() => {
                self.hints.remove(n % self.hints.len());
            }
            Step::DoubleHint(n) if !self.hints.is_empty() => {
                self.hints.push(self.hints[n % self.hints.len()]);
            }
            Step::GapExpires(n) if !self.gaps.is_empty() => self.expire(n % self.gaps.len()),
            Step::Reconcile => self.reconcile(),
            Step::Connect(device) => self.connect(device),
            Step::Disconnect(device) => self.disconnect(device),
            Step::Task(device) => drop(self.run(device)),
            Step::OpenClassic => self.open_classic(),
            Step::ClassicTask => drop(self.run_classic()),
            _ => {}
        }
    }

    /// Lets everything that is under way arrive. The database is compared only if the newest hints
    /// were lost: any later one shows that others are missing.
    pub(super) fn settle(&mut self) {
        for round in 0.. {
            let mut is_quiet = true;
            while let Some(event) = self.hints.pop() {
                is_quiet = false;
                self.hint(event);
            }
            while !self.gaps.is_empty() {
                is_quiet = false;
                self.expire(0);
            }
            if self.timeline.head() < seq(self.committed) {
                self.reconcile();
            }
            for device in 0..DEVICES {
                is_quiet &= !self.run(device);
            }
            is_quiet &= !self.run_classic();
            if is_quiet || self.wrong.is_some() {
                return;
            }
            assert!(round < 10_000, "the machine spins");
        }
    }

    /// Whether everybody who is connected has everything.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        let end = self.committed;
        for (index, device) in self.devices.iter().enumerate() {
            if device.task.is_some() && device.cursor != end {
                return Err(format!("device {index} stays at {} of {end}", device.cursor));
            }
        }
        match &self.classic {
            Some(open) if open.shown != end => {
                Err(format!("the classic socket stays at {} of {end}", open.shown))
            }
            _ => Ok(()),
        }
    }
}
