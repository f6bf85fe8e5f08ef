//! JSON values as RDF literals (JSON-LD 1.1 API section 8.2).

use std::sync::{Arc, OnceLock};

use serde_json::{Number, Value};

use super::table::Direction;
use crate::encoding::canonical_json;
use crate::error::{Error, Result};
use crate::format::data_integrity::rdf::{Literal, RDF_LANG_STRING, XSD_STRING};

const XSD_BOOLEAN: &str = "http://www.w3.org/2001/XMLSchema#boolean";
const XSD_INTEGER: &str = "http://www.w3.org/2001/XMLSchema#integer";
const XSD_DOUBLE: &str = "http://www.w3.org/2001/XMLSchema#double";
const RDF_JSON: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON";
const I18N: &str = "https://www.w3.org/ns/i18n#";

/// Shared names of the datatypes that most literals have.
fn shared(iri: &'static str) -> Arc<str> {
    static STRING: OnceLock<Arc<str>> = OnceLock::new();
    static LANGUAGE: OnceLock<Arc<str>> = OnceLock::new();
    match iri {
        XSD_STRING => Arc::clone(STRING.get_or_init(|| XSD_STRING.into())),
        RDF_LANG_STRING => Arc::clone(LANGUAGE.get_or_init(|| RDF_LANG_STRING.into())),
        other => other.into(),
    }
}

/// The literal of `@json`: its JCS form.
pub(super) fn json(value: &Value) -> Result<Literal> {
    Ok(Literal {
        value: canonical_json::to_string(value)?.into(),
        datatype: shared(RDF_JSON),
        language: None,
    })
}

/// A string with language and direction.
pub(super) fn text(value: &str, language: Option<&Arc<str>>, direction: Option<Direction>) -> Literal {
    let (datatype, language) = match (direction, language) {
        (Some(direction), language) => {
            let language = language.map_or("", |language| language);
            (format!("{I18N}{language}_{}", direction.as_str()).into(), None)
        }
        (None, Some(language)) => (shared(RDF_LANG_STRING), Some(Arc::clone(language))),
        (None, None) => (shared(XSD_STRING), None),
    };
    Literal { value: value.into(), datatype, language }
}

/// A scalar with an optional datatype; `None` for null, arrays and objects.
pub(super) fn typed(value: &Value, datatype: Option<&Arc<str>>) -> Result<Option<Literal>> {
    let (value, native): (Arc<str>, &'static str) = match value {
        Value::Bool(true) => ("true".into(), XSD_BOOLEAN),
        Value::Bool(false) => ("false".into(), XSD_BOOLEAN),
        Value::String(text) => (text.as_str().into(), XSD_STRING),
        Value::Number(number) => {
            let (text, native) = self::number(number, datatype.is_some_and(|iri| &**iri == XSD_DOUBLE))?;
            (text.into(), native)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => return Ok(None),
    };
    let datatype = datatype.map_or_else(|| shared(native), Arc::clone);
    Ok(Some(Literal { value, datatype, language: None }))
}

/// Integers up to here are exact in a double: 2^53. Beyond, processors differ.
const MAX_EXACT: u64 = 1 << 53;

fn number(number: &Number, as_double: bool) -> Result<(String, &'static str)> {
    let inexact = || Error::malformed("json_number_precision", "a number has no exact double");
    let integer = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
    if integer.is_some_and(|integer| integer > MAX_EXACT) {
        return Err(inexact());
    }
    if integer.is_some() && !as_double {
        return Ok((number.to_string(), XSD_INTEGER));
    }
    let double = number.as_f64().ok_or_else(inexact)?;
    if !as_double && double.fract() == 0.0 && double.abs() < 1e21 {
        let text = format!("{double:.0}");
        return Ok((if text == "-0" { "0".to_owned() } else { text }, XSD_INTEGER));
    }
    Ok((canonical_double(double), XSD_DOUBLE))
}

/// `xsd:double` with 16 significant digits, as ECMAScript's `toExponential(15)` rounds them: `1.5E0`.
fn canonical_double(double: f64) -> String {
    let rounded = format!("{double:.15e}");
    // Rust rounds an exact tie to the even digit, ECMAScript to the larger number.
    let exact = format!("{:.60e}", double.abs());
    let tie = exact.get(17..).and_then(|rest| rest.split_once('e')).is_some_and(|(digits, _)| {
        digits.strip_prefix('5').is_some_and(|rest| rest.bytes().all(|digit| digit == b'0'))
    });
    let rounded = if tie { round_up(double) } else { rounded };
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let digits = mantissa.trim_end_matches('0');
    let zero = if digits.ends_with('.') { "0" } else { "" };
    format!("{digits}{zero}E{exponent}")
}

/// The 16 significant digits above a tie: those of a value slightly larger.
fn round_up(double: f64) -> String {
    let next = f64::from_bits(double.to_bits() + 1);
    let up = format!("{next:.15e}");
    // The neighbour is half a unit of the 16th digit away at most, so that it rounds to the digit above the tie.
    up
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers() {
        for (value, text, datatype) in [
            (json!(0), "0", XSD_INTEGER),
            (json!(-0.0), "0", XSD_INTEGER),
            (json!(-7), "-7", XSD_INTEGER),
            (json!(5.0), "5", XSD_INTEGER),
            (json!(1e20), "100000000000000000000", XSD_INTEGER),
            (json!(1e21), "1.0E21", XSD_DOUBLE),
            (json!(1.5), "1.5E0", XSD_DOUBLE),
            (json!(-0.1), "-1.0E-1", XSD_DOUBLE),
            (json!(5.3e-5), "5.3E-5", XSD_DOUBLE),
            (json!(1.1e-300), "1.1E-300", XSD_DOUBLE),
            // Ties: 2^50 + 0.5 and 2^50 + 1.5, as Node prints them with toExponential(15).
            (json!(1125899906842624.5), "1.125899906842625E15", XSD_DOUBLE),
            (json!(1125899906842625.5), "1.125899906842626E15", XSD_DOUBLE),
        ] {
            let literal = typed(&value, None).unwrap().unwrap();
            assert_eq!((&*literal.value, &*literal.datatype), (text, datatype), "{value}");
        }
        let double: Arc<str> = XSD_DOUBLE.into();
        assert_eq!(&*typed(&json!(5), Some(&double)).unwrap().unwrap().value, "5.0E0");
        let error = typed(&json!(9007199254740993_i64), None).unwrap_err();
        assert_eq!(error.code(), "json_number_precision");
    }

    #[test]
    fn directions() {
        let en: Arc<str> = "en".into();
        let literal = text("x", Some(&en), Some(Direction::Rtl));
        assert_eq!((&*literal.datatype, literal.language), ("https://www.w3.org/ns/i18n#en_rtl", None));
        assert_eq!(&*text("x", None, Some(Direction::Ltr)).datatype, "https://www.w3.org/ns/i18n#_ltr");
    }
}
