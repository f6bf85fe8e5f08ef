//! Request parameters in `application/x-www-form-urlencoded` (RFC 6749 appendix B), read strictly.

use crate::error::{Error, Result};
use crate::limits::Limits;

/// Longest value of one parameter, in bytes.
const MAX_PARAMETER: usize = 16 * 1024;

/// The pairs of a form. RFC 6749 section 3.2 forbids repeated parameters.
pub struct Form(Vec<(String, String)>);

impl std::fmt::Debug for Form {
    /// Without values: they are codes and tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// Reads a body or a query.
    ///
    /// # Errors
    /// `token_form`: not UTF-8, too long as a whole or in one parameter.
    pub fn parse(body: &[u8], limits: &Limits) -> Result<Self> {
        let bad = |detail: &'static str| Error::malformed("token_form", detail);
        if body.len() > limits.json_bytes {
            return Err(bad("the form is too long"));
        }
        let text = std::str::from_utf8(body).map_err(|_| bad("the form is not UTF-8"))?;
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(body).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        // The decoder replaces what is not UTF-8; nothing legitimate here contains the replacement character.
        let replaced = |s: &str| s.contains(char::REPLACEMENT_CHARACTER);
        if replaced(text) || pairs.iter().any(|(n, v)| replaced(n) || replaced(v)) {
            return Err(bad("a parameter is not UTF-8"));
        }
        if pairs.iter().any(|(n, v)| n.len() > MAX_PARAMETER || v.len() > MAX_PARAMETER) {
            return Err(bad("a parameter is too long"));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter that may be there once; an empty one counts as absent (RFC 6749 section 3.1).
    ///
    /// # Errors
    /// `token_form`: it is repeated.
    pub fn one(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let first = values.next();
        match values.next() {
            None => Ok(first.filter(|value| !value.is_empty())),
            Some(_) => Err(Error::malformed("token_form", "a parameter is repeated")),
        }
    }

    /// The value of a parameter that must be there once.
    ///
    /// # Errors
    /// `token_form`: it is missing, empty or repeated.
    pub fn required(&self, name: &'static str) -> Result<&str> {
        self.one(name)?.ok_or_else(|| Error::malformed("token_form", format!("{name} is missing")))
    }
}
