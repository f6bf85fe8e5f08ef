//! What a wallet checks before it keeps a credential: signed by the issuer's key, bound to this wallet's keys, of the
//! type that was offered.

use serde_json::Value;

use super::{IssuanceContext, exchange};
use crate::binding::claim::WebauthnBinding;
use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::credential::issuer_key::{IssuerKey, IssuerKeyReference};
use crate::error::{Error, Result};
use crate::format::any::UnverifiedCredential;
use crate::format::sd_jwt_vc::jwt_vc_issuer::{IssuerKeys, JwtVcIssuerMetadata, parse_jwk_set};
use crate::format::sd_jwt_vc::verify::Timing;
use crate::jose::jwk::{Jwk, JwkSet};
use crate::limits::Limits;
use crate::protocol::openid4vci::metadata::{issuer_url, well_known_url};
use crate::x509::UnverifiedChain;

/// Seconds that the issuer's clock may be ahead.
const SKEW: i64 = 60;

/// What was asked for.
pub(super) struct Expected<'a> {
    pub(super) credential_issuer: &'a str,
    pub(super) format: CredentialFormat,
    /// `vct`, or the types of a W3C credential as the metadata names them.
    pub(super) types: &'a [String],
    /// The holder keys that were sent, each with the thumbprint of the AK that its proof named.
    pub(super) keys: &'a [(&'a Jwk, Option<&'a str>)],
}

/// A received credential that holds.
pub(super) struct Received {
    pub(super) issuer: String,
    /// `vct`, or the expanded type.
    pub(super) kind: String,
    pub(super) expires_at: Option<UnixTime>,
    pub(super) issuer_trusted: bool,
    /// Which of the holder keys it is bound to.
    pub(super) key: usize,
    /// Whether the issuer bound the AK.
    pub(super) ak_bound: bool,
}

/// Verifies a received credential.
///
/// # Errors
/// The codes of [`UnverifiedCredential::parse`] and [`UnverifiedCredential::verify_issued`]; `issued_vct`: another type than offered;
/// `issued_cnf`: not bound to a holder key of this request; `issued_binding`: bound to a WebAuthn key that is not the wallet's;
/// `issued_issuer`: a key of an issuer other than the one that was asked.
pub(super) async fn verify(
    compact: &str,
    expected: &Expected<'_>,
    context: &IssuanceContext<'_>,
) -> Result<Received> {
    let unverified = UnverifiedCredential::parse(expected.format, compact, &Limits::DEFAULT)?;
    if !is_of_types(&unverified, expected.types) {
        return Err(Error::untrusted("issued_vct", "the credential is of another type than offered"));
    }
    let (key, issuer_trusted) = issuer_key(&unverified, expected.credential_issuer, context).await?;
    let timing = Timing { now: context.clock.now(), skew: SKEW };
    let (binding, bound) = (unverified.webauthn_binding(), unverified.holder_key());
    let kind = unverified.own_types().first().copied().unwrap_or_default().to_owned();
    let (issuer, validity) = unverified.verify_issued(&key, timing)?;
    let bound = bound.ok().map(|key| Jwk::from_key(&key).thumbprint());
    let mut keys = expected.keys.iter().enumerate();
    let (key, ak_jkt) = keys
        .find(|(_, (hk, _))| bound == Some(hk.thumbprint()))
        .map(|(at, (_, ak_jkt))| (at, *ak_jkt))
        .ok_or_else(|| Error::untrusted("issued_cnf", "the credential is not bound to this wallet's key"))?;
    let ak_bound = match (binding, ak_jkt) {
        (None, _) => false,
        (Some(claim), Some(jkt)) if WebauthnBinding::from_claim(&claim)?.jwk.thumbprint() == jkt => true,
        (Some(_), _) => {
            return Err(Error::untrusted(
                "issued_binding",
                "the credential is bound to another WebAuthn key",
            ));
        }
    };
    Ok(Received { issuer, kind, expires_at: validity.expires_at, issuer_trusted, key, ak_bound })
}

/// Whether the credential has every type that was offered; the metadata names the types of W3C credentials by their
/// terms (OpenID4VCI 1.0 appendix A.1).
fn is_of_types(credential: &UnverifiedCredential, offered: &[String]) -> bool {
    let own: Vec<&str> = match credential {
        UnverifiedCredential::SdJwtVc(read) => vec![read.vct()],
        UnverifiedCredential::W3c(read) => match read.document().get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ => Vec::new(),
        },
    };
    !offered.is_empty() && offered.iter().all(|name| own.contains(&name.as_str()))
}

/// The key of a stored credential's issuer, for what else it signs.
pub(in crate::holder) async fn credential_key(
    credential: &UnverifiedCredential,
    credential_issuer: &str,
    context: &IssuanceContext<'_>,
) -> Result<IssuerKey> {
    issuer_key(credential, credential_issuer, context).await.map(|(key, _)| key)
}

/// The key, and whether a trust rule of the wallet vouches for it. Without such a rule the signature is still checked
/// with the key that the credential names: what is stored is at least whole, and marked as from an unknown issuer.
async fn issuer_key(
    credential: &UnverifiedCredential,
    credential_issuer: &str,
    context: &IssuanceContext<'_>,
) -> Result<(IssuerKey, bool)> {
    let (types, trust) = (credential.own_types(), context.trust);
    let vct = types.first().copied().unwrap_or_default();
    match credential.issuer_key_reference()? {
        IssuerKeyReference::X5c { chain, iss } => {
            match trust.by_certificate(vct, iss.as_deref(), &chain, context.clock.now()) {
                Ok(trusted) => Ok((trusted.issuer_key().clone(), true)),
                Err(error) if matches!(error.code(), "issuer_untrusted" | "x509_untrusted") => {
                    let leaf = UnverifiedChain::parse(&chain, &Limits::DEFAULT)?.leaf_public_key()?;
                    let iss = iss.ok_or_else(|| wrong_issuer("an unknown certificate and no iss"))?;
                    Ok((IssuerKey::pinned(leaf, &iss), false))
                }
                Err(error) => Err(error),
            }
        }
        IssuerKeyReference::Did(url) => {
            let document = context.dids.resolve(url.did()).await?;
            let key = IssuerKey::from_did_document(&document, &url, credential.iss())?;
            Ok((key, types.iter().all(|kind| trust.check_did(kind, url.did()).is_ok())))
        }
        IssuerKeyReference::TrustChain { chain, iss, kid } => {
            match trust.by_trust_chain(vct, &iss, kid.as_deref(), &chain, context.clock.now()) {
                Ok(trusted) => Ok((trusted.issuer_key().clone(), true)),
                Err(error) if matches!(error.code(), "issuer_untrusted" | "federation_anchor") => {
                    Ok((published_key(&iss, kid.as_deref(), credential_issuer, context).await?, false))
                }
                Err(error) => Err(error),
            }
        }
        IssuerKeyReference::WellKnown { iss, kid } => {
            let key = published_key(&iss, kid.as_deref(), credential_issuer, context).await?;
            Ok((key, trust.check_https_issuer(vct, &iss).is_ok()))
        }
    }
}

/// Only the issuer that was asked is asked for its keys: the credential cannot send the wallet elsewhere.
async fn published_key(
    iss: &str,
    kid: Option<&str>,
    credential_issuer: &str,
    context: &IssuanceContext<'_>,
) -> Result<IssuerKey> {
    if iss != credential_issuer {
        return Err(wrong_issuer("iss is another issuer than the one that was asked"));
    }
    IssuerKey::from_jwk_set(&published_keys(iss, context).await?, kid, iss)
}

async fn published_keys(iss: &str, context: &IssuanceContext<'_>) -> Result<JwkSet> {
    let document = exchange::fetch_json(well_known_url(iss, "jwt-vc-issuer")?, context).await?;
    match JwtVcIssuerMetadata::parse(&document, iss, &Limits::DEFAULT)?.keys() {
        IssuerKeys::Inline(set) => Ok(set.clone()),
        IssuerKeys::Uri(url) if url.origin() == issuer_url(iss)?.origin() => {
            parse_jwk_set(&exchange::fetch_json(url.clone(), context).await?, &Limits::DEFAULT)
        }
        IssuerKeys::Uri(_) => Err(wrong_issuer("the issuer's keys are on another host")),
    }
}

fn wrong_issuer(detail: &'static str) -> Error {
    Error::untrusted("issued_issuer", detail)
}
