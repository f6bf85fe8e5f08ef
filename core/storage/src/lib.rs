//! The store traits of carekey-core on sled, every acknowledged write synced to disk.
