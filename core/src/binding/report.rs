//! Results for people: one line per check.

use std::borrow::Cow;

use serde::Serialize;

use crate::error::Result;

/// One check and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name of the check.
    pub id: &'static str,
    /// Whether it passed.
    pub passed: bool,
    /// What was checked, or why it failed, in words. Never a claim value.
    pub detail: Cow<'static, str>,
    /// The stable code of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

/// The checks in the order in which they ran; the last one may have failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Notes how a check went and passes its result on. `words` says what holds when it passed.
    pub fn record<T>(&mut self, id: &'static str, words: &'static str, result: Result<T>) -> Result<T> {
        let (detail, code) = match &result {
            Ok(_) => (Cow::Borrowed(words), None),
            Err(error) => (Cow::Owned(error.detail().to_owned()), Some(error.code())),
        };
        self.checks.push(Check { id, passed: code.is_none(), detail, code });
        result
    }

    /// Whether no check failed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn records_both_ways() {
        let mut report = Report::default();
        report.record("a", "a holds", Ok(())).unwrap();
        assert!(report.passed());
        report.record::<()>("b", "b holds", Err(Error::refused("no_b", "b is missing"))).unwrap_err();
        assert!(!report.passed());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["checks"][1]["code"], "no_b");
        assert_eq!(json["checks"][0]["detail"], "a holds");
    }
}
