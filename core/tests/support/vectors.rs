//! Published test vectors: where they are, and which of their files a test read.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use carekey_core::encoding::json;
use carekey_core::limits::Limits;
use serde_json::Value;

/// The files of one folder, and which of them were read.
pub(crate) struct Vectors {
    folder: PathBuf,
    read: RefCell<BTreeSet<PathBuf>>,
}

impl Vectors {
    pub(crate) fn new(name: &str) -> Option<Self> {
        #[allow(clippy::disallowed_methods)] // where the vectors are, as the test command says
        let root = std::env::var("CAREKEY_VECTORS").map_or_else(
            |_| Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")).to_owned(),
            PathBuf::from,
        );
        let folder = root.join(name);
        if !folder.exists() {
            println!("skipped: {} absent", folder.display());
            return None;
        }
        Some(Self { folder, read: RefCell::default() })
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.read.borrow_mut().insert(name.into());
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_else(|_| panic!("{name}"))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        json::parse(self.text(name).as_bytes(), &Limits::DEFAULT).unwrap()
    }

    /// Prints how many files were read, and asserts that none was left out but those below `others`.
    pub(crate) fn count(&self, expected: usize, others: &[&str]) {
        let read = self.read.borrow();
        println!("{}: {} files read", self.folder.display(), read.len());
        assert_eq!(read.len(), expected);
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let relative = path.strip_prefix(&self.folder).unwrap();
                if path.is_dir() {
                    folders.push(path);
                } else if !read.contains(relative) {
                    assert!(
                        others.iter().any(|other| relative.starts_with(other)),
                        "{} unread",
                        path.display()
                    );
                }
            }
        }
    }
}
