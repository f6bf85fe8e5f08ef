//! How records lie in sled's one tree (format version 1):
//!
//! | key | value |
//! | --- | --- |
//! | `00 "format"` | the format version |
//! | `00 "sequence"` | the version of the last write, 8 bytes |
//! | `01 table 00 key` | a record: version (8 bytes), expiry (8 bytes; all ones: none), value |
//! | `02 expiry table 00 key` | nothing; finds expired records in order of time |
//!
//! Numbers are big-endian; an expiry is stored with its sign bit flipped, so that bytes sort as times do.

use carekey_core::store::{Record, Table};
use carekey_core::{Error, Result, UnixTime};

pub(super) const FORMAT: &str = "carekey-store 1";
pub(super) const FORMAT_KEY: &[u8] = b"\0format";
pub(super) const SEQUENCE_KEY: &[u8] = b"\0sequence";
const DATA: u8 = 1;
const EXPIRY: u8 = 2;
const NEVER: u64 = u64::MAX;

pub(super) fn data_key(table: Table, key: &[u8]) -> Vec<u8> {
    [&[DATA], table.name().as_bytes(), &[0], key].concat()
}

/// The key in the expiry index that belongs to a data key.
pub(super) fn expiry_key(data_key: &[u8], expires_at: UnixTime) -> Vec<u8> {
    let place = data_key.get(1..).unwrap_or_default();
    [&[EXPIRY], sortable(expires_at).to_be_bytes().as_slice(), place].concat()
}

/// Everything that has expired at `now`, as a range of the expiry index.
pub(super) fn expired(now: UnixTime) -> std::ops::Range<Vec<u8>> {
    let end = sortable(now.plus(1)).to_be_bytes();
    vec![EXPIRY]..[&[EXPIRY], end.as_slice()].concat()
}

/// The data key that an entry of the expiry index points to.
pub(super) fn data_key_of(expiry_key: &[u8]) -> Option<Vec<u8>> {
    Some([&[DATA], expiry_key.get(9..)?].concat())
}

fn sortable(time: UnixTime) -> u64 {
    time.as_secs().cast_unsigned() ^ (1 << 63)
}

pub(super) fn encode(version: u64, expires_at: Option<UnixTime>, value: &[u8]) -> Vec<u8> {
    let expiry = expires_at.map_or(NEVER, sortable);
    [version.to_be_bytes().as_slice(), expiry.to_be_bytes().as_slice(), value].concat()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Record> {
    let (version, rest) = split_u64(bytes)?;
    let (expiry, value) = split_u64(rest)?;
    let expires_at = (expiry != NEVER).then(|| UnixTime::from_secs((expiry ^ (1 << 63)).cast_signed()));
    Ok(Record { version, value: value.to_vec(), expires_at })
}

fn split_u64(bytes: &[u8]) -> Result<(u64, &[u8])> {
    let (number, rest) = bytes
        .split_first_chunk()
        .ok_or_else(|| Error::unavailable("store_corrupt", "a record of the store is cut short"))?;
    Ok((u64::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for expires_at in [None, Some(i64::MIN), Some(-1), Some(0), Some(1), Some(i64::MAX - 1)] {
            let expires_at = expires_at.map(UnixTime::from_secs);
            let record = decode(&encode(7, expires_at, b"v")).unwrap();
            assert_eq!(record, Record { version: 7, value: b"v".to_vec(), expires_at });
        }
        assert_eq!(decode(&[0; 15]).unwrap_err().code(), "store_corrupt");
    }

    #[test]
    fn expiry_sorts_and_points_back() {
        let data = data_key(Table::new("t"), b"k");
        let at = |secs| expiry_key(&data, UnixTime::from_secs(secs));
        assert!(at(-5) < at(0) && at(0) < at(1) && at(1) < at(1 << 40));
        assert_eq!(data_key_of(&at(3)), Some(data.clone()));
        let range = expired(UnixTime::from_secs(3));
        assert!(range.contains(&at(3)) && range.contains(&at(-9)) && !range.contains(&at(4)));
    }
}
