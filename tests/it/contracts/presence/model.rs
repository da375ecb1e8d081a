//! Random histories, in a register and in a model of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use imserver::clock::Timestamp;
use proptest::{prelude::*, test_runner::TestRunner};

use super::{GRACE, PresenceFactory, Register, STEP};

#[derive(Clone, Debug)]
enum Step {
    Join { who: i64, socket: i64 },
    Leave { who: i64, socket: i64 },
    Pass { steps: u32 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 1..=3_i64;
    let socket = 1..=3_i64;
    let step = prop_oneof![
        3 => (who.clone(), socket.clone()).prop_map(|(who, socket)| Step::Join { who, socket }),
        4 => (who, socket).prop_map(|(who, socket)| Step::Leave { who, socket }),
        2 => (1..=12_u32).prop_map(|steps| Step::Pass { steps }),
    ];
    prop::collection::vec(step, 1..40)
}

/// What a register must say, written as simply as it can be.
#[derive(Default)]
struct Model {
    /// The sockets of those who are online; none within the grace.
    sockets: BTreeMap<i64, BTreeSet<i64>>,
    /// How long those within the grace have been there, and when they left.
    leaving: BTreeMap<i64, (Duration, (Timestamp, Timestamp))>,
}

impl Model {
    /// Lets time pass, and returns who goes offline.
    fn pass(&mut self, time: Duration) -> BTreeMap<i64, (Timestamp, Timestamp)> {
        for (gone_for, _) in self.leaving.values_mut() {
            *gone_for += time;
        }
        let over = self.leaving.iter().filter(|(_, (gone_for, _))| *gone_for > GRACE);
        let gone: BTreeMap<_, _> = over.map(|(who, (_, left))| (*who, *left)).collect();
        self.leaving.retain(|who, _| !gone.contains_key(who));
        self.sockets.retain(|who, _| !gone.contains_key(who));
        gone
    }
}

pub(super) fn random_histories_agree<F: PresenceFactory>() {
    let config =
        ProptestConfig { cases: F::HISTORIES, failure_persistence: None, ..Default::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
                let mut register = Register::<F>::start().await;
                let mut model = Model::default();
                let mut versions = BTreeMap::new();
                for step in steps {
                    take(&step, &mut register, &mut model, &mut versions).await;
                }
                register.expect_silence().await;
            });
            Ok(())
        })
        .unwrap();
}

/// Takes one step in both and compares what they say after it.
async fn take<F: PresenceFactory>(
    step: &Step,
    register: &mut Register<F>,
    model: &mut Model,
    versions: &mut BTreeMap<i64, i64>,
) {
    match *step {
        Step::Join { who, socket } => {
            let at = register.join(who, socket).await;
            if !model.sockets.contains_key(&who) {
                let heard = register.expect(who, true, at).await;
                assert!(versions.insert(who, heard.version) < Some(heard.version));
            }
            model.leaving.remove(&who);
            model.sockets.entry(who).or_default().insert(socket);
        }
        Step::Leave { who, socket } => {
            let at = register.leave(who, socket).await;
            if let Some(sockets) = model.sockets.get_mut(&who)
                && sockets.remove(&socket)
                && sockets.is_empty()
            {
                model.leaving.insert(who, (Duration::ZERO, at));
            }
        }
        Step::Pass { steps } => {
            let time = STEP * steps;
            register.pass(time).await;
            let mut expected = model.pass(time);
            while !expected.is_empty() {
                let heard = register.hear().await;
                let who = heard.user.get();
                let left = expected.remove(&who).expect("only those whose grace is over go");
                assert!(!heard.online && left.0 <= heard.at && heard.at <= left.1);
                assert!(versions.insert(who, heard.version) < Some(heard.version));
            }
        }
    }
    let with_sockets: Vec<_> = model
        .sockets
        .iter()
        .filter(|(_, sockets)| !sockets.is_empty())
        .map(|(who, sockets)| (*who, u32::try_from(sockets.len()).unwrap()))
        .collect();
    assert_eq!(register.list(None, 100).await, with_sockets);
    for who in 1..=3 {
        assert_eq!(register.is_online(who).await, model.sockets.contains_key(&who));
    }
}
