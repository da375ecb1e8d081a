//! A clock of the time of day that a test sets, for the processes that are started with it. Intervals are not
//! touched, as on a machine whose clock is set.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use tempfile::TempDir;

/// How long a process may go on by the time before, in seconds.
const NOTICED_AFTER: u64 = 1;

pub struct WrongClock(TempDir);

impl WrongClock {
    /// Right, for now.
    pub fn new() -> Self {
        let clock = Self(tempfile::tempdir().unwrap());
        // Postgres runs as somebody else.
        fs::set_permissions(clock.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        clock.write("+0");
        clock
    }

    /// Off by so much from now on: `+1h`, `-1h`, `+0`. Returns when every process goes by it: the processes of one
    /// server notice one after the other, as on no machine.
    pub async fn set(&self, offset: &str) {
        self.write(offset);
        tokio::time::sleep(Duration::from_secs(NOTICED_AFTER) + Duration::from_millis(200)).await;
    }

    fn write(&self, offset: &str) {
        // A process that reads an empty file ends.
        let next = self.0.path().join("next");
        fs::write(&next, format!("{offset}\n")).unwrap();
        fs::rename(next, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("offset")
    }

    /// What goes into the environment of a process.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_CACHE_DURATION", NOTICED_AFTER.to_string()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("FAKETIME_DISABLE_SHM", "1".to_owned()),
        ]
    }
}

/// Where Debian puts it: below a folder named after the machine.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.exists()).unwrap_or_else(|| {
        panic!(
            "this test needs libfaketime: `./dev test` installs it, or: apt-get install libfaketime"
        )
    })
}
