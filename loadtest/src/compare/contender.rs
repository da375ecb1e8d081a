//! Who is compared: how it is called, spoken to and started.

use std::{
    path::{Path, PathBuf, absolute},
    sync::Arc,
};

use phone::wire::{Imserver, Wire};
use url::Url;

use super::CompareArgs;
use crate::peers::{Centrifuge, Plain, SocketIo};

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Contender {
    Imserver,
    Socketio,
    WsInsert,
    WsBatch,
    Centrifuge,
    CentrifugoInsert,
    CentrifugoBatch,
    ImserverLegacy,
    Tutorial,
}

/// By what they are compared: each has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Two processes, and a ledger of all chats.
    Chats,
    /// One process, and the load by the legacy protocol.
    Legacy,
}

/// A command that starts a server.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) folder: &'a Path,
    pub(super) environment: Vec<(&'static str, String)>,
}

impl Contender {
    /// In the order of their turns and of the tables.
    pub const ALL: [Self; 9] = [
        Self::Imserver,
        Self::WsBatch,
        Self::WsInsert,
        Self::Socketio,
        Self::Centrifuge,
        Self::CentrifugoInsert,
        Self::CentrifugoBatch,
        Self::ImserverLegacy,
        Self::Tutorial,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Imserver => "imserver",
            Self::Socketio => "socketio",
            Self::WsInsert => "ws-insert",
            Self::WsBatch => "ws-batch",
            Self::Centrifuge => "centrifuge",
            Self::CentrifugoInsert => "centrifugo-insert",
            Self::CentrifugoBatch => "centrifugo-batch",
            Self::ImserverLegacy => "imserver-legacy",
            Self::Tutorial => "tutorial",
        }
    }

    /// What it is, in a few words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Imserver => "this project",
            Self::Socketio => "Socket.IO, sharded Redis adapter, an INSERT each",
            Self::WsInsert => "Node ws, an INSERT each",
            Self::WsBatch => "Node ws, the batches and rows of this project",
            Self::Centrifuge => "Go, the library of Centrifugo, an INSERT each",
            Self::CentrifugoInsert => "Centrifugo, a back end in Node, an INSERT each",
            Self::CentrifugoBatch => {
                "Centrifugo, a back end in Node, the batches and rows of this project"
            }
            Self::ImserverLegacy => "this project, over its legacy routes",
            Self::Tutorial => "Spring Boot, MyBatis-Plus, an INSERT each",
        }
    }

    pub(super) fn work(self) -> Work {
        match self {
            Self::ImserverLegacy | Self::Tutorial => Work::Legacy,
            _ => Work::Chats,
        }
    }

    /// How many processes it has. The tutorial's knows no other.
    pub(super) fn processes(self) -> usize {
        match self.work() {
            Work::Chats => 2,
            Work::Legacy => 1,
        }
    }

    /// How it is spoken to, with [`Work::Chats`]; and where chats are read back, if not where the sockets are.
    pub(super) fn wire(self, pages: Option<&Url>) -> Arc<dyn Wire> {
        match self {
            Self::Imserver | Self::ImserverLegacy => Arc::new(Imserver::default()),
            Self::Socketio => Arc::new(SocketIo),
            Self::WsInsert | Self::WsBatch => Arc::new(Plain),
            Self::Centrifuge | Self::CentrifugoInsert | Self::CentrifugoBatch => {
                Arc::new(Centrifuge { pages: pages.cloned() })
            }
            Self::Tutorial => unreachable!("the legacy load speaks to it"),
        }
    }

    /// How a process of it is started, on a port that is free.
    pub(super) fn start<'a>(
        self,
        args: &'a CompareArgs,
        database: &str,
        redis: &str,
    ) -> anyhow::Result<Start<'a>> {
        let text = |path: &Path| Ok::<_, std::io::Error>(absolute(path)?.display().to_string());
        let node = |file: &str| (PathBuf::from("node"), vec![file.to_owned()]);
        let (program, arguments) = match self {
            Self::Imserver | Self::ImserverLegacy => (args.imserver.clone(), vec![]),
            Self::Socketio => node("socketio.js"),
            Self::WsInsert => node("ws-insert.js"),
            Self::WsBatch => node("ws-batch.js"),
            Self::Centrifuge => (args.centrifuge.clone(), vec![]),
            Self::CentrifugoInsert => node("centrifugo-insert.js"),
            Self::CentrifugoBatch => node("centrifugo-batch.js"),
            Self::Tutorial => ("java".into(), vec!["-jar".to_owned(), text(&args.tutorial)?]),
        };
        let mut environment = match self {
            Self::Imserver | Self::ImserverLegacy => vec![
                ("IMSERVER__DATABASE__URL", database.to_owned()),
                ("IMSERVER__BUS__URL", redis.to_owned()),
                ("IMSERVER__SERVER__LISTEN", "127.0.0.1:0".to_owned()),
                ("IMSERVER__SERVER__DRAIN_PAUSE_SECS", "0".to_owned()),
                ("IMSERVER__METRICS__LISTEN", "127.0.0.1:0".to_owned()),
                ("IMSERVER__AUTH__DEMO_LOGIN", "true".to_owned()),
                ("IMSERVER__LOG__FORMAT", "json".to_owned()),
            ],
            _ => vec![
                ("PORT", "0".to_owned()),
                ("DATABASE_URL", database.to_owned()),
                ("REDIS_URL", redis.to_owned()),
                ("NODE_ENV", "production".to_owned()),
            ],
        };
        match self {
            Self::ImserverLegacy => {
                environment.push(("IMSERVER__AUTH__ANONYMOUS", "true".to_owned()));
            }
            Self::CentrifugoInsert | Self::CentrifugoBatch => {
                environment.push(("CENTRIFUGO_PROGRAM", text(&args.centrifugo)?));
            }
            _ => {}
        }
        Ok(Start { program, arguments, folder: &args.peers, environment })
    }
}
