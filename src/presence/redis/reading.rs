//! Who is online, read from the sets of the living replicas.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use futures_util::future::try_join_all;
use redis::{RedisResult, ScriptInvocation};

use super::{RedisPresence, unavailable};
use crate::{
    domain::{ConnectionId, UserId},
    presence::{OnlineUser, PresenceError},
    redis::{Part, Trouble},
};

/// The most users that one call is asked about.
const CHUNK: usize = 500;

/// What one replica has of a user: the sockets (none while the grace runs), each with whether nobody looks at it,
/// and how long its lease still stands.
pub(super) type Found = (UserId, Vec<(ConnectionId, bool)>, Duration);

impl RedisPresence {
    /// The first `limit` users with sockets and an id above `after`.
    pub(super) async fn read_page(
        &self,
        mut after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OnlineUser>, PresenceError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut page: Vec<OnlineUser> = Vec::new();
        while page.len() < limit {
            let step = (limit - page.len()).min(CHUNK);
            let calls = (0..self.instances.len()).map(|place| {
                let mut call = self.script.call("page");
                call.arg(after.map_or(0, UserId::get)).arg(step);
                (place, call)
            });
            let mut users: BTreeMap<UserId, u32> = BTreeMap::new();
            for (user, ids, _) in self.ask(calls).await? {
                *users.entry(user).or_default() += u32::try_from(ids.len()).unwrap_or(u32::MAX);
            }
            // Each replica has named its first ones, so the first ones of all are among them.
            let is_last = users.len() < step;
            let users = users.into_iter().take(step);
            page.extend(users.map(|(user, connections)| OnlineUser { user, connections }));
            if is_last {
                break;
            }
            after = page.last().map(|last| last.user);
        }
        Ok(page)
    }

    /// What living replicas have of these users.
    pub(super) async fn find(&self, users: &[UserId]) -> Result<Vec<Found>, PresenceError> {
        let mut asked: BTreeMap<usize, HashSet<i64>> = BTreeMap::new();
        for user in users {
            asked.entry(self.place(*user)).or_default().insert(user.get());
        }
        let mut calls = Vec::new();
        for (place, users) in asked {
            for users in Vec::from_iter(users).chunks(CHUNK) {
                let mut call = self.script.call("read");
                call.arg(users);
                calls.push((place, call));
            }
        }
        self.ask(calls.into_iter()).await
    }

    /// Makes calls at the same time, each at the instance of its place.
    async fn ask(
        &self,
        calls: impl Iterator<Item = (usize, ScriptInvocation<'_>)>,
    ) -> Result<Vec<Found>, PresenceError> {
        let asking = try_join_all(calls.map(async |(place, call)| {
            let redis = &self.instances[place].redis;
            let answer: RedisResult<Vec<(i64, String, u64)>> =
                call.invoke_async(&mut redis.reader(self.times.answer).await?).await;
            redis.note(Part::PresenceReads, answer.as_ref());
            let found = answer?.into_iter().map(parse).collect::<Option<Vec<_>>>();
            found.ok_or_else(|| Trouble::from("an answer of another form"))
        }));
        match tokio::time::timeout(self.times.caller(), asking).await {
            Ok(Ok(answers)) => Ok(Vec::<Vec<_>>::into_iter(answers).flatten().collect()),
            Ok(Err(trouble)) => Err(unavailable(Trouble::to_string(&trouble))),
            Err(_) => Err(unavailable("no answer in time")),
        }
    }
}

/// Reads what the script answers of one user.
fn parse((user, sockets, lease): (i64, String, u64)) -> Option<Found> {
    let (open, background) = sockets.split_once('|').unwrap_or((&sockets, ""));
    let background = ids(background)?;
    let open = ids(open)?.into_iter().map(|id| (id, background.contains(&id))).collect();
    Some((UserId::new(user).ok()?, open, Duration::from_millis(lease)))
}

fn ids(list: &str) -> Option<Vec<ConnectionId>> {
    let ids = list.split(',').filter(|id| !id.is_empty());
    ids.map(|id| ConnectionId::new(id.parse().ok()?).ok()).collect()
}
