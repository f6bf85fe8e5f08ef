//! What several fuzz targets share: fixed keys and one issued credential.
#![allow(clippy::unwrap_used)] // a fuzz target that cannot set itself up must stop

use std::sync::OnceLock;

use carekey_core::UnixTime;
use carekey_core::credential::claims::ClaimPath;
use carekey_core::credential::issuer_key::IssuerKey;
use carekey_core::credential::validity::Validity;
use carekey_core::encoding::base64;
use carekey_core::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use carekey_core::format::sd_jwt_vc::issue::{DisclosureFrame, IssueInput, IssuerKeyHeader, issue};
use carekey_core::format::sd_jwt_vc::verify::Timing;
use carekey_core::jose::jws;
use carekey_core::key::{Signer as _, SoftwareKey};
use carekey_core::random::Random;
use serde_json::json;

/// 2026-11-22T12:00:00Z
pub const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);

/// The clock that every check sees.
pub const TIMING: Timing = Timing { now: NOW, skew: 60 };

/// The issuer of [`credential`].
pub const ISS: &str = "https://hospital.example";

struct Counter(std::sync::atomic::AtomicU8);

impl Random for Counter {
    fn fill(&self, out: &mut [u8]) {
        for byte in out {
            *byte = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// The key whose scalar is this byte 32 times.
pub fn key(byte: u8) -> SoftwareKey {
    SoftwareKey::from_p256_scalar(&[byte; 32]).unwrap()
}

/// A certificate of `key(1)` by itself, valid at [`LATER`].
pub const OPERATOR: &[u8] = include_bytes!("operator.der");

/// 2027-11-22T12:00:00Z
pub const LATER: UnixTime = NOW.plus(31_536_000);

/// What the fuzzer wrote, as the payload of a JWS that `key(1)` signed under [`OPERATOR`]: the parsers behind the signature
/// are what is fuzzed.
pub fn signed_by_operator(typ: &str, payload: &[u8]) -> String {
    let x5c = [base64::encode(OPERATOR)];
    let header = json!({ "typ": typ, "x5c": x5c, "kid": "1" }).as_object().unwrap().clone();
    jws::sign(header, payload, &key(1)).unwrap()
}

/// The issuer's key.
pub fn issuer_key() -> &'static IssuerKey {
    static KEY: OnceLock<IssuerKey> = OnceLock::new();
    KEY.get_or_init(|| IssuerKey::pinned(key(1).public_key().clone(), ISS))
}

/// A credential bound to a holder key, with nested disclosures; ends in `~`.
pub fn credential() -> &'static str {
    static CREDENTIAL: OnceLock<String> = OnceLock::new();
    CREDENTIAL.get_or_init(|| {
        let claims =
            json!({ "given_name": "Zoë", "address": { "country": "SE" }, "identifiers": [{ "value": "1" }] });
        let paths = [
            ClaimPath::member("given_name"),
            ClaimPath::member("address"),
            ClaimPath::member("address").then("country"),
        ];
        let holder = key(2);
        let input = IssueInput {
            vct: "https://hospital.example/vct/patient-identity",
            iss: Some(ISS),
            validity: Validity { issued_at: Some(NOW), not_before: None, expires_at: Some(NOW.plus(3600)) },
            holder_key: Some(holder.public_key()),
            status: None,
            vct_integrity: None,
            aka_vcts: &[],
            claims: claims.as_object().unwrap().clone(),
            frame: &DisclosureFrame::of(&paths),
            key_header: IssuerKeyHeader::Kid("#key".to_owned()),
            digest_algorithm: DigestAlgorithm::Sha256,
        };
        issue(input, &key(1), &Counter(std::sync::atomic::AtomicU8::new(0))).unwrap()
    })
}
