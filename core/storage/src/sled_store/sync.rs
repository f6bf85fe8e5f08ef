//! The sync that sled leaves out.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Makes everything that sled has written survive a power cut.
pub(super) trait Sync: Send {
    /// Returns when it would.
    fn sync(&mut self) -> io::Result<()>;
}

/// fdatasync of sled's files: the log `db`, and the values too large for it, one file each in `blobs`.
pub(super) struct FileSync {
    log: File,
    blobs: PathBuf,
    pub(super) synced: HashSet<OsString>,
}

impl FileSync {
    /// For the store in the folder `path`, which exists. Syncs the folders too, so that the files are found again.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let log = File::open(path.join("db"))?;
        let blobs = path.join("blobs");
        for folder in [path.parent(), Some(path), Some(&blobs)].into_iter().flatten() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        let mut sync = Self { log, blobs, synced: HashSet::new() };
        sync.sync_blobs()?;
        Ok(sync)
    }

    fn sync_blobs(&mut self) -> io::Result<()> {
        let mut present = HashSet::new();
        let mut fresh = false;
        for entry in std::fs::read_dir(&self.blobs)? {
            let name = entry?.file_name();
            if !self.synced.contains(&name) {
                match File::open(self.blobs.join(&name)) {
                    Ok(file) => file.sync_data()?,
                    // sled has just dropped it: nothing points to it any more.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                fresh = true;
            }
            present.insert(name);
        }
        if fresh {
            File::open(&self.blobs)?.sync_all()?;
        }
        self.synced = present;
        Ok(())
    }
}

impl Sync for FileSync {
    fn sync(&mut self) -> io::Result<()> {
        // Values before the log that points to them.
        self.sync_blobs()?;
        self.log.sync_data()
    }
}
