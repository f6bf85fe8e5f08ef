//! JSON Canonicalization Scheme (RFC 8785): the one byte sequence of a JSON document, for hashing and signing.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};

/// The canonical form of `value`: members sorted by UTF-16 code units, numbers as ECMAScript prints them, no space.
///
/// An integer beyond 2^53 that is not its own canonical form is [`Error::Malformed`] `json_number_precision`: RFC 8785
/// would round it, and then two different documents would have one signature (RFC 7493 section 2.2 advises the same).
pub fn to_vec(value: &Value) -> Result<Vec<u8>> {
    to_string(value).map(String::into_bytes)
}

/// [`to_vec`] as text.
pub fn to_string(value: &Value) -> Result<String> {
    let mut out = String::with_capacity(256);
    write_value(&mut out, value)?;
    Ok(out)
}

/// [`to_vec`] of an object.
pub fn object_to_vec(members: &Map<String, Value>) -> Result<Vec<u8>> {
    let mut out = String::with_capacity(256);
    write_object(&mut out, members)?;
    Ok(out.into_bytes())
}

fn write_value(out: &mut String, value: &Value) -> Result<()> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number)?,
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, item)?;
            }
            out.push(']');
        }
        Value::Object(members) => write_object(out, members)?,
    }
    Ok(())
}

fn write_object(out: &mut String, members: &Map<String, Value>) -> Result<()> {
    let mut sorted: Vec<_> = members.iter().collect();
    // RFC 8785 section 3.2.3: by UTF-16 code units, which differs from UTF-8 order beyond the basic plane.
    sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    for (i, (name, value)) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        write_value(out, value)?;
    }
    out.push('}');
    Ok(())
}

/// RFC 8785 section 3.2.2.2.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c)); // writing to a String cannot fail
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Integers up to here are exact in a double: 2^53.
const MAX_EXACT: u64 = 1 << 53;

/// RFC 8785 section 3.2.2.3: `Number::toString` of ECMAScript.
fn write_number(out: &mut String, number: &Number) -> Result<()> {
    let inexact = || Error::malformed("json_number_precision", "a number has no exact double");
    let integer = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
    if integer.is_some_and(|integer| integer <= MAX_EXACT) {
        let _ = write!(out, "{number}"); // writing to a String cannot fail
        return Ok(());
    }
    let double = if integer.is_some() { number.to_string().parse().ok() } else { number.as_f64() };
    let start = out.len();
    write_double(out, double.filter(|double| double.is_finite()).ok_or_else(inexact)?);
    if integer.is_some() && out.get(start..) != Some(&number.to_string()) {
        return Err(inexact());
    }
    Ok(())
}

/// The shortest digits that read back as the same double, "-1.2345e-7"; of two equally near the even one (RFC 8785
/// section 3.2.2.3, note 2 of ECMA-262's `Number::toString`).
fn shortest(double: f64) -> String {
    let shortest = format!("{double:e}");
    let digits = shortest.split_once('e').map_or(0, |(m, _)| m.chars().filter(char::is_ascii_digit).count());
    // `{:e}` breaks a tie upwards, formatting with a precision to the even digit.
    let even = format!("{double:.*e}", digits.saturating_sub(1));
    if even.parse() == Ok(double) { even } else { shortest }
}

/// ECMA-262 `Number::toString`, radix 10: shortest digits, exponent form from 1e21 up and below 1e-6.
fn write_double(out: &mut String, double: f64) {
    if double == 0.0 {
        out.push('0'); // also -0
        return;
    }
    let scientific = shortest(double);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let point = exponent + 1; // the value is 0.digits × 10^point
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    out.push_str(sign);
    if count <= point && point <= 21 {
        out.push_str(&digits);
        out.push_str(&zeros(point - count));
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    } else if -6 < point && point <= 0 {
        out.push_str("0.");
        out.push_str(&zeros(-point));
        out.push_str(&digits);
    } else {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        let _ = write!(out, "e{}{}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::json;
    use crate::limits::Limits;

    /// RFC 8785 appendix B: IEEE 754 bits and their text.
    const NUMBERS: [(u64, &str); 24] = [
        (0x0000000000000000, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x8000000000000001, "-5e-324"),
        (0x7fefffffffffffff, "1.7976931348623157e+308"),
        (0xffefffffffffffff, "-1.7976931348623157e+308"),
        (0x4340000000000000, "9007199254740992"),
        (0xc340000000000000, "-9007199254740992"),
        (0x4430000000000000, "295147905179352830000"),
        (0x44b52d02c7e14af5, "9.999999999999997e+22"),
        (0x44b52d02c7e14af6, "1e+23"),
        (0x44b52d02c7e14af7, "1.0000000000000001e+23"),
        (0x444b1ae4d6e2ef4e, "999999999999999700000"),
        (0x444b1ae4d6e2ef4f, "999999999999999900000"),
        (0x444b1ae4d6e2ef50, "1e+21"),
        (0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"),
        (0x3eb0c6f7a0b5ed8d, "0.000001"),
        (0x41b3de4355555553, "333333333.3333332"),
        (0x41b3de4355555554, "333333333.33333325"),
        (0x41b3de4355555555, "333333333.3333333"),
        (0x41b3de4355555556, "333333333.3333334"),
        (0x41b3de4355555557, "333333333.33333343"),
        (0xbecbf647612f3696, "-0.0000033333333333333333"),
        (0x43143ff3c1cb0959, "1424953923781206.2"),
    ];

    #[test]
    fn numbers_of_the_rfc() {
        for (bits, text) in NUMBERS {
            let mut out = String::new();
            write_double(&mut out, f64::from_bits(bits));
            assert_eq!(out, text, "{bits:016x}");
        }
    }

    #[test]
    fn inexact_integers_are_refused() {
        assert_eq!(to_string(&serde_json::json!(9007199254740992u64)).unwrap(), "9007199254740992");
        for bad in [9007199254740993_i64, -9007199254740993, i64::MAX, i64::MIN] {
            assert_eq!(to_vec(&bad.into()).unwrap_err().code(), "json_number_precision");
        }
        // Canonical forms of large doubles look like integers, and stay what they are when read again.
        for good in
            ["100000000000000000", "-9223372036854776000", "18446744073709552000", "295147905179352830000"]
        {
            let value = json::parse(good.as_bytes(), &Limits::DEFAULT).unwrap();
            assert_eq!(to_string(&value).unwrap(), good);
        }
    }

    #[test]
    fn vectors() {
        let folder =
            std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/jcs/testdata"));
        if !folder.exists() {
            println!("skipped: {} absent", folder.display());
            return;
        }
        let mut count = 0;
        for file in std::fs::read_dir(folder.join("input")).unwrap() {
            let name = file.unwrap().file_name();
            let input = std::fs::read(folder.join("input").join(&name)).unwrap();
            let expected = std::fs::read(folder.join("output").join(&name)).unwrap();
            let canonical = to_vec(&json::parse(&input, &Limits::DEFAULT).unwrap()).unwrap();
            assert_eq!(canonical, expected, "{name:?}");
            let hex =
                std::fs::read_to_string(folder.join("outhex").join(&name).with_extension("txt")).unwrap();
            let hex: Vec<u8> = hex.split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
            assert_eq!(canonical, hex, "{name:?}");
            count += 1;
        }
        println!("{}: {} files read", folder.display(), 3 * count);
        assert_eq!(count, 6);
    }
}
