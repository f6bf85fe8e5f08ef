//! The demo's data folder: where it lies, and that one process uses it at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The data folder, locked for this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens `path`, or the usual place (XDG base directories on Linux), and locks it.
    pub(super) fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let path = match path {
            Some(path) => path,
            None => usual().ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "no home folder: please name one with --data DIR")
            })?,
        };
        private(&path).map_err(|error| named(&path, &error))?;
        let lock = File::create(path.join("lock")).map_err(|error| named(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(io::Error::other(format!(
                "another demo is running with the data folder {}; stop it, or choose one with --data DIR",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(named(&path, &error)),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("data folder {}: {error}", path.display()))
}

fn usual() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(target_os = "macos") {
        std::env::home_dir()?.join("Library/Application Support")
    } else if cfg!(windows) {
        absolute("LOCALAPPDATA")?
    } else {
        absolute("XDG_DATA_HOME").or_else(|| Some(std::env::home_dir()?.join(".local/share")))?
    };
    Some(base.join("carekey").join("demo"))
}

fn private(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b");
        let first = Folder::open(Some(path.clone())).unwrap();
        assert!(Folder::open(Some(path.clone())).unwrap_err().to_string().contains("another demo"));
        assert_eq!(first.path(), path);
        drop(first);
        Folder::open(Some(path)).unwrap();
    }
}
