//! Wallet attestations: OAuth 2.0 Attestation-Based Client Authentication
//! (draft-ietf-oauth-attestation-based-client-auth-07) as OpenID4VCI 1.0 Appendix E and HAIP 1.0 use it.
//!
//! The wallet provider signs a client attestation about an instance of the wallet and its key; the instance proves
//! possession of that key to each authorization server.

use serde_json::{Map, Value, json};

use super::wallet_provider::{self, ProviderBasis, WalletProvider};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::jose::jws;
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::key::{PublicKey, SignatureAlgorithm, Signer};
use crate::limits::Limits;

/// `typ` of the client attestation.
pub const ATTESTATION_TYP: &str = "oauth-client-attestation+jwt";
/// `typ` of the proof of possession.
pub const POP_TYP: &str = "oauth-client-attestation-pop+jwt";
/// HTTP header of the client attestation.
pub const ATTESTATION_HEADER: &str = "OAuth-Client-Attestation";
/// HTTP header of the proof of possession.
pub const POP_HEADER: &str = "OAuth-Client-Attestation-PoP";
/// The client authentication method's name in server metadata.
pub const METHOD: &str = "attest_jwt_client_auth";

const MAX_JTI: usize = 256;

/// What a wallet provider states about an instance.
#[derive(Debug, Clone, Copy)]
pub struct WalletAttestation<'a> {
    /// `iss`: the provider.
    pub issuer: &'a str,
    /// `sub`: the client identifier of the wallet.
    pub client_id: &'a str,
    /// `cnf`: the instance's key.
    pub key: &'a PublicKey,
    /// `wallet_name`, for people.
    pub wallet_name: Option<&'a str>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `status`, as in credentials.
    pub status: Option<&'a Value>,
}

/// Signs a client attestation; `header` names the provider's key: `x5c` (as HAIP demands) or `kid`.
///
/// # Errors
/// Those of [`Signer::sign`].
pub fn sign(
    attestation: &WalletAttestation<'_>,
    header: Map<String, Value>,
    signer: &dyn Signer,
) -> Result<String> {
    let mut claims = Map::new();
    claims.insert("iss".into(), attestation.issuer.into());
    claims.insert("sub".into(), attestation.client_id.into());
    claims.insert("iat".into(), attestation.issued_at.as_secs().into());
    claims.insert("exp".into(), attestation.expires_at.as_secs().into());
    claims.insert("cnf".into(), json!({ "jwk": Jwk::from_key(attestation.key).to_value() }));
    claims.extend(attestation.wallet_name.map(|name| ("wallet_name".to_owned(), Value::from(name))));
    claims.extend(attestation.status.map(|status| ("status".to_owned(), status.clone())));
    jwt::sign(ATTESTATION_TYP, header, &claims, signer)
}

/// What an instance proves to one authorization server.
#[derive(Debug, Clone, Copy)]
pub struct PossessionProof<'a> {
    /// `iss`: the client identifier.
    pub client_id: &'a str,
    /// `aud`: the authorization server's issuer identifier.
    pub audience: &'a str,
    /// `jti`: fresh and random.
    pub jti: &'a str,
    /// `challenge`, where the server has given one.
    pub challenge: Option<&'a str>,
    /// `iat`.
    pub now: UnixTime,
}

/// Signs a proof of possession with the instance's key.
///
/// # Errors
/// Those of [`Signer::sign`].
pub fn sign_pop(proof: &PossessionProof<'_>, signer: &dyn Signer) -> Result<String> {
    jwt::sign(POP_TYP, Map::new(), &pop_claims(proof), signer)
}

/// The signing input of a proof of possession for a key store that signs elsewhere, with ES256; put together with
/// [`jws::assemble`].
///
/// # Errors
/// None in practice: the header always names its algorithm.
pub fn pop_signing_input(proof: &PossessionProof<'_>) -> Result<String> {
    let mut header = Map::new();
    header.insert("alg".into(), SignatureAlgorithm::Es256.as_str().into());
    header.insert("typ".into(), POP_TYP.into());
    jws::signing_input(&header, Value::Object(pop_claims(proof)).to_string().as_bytes())
}

fn pop_claims(proof: &PossessionProof<'_>) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".into(), proof.client_id.into());
    claims.insert("aud".into(), proof.audience.into());
    claims.insert("jti".into(), proof.jti.into());
    claims.insert("iat".into(), proof.now.as_secs().into());
    claims.extend(proof.challenge.map(|challenge| ("challenge".to_owned(), Value::from(challenge))));
    claims
}

/// What the authorization server knows and demands.
#[derive(Debug, Clone, Copy)]
pub struct WalletAttestationExpectation<'a> {
    /// The providers whose word counts.
    pub providers: &'a [WalletProvider],
    /// The algorithms that are taken, of both JWTs.
    pub algorithms: &'a [SignatureAlgorithm],
    /// The server's issuer identifier.
    pub audience: &'a str,
    /// `client_id` of the request, where it has one.
    pub client_id: Option<&'a str>,
    /// Oldest proof of possession, seconds.
    pub max_age: i64,
    /// How far clocks may differ, seconds.
    pub skew: i64,
    /// The time of the check.
    pub now: UnixTime,
}

/// A wallet that its provider vouches for. Challenge and `jti` are for the caller, who takes each once; likewise the
/// status.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VerifiedWallet {
    /// The client identifier.
    pub client_id: String,
    /// The instance's key.
    pub key: PublicKey,
    /// The provider's name, as the operator or the trusted list calls it.
    pub provider: String,
    /// The anchor that the verdict rests on.
    pub basis: ProviderBasis,
    /// `wallet_name`.
    pub wallet_name: Option<String>,
    /// `exp` of the client attestation.
    pub expires_at: UnixTime,
    /// `status`, unread.
    pub status: Option<Value>,
    /// `jti` of the proof.
    pub jti: String,
    /// `iat` of the proof.
    pub proved_at: UnixTime,
    /// `challenge` of the proof.
    pub challenge: Option<String>,
}

/// Verifies a client attestation with its proof of possession (the values of both HTTP headers).
///
/// # Errors
/// Those of the JWT parser; `jws_typ`, `wallet_attestation_algorithm`, `wallet_provider_unknown`, `signature_invalid`,
/// those of certificate chains, `token_expired`, `token_not_yet_valid`, `jwt_claim`, `jwt_claim_missing`,
/// `wallet_attestation` (form), `wallet_attestation_client`, `wallet_pop_signature`, `wallet_pop_audience`,
/// `wallet_pop_stale`, `wallet_pop_future`.
pub fn verify(
    attestation: &str,
    pop: &str,
    expected: &WalletAttestationExpectation<'_>,
    limits: &Limits,
) -> Result<VerifiedWallet> {
    // The provider's word.
    let jwt = parse(attestation, ATTESTATION_TYP, expected, limits)?;
    let (verified, provider, basis) =
        wallet_provider::verify(&jwt, expected.providers, expected.now, limits)?;
    let claims = verified.claims();
    jwt::check_times(claims, expected.now, expected.skew)?;
    let expires_at = jwt::required_time(claims, "exp")?;
    let client_id = jwt::required_text(claims, "sub")?;
    let cnf = claims.get("cnf").and_then(|cnf| cnf.get("jwk"));
    let cnf = cnf.ok_or_else(|| Error::malformed("wallet_attestation", "cnf holds no jwk"))?;
    let key = Jwk::from_value(cnf)?.public_key()?;
    if expected.client_id.is_some_and(|expected| expected != client_id) {
        return Err(Error::untrusted("wallet_attestation_client", "the attestation is about another client"));
    }
    // The instance's proof.
    let proof = parse(pop, POP_TYP, expected, limits)?.verify(&key).map_err(|_| {
        Error::untrusted(
            "wallet_pop_signature",
            "the proof is not made by the attested instance of the wallet",
        )
    })?;
    let proof = proof.claims();
    // Later drafts drop `iss`; where it stands it names the client.
    if jwt::text(proof, "iss")?.is_some_and(|issuer| issuer != client_id) {
        return Err(Error::untrusted("wallet_attestation_client", "the proof is by another client"));
    }
    if !names(proof.get("aud"), expected.audience) {
        return Err(Error::untrusted("wallet_pop_audience", "the proof is for another server"));
    }
    jwt::check_times(proof, expected.now, expected.skew)?;
    let proved_at = jwt::required_time(proof, "iat")?;
    let (oldest, newest) = (expected.now.plus(-expected.max_age), expected.now.plus(expected.skew));
    if proved_at < oldest {
        return Err(Error::not_current("wallet_pop_stale", "the proof is too old", expected.now, oldest));
    }
    if proved_at > newest {
        let detail = "the proof is from the future";
        return Err(Error::not_current("wallet_pop_future", detail, expected.now, newest));
    }
    let jti = jwt::required_text(proof, "jti")?;
    if jti.is_empty() || jti.len() > MAX_JTI {
        return Err(Error::malformed("wallet_attestation", "jti is empty or too long"));
    }
    Ok(VerifiedWallet {
        client_id: client_id.to_owned(),
        key,
        provider: provider.to_owned(),
        basis,
        wallet_name: jwt::text(claims, "wallet_name")?.map(str::to_owned),
        expires_at,
        status: claims.get("status").cloned(),
        jti: jti.to_owned(),
        proved_at,
        challenge: jwt::text(proof, "challenge")?.map(str::to_owned),
    })
}

fn parse(
    compact: &str,
    typ: &str,
    expected: &WalletAttestationExpectation<'_>,
    limits: &Limits,
) -> Result<UnverifiedJwt> {
    let jwt = UnverifiedJwt::parse(compact, limits)?;
    jwt.header().require_typ(typ)?;
    if expected.algorithms.contains(&jwt.header().alg) {
        Ok(jwt)
    } else {
        let detail = "the wallet attestation is signed with an algorithm that is not taken";
        Err(Error::unsupported("wallet_attestation_algorithm", detail))
    }
}

/// `aud` is the server, or an array with nothing but the server.
fn names(audience: Option<&Value>, server: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == server,
        Some(Value::Array(all)) => matches!(all.as_slice(), [Value::String(one)] if one == server),
        _ => false,
    }
}
