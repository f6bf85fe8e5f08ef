//! Registration certificates of relying parties (ETSI TS 119 475, JWT profile): what a registrar wrote down about a
//! verifier: who it is, what for it asks, and which claims of which credentials it may ask for.
//!
//! A wallet reads one to warn the person, never to refuse: whether more is asked for than was registered is for the
//! person to judge. What is read: subject, names, purposes, the privacy policy's address, `credentials`, and the times.
//! Its own status list is not asked: whoever fetched it would learn which verifiers a wallet meets.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::credential::claims::{ClaimPath, PathElement};
use crate::error::{Error, Result};
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::limits::Limits;
use crate::x509::{TrustAnchor, UnverifiedChain};

/// `typ` of a registration certificate (clause 5.2.1).
pub const TYP: &str = "rc-wrp+jwt";
/// Clock difference that is forgiven, in seconds.
const SKEW: i64 = 60;
/// Most credentials, claims of one, and texts.
const MAX: usize = 128;
/// Longest text that is shown, in characters.
const MAX_TEXT: usize = 500;

/// A registration certificate whose signature nobody checked.
#[derive(Debug, Clone)]
pub struct UnverifiedRegistration {
    jwt: UnverifiedJwt,
    registration: Registration,
}

/// What a registrar wrote down about a verifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// `sub`: the registered identifier of the verifier.
    pub subject: String,
    /// `name` or `sub_ln`: its name.
    pub name: String,
    /// Subject of the registrar's certificate.
    pub registrar: String,
    /// `purpose`: language tag and text.
    pub purposes: Vec<(String, String)>,
    /// `privacy_policy`: an address, as text.
    pub privacy_policy: Option<String>,
    /// `exp`
    pub expires_at: Option<UnixTime>,
    credentials: Vec<RegisteredCredential>,
}

/// One entry of `credentials`: what of one kind of credential may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RegisteredCredential {
    format: String,
    /// As in a credential query: `vct_values` as sets of one, or `type_values`.
    types: Vec<Vec<String>>,
    claims: Vec<ClaimPath>,
}

impl UnverifiedRegistration {
    /// Reads a registration certificate; unknown claims are ignored.
    ///
    /// [`Error::Malformed`] `registration`, and the errors of [`UnverifiedJwt::parse`].
    pub fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        let jwt = UnverifiedJwt::parse(compact, limits)?;
        jwt.header().require_typ(TYP)?;
        let claims = jwt.claims();
        let text = |name: &'static str| jwt::text(claims, name);
        let name = text("name")?.or(text("sub_ln")?).unwrap_or_default();
        let registration = Registration {
            subject: jwt::required_text(claims, "sub")?.to_owned(),
            name: short(name),
            registrar: String::new(),
            purposes: list(claims, "purpose")?.iter().map(localized).collect::<Result<_>>()?,
            privacy_policy: text("privacy_policy")?.map(short),
            expires_at: jwt::time(claims, "exp")?,
            credentials: list(claims, "credentials")?
                .iter()
                .map(RegisteredCredential::parse)
                .collect::<Result<_>>()?,
        };
        Ok(Self { jwt, registration })
    }

    /// What it says, if a registrar under `registrars` signed it, it is current, and it is about somebody whose
    /// identifier is one of `identifiers`.
    ///
    /// Errors of [`UnverifiedChain::verify`], of the signature and of the times; [`Error::Untrusted`]
    /// `registration_subject`: it is somebody else's.
    pub fn verify(
        self,
        registrars: &[TrustAnchor],
        identifiers: &[String],
        now: UnixTime,
    ) -> Result<Registration> {
        let x5c = self.jwt.header().x5c.as_deref().unwrap_or_default();
        let chain = UnverifiedChain::parse(x5c, &Limits::DEFAULT)?.verify(registrars, now)?;
        self.jwt.check(chain.leaf_key())?;
        jwt::check_times(self.jwt.claims(), now, SKEW)?;
        if !identifiers.contains(&self.registration.subject) {
            let detail = "the registration certificate is another verifier's";
            return Err(Error::untrusted("registration_subject", detail));
        }
        Ok(Registration { registrar: chain.leaf().subject().to_owned(), ..self.registration })
    }
}

impl Registration {
    /// Whether credentials of that format and of these types (each a set that the credential must have all of) were
    /// registered, whichever of the types it turns out to be.
    pub fn covers_types(&self, format: &str, types: &[Vec<String>]) -> bool {
        !types.is_empty() && types.iter().all(|set| self.entries(format, set).next().is_some())
    }

    /// Whether the claim at `path` of such a credential was registered, by itself or as a part of what was. An entry
    /// without claims registers none that can be withheld, as a query without claims asks for none (OpenID4VP 1.0
    /// section 6.4.1).
    pub fn covers(&self, format: &str, types: &[Vec<String>], path: &ClaimPath) -> bool {
        let within = |set: &Vec<String>| {
            let mut claims = self.entries(format, set).flat_map(|entry| &entry.claims);
            claims.any(|registered| contains(registered, path))
        };
        !types.is_empty() && types.iter().all(within)
    }

    fn entries<'a>(
        &'a self,
        format: &'a str,
        set: &'a Vec<String>,
    ) -> impl Iterator<Item = &'a RegisteredCredential> {
        self.credentials.iter().filter(move |entry| entry.format == format && entry.types.contains(set))
    }
}

/// Whether everything at `asked` is at or below `registered`.
fn contains(registered: &ClaimPath, asked: &ClaimPath) -> bool {
    let (registered, asked) = (registered.elements(), asked.elements());
    let same = |(registered, asked): (&PathElement, &PathElement)| match registered {
        PathElement::All => matches!(asked, PathElement::All | PathElement::Index(_)),
        other => other == asked,
    };
    registered.len() <= asked.len() && registered.iter().zip(asked).all(same)
}

impl RegisteredCredential {
    fn parse(value: &Value) -> Result<Self> {
        let entry = value.as_object().ok_or_else(malformed)?;
        let meta = entry.get("meta").and_then(Value::as_object);
        let member = |name: &'static str| meta.map_or(Ok(&[][..]), |meta| list(meta, name));
        let one = |vct: &Value| Ok(vec![text(vct)?]);
        let set = |set: &Value| -> Result<Vec<String>> {
            set.as_array().ok_or_else(malformed)?.iter().map(text).collect()
        };
        let mut types: Vec<Vec<String>> = member("vct_values")?.iter().map(one).collect::<Result<_>>()?;
        for all in member("type_values")? {
            types.push(set(all)?);
        }
        // `claim` in the tables of the specification, `claims` in those of its data model.
        let claims = [list(entry, "claim")?, list(entry, "claims")?].concat();
        let path = |claim: &Value| {
            let path = claim.get("path").and_then(Value::as_array).ok_or_else(malformed)?;
            ClaimPath::try_from(path.clone()).map_err(|_| malformed())
        };
        Ok(Self {
            format: entry.get("format").ok_or_else(malformed).and_then(text)?,
            types,
            claims: claims.iter().map(path).collect::<Result<_>>()?,
        })
    }
}

fn localized(value: &Value) -> Result<(String, String)> {
    let member = |name| value.get(name).ok_or_else(malformed).and_then(text);
    // Two names of the same member are in use.
    let tag = member("lang").or_else(|_| member("locale"))?;
    let words = member("value").or_else(|_| member("content"))?;
    Ok((tag, short(&words)))
}

fn list<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a [Value]> {
    match members.get(name) {
        None => Ok(&[]),
        Some(Value::Array(list)) if list.len() <= MAX => Ok(list),
        Some(_) => Err(malformed()),
    }
}

fn text(value: &Value) -> Result<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(malformed)
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn malformed() -> Error {
    Error::malformed("registration", "a member of the registration certificate is missing or malformed")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::encoding::{base64, date_time};
    use crate::key::SoftwareKey;

    const VCT: &str = "https://hospital.example/vct/patient-identity";
    const PORTAL: &str = "x509_san_dns:portal.example";

    fn now() -> UnixTime {
        date_time::parse("2026-11-22T12:00:00Z").unwrap()
    }

    fn claims() -> Value {
        json!({
            "sub": PORTAL, "name": "Portal", "iat": now().as_secs() - 60, "exp": now().as_secs() + 3600,
            "purpose": [{"lang": "en", "value": "Open your record"}],
            "privacy_policy": "https://portal.example/privacy",
            "credentials": [{"format": "dc+sd-jwt", "meta": {"vct_values": [VCT]},
                "claim": [{"path": ["family_name"]}, {"path": ["address", "locality"]},
                          {"path": ["identifiers", null, "value"]}]}],
        })
    }

    fn authority() -> (SoftwareKey, Vec<u8>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Registrar");
        let der = params.self_signed(&key).unwrap().der().to_vec();
        (SoftwareKey::from_pkcs8(&key.serialize_der()).unwrap(), der)
    }

    /// Signed by a registrar, and judged by a wallet that knows `known` of its certificates.
    fn judge(typ: &str, claims: &Value, known: bool, identifiers: &[&str]) -> Result<Registration> {
        let ((key, der), (_, other)) = (authority(), authority());
        let header = json!({ "x5c": [base64::encode(&der)] }).as_object().unwrap().clone();
        let compact = jwt::sign(typ, header, claims.as_object().unwrap(), &key).unwrap();
        let anchor = TrustAnchor::from_der(if known { &der } else { &other }).unwrap();
        let identifiers: Vec<String> = identifiers.iter().map(|id| (*id).to_owned()).collect();
        UnverifiedRegistration::parse(&compact, &Limits::DEFAULT)?.verify(&[anchor], &identifiers, now())
    }

    #[test]
    fn what_was_registered_is_covered_and_nothing_else() {
        let registration = judge(TYP, &claims(), true, &["other", PORTAL]).unwrap();
        assert_eq!((registration.name.as_str(), registration.registrar.as_str()), ("Portal", "CN=Registrar"));
        assert_eq!(registration.purposes, [("en".to_owned(), "Open your record".to_owned())]);
        let types = [vec![VCT.to_owned()]];
        let both = [types[0].clone(), vec!["https://other.example".to_owned()]];
        assert!(registration.covers_types("dc+sd-jwt", &types));
        assert!(!registration.covers_types("dc+sd-jwt", &both), "it may turn out to be the other");
        assert!(!registration.covers_types("ldp_vc", &types) && !registration.covers_types("dc+sd-jwt", &[]));
        for (path, covered) in [
            (json!(["family_name"]), true),
            (json!(["given_name"]), false),
            (json!(["address", "locality"]), true),
            (json!(["address"]), false),
            (json!(["address", "country"]), false),
            (json!(["identifiers", null, "value"]), true),
            (json!(["identifiers", 0, "value"]), true),
            (json!(["identifiers", 0, "value", "x"]), true),
            (json!(["identifiers", "value"]), false),
            (json!(["identifiers"]), false),
        ] {
            let asked: ClaimPath = serde_json::from_value(path.clone()).unwrap();
            assert_eq!(registration.covers("dc+sd-jwt", &types, &asked), covered, "{path}");
            assert!(!registration.covers("dc+sd-jwt", &both, &asked), "{path}");
        }
    }

    #[test]
    fn registrations_that_do_not_count() {
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            claims
        };
        judge(TYP, &claims(), true, &[PORTAL]).unwrap();
        for (typ, claims, known, identifier, code) in [
            ("JWT", claims(), true, PORTAL, "jws_typ"),
            (TYP, claims(), false, PORTAL, "x509_untrusted"),
            (TYP, claims(), true, "x509_san_dns:shop.example", "registration_subject"),
            (TYP, with("exp", json!(now().as_secs() - 61)), true, PORTAL, "token_expired"),
            (TYP, with("nbf", json!(now().as_secs() + 61)), true, PORTAL, "token_not_yet_valid"),
            (TYP, with("purpose", json!("x")), true, PORTAL, "registration"),
            (TYP, with("purpose", json!([{}])), true, PORTAL, "registration"),
            (TYP, with("credentials", json!([{}])), true, PORTAL, "registration"),
            (TYP, with("credentials", json!([1])), true, PORTAL, "registration"),
            (TYP, with("credentials", json!(vec![json!({}); MAX + 1])), true, PORTAL, "registration"),
            (
                TYP,
                with("credentials", json!([{"format": "x", "claim": [{"path": [1.5]}]}])),
                true,
                PORTAL,
                "registration",
            ),
        ] {
            assert_eq!(judge(typ, &claims, known, &[identifier]).unwrap_err().code(), code, "{claims}");
        }
        let mut unsigned = claims();
        unsigned.as_object_mut().unwrap().remove("sub");
        assert!(judge(TYP, &unsigned, true, &[PORTAL]).is_err());
    }
}
