//! `did:jwk`: the identifier is a JWK (the method's specification at github.com/quartzjer/did-jwk).

use super::document::{DidDocument, VerificationMethod};
use super::{Did, resolver};
use crate::encoding::{base64url, canonical_json, json};
use crate::error::Result;
use crate::jose::jwk::Jwk;
use crate::key::PublicKey;
use crate::limits::Limits;

/// The fragment of the only key.
pub const FRAGMENT: &str = "0";

/// The `did:jwk` of `key`: its required members, in canonical order.
pub fn encode(key: &PublicKey) -> Result<Did> {
    let jwk = canonical_json::to_vec(&Jwk::from_key(key).to_value())?;
    Did::parse(&format!("did:jwk:{}", base64url::encode(&jwk)))
}

/// The document of a `did:jwk`: one key, `#0`; for key agreement only when its `use` is `enc`, for nothing else when
/// that is `sig`, for everything without `use`.
///
/// [`crate::Error::Malformed`] `base64url`, `json_…`, `jwk`, `jwk_private`; [`crate::Error::Unsupported`] `did_method`.
/// Whether the key is of a supported type shows when it is used.
pub fn resolve(did: &Did) -> Result<DidDocument> {
    resolver::require_method(did, "jwk")?;
    let jwk = base64url::decode(did.method_specific_id())?;
    let jwk = Jwk::from_value(&json::parse(&jwk, &Limits::DEFAULT)?)?;
    let name = did.with_fragment(FRAGMENT)?;
    let (signs, agrees) = match jwk.use_.as_deref() {
        Some("sig") => (true, false),
        Some("enc") => (false, true),
        _ => (true, jwk.kty == "EC"),
    };
    let names = |wanted: bool| if wanted { vec![name.clone()] } else { Vec::new() };
    Ok(DidDocument {
        id: did.clone(),
        authentication: names(signs),
        assertion_method: names(signs),
        key_agreement: names(agrees),
        verification_methods: vec![VerificationMethod::jwk(name.clone(), jwk)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::did::VerificationPurpose;
    use crate::key::{SignatureAlgorithm, Signer, SoftwareKey};

    #[test]
    fn example_of_the_method() {
        let text = "did:jwk:eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImFjYklRaXVNczNpOF91c3pFakoydHBUdFJNNEVVM3l6OTFQSDZDZEgyVjAiLCJ5IjoiX0tjeUxqOXZXTXB0bm1LdG00NkdxRHo4d2Y3NEk1TEtncmwyR3pIM25TRSJ9";
        let did = Did::parse(text).unwrap();
        let document = resolve(&did).unwrap();
        let name = did.with_fragment("0").unwrap();
        let key = document.verification_key(&name, VerificationPurpose::AssertionMethod).unwrap();
        assert_eq!(encode(&key).unwrap(), did);
    }

    #[test]
    fn purposes_and_refusals() {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let mut jwk = Jwk::from_key(key.public_key());
        let did =
            |json: &str| Did::parse(&format!("did:jwk:{}", base64url::encode(json.as_bytes()))).unwrap();
        jwk.use_ = Some("enc".into());
        let enc = resolve(&did(&jwk.to_value().to_string())).unwrap();
        assert_eq!((enc.assertion_method.len(), enc.key_agreement.len()), (0, 1));
        jwk.use_ = Some("sig".into());
        let sig = resolve(&did(&jwk.to_value().to_string())).unwrap();
        assert_eq!((sig.assertion_method.len(), sig.key_agreement.len()), (1, 0));
        let code = |json: &str| resolve(&did(json)).unwrap_err().code();
        assert_eq!(code(r#"{"kty":"EC","d":"AA"}"#), "jwk_private");
        assert_eq!(code(r#"{"kty":"EC","kty":"OKP"}"#), "json_duplicate_member");
        assert_eq!(code("{}"), "jwk");
        assert_eq!(resolve(&Did::parse("did:jwk:e30x").unwrap()).unwrap_err().code(), "json_syntax");
        assert_eq!(resolve(&Did::parse("did:key:e30").unwrap()).unwrap_err().code(), "did_method");
    }
}
