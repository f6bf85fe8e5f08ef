//! Reading DER (X.690 section 10) without copying: what certificate extensions of phones need.
//!
//! Strict: definite lengths in their shortest form, low tag numbers in one byte, minimal integers, booleans of 0 or 255.
//! Nothing is read recursively: every level is opened by its caller, so depth is bounded by the code.

use crate::error::{Error, Result};

/// Universal tags that [`Reader`] opens.
const BOOLEAN: u32 = 1;
const INTEGER: u32 = 2;
const OCTET_STRING: u32 = 4;
const ENUMERATED: u32 = 10;
const SEQUENCE: u32 = 16;
const SET: u32 = 17;

/// The class of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Types of X.680.
    Universal,
    /// Numbered by the type that it stands in.
    Context,
    /// `APPLICATION` and `PRIVATE`.
    Other,
}

/// One element: tag and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// Class of the tag.
    pub class: Class,
    /// Number of the tag.
    pub number: u32,
    /// Whether the content is made of elements.
    pub constructed: bool,
    /// The content.
    pub content: &'a [u8],
}

/// Reads elements from the front of a slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("der", detail)
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Demands that nothing is left: [`Error::Malformed`] `der`.
    pub fn finish(&self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(malformed("an element too many")) }
    }

    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| malformed("the input ends early"))?;
        self.rest = rest;
        Ok(*first)
    }

    /// A tag number of more than one byte: base 128, at most four bytes, no leading zeros, not below 31.
    fn high_number(&mut self) -> Result<u32> {
        let mut number = 0_u32;
        for position in 0..4 {
            let byte = self.byte()?;
            if position == 0 && byte == 0x80 {
                break;
            }
            number = (number << 7) | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return if number < 31 { Err(malformed("a tag that is not minimal")) } else { Ok(number) };
            }
        }
        Err(malformed("a tag that is too long or not minimal"))
    }

    fn length(&mut self) -> Result<usize> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        let count = first & 0x7f;
        if count == 0 || count > 3 {
            return Err(malformed("an indefinite or too large length"));
        }
        let mut length = 0_usize;
        for _ in 0..count {
            length = (length << 8) | usize::from(self.byte()?);
        }
        let least = if count == 1 { 0x80 } else { 1_usize << (8 * (count - 1)) };
        if length < least { Err(malformed("a length that is not minimal")) } else { Ok(length) }
    }

    /// The next element, whatever it is.
    ///
    /// # Errors
    /// [`Error::Malformed`] `der`, as all methods.
    pub fn element(&mut self) -> Result<Element<'a>> {
        let first = self.byte()?;
        let class = match first >> 6 {
            0 => Class::Universal,
            2 => Class::Context,
            _ => Class::Other,
        };
        let number = match first & 0x1f {
            0x1f => self.high_number()?,
            low => u32::from(low),
        };
        let length = self.length()?;
        let split = self.rest.split_at_checked(length);
        let (content, rest) = split.ok_or_else(|| malformed("the input ends early"))?;
        self.rest = rest;
        Ok(Element { class, number, constructed: first & 0x20 != 0, content })
    }

    fn universal(&mut self, number: u32, constructed: bool, expected: &'static str) -> Result<&'a [u8]> {
        let element = self.element()?;
        let fits = element.class == Class::Universal
            && element.number == number
            && element.constructed == constructed;
        if fits { Ok(element.content) } else { Err(malformed(expected)) }
    }

    /// A `SEQUENCE`, opened.
    pub fn sequence(&mut self) -> Result<Reader<'a>> {
        Ok(Reader::new(self.universal(SEQUENCE, true, "a SEQUENCE was expected")?))
    }

    /// A `SET`, opened.
    pub fn set(&mut self) -> Result<Reader<'a>> {
        Ok(Reader::new(self.universal(SET, true, "a SET was expected")?))
    }

    /// An `OCTET STRING`.
    pub fn octets(&mut self) -> Result<&'a [u8]> {
        self.universal(OCTET_STRING, false, "an OCTET STRING was expected")
    }

    /// A `BOOLEAN`.
    pub fn boolean(&mut self) -> Result<bool> {
        match self.universal(BOOLEAN, false, "a BOOLEAN was expected")? {
            [0] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(malformed("a BOOLEAN that is neither 0 nor 255")),
        }
    }

    /// An `INTEGER` from 0 to 2^64 - 1.
    pub fn unsigned(&mut self) -> Result<u64> {
        number(self.universal(INTEGER, false, "an INTEGER was expected")?)
    }

    /// An `ENUMERATED`, not negative.
    pub fn enumerated(&mut self) -> Result<u64> {
        number(self.universal(ENUMERATED, false, "an ENUMERATED was expected")?)
    }

    /// The content of an explicit context tag, opened, with its number.
    pub fn tagged(&mut self) -> Result<(u32, Reader<'a>)> {
        let element = self.element()?;
        if element.class == Class::Context && element.constructed {
            Ok((element.number, Reader::new(element.content)))
        } else {
            Err(malformed("an explicit context tag was expected"))
        }
    }
}

fn number(content: &[u8]) -> Result<u64> {
    match content {
        [] => return Err(malformed("an empty INTEGER")),
        [first, ..] if *first >= 0x80 => return Err(malformed("a negative INTEGER")),
        [0, second, ..] if *second < 0x80 => return Err(malformed("an INTEGER that is not minimal")),
        _ => {}
    }
    let digits = content.strip_prefix(&[0]).unwrap_or(content);
    if digits.len() > 8 {
        return Err(malformed("an INTEGER beyond 64 bits"));
    }
    Ok(digits.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let bytes = [0x30, 0x0b, 0xbf, 0x85, 0x3e, 0x03, 0x02, 0x01, 0x00, 0x04, 0x02, 7, 8];
        let mut outer = Reader::new(&bytes);
        let mut inner = outer.sequence().unwrap();
        outer.finish().unwrap();
        let (number, mut content) = inner.tagged().unwrap();
        assert_eq!((number, content.unsigned().unwrap()), (702, 0));
        content.finish().unwrap();
        assert_eq!(inner.octets().unwrap(), [7, 8]);
        assert!(inner.is_empty() && inner.element().is_err());
        let long = [&[0x04, 0x81, 0x80][..], &[1; 128]].concat();
        assert_eq!(Reader::new(&long).octets().unwrap().len(), 128);
        assert_eq!(Reader::new(&[2, 9, 0, 0xff, 1, 2, 3, 4, 5, 6, 7]).unsigned().unwrap() >> 56, 0xff);
        assert!(Reader::new(&[1, 1, 0xff]).boolean().unwrap());
    }

    #[test]
    fn refuses_other_encodings() {
        let unsigned = |bytes: &[u8]| Reader::new(bytes).unsigned().map_err(|error| error.code());
        for bytes in [
            &[2, 0][..],                        // empty
            &[2, 1, 0x80],                      // negative
            &[2, 2, 0, 1],                      // not minimal
            &[2, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9], // too large
            &[2, 0x81, 1, 5],                   // length not minimal
            &[2, 0x82, 0, 1, 5],                // likewise
            &[2, 0x80, 5, 0, 0],                // indefinite
            &[2, 0x84, 0, 0, 0, 1, 5],          // length of four bytes
            &[0x22, 1, 5],                      // constructed
            &[2, 2, 5],                         // ends early
            &[],
        ] {
            assert_eq!(unsigned(bytes), Err("der"), "{bytes:x?}");
        }
        for bytes in
            [&[0xbf, 0x80, 0x3e, 0][..], &[0xbf, 0x1e, 0], &[0xbf, 0x81, 0x81, 0x81, 0x81, 1, 0], &[0x85, 0]]
        {
            assert!(Reader::new(bytes).tagged().is_err(), "{bytes:x?}");
        }
        assert!(Reader::new(&[1, 1, 1]).boolean().is_err());
    }
}
