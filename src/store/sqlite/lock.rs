//! One service for a file: each has sockets, presence and limits of its own, so that a second one would
//! deliver late, count anew and refuse nothing. Commands that look after a deployment take no lock.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The right to serve a file, until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct ServiceLock(#[expect(dead_code, reason = "an open file is the lock")] File);

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process serves it.
    #[error("{holder} serves this file already; stop it, or set `database.url` to another file")]
    Held {
        /// Which.
        holder: String,
    },
    /// The file of the lock is not to be had.
    #[error("{}: {error}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

impl ServiceLock {
    /// Takes the lock of the SQLite file at this path, which need not be there yet. It is a file of its
    /// own beside it, since SQLite's locks on the file itself end with any descriptor of it that this
    /// process closes. It is never removed: two could then hold it.
    pub fn take(database: &Path) -> Result<Self, LockError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let failed = |error| LockError::Io { path: path.clone(), error };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let options = File::options().create(true).truncate(false).read(true).write(true).clone();
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let process = fs::read_to_string(&path).unwrap_or_default();
                let holder = match process.trim() {
                    // It has not yet written down who it is.
                    "" => "another process".to_owned(),
                    process => format!("process {process}"),
                };
                return Err(LockError::Held { holder });
            }
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self(file))
    }
}
