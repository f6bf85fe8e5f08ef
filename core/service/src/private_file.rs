//! Files that only the owner of the process may read: tokens and keys.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write};
use std::path::Path;

/// Writes `content` to the new file `path` (mode 0600), durably and as a whole: after a crash it is there or not there.
/// Missing folders are made (mode 0700). An existing file is an error.
pub fn create(path: &Path, content: &[u8]) -> Result<()> {
    if path.exists() {
        return Err(Error::new(ErrorKind::AlreadyExists, format!("{} exists", path.display())));
    }
    write(path, content)
}

/// Like [`create`], but replaces the file that is there.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_folder(folder)?;
    let name = path.file_name().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "not a file name"))?;
    let temporary = folder.join(format!(".{}.new", name.to_string_lossy()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

fn create_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
