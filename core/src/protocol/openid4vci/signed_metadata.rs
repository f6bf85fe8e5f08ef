//! Signed credential issuer metadata (OpenID4VCI 1.0 section 12.2.3), by certificate (HAIP 1.0 section 4.1).

use serde_json::{Map, Value};

use super::metadata::CredentialIssuerMetadata;
use crate::clock::UnixTime;
use crate::credential::issuer_key::IssuerKey;
use crate::error::{Error, Result};
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::key::Signer;
use crate::limits::Limits;
use crate::x509::{TrustAnchor, UnverifiedChain};

/// `typ` of the JWT.
pub const TYP: &str = "openidvci-issuer-metadata+jwt";
/// Media type of signed metadata.
pub const MEDIA_TYPE: &str = "application/jwt";

/// Seconds that clocks may differ.
const SKEW: i64 = 60;

/// Signs metadata; `header` names the key: `x5c`, without the trust anchor.
///
/// # Errors
/// `metadata_not_json` (never in practice), those of [`Signer::sign`].
pub fn sign(
    metadata: &CredentialIssuerMetadata,
    issued_at: UnixTime,
    expires_at: UnixTime,
    header: Map<String, Value>,
    signer: &dyn Signer,
) -> Result<String> {
    let Ok(Value::Object(mut claims)) = serde_json::to_value(metadata) else {
        return Err(Error::misuse("metadata_not_json", "the metadata cannot be written as JSON"));
    };
    claims.insert("sub".into(), metadata.credential_issuer.as_str().into());
    claims.insert("iss".into(), metadata.credential_issuer.as_str().into());
    claims.insert("iat".into(), issued_at.as_secs().into());
    claims.insert("exp".into(), expires_at.as_secs().into());
    jwt::sign(TYP, header, &claims, signer)
}

/// Metadata by a signer who is trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedMetadata {
    /// The metadata.
    pub metadata: CredentialIssuerMetadata,
    /// Subject of the anchor that the signer's certificate leads to.
    pub anchor: String,
}

/// Verifies metadata that was fetched for `identifier`: signed under a certificate that leads to one of `anchors` and
/// names the issuer by host or address.
///
/// # Errors
/// Those of the JWT parser; `jws_typ`; `metadata_signer` (no `x5c`); those of certificate chains and of
/// [`IssuerKey::from_certificate_chain`]; `signature_invalid`; `token_expired`, `token_not_yet_valid`;
/// `metadata_issuer_mismatch`; those of [`CredentialIssuerMetadata::parse`].
pub fn verify(
    compact: &[u8],
    identifier: &str,
    anchors: &[TrustAnchor],
    now: UnixTime,
    limits: &Limits,
) -> Result<VerifiedMetadata> {
    let text = std::str::from_utf8(compact).map_err(|_| bad("the signed metadata is no text"))?;
    let jwt = UnverifiedJwt::parse(text.trim(), limits)?;
    jwt.header().require_typ(TYP)?;
    let x5c = jwt.header().x5c.as_ref().ok_or_else(|| bad("the signed metadata names no certificate"))?;
    let chain = UnverifiedChain::parse(x5c, limits)?.verify(anchors, now)?;
    // The leaf must be the issuer's, not just anybody's under the same anchor.
    IssuerKey::from_certificate_chain(&chain, Some(identifier))?;
    let verified = jwt.verify(chain.leaf_key())?;
    let claims = verified.claims();
    jwt::check_times(claims, now, SKEW)?;
    if jwt::required_time(claims, "iat")? > now.plus(SKEW) {
        let detail = "the metadata is from the future";
        return Err(Error::not_current("token_not_yet_valid", detail, now, now.plus(SKEW)));
    }
    if jwt::required_text(claims, "sub")? != identifier {
        return Err(Error::untrusted("metadata_issuer_mismatch", "sub is another issuer"));
    }
    let document = Value::Object(claims.clone()).to_string();
    let metadata = CredentialIssuerMetadata::parse(document.as_bytes(), identifier, limits)?;
    Ok(VerifiedMetadata { metadata, anchor: chain.anchor_subject().to_owned() })
}

fn bad(detail: &'static str) -> Error {
    Error::untrusted("metadata_signer", detail)
}
