//! The transaction data type `urn:carekey:biometric-step-up:1` (OpenID4VP 1.0 §8.4, B.3.3).

use serde::{Deserialize, Serialize};

use crate::attestation::level::AssuranceLevel;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// The value of `type`.
pub const STEP_UP_TYPE: &str = "urn:carekey:biometric-step-up:1";

/// Seconds that a verifier may allow between user verification and arrival.
pub const MAX_AGE_LIMIT: u32 = 3600;

const LIMITS: Limits = Limits { json_bytes: 8 * 1024, json_depth: 4, json_nodes: 64, ..Limits::DEFAULT };
const MAX_CREDENTIAL_IDS: usize = 16;
const MAX_PURPOSE_CHARS: usize = 300;
const MAX_LOCALE_BYTES: usize = 35;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum TypeName {
    #[serde(rename = "urn:carekey:biometric-step-up:1")]
    StepUp,
}

/// A verifier's demand for a fresh user verification, shown to the person in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepUpRequest {
    #[serde(rename = "type")]
    kind: TypeName,
    /// The DCQL credential queries that it is about, at least one.
    pub credential_ids: Vec<String>,
    /// The lowest level that is accepted.
    pub min_level: AssuranceLevel,
    /// Seconds that the user verification may be old, 1 to [`MAX_AGE_LIMIT`].
    pub max_age: u32,
    /// What it is for, in words for the person: 1 to 300 characters. Show it through [`visible`].
    pub purpose: String,
    /// Language of `purpose` (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Hash algorithms the wallet may choose from (B.3.3); must offer `sha-256` when present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_data_hashes_alg: Option<Vec<String>>,
}

fn invalid(detail: &'static str) -> Error {
    Error::malformed("invalid_transaction_data", detail)
}

impl StepUpRequest {
    /// A demand with these contents. Error: `invalid_transaction_data` outside the bounds of the members.
    pub fn new(
        credential_ids: Vec<String>,
        min_level: AssuranceLevel,
        max_age: u32,
        purpose: String,
        locale: Option<String>,
    ) -> Result<Self> {
        let request = Self {
            kind: TypeName::StepUp,
            credential_ids,
            min_level,
            max_age,
            purpose,
            locale,
            transaction_data_hashes_alg: None,
        };
        request.check()?;
        Ok(request)
    }

    /// Parses the decoded JSON of one `transaction_data` string: unknown members are refused, as §8.4 demands.
    ///
    /// Error: `invalid_transaction_data`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let request: Self = json::parse_as(bytes, &LIMITS).map_err(|_| {
            invalid("the transaction data is not of the type urn:carekey:biometric-step-up:1")
        })?;
        request.check()?;
        Ok(request)
    }

    /// The JSON that is base64url-encoded into `transaction_data`.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|_| Error::misuse("transaction_data", "the request does not serialize"))
    }

    fn check(&self) -> Result<()> {
        if self.credential_ids.is_empty() || self.credential_ids.len() > MAX_CREDENTIAL_IDS {
            return Err(invalid("credential_ids is empty or too long"));
        }
        if self.min_level == AssuranceLevel::None {
            return Err(invalid("min_level none asks for nothing"));
        }
        if self.max_age == 0 || self.max_age > MAX_AGE_LIMIT {
            return Err(invalid("max_age is not between 1 and 3600 seconds"));
        }
        if self.purpose.trim().is_empty() || self.purpose.chars().count() > MAX_PURPOSE_CHARS {
            return Err(invalid("purpose is empty or too long to be shown in full"));
        }
        let is_tag = |l: &String| {
            l.len() <= MAX_LOCALE_BYTES
                && l.split('-').all(|part| {
                    (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
                })
        };
        if !self.locale.as_ref().is_none_or(is_tag) {
            return Err(invalid("locale is not a language tag"));
        }
        if !self.transaction_data_hashes_alg.as_ref().is_none_or(|algs| algs.iter().any(|a| a == "sha-256")) {
            return Err(invalid("transaction_data_hashes_alg does not offer sha-256"));
        }
        Ok(())
    }
}

/// `text` with control, bidirectional, invisible and separator characters written out as `⟨U+202E⟩`, so that what a
/// person reads is what is there.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.push_str(&format!("⟨U+{:04X}⟩", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters without an own shape, or that reorder others (Unicode Cc, Cf, Zl, Zp and fillers).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"type":"urn:carekey:biometric-step-up:1","credential_ids":["patient"],
        "min_level":"biometric_attested","max_age":120,"purpose":"Release discharge letter","locale":"en-GB"}"#;

    #[test]
    fn parses_and_round_trips() {
        let request = StepUpRequest::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(request.min_level, AssuranceLevel::BiometricAttested);
        assert_eq!(StepUpRequest::parse(&request.to_json().unwrap()).unwrap(), request);
        let json = String::from_utf8(request.to_json().unwrap()).unwrap();
        assert!(json.starts_with(&format!(r#"{{"type":"{STEP_UP_TYPE}""#)));
    }

    #[test]
    fn refuses() {
        for (from, to) in [
            ("step-up:1", "step-up:2"),
            ("[\"patient\"]", "[]"),
            ("[\"patient\"]", "\"patient\""),
            ("biometric_attested", "none"),
            ("biometric_attested", "gold"),
            ("120", "0"),
            ("120", "3601"),
            ("120", "-1"),
            ("120", "1.5"),
            ("Release discharge letter", "  "),
            ("en-GB", "en GB"),
            ("en-GB", ""),
            ("\"locale\"", "\"extra\""),
            ("\"max_age\":120,", ""),
            ("\"max_age\":120", "\"max_age\":120,\"max_age\":120"),
            ("\"max_age\":120", "\"max_age\":120,\"transaction_data_hashes_alg\":[\"sha-512\"]"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD);
            let error = StepUpRequest::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "invalid_transaction_data", "{text}");
        }
        let long = GOOD.replace("Release", &"R".repeat(300));
        assert!(StepUpRequest::parse(long.as_bytes()).is_err());
    }

    #[test]
    fn hidden_characters_become_visible() {
        assert_eq!(visible("Größe 5 €, 漢字 👍"), "Größe 5 €, 漢字 👍");
        assert_eq!(visible("pay \u{202e}001\n"), "pay ⟨U+202E⟩001⟨U+000A⟩");
        assert_eq!(
            visible("a\u{200b}b\u{2066}\u{7f}\u{feff}\u{e0041}"),
            "a⟨U+200B⟩b⟨U+2066⟩⟨U+007F⟩⟨U+FEFF⟩⟨U+E0041⟩"
        );
    }
}
