//! The scripts: each is atomic on one partition.

use redis::{
    self, ErrorKind, FromRedisValue, Pipeline, RedisResult, ServerErrorKind, aio::ConnectionLike,
};

use super::partition::Partition;

macro_rules! scripts {
    ($($name:ident),+ $(,)?) => {
        /// The scripts by name, as they are loaded into Redis.
        #[derive(Debug)]
        pub struct Scripts {
            $(pub(super) $name: Script,)+
        }

        impl Scripts {
            /// The scripts, each changed as a test wants it: with a clock that it moves by hand, or
            /// with a mistake.
            pub fn edited(edit: impl Fn(&'static str, String) -> String) -> Self {
                let prelude = include_str!("prelude.lua");
                Self {
                    $($name: Script::new(edit(
                        stringify!($name),
                        format!("{prelude}\n{}", include_str!(concat!(stringify!($name), ".lua"))),
                    )),)+
                }
            }

            fn all(&self) -> impl Iterator<Item = &Script> {
                [$(&self.$name),+].into_iter()
            }
        }
    };
}

scripts!(enter, retire, beat, join, leave, depart, sweep, online, page, connections);

impl Default for Scripts {
    fn default() -> Self {
        Self::edited(|_, source| source)
    }
}

/// One script.
#[derive(Debug)]
pub(super) struct Script {
    source: String,
    hash: String,
}

impl Script {
    fn new(source: String) -> Self {
        let hash = redis::Script::new(&source).get_hash().to_owned();
        Self { source, hash }
    }
}

/// Calls that go to Redis together, each on a partition of its own choice.
pub(super) struct Calls<'a> {
    scripts: &'a Scripts,
    namespace: &'a str,
    pipeline: Pipeline,
}

impl<'a> Calls<'a> {
    pub(super) fn new(scripts: &'a Scripts, namespace: &'a str) -> Self {
        Self { scripts, namespace, pipeline: Pipeline::new() }
    }

    /// Begins a call. Its arguments are added to what is returned.
    pub(super) fn add(&mut self, script: &Script, partition: Partition) -> &mut Pipeline {
        let prefix = partition.prefix(self.namespace);
        self.pipeline.cmd("EVALSHA").arg(&script.hash).arg(1).arg(prefix)
    }

    /// Makes the calls, and answers in their order. A Redis that does not know the scripts is given
    /// them, and all calls are made again: each of them may be repeated.
    pub(super) async fn make<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
    ) -> RedisResult<Vec<T>> {
        if self.pipeline.is_empty() {
            return Ok(Vec::new());
        }
        match self.pipeline.query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut load = Pipeline::new();
                for script in self.scripts.all() {
                    load.cmd("SCRIPT").arg("LOAD").arg(&script.source);
                }
                load.exec_async(connection).await?;
                self.pipeline.query_async(connection).await
            }
            other => other,
        }
    }
}
