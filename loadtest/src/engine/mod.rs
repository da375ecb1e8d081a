//! A run from its beginning to its end: threads of phones, a script, and what comes out of it.

mod browsing;
mod doing;
mod monitor;
mod thread;
mod timer;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use time::format_description::well_known::Rfc3339;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use phone::{
    Form, Mark, Timing, World,
    clock::Moment,
    content::Contents,
    ledger::{Book, Group, Key, judge_changes},
    make_group,
    reading::{self, Reader},
    target::Target,
    wire::{Person, Wire},
};

use crate::{
    clock::time_of_day,
    faults::{Making, Schedule},
    measure::{LoadWindow, Meter, Timed, Watch, latency, times},
    outcome::{Outcome, Role, Second, Totals, VERSION},
    picture,
    plan::{Plan, Scenario},
    stack::Stack,
};

use self::{monitor::Monitor, thread::Stage};

/// How long all phones may take to connect, beyond the ramp.
const CONNECT_PATIENCE: Duration = Duration::from_mins(2);
/// A generator that is later than this in giving out what is due, in milliseconds at the 99th percentile,
/// measures itself.
const MOST_LAG_MS: f64 = 25.0;

/// How many groups are made at once.
const GROUPS_AT_ONCE: usize = 8;

/// What a run needs beside its plan.
pub struct Setup {
    pub plan: Plan,
    /// The name of what is under load.
    pub server: String,
    pub wire: Arc<dyn Wire>,
    pub people: Vec<Person>,
    /// Looks at the servers and what they need, since before anybody logged in.
    pub watch: Watch,
    /// What is done to the stack meanwhile.
    pub faults: Option<(Schedule, Stack)>,
    /// Told what happened in each second.
    pub progress: Progress,
}

/// See [`Setup::progress`].
pub type Progress = Box<dyn FnMut(&Second) + Send>;

/// Does what the plan says. An error is a run that could not be made; whatever the server did wrong is in
/// the outcome.
pub async fn run(setup: Setup) -> anyhow::Result<Outcome> {
    let Setup { plan, server, wire, people, watch, faults, progress } = setup;
    ensure!(people.len() == plan.users as usize, "as many people as users");
    let targets = plan.targets.iter().map(Target::find).collect::<Result<Vec<_>, _>>()?;
    let clock = watch.clock();
    let (http, run) = (reading::http(), run_number());
    let groups = groups(&plan, &http, &targets, &people, run).await?;
    let form = match plan.scenario {
        Scenario::Media => Some(Form::image(&picture::jpeg(plan.picture_size, plan.seed)?).into()),
        _ => None,
    };
    let people: Vec<_> = people.iter().cycle().take(plan.all_phones() as usize).cloned().collect();
    let world = Arc::new(World {
        wire,
        http,
        targets,
        marks: people.iter().map(|_| Mark::default()).collect(),
        people,
        contents: Contents::new(plan.size),
        clock,
        timing: Timing::default(),
        window: plan.window,
        since: None,
        run,
        seed: plan.seed,
        groups,
        asked: parking_lot::Mutex::default(),
        pictures: parking_lot::Mutex::default(),
        broken: parking_lot::Mutex::default(),
    });
    let threads = Threads::start(&plan, &world, form.as_ref());
    let mut run = Run {
        monitor: Monitor::new(threads.meters.clone(), clock),
        progress,
        load_from: None,
        plan: &plan,
        world: &world,
        threads: &threads,
    };
    let connecting = run.watch(plan.ramp() + CONNECT_PATIENCE, World::all_are_ready);
    ensure!(connecting.await?, "{}", run.who_is_missing());

    let reader = Reader::start(Arc::clone(&world));
    let begun = clock.now();
    let load_from = begun.after(plan.warm_up());
    let load_until = load_from.after(plan.duration());
    threads.load.set(load_from, load_until);
    run.load_from = Some(load_from);
    let begun_at = (time_of_day() + plan.warm_up()).truncate_to_millisecond().format(&Rfc3339)?;
    let faults = faults.map(|(schedule, stack)| Making::start(&schedule, stack, clock, load_from));
    let faults = faults.transpose()?;
    threads.stage(Stage::Load(begun));
    let load = run.watch(load_until.since(clock.now()), |_| false);
    let making = async {
        match faults {
            Some(faults) => Ok(faults.end().await?),
            None => Ok(Vec::new()),
        }
    };
    // A fault that cannot be made ends the run at once. One that outlasts the load is waited for: nothing settles
    // while something is broken.
    let (_, mut faults) = tokio::try_join!(load, making)?;
    let usage = watch.end(load_from, load_until);
    threads.stage(Stage::Settle);
    let is_settled = run.watch(plan.settle(), World::all_are_settled).await?;
    let timelines = reader.end().await?;
    let shown = run.watch(plan.settle(), |world| world.has_been_shown(&timelines));
    let is_shown = shown.await?;
    let mut monitor = run.monitor;
    monitor.look();
    let (meters, books) = threads.end().await?;

    monitor.add_recoveries(&mut faults, load_from, is_settled && is_shown);
    let mut outcome = Outcome {
        version: VERSION,
        server,
        begun_at,
        load_secs: plan.duration_secs,
        totals: Totals::default(),
        latencies: BTreeMap::new(),
        seconds: monitor.seconds(load_from),
        processes: usage.processes,
        machine: usage.machine,
        faults,
        figures: BTreeMap::new(),
        ledger: judge_changes(&books, &timelines, &world.changes()),
        invalid: Vec::new(),
        remarks: usage.unmeasured.iter().map(ToString::to_string).collect(),
        plan,
    };
    outcome.add_meters(&meters);
    outcome.add_figures();
    outcome.look_for_flaws(is_settled);
    Ok(outcome)
}

/// For `group`: makes the groups.
async fn groups(
    plan: &Plan,
    http: &reqwest::Client,
    targets: &[Target],
    people: &[Person],
    run: u32,
) -> anyhow::Result<Vec<Group>> {
    if plan.scenario != Scenario::Group {
        return Ok(Vec::new());
    }
    let members = people.chunks(plan.group_size as usize).enumerate();
    let making = members.map(async |(number, members)| {
        let key = format!("load-{run:x}-{number}");
        make_group(http, &targets[number % targets.len()], members, &key).await
    });
    stream::iter(making).buffered(GROUPS_AT_ONCE).try_collect().await
}

impl Outcome {
    fn add_meters(&mut self, meters: &[Arc<Meter>]) {
        for meter in meters {
            meter.with(|counts| monitor::add(&mut self.totals, &counts.totals));
        }
        // How late the last phone of all threads was shown what.
        let mut last_shown: HashMap<Key, Duration> = HashMap::new();
        for meter in meters {
            for (key, late) in meter.with(|counts| std::mem::take(&mut counts.last_shown)) {
                let last = last_shown.entry(key).or_default();
                *last = late.max(*last);
            }
        }
        for late in last_shown.into_values() {
            meters[0].time(Timed::LastDelivery, late);
        }
        for what in Timed::ALL {
            let mut all = times();
            for meter in meters {
                // The bounds are the same.
                meter.with(|counts| all.add(counts.times(what)).unwrap_or_default());
            }
            if !all.is_empty() {
                self.latencies.insert(what.name().to_owned(), latency(&all));
            }
        }
    }

    /// What a scenario is made for, beyond what all have.
    fn add_figures(&mut self) {
        if self.plan.scenario == Scenario::Idle
            && let Some(bytes) = self.rss_per_connection()
        {
            self.figures.insert("rssPerConnectionBytes".to_owned(), bytes);
        }
    }

    /// What the servers' memory rose by since before anybody logged in, for each phone.
    fn rss_per_connection(&self) -> Option<f64> {
        let servers = self.processes.iter().filter(|process| process.role == Role::Server);
        #[expect(clippy::cast_precision_loss, reason = "bytes of memory")]
        let rises: Vec<_> = servers
            .map(|server| server.last_rss_bytes as f64 - server.first_rss_bytes as f64)
            .collect();
        let rise: f64 = rises.iter().sum();
        (!rises.is_empty()).then_some(rise / f64::from(self.plan.all_phones()))
    }

    fn look_for_flaws(&mut self, is_settled: bool) {
        let lag = self.latencies.get(Timed::Lag.name()).map_or(0.0, |lag| lag.p99);
        if lag > MOST_LAG_MS {
            self.invalid.push(format!(
                "the generator is saturated: one chat in a hundred was given out {lag:.0} ms late or more"
            ));
        }
        if !is_settled {
            self.remarks.push(format!(
                "{} s after the load, chats were still unacknowledged or phones unconnected; what was \
                 acknowledged while the ledger was read back counts as unstored",
                self.plan.settle_secs
            ));
        }
    }
}

/// The threads of a run.
struct Threads {
    stages: watch::Sender<Stage>,
    meters: Vec<Arc<Meter>>,
    load: Arc<LoadWindow>,
    ends: parking_lot::Mutex<Vec<oneshot::Receiver<std::io::Result<Vec<Book>>>>>,
}

impl Threads {
    fn start(plan: &Plan, world: &Arc<World>, form: Option<&Arc<Form>>) -> Self {
        let (stages, heard) = watch::channel(Stage::Ramp);
        let mut threads = Self {
            stages,
            meters: Vec::new(),
            load: Arc::default(),
            ends: parking_lot::Mutex::default(),
        };
        let is_of_groups = plan.scenario == Scenario::Group;
        for thread in 0..plan.threads {
            let meter = Arc::new(Meter::new(Arc::clone(&threads.load), is_of_groups));
            threads.meters.push(Arc::clone(&meter));
            let (ended, end) = oneshot::channel();
            threads.ends.lock().push(end);
            let (world, plan, heard) = (Arc::clone(world), plan.clone(), heard.clone());
            let form = form.cloned();
            std::thread::spawn(move || {
                // Nobody listens any more if the run was given up.
                let _ = ended.send(thread::generate(&world, &plan, thread, &meter, form, heard));
            });
        }
        threads
    }

    fn stage(&self, stage: Stage) {
        self.stages.send_replace(stage);
    }

    async fn end(&self) -> anyhow::Result<(Vec<Arc<Meter>>, Vec<Book>)> {
        self.stage(Stage::End);
        let mut books = Vec::new();
        let ends = std::mem::take(&mut *self.ends.lock());
        for end in ends {
            books.extend(end.await.context("a generator thread panicked")??);
        }
        Ok((self.meters.clone(), books))
    }
}

/// A run under way.
struct Run<'a> {
    monitor: Monitor,
    progress: Progress,
    /// Known once all are connected.
    load_from: Option<Moment>,
    plan: &'a Plan,
    world: &'a World,
    threads: &'a Threads,
}

impl Run<'_> {
    /// Looks on, for this long or until it is so of the phones. Whether it is.
    async fn watch(
        &mut self,
        most: Duration,
        is_so: impl Fn(&World) -> bool,
    ) -> anyhow::Result<bool> {
        let end = Instant::now() + most;
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        seconds.reset();
        loop {
            if let Some(broken) = self.world.broken.lock().take() {
                bail!("{broken}");
            }
            if is_so(self.world) {
                return Ok(true);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            tokio::select! {
                _ = seconds.tick() => {
                    let (begun, second) = self.monitor.look();
                    // The end of the ramp is not known in it.
                    let at = self.load_from.map_or(-self.plan.warm_up_secs - 1.0, |load_from| {
                        monitor::relative(begun, load_from)
                    });
                    (self.progress)(&Second { at, ..second });
                }
                () = sleep(left.min(Duration::from_millis(20))) => {}
            }
            let ended = self.threads.ends.lock().iter_mut().find_map(|end| end.try_recv().ok());
            if let Some(ended) = ended {
                ended.context("a generator thread")?;
                return Err(anyhow!("a generator thread ended too early"));
            }
        }
    }

    fn who_is_missing(&self) -> String {
        let missing = self.world.marks.iter().filter(|mark| !mark.is_ready.load(Relaxed)).count();
        let patience = (self.plan.ramp() + CONNECT_PATIENCE).as_secs();
        let all = self.plan.all_phones();
        format!("{missing} of {all} phones were not connected after {patience} s")
    }
}

/// Tells the runs apart that share a database: milliseconds of the time of day, which come again after
/// seven weeks.
fn run_number() -> u32 {
    let millis = time_of_day().unix_timestamp_nanos() / 1_000_000;
    u32::try_from(millis & i128::from(u32::MAX)).unwrap_or_default()
}
