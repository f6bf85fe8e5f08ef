//! The Key Binding JWT (RFC 9901 section 4.3), with transaction data as OpenID4VP 1.0 appendix B.3.3.1 profiles it.

use serde_json::{Map, Value};

use super::KEY_BINDING_TYP;
use super::disclosure::DigestAlgorithm;
use super::verify::{Timing, relabel};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::jose::jws::{self, Header};
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::key::{PublicKey, SignatureAlgorithm, Signer};
use crate::limits::Limits;

/// Claims that this module writes; extra claims may not repeat them.
const OWN_CLAIMS: [&str; 7] =
    ["aud", "nonce", "iat", "exp", "sd_hash", "transaction_data_hashes", "transaction_data_hashes_alg"];

/// Hashes of the transaction data that a holder approves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDataHashes {
    algorithm: DigestAlgorithm,
    hashes: Vec<String>,
}

impl TransactionDataHashes {
    /// Hashes `transaction_data`: the strings of the request, as they came.
    pub fn new<S: AsRef<str>>(transaction_data: &[S], algorithm: DigestAlgorithm) -> Self {
        Self {
            algorithm,
            hashes: transaction_data.iter().map(|text| algorithm.digest(text.as_ref())).collect(),
        }
    }

    /// The hashes, base64url, in the order of the request.
    pub fn hashes(&self) -> &[String] {
        &self.hashes
    }

    /// How they were made.
    pub const fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }
}

/// What a holder states about one presentation.
#[derive(Debug, Clone)]
pub struct KeyBindingInput<'a> {
    /// `aud`: the verifier.
    pub audience: &'a str,
    /// `nonce`: the verifier's.
    pub nonce: &'a str,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`, optional.
    pub expires_at: Option<UnixTime>,
    /// The transaction data that is approved, if any was sent.
    pub transaction_data: Option<&'a TransactionDataHashes>,
    /// Further claims.
    pub extra: Map<String, Value>,
}

/// A presentation that lacks only the signature of the holder's key: for keys that sign elsewhere, or later.
#[derive(Debug, Clone)]
pub struct KeyBindingDraft {
    sd_jwt: String,
    signing_input: String,
}

impl KeyBindingDraft {
    /// The draft for `sd_jwt` (ending in `~`), to be signed by a key of `key_algorithm`.
    ///
    /// [`Error::Misuse`] `kb_jwt_extra_claim` when an extra claim repeats one of the standard ones, or `sd_jwt` does not
    /// end in `~`.
    pub(in crate::format) fn new(
        sd_jwt: String,
        digest_algorithm: DigestAlgorithm,
        key_algorithm: SignatureAlgorithm,
        input: KeyBindingInput<'_>,
    ) -> Result<Self> {
        if input.extra.keys().any(|name| OWN_CLAIMS.contains(&name.as_str())) {
            return Err(Error::misuse("kb_jwt_extra_claim", "an extra claim repeats a standard one"));
        }
        let mut claims = Map::new();
        claims.insert("aud".into(), input.audience.into());
        claims.insert("nonce".into(), input.nonce.into());
        claims.insert("iat".into(), input.issued_at.as_secs().into());
        claims.extend(input.expires_at.map(|exp| ("exp".to_owned(), exp.as_secs().into())));
        claims.insert("sd_hash".into(), digest_algorithm.digest(&sd_jwt).into());
        if let Some(data) = input.transaction_data {
            claims.insert("transaction_data_hashes".into(), data.hashes.clone().into());
            claims.insert("transaction_data_hashes_alg".into(), data.algorithm.as_str().into());
        }
        claims.extend(input.extra);
        let mut header = Map::new();
        header.insert("alg".into(), key_algorithm.as_str().into());
        header.insert("typ".into(), KEY_BINDING_TYP.into());
        let signing_input = jws::signing_input(&header, Value::Object(claims).to_string().as_bytes())?;
        Ok(Self { sd_jwt, signing_input })
    }

    /// The bytes that the holder's key signs.
    pub fn signing_input(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    /// The SD-JWT+KB; `signature` as JOSE has it (r‖s, or 64 bytes of Ed25519).
    pub fn assemble(self, signature: &[u8]) -> String {
        let mut out = self.sd_jwt;
        out.push_str(&jws::assemble(self.signing_input, signature));
        out
    }

    /// [`Self::assemble`] with a key at hand; errors of the signer.
    pub fn sign(self, holder_key: &dyn Signer) -> Result<String> {
        let signature = holder_key.sign(self.signing_input())?;
        Ok(self.assemble(&signature))
    }
}

/// What a verifier expects of a Key Binding JWT.
#[derive(Debug, Clone)]
pub struct KeyBindingCheck<'a> {
    /// The verifier, as its request named it.
    pub audience: &'a str,
    /// The nonce of its request; that it is used once is the caller's to ensure.
    pub nonce: &'a str,
    /// Seconds that may have passed since `iat`.
    pub max_age: i64,
    /// The transaction data strings that were sent for this credential, in order; empty when none were.
    pub transaction_data: &'a [String],
    /// Digest algorithms that the request allowed for them; empty means SHA-256.
    pub transaction_data_algorithms: &'a [DigestAlgorithm],
}

/// A Key Binding JWT that was read but not verified.
#[derive(Debug, Clone)]
pub struct UnverifiedKeyBinding {
    jwt: UnverifiedJwt,
}

impl UnverifiedKeyBinding {
    /// Reads the last part of an SD-JWT+KB; [`Error::Malformed`] `kb_jwt_typ`, or of [`UnverifiedJwt::parse`].
    pub(super) fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        let jwt = UnverifiedJwt::parse(compact, limits)?;
        match jwt.header().has_typ(KEY_BINDING_TYP) {
            true => Ok(Self { jwt }),
            false => Err(Error::malformed("kb_jwt_typ", "typ of the Key Binding JWT is not kb+jwt")),
        }
    }

    /// The header, as claimed.
    pub fn header(&self) -> &Header {
        self.jwt.header()
    }

    /// The claims, as claimed.
    pub fn claims(&self) -> &Map<String, Value> {
        self.jwt.claims()
    }

    /// Verifies it (RFC 9901 section 7.3 step 5), by the key in `cnf` and for an SD-JWT with this `sd_hash`.
    ///
    /// [`Error::Untrusted`] `kb_jwt_signature_invalid`, `alg_mismatch`, `kb_jwt_nonce`, `kb_jwt_audience`,
    /// `kb_jwt_sd_hash`, `kb_jwt_transaction_data`; [`Error::NotCurrent`] `kb_jwt_stale`, `kb_jwt_in_future`,
    /// `kb_jwt_expired`, `kb_jwt_not_yet_valid`; [`Error::Malformed`] `kb_jwt_claims`, `jwt_claim`,
    /// `jwt_claim_missing`; [`Error::Unsupported`] `sd_alg_unknown`.
    pub(in crate::format) fn verify(
        self,
        holder_key: &PublicKey,
        sd_hash: &str,
        timing: Timing,
        check: &KeyBindingCheck<'_>,
    ) -> Result<VerifiedKeyBinding> {
        // 5.2, 5.3 Signature; 5.4 the type was checked when it was read.
        self.jwt.check(holder_key).map_err(|error| relabel(error, "kb_jwt_signature_invalid"))?;
        let claims = self.jwt.claims();
        // 5.5 Made a short time ago.
        let issued_at = jwt::required_time(claims, "iat")?;
        let expires_at = jwt::time(claims, "exp")?;
        check_times(issued_at, expires_at, jwt::time(claims, "nbf")?, timing, check.max_age)?;
        // 5.6 For this transaction, for this verifier.
        if jwt::required_text(claims, "nonce")? != check.nonce {
            return Err(Error::untrusted(
                "kb_jwt_nonce",
                "the Key Binding JWT answers another request (nonce)",
            ));
        }
        if jwt::required_text(claims, "aud")? != check.audience {
            return Err(Error::untrusted(
                "kb_jwt_audience",
                "the Key Binding JWT was made for another verifier (aud)",
            ));
        }
        // 5.7 Over exactly this SD-JWT.
        if jwt::required_text(claims, "sd_hash")? != sd_hash {
            return Err(Error::untrusted(
                "kb_jwt_sd_hash",
                "the Key Binding JWT was made for other disclosures (sd_hash)",
            ));
        }
        let transaction_data = check_transaction_data(claims, check)?;
        Ok(VerifiedKeyBinding { jwt: self.jwt, issued_at, expires_at, transaction_data })
    }
}

pub(in crate::format) fn check_times(
    issued_at: UnixTime,
    expires_at: Option<UnixTime>,
    not_before: Option<UnixTime>,
    timing: Timing,
    max_age: i64,
) -> Result<()> {
    let Timing { now, skew } = timing;
    if now < issued_at.plus(-skew) {
        let detail = "the Key Binding JWT claims to be made in the future";
        return Err(Error::not_current("kb_jwt_in_future", detail, now, issued_at));
    }
    let oldest = issued_at.plus(max_age.saturating_add(skew));
    if now > oldest {
        return Err(Error::not_current("kb_jwt_stale", "the Key Binding JWT is too old", now, oldest));
    }
    if let Some(limit) = expires_at.filter(|limit| now >= limit.plus(skew)) {
        return Err(Error::not_current("kb_jwt_expired", "the Key Binding JWT has expired", now, limit));
    }
    match not_before.filter(|limit| now < limit.plus(-skew)) {
        Some(limit) => Err(Error::not_current(
            "kb_jwt_not_yet_valid",
            "the Key Binding JWT is not valid yet",
            now,
            limit,
        )),
        None => Ok(()),
    }
}

/// The hashes must be those of the strings that this verifier itself sent.
pub(in crate::format) fn check_transaction_data(
    claims: &Map<String, Value>,
    check: &KeyBindingCheck<'_>,
) -> Result<Option<TransactionDataHashes>> {
    let refused = |detail| Err(Error::untrusted("kb_jwt_transaction_data", detail));
    let Some(hashes) = claims.get("transaction_data_hashes") else {
        return match check.transaction_data.is_empty() {
            true => Ok(None),
            false => refused("the transaction data was not approved: its hashes are missing"),
        };
    };
    let algorithm = match jwt::text(claims, "transaction_data_hashes_alg")? {
        None => DigestAlgorithm::Sha256,
        Some(name) => DigestAlgorithm::parse(name)?,
    };
    let allowed = match check.transaction_data_algorithms {
        [] => &[DigestAlgorithm::Sha256],
        allowed => allowed,
    };
    if !allowed.contains(&algorithm) {
        return refused("the transaction data was hashed in a way that was not offered");
    }
    let Value::Array(hashes) = hashes else {
        return Err(Error::malformed("kb_jwt_claims", "transaction_data_hashes is not a list"));
    };
    let expected = TransactionDataHashes::new(check.transaction_data, algorithm);
    match hashes.iter().map(Value::as_str).eq(expected.hashes.iter().map(|hash| Some(hash.as_str()))) {
        true => Ok(Some(expected)),
        false => refused("other transaction data was approved than was sent"),
    }
}

/// A Key Binding JWT that the holder's key signed for this verifier, request and SD-JWT.
#[derive(Debug, Clone)]
pub struct VerifiedKeyBinding {
    jwt: UnverifiedJwt,
    issued_at: UnixTime,
    expires_at: Option<UnixTime>,
    transaction_data: Option<TransactionDataHashes>,
}

impl VerifiedKeyBinding {
    /// `iat`.
    pub const fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// `exp`.
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// The hashes of the transaction data that was sent and approved.
    pub const fn transaction_data(&self) -> Option<&TransactionDataHashes> {
        self.transaction_data.as_ref()
    }

    /// All claims, further ones included.
    pub fn claims(&self) -> &Map<String, Value> {
        self.jwt.claims()
    }
}
