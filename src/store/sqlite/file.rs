//! Which file is open, and whether it is still the one at its path.
//!
//! SQLite goes on with a file that was deleted or replaced, and what it commits there is gone once the
//! process ends. The WAL counts as well: it alone has the last commits, until they are copied.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use sqlx::SqliteConnection;

/// Interval between checks of the file while nobody writes.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The database's file and its WAL, as they were when they were opened.
#[derive(Debug)]
pub(super) struct OpenFile {
    parts: [Part; 2],
    /// Never used: as long as a connection is open, SQLite does not remove the WAL to make another.
    _keeper: Mutex<SqliteConnection>,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl OpenFile {
    /// The file at this path, which a connection has open and has read from.
    pub(super) fn new(path: &Path, keeper: SqliteConnection) -> io::Result<Arc<Self>> {
        // SQLite follows a link to the file, and puts the WAL beside what it finds there.
        let mut wal = path.canonicalize()?.into_os_string();
        wal.push("-wal");
        let parts = [Part::new(path.to_owned())?, Part::new(wal.into())?];
        let file = Arc::new(Self { parts, _keeper: Mutex::new(keeper) });
        tokio::spawn(watch(Arc::downgrade(&file)));
        Ok(file)
    }

    /// Fails if another file is there, or none.
    pub(super) fn check(&self) -> sqlx::Result<()> {
        self.parts.iter().try_for_each(Part::check).map_err(sqlx::Error::Io)
    }
}

impl Part {
    fn new(path: PathBuf) -> io::Result<Self> {
        Ok(Self { id: id(&path)?, path })
    }

    fn check(&self) -> io::Result<()> {
        match id(&self.path) {
            Ok(id) if id == self.id => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Err(io::Error::other(format!(
                "{} was deleted or replaced while it was in use",
                self.path.display()
            ))),
        }
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Says so when the file is lost, and when it is back, for as long as it is open.
async fn watch(file: Weak<OpenFile>) {
    let mut is_lost = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(file) = file.upgrade() else { return };
        match file.check() {
            Err(error) if !is_lost => {
                is_lost = true;
                tracing::error!(
                    %error,
                    "nothing is written any more: put the file back, or restart the service on \
                     the one that is there now"
                );
            }
            Ok(()) if is_lost => {
                is_lost = false;
                tracing::info!("the database's file is back");
            }
            _ => {}
        }
    }
}
