//! Who is online, read from all partitions without asking any for much at a time.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::try_join_all;
use redis::FromRedisValue;

use super::{
    RedisPresence, keeper::millis, link::Trouble, partition::Partition, scripts::Calls, unavailable,
};
use crate::{
    domain::{ConnectionId, UserId},
    presence::{Connection, OnlineUser, PresenceError},
};

/// The most users that one script is asked about.
const CHUNK: usize = 500;

/// Which part of the service asks, where refusals are named.
const PART: &str = "presence reads";

impl RedisPresence {
    /// Bounds a reading by the time that a caller waits.
    pub(super) async fn read<T>(
        &self,
        reading: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, PresenceError> {
        match tokio::time::timeout(self.times.caller(), reading).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(trouble)) => Err(unavailable(&trouble.to_string())),
            Err(_) => Err(unavailable("no answer in time")),
        }
    }

    /// Those of these users who are online, in their order.
    pub(super) async fn read_online(&self, users: &[UserId]) -> Result<Vec<UserId>, Trouble> {
        let asked = by_partition(users);
        let chunks = chunks(&asked);
        let answers: Vec<Vec<bool>> = self
            .ask(&chunks, |calls, (partition, users)| {
                calls.add(&self.scripts.online, *partition).arg(*users);
            })
            .await?;
        let mut online: Vec<_> = chunks
            .iter()
            .zip(answers)
            .flat_map(|((_, users), online)| users.iter().zip(online))
            .filter_map(|(user, is_online)| is_online.then_some(*user))
            .collect();
        online.sort_unstable();
        let is_online = |user: &&UserId| online.binary_search(&user.get()).is_ok();
        Ok(users.iter().filter(is_online).copied().collect())
    }

    /// The sockets of those of these users who have some.
    pub(super) async fn read_connections(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<Connection>>, Trouble> {
        let asked = by_partition(users);
        let chunks = chunks(&asked);
        let left_if_heard = millis(self.times.left_if_heard());
        let answers: Vec<Vec<Vec<(i64, bool)>>> = self
            .ask(&chunks, |calls, (partition, users)| {
                let call = calls.add(&self.scripts.connections, *partition);
                call.arg(left_if_heard).arg(*users);
            })
            .await?;
        let answered = chunks.iter().zip(answers).flat_map(|((_, users), a)| users.iter().zip(a));
        let open = answered.filter(|(_, connections)| !connections.is_empty());
        let read = open.filter_map(|(user, connections)| {
            let sure =
                |(id, is_sure)| Some(Connection { id: ConnectionId::new(id).ok()?, is_sure });
            let mut connections: Vec<_> = connections.into_iter().filter_map(sure).collect();
            connections.sort_unstable_by_key(|connection| connection.id);
            Some((UserId::new(*user).ok()?, connections))
        });
        Ok(read.collect())
    }

    /// A page of those who have sockets: a small step in each partition at a time.
    pub(super) async fn read_page(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OnlineUser>, Trouble> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let partitions: Vec<_> = Partition::all().map(|partition| (partition, ())).collect();
        let mut after = after.map_or(0, UserId::get);
        let mut page = Vec::new();
        while page.len() < limit {
            // Each partition has about its share of a page, and a few more.
            let step = ((limit - page.len()) / Partition::COUNT * 5 / 4 + 8).min(CHUNK);
            let answers: Vec<Vec<(i64, u32)>> = self
                .ask(&partitions, |calls, (partition, ())| {
                    calls.add(&self.scripts.page, *partition).arg(after).arg(step);
                })
                .await?;
            // Beyond where the first full step has ended, somebody may be missing.
            let ends = answers.iter().filter(|users| users.len() == step);
            let known_to = ends.filter_map(|users| users.last()).map(|(user, _)| *user).min();
            let mut users: Vec<_> = answers.into_iter().flatten().collect();
            users.retain(|(user, _)| known_to.is_none_or(|end| *user <= end));
            users.sort_unstable();
            page.extend(users.into_iter().filter_map(|(user, connections)| {
                Some(OnlineUser { user: UserId::new(user).ok()?, connections })
            }));
            match known_to {
                Some(end) => after = end,
                None => break,
            }
        }
        page.truncate(limit);
        Ok(page)
    }

    /// Asks the instances of these partitions at the same time, and answers in their order.
    async fn ask<Q, T: FromRedisValue>(
        &self,
        questions: &[(Partition, Q)],
        add: impl Fn(&mut Calls<'_>, &(Partition, Q)),
    ) -> Result<Vec<T>, Trouble> {
        let mut asked: BTreeMap<usize, (Vec<usize>, Calls<'_>)> = BTreeMap::new();
        for (place, question) in questions.iter().enumerate() {
            let instance = question.0.instance(self.instances.len());
            let (places, calls) = asked
                .entry(instance)
                .or_insert_with(|| (Vec::new(), Calls::new(&self.scripts, &self.namespace)));
            places.push(place);
            add(calls, question);
        }
        let answering = asked.into_iter().map(|(instance, (places, calls))| async move {
            let link = &self.instances[instance].link;
            let answers = calls.make(&mut link.reader().await?).await;
            link.instance.note(PART, answers.as_ref());
            let answers: Vec<T> = answers?;
            Ok::<_, Trouble>(places.into_iter().zip(answers))
        });
        let mut answers: Vec<_> = try_join_all(answering).await?.into_iter().flatten().collect();
        answers.sort_unstable_by_key(|(place, _)| *place);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }
}

fn by_partition(users: &[UserId]) -> BTreeMap<Partition, Vec<i64>> {
    let mut asked: BTreeMap<Partition, Vec<i64>> = BTreeMap::new();
    for user in users {
        asked.entry(Partition::of(*user)).or_default().push(user.get());
    }
    asked
}

fn chunks(asked: &BTreeMap<Partition, Vec<i64>>) -> Vec<(Partition, &[i64])> {
    asked
        .iter()
        .flat_map(|(partition, users)| users.chunks(CHUNK).map(|chunk| (*partition, chunk)))
        .collect()
}
