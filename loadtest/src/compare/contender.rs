//! Who is compared: how it is called, spoken to and started.

use std::{path::Path, sync::Arc};

use phone::wire::{Imserver, Wire};

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
}

/// A command that starts a server.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: Vec<&'a str>,
    pub(super) folder: &'a Path,
    pub(super) environment: Vec<(&'a str, &'a str)>,
}

impl Contender {
    /// In the order of their turns and of the table.
    pub const ALL: [Self; 5] =
        [Self::Imserver, Self::WsBatch, Self::WsInsert, Self::Socketio, Self::Centrifuge];

    pub fn name(self) -> &'static str {
        match self {
            Self::Imserver => "imserver",
            Self::Socketio => "socketio",
            Self::WsInsert => "ws-insert",
            Self::WsBatch => "ws-batch",
            Self::Centrifuge => "centrifuge",
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
        }
    }

    pub(super) fn wire(self) -> Arc<dyn Wire> {
        match self {
            Self::Imserver => Arc::new(Imserver::default()),
            Self::Socketio => Arc::new(SocketIo),
            Self::WsInsert | Self::WsBatch => Arc::new(Plain),
            Self::Centrifuge => Arc::new(Centrifuge),
        }
    }

    /// How a process of it is started, on a port that is free.
    pub(super) fn start<'a>(
        self,
        args: &'a CompareArgs,
        database: &'a str,
        redis: &'a str,
    ) -> Start<'a> {
        let (program, arguments) = match self {
            Self::Imserver => (args.imserver.as_path(), vec![]),
            Self::Socketio => (Path::new("node"), vec!["socketio.js"]),
            Self::WsInsert => (Path::new("node"), vec!["ws-insert.js"]),
            Self::WsBatch => (Path::new("node"), vec!["ws-batch.js"]),
            Self::Centrifuge => (args.centrifuge.as_path(), vec![]),
        };
        let environment = match self {
            Self::Imserver => vec![
                ("IMSERVER__DATABASE__URL", database),
                ("IMSERVER__BUS__URL", redis),
                ("IMSERVER__SERVER__LISTEN", "127.0.0.1:0"),
                ("IMSERVER__SERVER__DRAIN_PAUSE_SECS", "0"),
                ("IMSERVER__METRICS__LISTEN", "127.0.0.1:0"),
                ("IMSERVER__AUTH__DEMO_LOGIN", "true"),
                ("IMSERVER__LIMITS__ENABLED", "false"),
                ("IMSERVER__LOG__FORMAT", "json"),
            ],
            _ => vec![
                ("PORT", "0"),
                ("DATABASE_URL", database),
                ("REDIS_URL", redis),
                ("NODE_ENV", "production"),
            ],
        };
        Start { program, arguments, folder: &args.peers, environment }
    }
}
