//! One page of the index: rows of a type, as bytes.
//!
//! Each row: length of the id (2 bytes), id, name of the body (16), generation (8), length of the summary (4), summary.
//! Numbers are big-endian.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// The name of a body or page: random.
pub(super) type Name = [u8; 16];

/// Where a record is, and what a list shows of it.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) name: Name,
    pub(super) generation: u64,
    pub(super) summary: Secret<Vec<u8>>,
}

/// Rows by id.
pub(super) type Rows = BTreeMap<String, Row>;

pub(super) fn to_bytes(rows: &Rows) -> Result<Secret<Vec<u8>>> {
    let too_long = |_| Error::misuse("vault_seal", "an id or summary is too long");
    let size = rows.iter().map(|(id, row)| 30 + id.len() + row.summary.expose().len()).sum();
    let mut out = Secret::new(Vec::with_capacity(size));
    let bytes = out.expose_mut();
    for (id, row) in rows {
        bytes.extend_from_slice(&u16::try_from(id.len()).map_err(too_long)?.to_be_bytes());
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(&row.name);
        bytes.extend_from_slice(&row.generation.to_be_bytes());
        let summary = row.summary.expose();
        bytes.extend_from_slice(&u32::try_from(summary.len()).map_err(too_long)?.to_be_bytes());
        bytes.extend_from_slice(summary);
    }
    Ok(out)
}

/// `None` when it is not a page.
pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Rows> {
    let mut rows = Rows::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_be_bytes(chunk(&mut bytes)?));
        let id = take(&mut bytes, length)?;
        let name = chunk(&mut bytes)?;
        let generation = u64::from_be_bytes(chunk(&mut bytes)?);
        let length = usize::try_from(u32::from_be_bytes(chunk(&mut bytes)?)).ok()?;
        let summary = Secret::new(take(&mut bytes, length)?.to_vec());
        rows.insert(std::str::from_utf8(id).ok()?.to_owned(), Row { name, generation, summary });
    }
    Some(rows)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

fn chunk<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_comes_back_and_no_part_of_it_is_another() {
        let row = |byte: u8| Row {
            name: [byte; 16],
            generation: u64::from(byte) << 40,
            summary: Secret::new(vec![byte; usize::from(byte)]),
        };
        let rows: Rows = [("", 0), ("a", 7), ("Zoë", 200)].map(|(id, n)| (id.to_owned(), row(n))).into();
        let bytes = to_bytes(&rows).unwrap();
        let read = from_bytes(bytes.expose()).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(read["Zoë"].summary.expose(), rows["Zoë"].summary.expose());
        assert_eq!(read["a"].generation, 7 << 40);
        let whole = (1..bytes.expose().len()).filter(|end| from_bytes(&bytes.expose()[..*end]).is_some());
        assert_eq!(whole.count(), 2, "only at the ends of rows");
        let long: Rows = [("x".repeat(70_000), row(1))].into();
        assert_eq!(to_bytes(&long).unwrap_err().code(), "vault_seal");
    }
}
