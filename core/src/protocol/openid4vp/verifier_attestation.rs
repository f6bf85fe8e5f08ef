//! Verifier attestations (OpenID4VP 1.0 section 12): somebody whom wallets trust says who a verifier is and which key is
//! its own.

use serde_json::Value;

use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::key::PublicKey;
use crate::limits::Limits;
use crate::trust::VerifierTrust;

/// `typ` of an attestation.
pub const TYP: &str = "verifier-attestation+jwt";
/// Clock difference that is forgiven, in seconds.
const SKEW: i64 = 60;

/// An attestation whose signature nobody checked.
#[derive(Debug, Clone)]
pub struct VerifierAttestation {
    jwt: UnverifiedJwt,
    attested: AttestedVerifier,
}

/// What an attestation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestedVerifier {
    /// `sub`: the client identifier without its prefix.
    pub subject: String,
    /// `cnf.jwk`: the key that signs the verifier's requests.
    pub key: PublicKey,
    /// `redirect_uris`: the only addresses to which answers may go; `None`: any.
    pub redirect_uris: Option<Vec<String>>,
}

impl VerifierAttestation {
    /// Reads an attestation; unknown claims are ignored.
    ///
    /// [`Error::Malformed`] `verifier_attestation`, and the errors of [`UnverifiedJwt::parse`] and of the key.
    pub fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        let jwt = UnverifiedJwt::parse(compact, limits)?;
        jwt.header().require_typ(TYP)?;
        let claims = jwt.claims();
        jwt::required_text(claims, "iss")?;
        jwt::required_time(claims, "exp")?;
        let jwk = claims.get("cnf").and_then(|cnf| cnf.get("jwk")).ok_or_else(malformed)?;
        let attested = AttestedVerifier {
            subject: jwt::required_text(claims, "sub")?.to_owned(),
            key: Jwk::from_value(jwk)?.public_key()?,
            redirect_uris: claims.get("redirect_uris").map(texts).transpose()?,
        };
        Ok(Self { jwt, attested })
    }

    /// `iss`, as claimed.
    pub fn issuer(&self) -> &str {
        self.jwt.claims().get("iss").and_then(Value::as_str).unwrap_or_default()
    }

    /// What it says, unverified: for the verifier that it is about.
    pub fn claimed(&self) -> &AttestedVerifier {
        &self.attested
    }

    /// What it says, if its issuer is one of the wallet's attesters and it is current.
    ///
    /// [`Error::Untrusted`] `verifier_unknown` and the errors of the signature, of `exp`, `nbf` and `iat`.
    pub fn verify(&self, trust: &VerifierTrust, now: UnixTime) -> Result<AttestedVerifier> {
        let issuer = jwt::required_text(self.jwt.claims(), "iss")?;
        let unknown =
            || Error::untrusted("verifier_unknown", "the wallet does not know who attests this verifier");
        let attester = trust.attester(issuer).ok_or_else(unknown)?;
        let key = attester.keys.find(self.jwt.header().kid.as_deref()).ok_or_else(unknown)?;
        self.jwt.check(&key.public_key()?)?;
        jwt::check_times(self.jwt.claims(), now, SKEW)?;
        Ok(self.attested.clone())
    }
}

fn texts(value: &Value) -> Result<Vec<String>> {
    let list = value.as_array().ok_or_else(malformed)?;
    list.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(malformed)).collect()
}

fn malformed() -> Error {
    Error::malformed(
        "verifier_attestation",
        "a claim of the verifier attestation is missing or of the wrong type",
    )
}
