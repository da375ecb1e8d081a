//! A user's sockets, hints and database, and the machine between them.

use std::collections::{BTreeSet, VecDeque};

use imserver::{
    delivery::{Effect, Gap, Timeline},
    domain::{ConnectionId, Seq},
};

use super::{Bug, DEVICES, Step};

/// Frames that wait for a socket before it is closed as too slow.
const MAILBOX: usize = 6;

/// Events that a snapshot shows.
const RING: usize = 4;

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

/// A legacy socket's task.
#[allow(clippy::struct_excessive_bools, reason = "they say different things")]
struct Legacy {
    id: ConnectionId,
    mailbox: VecDeque<i64>,
    /// The mailbox's flag.
    pull: bool,
    is_behind: bool,
    is_due: bool,
    /// The end of the database when the read under way began; the first read is the opening.
    reading: Option<i64>,
    opened_at: Option<i64>,
    ring: BTreeSet<i64>,
    is_filled: bool,
    /// The last event that was shown.
    shown: Option<i64>,
}

pub(super) struct World {
    bug: Bug,
    timeline: Timeline<i64>,
    /// The last event in the database.
    committed: i64,
    hints: Vec<i64>,
    gaps: Vec<Gap>,
    devices: Vec<Device>,
    legacy: Option<Legacy>,
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
            legacy: None,
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

    fn legacy(&mut self, id: ConnectionId) -> Option<&mut Legacy> {
        self.legacy.as_mut().filter(|open| open.id == id)
    }

    fn put(&mut self, id: ConnectionId, event: i64) {
        let forgets = self.bug == Bug::OverflowIsForgotten;
        if let Some(legacy) = self.legacy(id) {
            if legacy.mailbox.len() == MAILBOX {
                legacy.mailbox.clear();
                legacy.pull = !forgets;
            } else {
                legacy.mailbox.push_back(event);
            }
            return;
        }
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
                Effect::Pull => {
                    self.task(id).into_iter().for_each(|task| task.pull = true);
                    self.legacy(id).into_iter().for_each(|legacy| legacy.pull = true);
                }
                Effect::Reset => panic!("no history changes here"),
            }
        }
    }

    fn hint(&mut self, event: i64) {
        let mut effects = Vec::new();
        let gap = self.timeline.hint(seq(event), &event, |id, effect| effects.push((id, effect)));
        self.gaps.extend(gap);
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

    fn open_legacy(&mut self) {
        if let Some(open) = self.legacy.take() {
            self.timeline.detach(open.id);
        }
        let id = self.new_id();
        self.timeline.attach(id);
        self.legacy = Some(Legacy {
            id,
            mailbox: VecDeque::new(),
            pull: false,
            is_behind: true,
            is_due: false,
            reading: Some(self.committed),
            opened_at: None,
            ring: BTreeSet::new(),
            is_filled: false,
            shown: None,
        });
    }

    fn legacy_goes_live(&mut self, last: i64) {
        let Some(id) = self.legacy.as_ref().map(|open| open.id) else { return };
        let mut effects = Vec::new();
        let sink = |id, effect| effects.push((id, effect));
        let is_live = self.timeline.go_live(id, seq(last), sink);
        self.carry_out(effects);
        self.legacy.as_mut().unwrap().is_behind = !is_live;
    }

    /// One step of the legacy socket's task. Returns whether there was anything to do.
    fn run_legacy(&mut self) -> bool {
        let (bug, committed) = (self.bug, self.committed);
        let Some(open) = self.legacy.as_mut() else { return false };
        if open.opened_at.is_none() {
            let last = open.reading.take().unwrap();
            open.opened_at = Some(last);
            self.legacy_goes_live(last);
            let open = self.legacy.as_mut().unwrap();
            open.is_due = open.is_behind;
            return true;
        }
        if !open.mailbox.is_empty() || open.pull {
            if std::mem::take(&mut open.pull) {
                open.is_behind = true;
                open.ring.clear();
                open.is_filled = false;
                open.reading = None;
            }
            open.is_due = true;
            open.ring.extend(std::mem::take(&mut open.mailbox));
            return true;
        }
        if let Some(end) = open.reading.take() {
            if bug == Bug::FillDropsEvents {
                open.ring.clear();
            }
            open.ring.extend((1..=end).rev().take(RING));
            open.is_filled = true;
            if open.is_behind {
                self.legacy_goes_live(end);
            }
            return true;
        }
        if !open.is_due {
            return false;
        }
        if !open.is_filled {
            open.ring.clear();
            open.reading = Some(committed);
            return true;
        }
        while open.ring.len() > RING {
            open.ring.pop_first();
        }
        let last = open.ring.last().copied().unwrap_or(0);
        if !open.ring.iter().rev().copied().eq((1..=last).rev().take(RING)) {
            self.wrong.get_or_insert(format!("a snapshot of {:?}", open.ring));
        }
        open.shown = Some(last);
        open.is_due = open.is_behind;
        if open.is_behind {
            open.ring.clear();
            open.is_filled = false;
        }
        true
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
            Step::OpenLegacy => self.open_legacy(),
            Step::LegacyTask => drop(self.run_legacy()),
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
            is_quiet &= !self.run_legacy();
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
        if let Some(open) = &self.legacy {
            // What was committed before it opened is not shown.
            let is_shown = open.shown == Some(end) || open.opened_at == Some(end);
            if !is_shown {
                return Err(format!("the legacy socket shows {:?} of {end}", open.shown));
            }
        }
        Ok(())
    }
}
