//! The storage of a wallet in one file: for desktops, servers and tests. A phone's app brings its own.
//!
//! A journal that is only appended to: `CKWF0001`, then frames. A frame is its length (4 bytes, big-endian, of what
//! follows but the checksum), kind (1: put, 2: remove), length of the name (2 bytes), name, value, and the first 8 bytes
//! of SHA-256 over all before. Every write is one frame and an fdatasync. The last frame of a name counts.
//!
//! A file that was cut off in the middle of a write opens with what was complete before: a bad frame with nothing good
//! behind it is a torn write and is removed. One with good frames behind it is damage: it is skipped, and hides no other
//! name. When more than half of the file is superseded, it is written anew beside and renamed over.
//!
//! The checksum notices accidents, not attacks: what lies here is sealed and authenticated by the vault.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use carekey_core::encoding::sha256;
use carekey_core::vault::{StorageError, WalletStorage};

const MAGIC: &[u8; 8] = b"CKWF0001";
const LENGTH: usize = 4;
const CHECK: usize = 8;
const PUT: u8 = 1;
const REMOVE: u8 = 2;
/// Superseded bytes that are always tolerated.
const SLACK: u64 = 1024 * 1024;

/// A [`WalletStorage`] in one file, for one process at a time.
pub struct WalletFile {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    /// Where the value of each name lies.
    index: BTreeMap<String, Span>,
    /// End of the last complete frame.
    end: u64,
    /// Bytes of frames that count.
    live: u64,
}

#[derive(Clone, Copy)]
struct Span {
    start: u64,
    length: usize,
    frame: u64,
}

impl std::fmt::Debug for WalletFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalletFile").field("path", &self.path).finish_non_exhaustive()
    }
}

fn failed(error: io::Error) -> StorageError {
    StorageError::new(error.to_string())
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl WalletFile {
    /// Opens the file at `path`, making it if there is none; only its owner may read it.
    ///
    /// # Errors
    /// When it is open in another process, is no such file, or cannot be read or written.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let mut file = options().create(true).truncate(false).open(&path)?;
        file.try_lock().map_err(|_| io::Error::new(io::ErrorKind::WouldBlock, "the file is in use"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes) {
            // New, or cut off while it was made.
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(MAGIC)?;
            file.sync_all()?;
            sync_folder(&path)?;
            bytes = MAGIC.to_vec();
        }
        if !bytes.starts_with(MAGIC) {
            return Err(invalid("not a wallet file"));
        }
        let (index, end) = replay(&bytes);
        let live = index.values().map(|span| span.frame).sum();
        if end < len(bytes.len()) {
            file.set_len(end)?;
            file.sync_all()?;
        }
        Ok(Self { path, state: Mutex::new(State { file, index, end, live }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // `end` and `index` are changed only after a frame is complete, so a panic elsewhere leaves them true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, kind: u8, name: &str, value: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if kind == REMOVE && !state.index.contains_key(name) {
            return Ok(());
        }
        state.append(kind, name, value)?;
        if state.end > SLACK + 2 * state.live {
            self.rewrite(&mut state)?;
        }
        Ok(())
    }

    /// Writes what counts into a new file, and puts it in place of this one.
    fn rewrite(&self, state: &mut State) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let file = options().create(true).truncate(true).open(&beside)?;
        let _ = file.try_lock();
        let mut fresh = State { file, index: BTreeMap::new(), end: 0, live: 0 };
        fresh.file.write_all(MAGIC)?;
        fresh.end = len(MAGIC.len());
        let names: Vec<String> = state.index.keys().cloned().collect();
        for name in names {
            if let Some(value) = state.read(&name)? {
                fresh.append_unsynced(PUT, &name, &value)?;
            }
        }
        fresh.file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        sync_folder(&self.path)?;
        *state = fresh;
        Ok(())
    }
}

impl State {
    fn append(&mut self, kind: u8, name: &str, value: &[u8]) -> io::Result<()> {
        self.append_unsynced(kind, name, value)?;
        self.file.sync_data()
    }

    fn append_unsynced(&mut self, kind: u8, name: &str, value: &[u8]) -> io::Result<()> {
        let too_long = |_| invalid("a name or value is too long");
        let name_length = u16::try_from(name.len()).map_err(too_long)?;
        let length = u32::try_from(3 + name.len() + value.len()).map_err(too_long)?;
        let mut frame = Vec::with_capacity(LENGTH + 3 + name.len() + value.len() + CHECK);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.push(kind);
        frame.extend_from_slice(&name_length.to_be_bytes());
        frame.extend_from_slice(name.as_bytes());
        let start = self.end + len(frame.len());
        frame.extend_from_slice(value);
        let check = sha256(&frame);
        frame.extend_from_slice(check.get(..CHECK).unwrap_or_default());
        // A write that failed in the middle lies behind `end`: the next one goes over it.
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&frame)?;
        let span = Span { start, length: value.len(), frame: len(frame.len()) };
        self.end += span.frame;
        let old = match kind {
            PUT => self.index.insert(name.to_owned(), span),
            _ => self.index.remove(name),
        };
        self.live = (self.live + if kind == PUT { span.frame } else { 0 })
            .saturating_sub(old.map_or(0, |old| old.frame));
        Ok(())
    }

    fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(span) = self.index.get(name).copied() else { return Ok(None) };
        let mut value = vec![0; span.length];
        self.file.seek(SeekFrom::Start(span.start))?;
        self.file.read_exact(&mut value)?;
        Ok(Some(value))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The folder remembers the name of a new file only after a sync of its own.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    #[cfg(unix)]
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

fn len(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// One good frame at `at`: kind, name, where the value lies, and the end of the frame.
fn frame(bytes: &[u8], at: usize) -> Option<(u8, &str, Span, usize)> {
    let length = usize::try_from(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?)).ok()?;
    let body_end = at.checked_add(LENGTH)?.checked_add(length)?;
    let end = body_end.checked_add(CHECK)?;
    let (framed, check) = (bytes.get(at..body_end)?, bytes.get(body_end..end)?);
    if sha256(framed).get(..CHECK) != Some(check) {
        return None;
    }
    let (kind, rest) = framed.get(LENGTH..)?.split_first()?;
    let (name_length, rest) = rest.split_first_chunk::<2>()?;
    let (name, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*name_length)))?;
    let span = Span { start: len(body_end - value.len()), length: value.len(), frame: len(end - at) };
    Some((*kind, std::str::from_utf8(name).ok()?, span, end))
}

/// What counts, and the end of the last frame that does.
fn replay(bytes: &[u8]) -> (BTreeMap<String, Span>, u64) {
    let mut index = BTreeMap::new();
    let mut at = MAGIC.len();
    loop {
        match frame(bytes, at) {
            Some((PUT, name, span, end)) => {
                index.insert(name.to_owned(), span);
                at = end;
            }
            Some((_, name, _, end)) => {
                index.remove(name);
                at = end;
            }
            // Damage in the middle, if what follows is good; otherwise the end.
            None => match behind(bytes, at) {
                Some(next) if frame(bytes, next).is_some() => at = next,
                _ => return (index, len(at)),
            },
        }
    }
}

/// Where the frame after the bad one at `at` begins, if its length is what is still right about it.
fn behind(bytes: &[u8], at: usize) -> Option<usize> {
    let length = usize::try_from(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?)).ok()?;
    at.checked_add(LENGTH + CHECK)?.checked_add(length)
}

#[async_trait]
impl WalletStorage for WalletFile {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.state().read(name).map_err(failed)
    }

    async fn put(&self, name: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.write(PUT, name, &value).map_err(failed)
    }

    async fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.write(REMOVE, name, &[]).map_err(failed)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let state = self.state();
        let from = state.index.range(prefix.to_owned()..);
        Ok(from.map(|(name, _)| name.clone()).take_while(|name| name.starts_with(prefix)).collect())
    }
}
