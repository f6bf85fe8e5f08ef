//! Credentials and presentations as JWTs in the way of VCDM 1.1 (section 6.3.1): the document stands in the claim `vc` or
//! `vp`, and what has a registered claim of its own stands in that. OpenID4VC calls them `jwt_vc_json` and `jwt_vp_json`,
//! their envelopes have the media type `application/jwt`.
//!
//! [`vc_jose`](super::vc_jose) is the way of VCDM 2.0, which forbids these two claims; here they are demanded, so that no
//! token of one kind passes for the other. Documents of both versions of the data model are taken.

use std::fmt;

use serde_json::{Map, Value};

use super::vc_jose::{Content, require_algorithm};
use crate::clock::UnixTime;
use crate::credential::data_model::{self, Version};
use crate::credential::validity::Validity;
use crate::encoding::date_time;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::jose::jwt::{self, Claims, UnverifiedJwt};
use crate::key::{PublicKey, Signer};
use crate::limits::Limits;

/// The value of `typ`, which may be absent.
pub const TYP: &str = "JWT";
/// The media type in the `data:` URL of an enveloped credential or presentation.
pub const MEDIA_TYPE: &str = "application/jwt";

const fn claim(content: Content) -> &'static str {
    match content {
        Content::Credential => "vc",
        Content::Presentation => "vp",
    }
}

/// A credential or presentation that was read but not verified. `Debug` shows no claims.
#[derive(Clone)]
pub struct UnverifiedVcJwt {
    content: Content,
    jwt: UnverifiedJwt,
    document: Map<String, Value>,
}

impl UnverifiedVcJwt {
    /// Reads a compact JWT; the registered claims take their places in the document.
    ///
    /// [`Error::Malformed`] `vc_jwt_typ`, `vc_jwt_claim` (no object in `vc` or `vp`, or both), `jwt_claim`, errors of
    /// [`UnverifiedJwt::parse`]; [`Error::Untrusted`] `vc_jwt_conflict` when a claim and the document name different
    /// issuers, holders, subjects or identifiers.
    pub fn parse(content: Content, compact: &str, limits: &Limits) -> Result<Self> {
        let jwt = UnverifiedJwt::parse(compact, limits)?;
        if jwt.header().typ.is_some() && !jwt.header().has_typ(TYP) {
            return Err(Error::malformed("vc_jwt_typ", "the type of the token is not JWT"));
        }
        let document = decode(content, jwt.claims())?;
        Ok(Self { content, jwt, document })
    }

    /// The JWT in an enveloped credential or presentation; `None` when its media type is another.
    ///
    /// Errors of [`Self::parse`] and of [`data_model::check_enveloped_credential`].
    pub fn from_enveloped(content: Content, value: &Value, limits: &Limits) -> Result<Option<Self>> {
        match content {
            Content::Credential => data_model::check_enveloped_credential(value)?,
            Content::Presentation => data_model::check_enveloped_presentation(value)?,
        }
        let url = value.get("id").and_then(Value::as_str).unwrap_or_default();
        match data_model::data_url(url) {
            Some((media_type, data)) if media_type.eq_ignore_ascii_case(MEDIA_TYPE) => {
                Self::parse(content, data, limits).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// `kid`, as claimed.
    pub fn key_id(&self) -> Option<&str> {
        self.jwt.header().kid.as_deref()
    }

    /// The document, as claimed.
    pub const fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Who signed, as claimed: issuer or holder.
    pub fn signer(&self) -> Option<&str> {
        party(&self.document, self.content)
    }

    /// Verifies the signature, and that what was signed is a sound credential or presentation. **Time is not judged**
    /// ([`VerifiedVcJwt::check_time`]), nor whether `key` is the issuer's, nor the credentials of a presentation.
    ///
    /// [`Error::Untrusted`] `alg_mismatch`, `signature_invalid`; [`Error::Unsupported`] `alg_unsupported`; errors of
    /// [`data_model::check_credential`] and [`data_model::check_presentation`].
    pub fn verify(self, key: &PublicKey) -> Result<VerifiedVcJwt> {
        require_algorithm(key.algorithm())?;
        let claims = self.jwt.verify(key)?.into_claims();
        let document = Value::Object(self.document);
        match self.content {
            Content::Credential => data_model::check_credential(&document)?,
            Content::Presentation => data_model::check_presentation(&document)?,
        }
        Ok(VerifiedVcJwt { content: self.content, document, claims })
    }
}

impl fmt::Debug for UnverifiedVcJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedVcJwt").field("content", &self.content).finish_non_exhaustive()
    }
}

/// A credential or presentation whose signature holds under the key that was given. `Debug` shows no claims.
#[derive(Clone)]
pub struct VerifiedVcJwt {
    content: Content,
    document: Value,
    claims: Claims,
}

impl VerifiedVcJwt {
    /// The credential or presentation.
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// All claims: `aud` and `nonce` of a presentation, `cnf` of a credential.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The key in `cnf.jwk`; [`Error::Malformed`] of [`Jwk::public_key`].
    pub fn holder_key(&self) -> Result<Option<PublicKey>> {
        let jwk = self.claims.get("cnf").and_then(|cnf| cnf.get("jwk"));
        jwk.map(|jwk| Jwk::from_value(jwk)?.public_key()).transpose()
    }

    /// Checks that it counts at `now`, give or take `skew` seconds: the claims, and the period of a credential.
    ///
    /// [`Error::NotCurrent`] `credential_expired`, `credential_not_yet_valid`, `credential_issued_in_future`;
    /// [`Error::Malformed`] `jwt_claim`.
    pub fn check_time(&self, now: UnixTime, skew: i64) -> Result<()> {
        Validity::from_claims(&self.claims)?.check(now, skew)?;
        match self.content {
            Content::Credential => data_model::check_time(&self.document, now, skew),
            Content::Presentation => Ok(()),
        }
    }
}

impl fmt::Debug for VerifiedVcJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedVcJwt").field("content", &self.content).finish_non_exhaustive()
    }
}

/// Signs `document`, which keeps its members; `iss`, `sub`, `jti`, `nbf` and `exp` repeat what it says, `claims` are those
/// beside it (`iat`, `aud`, `nonce`, `cnf`, …). `key_id` is the verification method.
///
/// [`Error::Misuse`] `vc_jwt_claim_given` when `claims` holds one that is made here; [`Error::Unsupported`]
/// `alg_unsupported`; errors of the data model and the signer.
pub fn issue(
    content: Content,
    document: &Map<String, Value>,
    key_id: Option<&str>,
    mut claims: Claims,
    signer: &dyn Signer,
) -> Result<String> {
    require_algorithm(signer.public_key().algorithm())?;
    let value = Value::Object(document.clone());
    let mut own = Map::new();
    let mut put = |name: &str, text: Option<&str>| {
        own.extend(text.map(|text| (name.to_owned(), Value::from(text))));
    };
    put("iss", party(document, content));
    put("jti", text_of(document.get("id")));
    if content == Content::Credential {
        data_model::check_credential(&value)?;
        put("sub", document.get("credentialSubject").and_then(|subject| text_of(subject.get("id"))));
        let period = data_model::validity(&value)?;
        for (name, time) in [("nbf", period.not_before), ("exp", period.expires_at)] {
            own.extend(time.map(|time| (name.to_owned(), time.as_secs().into())));
        }
    } else {
        data_model::check_presentation(&value)?;
    }
    own.insert(claim(content).to_owned(), value);
    if claims.keys().any(|name| own.contains_key(name) || matches!(name.as_str(), "vc" | "vp")) {
        return Err(Error::misuse("vc_jwt_claim_given", "a claim repeats what the document says"));
    }
    claims.extend(own);
    let mut header = Map::new();
    header.extend(key_id.map(|key_id| ("kid".to_owned(), key_id.into())));
    jwt::sign(TYP, header, &claims, signer)
}

/// `issuer` or `holder`: the text, or the `id` of the object.
fn party(document: &Map<String, Value>, content: Content) -> Option<&str> {
    let party = document.get(party_name(content))?;
    party.as_str().or_else(|| text_of(party.get("id")))
}

const fn party_name(content: Content) -> &'static str {
    match content {
        Content::Credential => "issuer",
        Content::Presentation => "holder",
    }
}

fn text_of(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

/// JWT decoding of section 6.3.1.
fn decode(content: Content, claims: &Claims) -> Result<Map<String, Value>> {
    let malformed = || Error::malformed("vc_jwt_claim", "the token has not one credential or presentation");
    if claims.contains_key("vc") && claims.contains_key("vp") {
        return Err(malformed());
    }
    let mut document = claims.get(claim(content)).and_then(Value::as_object).ok_or_else(malformed)?.clone();
    if let Some(iss) = jwt::text(claims, "iss")? {
        match document.get_mut(party_name(content)) {
            Some(Value::Object(party)) => fill(party, "id", iss)?,
            _ => fill(&mut document, party_name(content), iss)?,
        }
    }
    if let Some(jti) = jwt::text(claims, "jti")? {
        fill(&mut document, "id", jti)?;
    }
    if content == Content::Presentation {
        return Ok(document);
    }
    if let Some(sub) = jwt::text(claims, "sub")? {
        match document.get_mut("credentialSubject") {
            Some(Value::Object(subject)) => fill(subject, "id", sub)?,
            // Of several subjects, one must be the one that is named.
            Some(Value::Array(many)) if many.iter().any(|one| text_of(one.get("id")) == Some(sub)) => {}
            _ => return Err(conflict()),
        }
    }
    if data_model::version(&Value::Object(document.clone()))? == Version::V1 {
        for (name, member) in [("nbf", "issuanceDate"), ("exp", "expirationDate")] {
            if let Some(time) = jwt::time(claims, name)?
                && !document.contains_key(member)
            {
                document.insert(member.to_owned(), date_time::format(time).into());
            }
        }
    }
    Ok(document)
}

/// Sets a member that is missing; one that is there must say the same.
fn fill(members: &mut Map<String, Value>, name: &str, text: &str) -> Result<()> {
    match members.get(name) {
        None => drop(members.insert(name.to_owned(), text.into())),
        Some(Value::String(own)) if own == text => {}
        Some(_) => return Err(conflict()),
    }
    Ok(())
}

fn conflict() -> Error {
    Error::untrusted("vc_jwt_conflict", "a claim of the token says another thing than the document")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::key::{SignatureAlgorithm, SoftwareKey};

    const L: &Limits = &Limits::DEFAULT;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn key() -> SoftwareKey {
        SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap()
    }

    fn credential() -> Map<String, Value> {
        object(json!({
            "@context": ["https://www.w3.org/2018/credentials/v1"], "id": "urn:a",
            "type": ["VerifiableCredential"], "issuer": {"id": "did:example:i", "name": "I"},
            "issuanceDate": "2020-01-01T00:00:00Z", "expirationDate": "2030-01-01T00:00:00Z",
            "credentialSubject": {"id": "did:example:s", "name": "S"},
        }))
    }

    fn sign(claims: Value, key: &SoftwareKey) -> String {
        jwt::sign(TYP, Map::new(), &object(claims), key).unwrap()
    }

    fn code(content: Content, claims: Value) -> &'static str {
        let key = key();
        let read = UnverifiedVcJwt::parse(content, &sign(claims, &key), L);
        read.and_then(|read| read.verify(key.public_key())).map(|_| ()).unwrap_err().code()
    }

    #[test]
    fn there_and_back() {
        let (key, credential) = (key(), credential());
        let claims = object(json!({"cnf": {"jwk": Jwk::from_key(key.public_key()).to_value()}}));
        let compact = issue(Content::Credential, &credential, Some("did:example:i#k"), claims, &key).unwrap();
        let read = UnverifiedVcJwt::parse(Content::Credential, &compact, L).unwrap();
        assert_eq!((read.key_id(), read.signer()), (Some("did:example:i#k"), Some("did:example:i")));
        assert!(!format!("{read:?}").contains("did:example:s"));
        let other = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
        assert_eq!(read.clone().verify(other.public_key()).unwrap_err().code(), "signature_invalid");
        let verified = read.verify(key.public_key()).unwrap();
        assert_eq!(verified.document().as_object().unwrap(), &credential);
        for (name, value) in [
            ("iss", json!("did:example:i")),
            ("sub", json!("did:example:s")),
            ("jti", json!("urn:a")),
            ("nbf", json!(1_577_836_800)),
            ("exp", json!(1_893_456_000)),
        ] {
            assert_eq!(verified.claims()[name], value);
        }
        assert_eq!(verified.holder_key().unwrap().as_ref(), Some(key.public_key()));
        assert!(verified.check_time(UnixTime::from_secs(1_700_000_000), 60).is_ok());
        let late = verified.check_time(UnixTime::from_secs(1_893_456_060), 60).unwrap_err();
        assert_eq!(late.code(), "credential_expired");
        assert!(UnverifiedVcJwt::parse(Content::Presentation, &compact, L).is_err());
        let again = object(json!({"iss": "did:example:i"}));
        let error = issue(Content::Credential, &credential, None, again, &key).unwrap_err();
        assert_eq!(error.code(), "vc_jwt_claim_given");
    }

    #[test]
    fn registered_claims_take_their_places() {
        // VCDM 1.1 section 6.3.1, example 32, has these in the claims alone.
        let mut bare = credential();
        for name in ["id", "issuanceDate", "expirationDate"] {
            bare.shift_remove(name);
        }
        bare.insert("issuer".into(), json!({"name": "I"}));
        bare.insert("credentialSubject".into(), json!({"name": "S"}));
        let claims = json!({
            "iss": "did:example:i", "sub": "did:example:s", "jti": "urn:a", "nbf": 1_577_836_800,
            "exp": 1_893_456_000, "vc": bare,
        });
        let key = key();
        let read = UnverifiedVcJwt::parse(Content::Credential, &sign(claims, &key), L).unwrap();
        assert_eq!(read.verify(key.public_key()).unwrap().document(), &Value::Object(credential()));
    }

    #[test]
    fn enveloped() {
        let key = key();
        let compact = issue(Content::Credential, &credential(), None, Map::new(), &key).unwrap();
        let of = |media_type: &str, text: &str| {
            let value = json!({"@context": "https://www.w3.org/ns/credentials/v2",
                "type": "EnvelopedVerifiableCredential", "id": format!("data:{media_type},{text}")});
            UnverifiedVcJwt::from_enveloped(Content::Credential, &value, L)
        };
        assert!(of("application/jwt", &compact).unwrap().is_some());
        assert!(of("application/vc+jwt", &compact).unwrap().is_none());
        assert!(of("application/jwt", "x").is_err());
        let wrong = UnverifiedVcJwt::from_enveloped(Content::Presentation, &json!({}), L);
        assert_eq!(wrong.unwrap_err().code(), "vc_context");
    }

    #[test]
    fn refuses() {
        let vc = Value::Object(credential());
        let vp = json!({"@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiablePresentation"], "holder": "did:example:h"});
        for (content, claims, expected) in [
            (Content::Credential, json!({}), "vc_jwt_claim"),
            (Content::Credential, json!({"vc": "x"}), "vc_jwt_claim"),
            (Content::Credential, json!({"vc": vc, "vp": vp}), "vc_jwt_claim"),
            (Content::Credential, json!({"vp": vp}), "vc_jwt_claim"),
            (Content::Credential, json!({"vc": vc, "iss": "did:example:x"}), "vc_jwt_conflict"),
            (Content::Credential, json!({"vc": vc, "sub": "did:example:x"}), "vc_jwt_conflict"),
            (Content::Credential, json!({"vc": vc, "jti": "urn:x"}), "vc_jwt_conflict"),
            (Content::Credential, json!({"vc": vc, "iss": 1}), "jwt_claim"),
            (Content::Credential, json!({"vc": {}}), "vc_context"),
            (Content::Presentation, json!({"vp": vp, "iss": "did:example:x"}), "vc_jwt_conflict"),
            (Content::Presentation, json!({"vp": {}}), "vc_context"),
        ] {
            assert_eq!(code(content, claims.clone()), expected, "{claims}");
        }
        let key = key();
        let typed = jwt::sign("vc+jwt", Map::new(), &object(json!({"vc": vc})), &key).unwrap();
        let error = UnverifiedVcJwt::parse(Content::Credential, &typed, L).unwrap_err();
        assert_eq!(error.code(), "vc_jwt_typ");
    }
}
