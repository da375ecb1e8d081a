//! The script, of which each call is one command on the keys of one Redis instance.

use redis::ScriptInvocation;

/// What is run in Redis.
pub const SOURCE: &str = include_str!("presence.lua");

/// The script, and the prefix of its keys.
#[derive(Debug)]
pub struct Script {
    loaded: redis::Script,
    namespace: String,
    prefix: String,
}

impl Script {
    /// A script like [`SOURCE`], for a namespace.
    pub fn new(source: &str, namespace: &str) -> Self {
        let (namespace, prefix) = (namespace.to_owned(), format!("{namespace}:{{online}}"));
        Self { loaded: redis::Script::new(source), namespace, prefix }
    }

    /// The key or channel of this name.
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// Begins a call. Its arguments are added to what is returned.
    pub(super) fn call(&self, command: &str) -> ScriptInvocation<'_> {
        let mut call = self.loaded.key(&self.prefix);
        call.arg(command);
        call
    }

    /// Lets the largest keys that versions before ADR 0034 kept expire. Their replicas can do without.
    pub(super) fn expire_former(&self) -> redis::Pipeline {
        let mut expire = redis::pipe();
        for partition in 0..64 {
            for name in ["log", "version"] {
                let key = format!("{}:presence:{{{partition}}}:{name}", self.namespace);
                expire.cmd("EXPIRE").arg(key).arg(86_400).ignore();
            }
        }
        expire
    }
}
