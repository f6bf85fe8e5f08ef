//! FIDO Metadata Service: reading the BLOB that describes models of authenticators (FIDO Metadata Service v3.1 §3.1,
//! FIDO Metadata Statement v3.1).
//!
//! The BLOB is a JWS whose certificates lead to roots that the caller names. Entries are read with tolerance: unknown
//! members and values never fail, an entry that cannot be read is counted and passed over. The real BLOB stands under
//! FIDO's own terms and is not part of this project; the operator downloads it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value};

use crate::attestation::level::{AssuranceLevel, KeyProtection, Modality};
use crate::clock::UnixTime;
use crate::encoding::{base64, json};
use crate::error::{Error, Result};
use crate::jose::jws::UnverifiedJws;
use crate::limits::Limits;
use crate::x509::{TrustAnchor, UnverifiedChain};

/// Limits for a BLOB: the real one has some megabytes, mostly icons.
pub const BLOB_LIMITS: Limits = Limits {
    token_bytes: 32 * 1024 * 1024,
    json_bytes: 24 * 1024 * 1024,
    json_depth: 24,
    json_nodes: 2_000_000,
    ..Limits::DEFAULT
};

const MAX_ROOTS_PER_ENTRY: usize = 64;
const SECONDS_PER_DAY: i64 = 86_400;

/// What the reader of a BLOB knows and demands.
#[derive(Debug, Clone, Copy)]
pub struct MetadataExpectation<'a> {
    /// The roots that may stand behind the BLOB.
    pub anchors: &'a [TrustAnchor],
    /// A DNS name that the signing certificate must carry (`mds.fidoalliance.org` for the real BLOB, whose root signs
    /// for others too); `None` where the roots are made for this purpose.
    pub signer_dns_name: Option<&'a str>,
    /// The time of the check.
    pub now: UnixTime,
    /// How long after `nextUpdate` the BLOB may still be used, seconds.
    pub grace: i64,
    /// The number of the BLOB that was used before; a smaller one is refused.
    pub previous_number: Option<u64>,
}

/// Metadata that its signer stands for.
#[derive(Debug, Clone)]
pub struct VerifiedMetadata {
    number: u64,
    next_update: UnixTime,
    usable_until: UnixTime,
    entries: HashMap<[u8; 16], MetadataEntry>,
    skipped: usize,
}

/// The namespace of [`MetadataBlob::verify`].
#[derive(Debug)]
pub struct MetadataBlob;

/// A status of a model that ends its acceptance (Metadata Service §3.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FatalStatus {
    /// `USER_VERIFICATION_BYPASS`.
    UserVerificationBypass,
    /// `ATTESTATION_KEY_COMPROMISE`.
    AttestationKeyCompromise,
    /// `USER_KEY_REMOTE_COMPROMISE`.
    UserKeyRemoteCompromise,
    /// `USER_KEY_PHYSICAL_COMPROMISE`.
    UserKeyPhysicalCompromise,
    /// `REVOKED`.
    Revoked,
}

impl FatalStatus {
    /// The name in the BLOB.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserVerificationBypass => "USER_VERIFICATION_BYPASS",
            Self::AttestationKeyCompromise => "ATTESTATION_KEY_COMPROMISE",
            Self::UserKeyRemoteCompromise => "USER_KEY_REMOTE_COMPROMISE",
            Self::UserKeyPhysicalCompromise => "USER_KEY_PHYSICAL_COMPROMISE",
            Self::Revoked => "REVOKED",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [
            Self::UserVerificationBypass,
            Self::AttestationKeyCompromise,
            Self::UserKeyRemoteCompromise,
            Self::UserKeyPhysicalCompromise,
            Self::Revoked,
        ]
        .into_iter()
        .find(|status| status.as_str() == name)
    }
}

/// A status report: its day, and whether it is fatal or names a known good state.
#[derive(Debug, Clone, Copy)]
struct StatusReport {
    /// Reports without a day count as the newest.
    day: i64,
    fatal: Option<FatalStatus>,
}

#[derive(Debug, Clone, Copy)]
struct BiometricReport {
    day: i64,
    modality: Option<Modality>,
    cert_level: u16,
}

/// One model, as far as grading needs it.
#[derive(Debug, Clone)]
pub struct MetadataEntry {
    /// The name of the model, for the issuer's audit record.
    pub description: String,
    /// The roots of its attestation certificates (a pinned leaf counts as its own root).
    pub roots: Vec<TrustAnchor>,
    /// `userVerificationDetails`: alternatives, each of methods that are all needed.
    user_verification: Vec<Vec<String>>,
    key_protection: Vec<String>,
    status: Vec<StatusReport>,
    biometric: Vec<BiometricReport>,
}

impl MetadataBlob {
    /// Verifies a BLOB (Metadata Service §3.2, "Metadata BLOB object processing rules") and reads its entries.
    ///
    /// Errors: those of the JWS parser; `metadata_x5c`; those of [`UnverifiedChain::verify`]; `metadata_signer`;
    /// `signature_invalid`; `metadata` (payload); `metadata_rollback` (smaller number); `metadata_stale` (past
    /// `nextUpdate` and grace).
    pub fn verify(blob: &str, expected: &MetadataExpectation<'_>) -> Result<VerifiedMetadata> {
        // Steps 3-5: certificates and signature.
        let jws = UnverifiedJws::parse(blob.trim_ascii(), &BLOB_LIMITS)?;
        let x5c = jws.header().x5c.as_deref();
        let x5c = x5c.ok_or_else(|| Error::malformed("metadata_x5c", "the BLOB carries no certificates"))?;
        let chain = UnverifiedChain::parse(x5c, &BLOB_LIMITS)?;
        chain.verify(expected.anchors, expected.now)?;
        let named = |name: &str| chain.leaf_san_dns().iter().any(|san| san.eq_ignore_ascii_case(name));
        if !expected.signer_dns_name.is_none_or(named) {
            return Err(Error::untrusted("metadata_signer", "the BLOB is signed under another name"));
        }
        let verified = jws.verify(&chain.leaf_public_key()?)?;
        let Value::Object(payload) = json::parse(verified.payload(), &BLOB_LIMITS)? else {
            return Err(malformed("the payload is not an object"));
        };
        // Step 6: number and date.
        let number = payload.get("no").and_then(Value::as_u64).ok_or_else(|| malformed("no is missing"))?;
        if expected.previous_number.is_some_and(|previous| number < previous) {
            return Err(Error::untrusted("metadata_rollback", "the BLOB is older than the one used before"));
        }
        let next_update = text(&payload, "nextUpdate")
            .and_then(parse_day)
            .map(|day| UnixTime::from_secs(day.saturating_mul(SECONDS_PER_DAY)))
            .ok_or_else(|| malformed("nextUpdate is not a date"))?;
        let limit = next_update.plus(expected.grace);
        if expected.now > limit {
            let detail = "the BLOB should have been renewed";
            return Err(Error::not_current("metadata_stale", detail, expected.now, limit));
        }
        let list = payload.get("entries").and_then(Value::as_array);
        let list = list.ok_or_else(|| malformed("entries are missing"))?;
        let mut entries = HashMap::with_capacity(list.len());
        let mut skipped = 0;
        for entry in list {
            match MetadataEntry::read(entry) {
                Some((aaguid, entry)) => match entries.entry(aaguid) {
                    Entry::Vacant(free) => drop(free.insert(entry)),
                    Entry::Occupied(mut first) => first.get_mut().merge(entry),
                },
                // U2F and UAF models have no AAGUID; anything else unreadable is passed over too.
                None => skipped += 1,
            }
        }
        Ok(VerifiedMetadata { number, next_update, usable_until: limit, entries, skipped })
    }
}

impl VerifiedMetadata {
    /// The serial number of the BLOB.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When the next BLOB is due.
    pub const fn next_update(&self) -> UnixTime {
        self.next_update
    }

    /// The last second at which it may lift a key above `uv`: `nextUpdate` and the grace that was given.
    pub const fn usable_until(&self) -> UnixTime {
        self.usable_until
    }

    /// How many models are described.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no model is described.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries that were passed over: not FIDO2, or not readable.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// The entry of a model.
    pub fn entry(&self, aaguid: &[u8; 16]) -> Option<&MetadataEntry> {
        self.entries.get(aaguid)
    }
}

impl MetadataEntry {
    fn read(value: &Value) -> Option<([u8; 16], Self)> {
        let entry = value.as_object()?;
        let statement = entry.get("metadataStatement")?.as_object()?;
        let aaguid = text(entry, "aaguid").or_else(|| text(statement, "aaguid")).and_then(parse_aaguid)?;
        let roots = list(statement, "attestationRootCertificates")
            .filter_map(Value::as_str)
            .take(MAX_ROOTS_PER_ENTRY)
            .filter_map(parse_certificate)
            .collect();
        let user_verification = list(statement, "userVerificationDetails")
            .map(|alternative| {
                let methods = alternative.as_array().into_iter().flatten();
                methods
                    .filter_map(|m| {
                        m.get("userVerificationMethod").and_then(Value::as_str).map(str::to_owned)
                    })
                    .collect()
            })
            .collect();
        let key_protection =
            list(statement, "keyProtection").filter_map(Value::as_str).map(str::to_owned).collect();
        let status = list(entry, "statusReports")
            .filter_map(Value::as_object)
            .filter_map(|report| {
                let name = text(report, "status")?;
                let fatal = FatalStatus::parse(name);
                // Values that nobody knows here say nothing, neither good nor bad.
                let known = fatal.is_some() || KNOWN_STATUS.iter().any(|known| name.starts_with(known));
                let day = text(report, "effectiveDate").and_then(parse_day).unwrap_or(i64::MAX);
                known.then_some(StatusReport { day, fatal })
            })
            .collect();
        let biometric = list(entry, "biometricStatusReports")
            .filter_map(Value::as_object)
            .filter_map(|report| {
                Some(BiometricReport {
                    day: text(report, "effectiveDate").and_then(parse_day).unwrap_or(i64::MIN),
                    modality: text(report, "modality").and_then(Modality::from_fido_method),
                    cert_level: u16::try_from(report.get("certLevel")?.as_u64()?).ok()?,
                })
            })
            .collect();
        let description = text(statement, "description").unwrap_or_default().to_owned();
        Some((aaguid, Self { description, roots, user_verification, key_protection, status, biometric }))
    }

    /// Two entries for one model: everything that either says holds, so that the grade is the lower one.
    fn merge(&mut self, other: Self) {
        self.roots.extend(other.roots);
        self.user_verification.extend(other.user_verification);
        self.key_protection.extend(other.key_protection);
        self.status.extend(other.status);
        self.biometric.extend(other.biometric);
    }

    /// The fatal status of the model: that of its newest report (or of one of the same day), or any revocation.
    pub fn fatal_status(&self) -> Option<FatalStatus> {
        let newest = self.status.iter().map(|report| report.day).max()?;
        self.status
            .iter()
            .filter(|report| report.day == newest || report.fatal == Some(FatalStatus::Revoked))
            .find_map(|report| report.fatal)
    }

    /// The level that the user verification methods allow: every alternative biometric, some, or none.
    pub(crate) fn level(&self) -> AssuranceLevel {
        let biometric =
            |methods: &Vec<String>| methods.iter().any(|m| Modality::from_fido_method(m).is_some());
        if self.user_verification.is_empty() || !self.user_verification.iter().any(biometric) {
            AssuranceLevel::Uv
        } else if self.user_verification.iter().all(biometric) {
            AssuranceLevel::BiometricAttested
        } else {
            AssuranceLevel::BiometricCapable
        }
    }

    /// The one trait that occurs in every alternative.
    pub(crate) fn modality(&self) -> Option<Modality> {
        let mut common: Option<Modality> = None;
        for methods in &self.user_verification {
            let mut of_alternative = methods.iter().filter_map(|m| Modality::from_fido_method(m));
            let first = of_alternative.next()?;
            // Several traits in one alternative, or different ones: which of them was read is not proven.
            if of_alternative.any(|m| m != first) || common.is_some_and(|m| m != first) {
                return None;
            }
            common = Some(first);
        }
        common
    }

    pub(crate) fn key_protection(&self) -> KeyProtection {
        let has = |kind: &str| self.key_protection.iter().any(|k| k == kind);
        if has("software")
            || has("remote_handle") && !(has("hardware") || has("secure_element") || has("tee"))
        {
            KeyProtection::Software
        } else if has("hardware") || has("secure_element") || has("tee") {
            KeyProtection::FidoHardware
        } else {
            KeyProtection::Unknown
        }
    }

    /// The newest certified level of the biometric component: of that modality where one is proven, else the lowest of
    /// all modalities that the model has, if each is certified.
    pub(crate) fn cert_level(&self, modality: Option<Modality>) -> Option<u16> {
        let newest = |modality: Modality| {
            let reports = self.biometric.iter().filter(|report| report.modality == Some(modality));
            reports.max_by_key(|report| report.day).map(|report| report.cert_level)
        };
        match modality {
            Some(modality) => newest(modality),
            None => {
                let methods = self.user_verification.iter().flatten();
                let levels: Option<Vec<u16>> =
                    methods.filter_map(|m| Modality::from_fido_method(m)).map(newest).collect();
                levels?.into_iter().min()
            }
        }
    }
}

/// How the status values that are not fatal begin (certification levels follow).
const KNOWN_STATUS: &[&str] = &[
    "FIDO_CERTIFIED",
    "FIPS140_CERTIFIED",
    "NOT_FIDO_CERTIFIED",
    "SELF_ASSERTION_SUBMITTED",
    "UPDATE_AVAILABLE",
];

fn malformed(detail: &'static str) -> Error {
    Error::malformed("metadata", detail)
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}

fn list<'a>(map: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> {
    map.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn parse_certificate(text: &str) -> Option<TrustAnchor> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    TrustAnchor::from_der(&base64::decode(&compact).ok()?).ok()
}

/// `8-4-4-4-12` hexadecimal digits.
fn parse_aaguid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    if !groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let digits = groups.concat();
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

/// Days from 1970-01-01 to a date `YYYY-MM-DD` of the Gregorian calendar (a time after it is ignored).
fn parse_day(text: &str) -> Option<i64> {
    let date = text.get(..10)?;
    if !date.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() }) {
        return None;
    }
    let number = |range: core::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March put the leap day last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_of_years = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(days_of_years + (153 * month + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_aaguids() {
        assert_eq!(parse_day("1970-01-01"), Some(0));
        assert_eq!(parse_day("2000-02-29"), Some(11_016));
        assert_eq!(parse_day("2026-11-22"), Some(20_779));
        assert_eq!(parse_day("2026-11-22T00:00:00Z"), Some(20_779));
        for bad in ["", "2026-1-1", "2026-13-01", "2026-00-01", "2026/01/01", "20x6-01-01", "2026-01-3é"] {
            assert_eq!(parse_day(bad), None, "{bad}");
        }
        assert_eq!(parse_aaguid("00000000-0000-0000-0000-0000000000ff").unwrap()[15], 0xff);
        for bad in ["", "00000000000000000000000000000000", "+0000000-0000-0000-0000-000000000000"] {
            assert_eq!(parse_aaguid(bad), None);
        }
    }

    fn entry(
        alternatives: &[&[&str]],
        protection: &[&str],
        reports: &[(&str, Option<&str>)],
    ) -> MetadataEntry {
        let details: Vec<Vec<Value>> = alternatives
            .iter()
            .map(|all| all.iter().map(|m| serde_json::json!({"userVerificationMethod": m})).collect())
            .collect();
        let status: Vec<Value> = reports
            .iter()
            .map(|(status, day)| serde_json::json!({"status": status, "effectiveDate": day}))
            .collect();
        let value = serde_json::json!({
            "aaguid": "00000000-0000-0000-0000-000000000001",
            "statusReports": status,
            "metadataStatement": {"userVerificationDetails": details, "keyProtection": protection},
        });
        MetadataEntry::read(&value).unwrap().1
    }

    #[test]
    fn levels_and_modalities() {
        use AssuranceLevel as L;
        type Case = (&'static [&'static [&'static str]], AssuranceLevel, Option<Modality>);
        let cases: &[Case] = &[
            (&[], L::Uv, None),
            (&[&["passcode_external"]], L::Uv, None),
            (&[&[]], L::Uv, None),
            (&[&["fingerprint_internal"]], L::BiometricAttested, Some(Modality::Fingerprint)),
            (&[&["fingerprint_internal"], &["passcode_internal"]], L::BiometricCapable, None),
            (&[&["fingerprint_internal"], &["none"]], L::BiometricCapable, None),
            (&[&["faceprint_internal", "passcode_internal"]], L::BiometricAttested, Some(Modality::Face)),
            (&[&["faceprint_internal"], &["fingerprint_internal"]], L::BiometricAttested, None),
            (&[&["faceprint_internal", "voiceprint_internal"]], L::BiometricAttested, None),
            (&[&["fingerprint_internal"], &["of_tomorrow"]], L::BiometricCapable, None),
        ];
        for (alternatives, level, modality) in cases {
            let entry = entry(alternatives, &[], &[]);
            assert_eq!(entry.level(), *level, "{alternatives:?}");
            if *level == L::BiometricAttested {
                assert_eq!(entry.modality(), *modality, "{alternatives:?}");
            }
        }
    }

    #[test]
    fn status_reports() {
        let fatal = |reports: &[(&str, Option<&str>)]| entry(&[], &[], reports).fatal_status();
        assert_eq!(fatal(&[]), None);
        assert_eq!(fatal(&[("FIDO_CERTIFIED_L1", Some("2024-01-01"))]), None);
        let bypass = Some(FatalStatus::UserVerificationBypass);
        assert_eq!(fatal(&[("USER_VERIFICATION_BYPASS", Some("2024-01-01"))]), bypass);
        // Repaired and certified anew.
        let healed =
            [("FIDO_CERTIFIED_L2", Some("2025-01-01")), ("USER_VERIFICATION_BYPASS", Some("2024-01-01"))];
        assert_eq!(fatal(&healed), None);
        // An unknown newer report heals nothing, nor does one of the same day.
        let unknown = [("USER_VERIFICATION_BYPASS", Some("2024-01-01")), ("OF_TOMORROW", Some("2025-01-01"))];
        assert_eq!(fatal(&unknown), bypass);
        let same = [("FIDO_CERTIFIED", Some("2024-01-01")), ("USER_VERIFICATION_BYPASS", Some("2024-01-01"))];
        assert_eq!(fatal(&same), bypass);
        assert_eq!(
            fatal(&[("USER_VERIFICATION_BYPASS", None), ("FIDO_CERTIFIED", Some("2030-01-01"))]),
            bypass
        );
        // A revocation is for ever.
        let revoked = [("REVOKED", Some("2020-01-01")), ("FIDO_CERTIFIED", Some("2024-01-01"))];
        assert_eq!(fatal(&revoked), Some(FatalStatus::Revoked));
    }

    #[test]
    fn key_protections() {
        let of = |kinds: &[&str]| entry(&[], kinds, &[]).key_protection();
        assert_eq!(of(&["hardware", "secure_element"]), KeyProtection::FidoHardware);
        assert_eq!(of(&["hardware", "remote_handle"]), KeyProtection::FidoHardware);
        assert_eq!(of(&["software"]), KeyProtection::Software);
        assert_eq!(of(&["of_tomorrow"]), KeyProtection::Unknown);
        assert_eq!(of(&[]), KeyProtection::Unknown);
    }
}
