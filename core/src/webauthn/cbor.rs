//! The part of CBOR (RFC 8949) that WebAuthn uses, read without copying.
//!
//! Strict: definite lengths, shortest forms and no tags or floating-point numbers, as the CTAP2 canonical encoding asks;
//! the order of map keys is not enforced, duplicate keys are refused where a map is read.

use crate::error::{Error, Result};

/// Nested arrays and maps that a skipped item may hold; WebAuthn needs 4 (CTAP2 canonical CBOR).
const MAX_DEPTH: u8 = 8;

fn malformed(detail: &'static str) -> Error {
    Error::malformed("cbor", detail)
}

/// Reads CBOR items from the front of a slice.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Demands that everything was read.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(malformed("trailing bytes after the last item")) }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or_else(|| malformed("the input ends early"))?;
        self.rest = tail;
        Ok(head)
    }

    /// The next item's major type, without reading it.
    pub(crate) fn peek_major(&self) -> Result<u8> {
        self.rest.first().map(|b| b >> 5).ok_or_else(|| malformed("the input ends early"))
    }

    /// Major type and argument of the next item.
    fn header(&mut self) -> Result<(u8, u64)> {
        let &[first] = self.take(1)? else { return Err(malformed("the input ends early")) };
        let (major, info) = (first >> 5, first & 0x1f);
        let size = match info {
            0..=23 => return Ok((major, u64::from(info))),
            24 => 1_usize,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(malformed("an indefinite or reserved length")),
        };
        let value = self.take(size)?.iter().fold(0_u64, |n, b| (n << 8) | u64::from(*b));
        let least = match size {
            1 => 24,
            2 => 1 << 8,
            4 => 1 << 16,
            _ => 1 << 32,
        };
        // Major type 7 carries simple values and floats there: not lengths.
        if major != 7 && value < least {
            return Err(malformed("an integer or length that is not in its shortest form"));
        }
        Ok((major, value))
    }

    fn length(&mut self, major: u8, expected: &'static str) -> Result<usize> {
        match self.header()? {
            (found, value) if found == major => {
                // No item is longer than what is left of the input: bounds loops before they start.
                usize::try_from(value)
                    .ok()
                    .filter(|n| *n <= self.rest.len())
                    .ok_or_else(|| malformed("a length beyond the end of the input"))
            }
            _ => Err(malformed(expected)),
        }
    }

    /// The number of pairs of a map.
    pub(crate) fn map(&mut self) -> Result<usize> {
        self.length(5, "a map was expected")
    }

    /// The number of elements of an array.
    pub(crate) fn array(&mut self) -> Result<usize> {
        self.length(4, "an array was expected")
    }

    /// A byte string.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.length(2, "a byte string was expected")?;
        self.take(n)
    }

    /// A text string.
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        let n = self.length(3, "a text string was expected")?;
        core::str::from_utf8(self.take(n)?).map_err(|_| malformed("a text string that is not UTF-8"))
    }

    /// An integer that fits 64 bits with sign.
    pub(crate) fn int(&mut self) -> Result<i64> {
        let (major, value) = self.header()?;
        let value = i64::try_from(value).map_err(|_| malformed("an integer beyond 64 bits"))?;
        match major {
            0 => Ok(value),
            1 => Ok(-1 - value),
            _ => Err(malformed("an integer was expected")),
        }
    }

    /// Passes over one well-formed item and returns its bytes.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8]> {
        let start = self.rest;
        self.pass(MAX_DEPTH)?;
        let used = start.len() - self.rest.len();
        start.get(..used).ok_or_else(|| malformed("the input ends early"))
    }

    fn pass(&mut self, depth: u8) -> Result<()> {
        let (major, value) = self.header()?;
        match major {
            0 | 1 => Ok(()),
            2 | 3 => {
                let n =
                    usize::try_from(value).map_err(|_| malformed("a length beyond the end of the input"))?;
                let content = self.take(n)?;
                if major == 3 && core::str::from_utf8(content).is_err() {
                    return Err(malformed("a text string that is not UTF-8"));
                }
                Ok(())
            }
            4 | 5 => {
                let depth = depth.checked_sub(1).ok_or_else(|| malformed("nested too deeply"))?;
                let items = value.saturating_mul(if major == 5 { 2 } else { 1 });
                for _ in 0..items {
                    self.pass(depth)?;
                }
                Ok(())
            }
            7 if (20..=23).contains(&value) => Ok(()), // false, true, null, undefined
            _ => Err(malformed("a tag, a floating-point number or an unknown simple value")),
        }
    }
}

/// Writes the same subset, shortest forms only.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    fn header(&mut self, major: u8, value: u64) -> &mut Self {
        let first = major << 5;
        let bytes = value.to_be_bytes();
        let [.., a, b, c, d] = bytes;
        match value {
            0..=23 => self.out.push(first | d),
            24..=0xff => self.out.extend([first | 24, d]),
            0x100..=0xffff => self.out.extend([first | 25, c, d]),
            0x1_0000..=0xffff_ffff => self.out.extend([first | 26, a, b, c, d]),
            _ => {
                self.out.push(first | 27);
                self.out.extend(bytes);
            }
        }
        self
    }

    fn sized(&mut self, major: u8, len: usize) -> &mut Self {
        self.header(major, u64::try_from(len).unwrap_or(u64::MAX))
    }

    pub(crate) fn map(&mut self, pairs: usize) -> &mut Self {
        self.sized(5, pairs)
    }

    pub(crate) fn array(&mut self, items: usize) -> &mut Self {
        self.sized(4, items)
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.sized(3, text.len()).out.extend(text.as_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.sized(2, bytes.len()).out.extend(bytes);
        self
    }

    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        match u64::try_from(value) {
            Ok(value) => self.header(0, value),
            Err(_) => self.header(1, value.unsigned_abs() - 1),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_reads() {
        let mut w = Writer::default();
        w.map(2).text("a").int(-257).text("b").array(3).bytes(&[7; 300]).int(23).int(70_000);
        let out = w.finish();
        let mut r = Reader::new(&out);
        assert_eq!(r.clone().skip().unwrap(), out);
        assert_eq!(r.map().unwrap(), 2);
        assert_eq!((r.text().unwrap(), r.int().unwrap(), r.text().unwrap()), ("a", -257, "b"));
        assert_eq!(r.array().unwrap(), 3);
        assert_eq!(r.bytes().unwrap(), [7; 300]);
        assert_eq!((r.int().unwrap(), r.int().unwrap()), (23, 70_000));
        r.finish().unwrap();
    }

    #[test]
    fn refuses() {
        let deep: Vec<u8> = [0x81].repeat(9).into_iter().chain([0]).collect();
        let bad: &[&[u8]] = &[
            &[],
            &[0x18, 0x17],          // 23 in two bytes
            &[0x19, 0, 0xff],       // 255 in three bytes
            &[0x5f, 0x41, 0, 0xff], // indefinite
            &[0x44, 1, 2],          // short
            &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0xbb, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x7b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0xa1, 0x01],       // key without value
            &[0xc0, 0x01],       // tag
            &[0xf9, 0x3c, 0x00], // float
            &[0xf8, 0x18],       // simple value
            &[0x61, 0xff],       // not UTF-8
            &deep,
        ];
        for bytes in bad {
            assert_eq!(Reader::new(bytes).skip().unwrap_err().code(), "cbor", "{bytes:02x?}");
        }
        assert!(Reader::new(&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255]).int().is_err());
        assert!(Reader::new(&[1, 2]).finish().is_err());
    }
}
