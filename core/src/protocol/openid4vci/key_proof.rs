//! Key proof of type `jwt` (OpenID4VCI 1.0 appendices F.1 and F.4), with CareKey's claim `ak_jkt` by which the holder
//! key vouches for a WebAuthn key.
//!
//! Not checked here: whether the nonce is the issuer's and unused, and the key attestation in the header (`core::issuer`).

use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::did::{Did, DidUrl, document::VerificationPurpose, resolver};
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::jose::{jws, jwt, jwt::UnverifiedJwt};
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::limits::Limits;

/// The `typ` of a key proof.
pub const TYP: &str = "openid4vci-proof+jwt";

/// Longest nonce that is looked at, in bytes.
const MAX_NONCE: usize = 512;

/// What the issuer expects of a key proof.
#[derive(Debug, Clone, Copy)]
pub struct KeyProofExpectation<'a> {
    /// Credential issuer identifier.
    pub audience: &'a str,
    /// The client that the access token was given to; `None` for a pre-authorized code without a client identifier.
    pub client_id: Option<&'a str>,
    /// Algorithms that the metadata announces.
    pub algorithms: &'a [SignatureAlgorithm],
    /// Oldest `iat`, in seconds before `now`.
    pub max_age: i64,
    /// How far ahead of `now` an `iat` may be, in seconds.
    pub skew: i64,
    /// The time of the check.
    pub now: UnixTime,
}

/// A key proof whose signature, type, audience and time hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedKeyProof {
    key: PublicKey,
    did: Option<Did>,
    nonce: String,
    ak_jkt: Option<String>,
    key_attestation: Option<String>,
}

impl VerifiedKeyProof {
    /// The key that signed: the credential is to be bound to it.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The DID of that key for credentials that name their holder by one: the DID in `kid`, otherwise its `did:jwk`.
    ///
    /// # Errors
    /// Those of [`jwk::encode`](crate::did::jwk::encode).
    pub fn did(&self) -> Result<Did> {
        match &self.did {
            Some(did) => Ok(did.clone()),
            None => crate::did::jwk::encode(&self.key),
        }
    }

    /// The nonce, not yet compared with anything.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Thumbprint of the WebAuthn key that the holder key vouches for.
    pub fn ak_jkt(&self) -> Option<&str> {
        self.ak_jkt.as_deref()
    }

    /// The key attestation in the header, unread.
    pub fn key_attestation(&self) -> Option<&str> {
        self.key_attestation.as_deref()
    }
}

/// Verifies one key proof, in the order of appendix F.4.
///
/// # Errors
/// `proof_parse` (not a JWT, private key in it, unknown critical header), `proof_typ`, `proof_alg`, `proof_key` (none or
/// several of `jwk`, `kid`, `x5c`; or one that cannot be used), `proof_signature`, `proof_claims`, `proof_aud`,
/// `proof_iss`, `proof_iat_stale`, `proof_iat_future`, `proof_nonce_missing`.
pub fn verify(compact: &str, expect: &KeyProofExpectation<'_>, limits: &Limits) -> Result<VerifiedKeyProof> {
    let jwt = UnverifiedJwt::parse(compact, limits).map_err(|error| match error.code() {
        "alg_none" | "alg_unsupported" => Error::untrusted("proof_alg", "alg is none or not announced"),
        _ => recode(error, "proof_parse", "the key proof is no well-formed signed JWT"),
    })?;
    let header = jwt.header();
    // Explicit type.
    if header.typ.as_deref() != Some(TYP) {
        return Err(Error::malformed("proof_typ", "typ is not openid4vci-proof+jwt"));
    }
    // Algorithm: asymmetric, announced. `none` and MACs have no `SignatureAlgorithm`.
    if !expect.algorithms.contains(&header.alg) {
        return Err(Error::untrusted("proof_alg", "alg is none or not announced"));
    }
    // Key, then signature.
    let key = proof_key(header)?;
    if key.algorithm() != header.alg {
        return Err(Error::malformed("proof_key", "the key does not fit the algorithm"));
    }
    let key_attestation = match header.others.get("key_attestation") {
        None => None,
        Some(Value::String(attestation)) => Some(attestation.clone()),
        Some(_) => return Err(Error::malformed("proof_parse", "key_attestation is no string")),
    };
    let did = header.kid.as_deref().and_then(|kid| DidUrl::parse(kid).ok()).map(|url| url.did().clone());
    let verified = jwt.verify(&key).map_err(|error| {
        recode(error, "proof_signature", "the signature does not match the key in the header")
    })?;
    let claims = verified.claims();
    // Claims.
    let text = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value.as_str())),
        Some(_) => Err(Error::malformed("proof_claims", format!("{name} is no string"))),
    };
    match text("aud")? {
        Some(audience) if audience == expect.audience => {}
        Some(_) => return Err(Error::untrusted("proof_aud", "aud is another issuer")),
        None => return Err(Error::malformed("proof_claims", "aud is missing")),
    }
    match (text("iss")?, expect.client_id) {
        (None, _) => {}
        (Some(iss), Some(client_id)) if iss == client_id => {}
        (Some(_), Some(_)) => {
            return Err(Error::untrusted("proof_iss", "iss is not the client of the access token"));
        }
        // Appendix F.1: it must be omitted.
        (Some(_), None) => {
            return Err(Error::malformed(
                "proof_iss",
                "iss without a client identifier in the token request",
            ));
        }
    }
    check_iat(claims, expect)?;
    let nonce = text("nonce")?.filter(|nonce| !nonce.is_empty() && nonce.len() <= MAX_NONCE);
    let nonce =
        nonce.ok_or_else(|| Error::malformed("proof_nonce_missing", "nonce is missing or too long"))?;
    let ak_jkt = text("ak_jkt")?.map(str::to_owned);
    Ok(VerifiedKeyProof { nonce: nonce.to_owned(), ak_jkt, key, did, key_attestation })
}

fn recode(error: Error, code: &'static str, what: &'static str) -> Error {
    let detail = format!("{what} ({})", error.code());
    match error {
        Error::Untrusted { .. } => Error::untrusted(code, detail),
        _ => Error::malformed(code, detail),
    }
}

fn check_iat(claims: &Map<String, Value>, expect: &KeyProofExpectation<'_>) -> Result<()> {
    let bad = |_| Error::malformed("proof_claims", "iat is missing or no number");
    let iat = jwt::required_time(claims, "iat").map_err(bad)?;
    let (oldest, newest) = (expect.now.plus(-expect.max_age), expect.now.plus(expect.skew));
    if iat < oldest {
        return Err(Error::not_current("proof_iat_stale", "the key proof is too old", expect.now, oldest));
    }
    if iat > newest {
        return Err(Error::not_current(
            "proof_iat_future",
            "the key proof is from the future",
            expect.now,
            newest,
        ));
    }
    Ok(())
}

/// Exactly one of `jwk`, `kid` (a did:jwk or did:key URL) and `x5c`; the latter is not taken.
fn proof_key(header: &jws::Header) -> Result<PublicKey> {
    let bad = |error: Error| recode(error, "proof_key", "the key in the header cannot be used");
    match (&header.jwk, &header.kid, &header.x5c) {
        (Some(jwk), None, None) => jwk.public_key().map_err(bad),
        (None, Some(kid), None) => {
            let url = DidUrl::parse(kid).map_err(bad)?;
            let document = resolver::resolve_offline(url.did()).map_err(bad)?;
            document.verification_key(&url, VerificationPurpose::Authentication).map_err(bad)
        }
        _ => Err(Error::malformed(
            "proof_key",
            "exactly one of jwk and kid (a did:jwk or did:key) must be there",
        )),
    }
}

/// What the wallet puts into a key proof.
#[derive(Debug, Clone, Copy)]
pub struct KeyProofInput<'a> {
    /// The holder key.
    pub key: &'a PublicKey,
    /// Credential issuer identifier.
    pub audience: &'a str,
    /// The nonce, if the issuer hands out nonces.
    pub nonce: Option<&'a str>,
    /// The client identifier, if the token request named it.
    pub client_id: Option<&'a str>,
    /// Thumbprint of the WebAuthn key to vouch for.
    pub ak_jkt: Option<&'a str>,
    /// A key attestation about the holder key.
    pub key_attestation: Option<&'a str>,
    /// The time.
    pub now: UnixTime,
}

/// The signing input of a key proof; sign it with the holder key and put both together with [`jws::assemble`].
///
/// # Errors
/// None in practice: the header always names its algorithm.
pub fn signing_input(input: &KeyProofInput<'_>) -> Result<String> {
    let mut header = Map::new();
    header.insert("alg".into(), input.key.algorithm().as_str().into());
    header.insert("typ".into(), TYP.into());
    header.insert("jwk".into(), Jwk::from_key(input.key).to_value());
    if let Some(attestation) = input.key_attestation {
        header.insert("key_attestation".into(), attestation.into());
    }
    let mut claims = Map::new();
    if let Some(client_id) = input.client_id {
        claims.insert("iss".into(), client_id.into());
    }
    claims.insert("aud".into(), input.audience.into());
    claims.insert("iat".into(), input.now.as_secs().into());
    if let Some(nonce) = input.nonce {
        claims.insert("nonce".into(), nonce.into());
    }
    if let Some(jkt) = input.ak_jkt {
        claims.insert("ak_jkt".into(), jkt.into());
    }
    jws::signing_input(&header, Value::Object(claims).to_string().as_bytes())
}
