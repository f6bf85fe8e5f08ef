//! Lists of trusted entities (ETSI TS 119 602, JSON binding): a scheme operator says which entities offer which services,
//! and under which certificates. The lists of the EU (providers of identity data, of attestations, of wallets, of
//! relying parties' certificates) have this form.
//!
//! A list is a compact JWS (JAdES baseline) with the operator's certificate in `x5c`. What is read: sequence number,
//! dates, names, and of each service its type, status and X.509 certificates; pointers to other lists are not followed,
//! histories and extensions are not evaluated, and keys in other forms than certificates are left out.

use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::encoding::{base64, date_time};
use crate::error::{Error, Result};
use crate::jose::jwt::UnverifiedJwt;
use crate::limits::Limits;
use crate::x509::{TrustAnchor, UnverifiedChain};

/// The version that is read (`LoTEVersionIdentifier`).
const VERSION: u64 = 1;

/// Limits of a list: some ten thousand entities.
pub const LIMITS: Limits = Limits {
    token_bytes: 48 * 1024 * 1024,
    json_bytes: 36 * 1024 * 1024,
    json_nodes: 2_000_000,
    ..Limits::DEFAULT
};

/// A list that was loaded: nothing in it counts before [`Self::verify`].
#[derive(Debug, Clone)]
pub struct UnverifiedTrustedList {
    jwt: UnverifiedJwt,
}

impl UnverifiedTrustedList {
    /// Reads the compact JWS. Errors: those of [`UnverifiedJwt::parse`].
    pub fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        UnverifiedJwt::parse(compact.trim_end(), limits).map(|jwt| Self { jwt })
    }

    /// Judges the list: signed under a certificate that leads to one of `operators`, issued in the past, not yet due for
    /// its next update, and not older than the list of number `at_least` that was used before.
    ///
    /// [`Error::Malformed`] `trusted_list`; errors of [`UnverifiedChain::verify`] and `signature_invalid`;
    /// [`Error::NotCurrent`] `trusted_list_expired`, `trusted_list_future`; [`Error::Untrusted`]
    /// `trusted_list_rollback`; [`Error::Unsupported`] `trusted_list_version`.
    pub fn verify(
        &self,
        operators: &[TrustAnchor],
        now: UnixTime,
        at_least: Option<u64>,
    ) -> Result<VerifiedTrustedList> {
        let x5c = self.jwt.header().x5c.as_deref().unwrap_or_default();
        let chain = UnverifiedChain::parse(x5c, &Limits::DEFAULT)?.verify(operators, now)?;
        self.jwt.check(chain.leaf_key())?;

        let list = member(self.jwt.claims(), "LoTE")?;
        let scheme = member(object(list)?, "ListAndSchemeInformation").and_then(object)?;
        if member(scheme, "LoTEVersionIdentifier")?.as_u64() != Some(VERSION) {
            return Err(Error::unsupported("trusted_list_version", "a trusted list of another version"));
        }
        let sequence = member(scheme, "LoTESequenceNumber")?.as_u64().ok_or_else(malformed)?;
        if at_least.is_some_and(|used| sequence < used) {
            let detail = "a newer trusted list than this one was used before";
            return Err(Error::untrusted("trusted_list_rollback", detail));
        }
        let (issued_at, next_update) = (time(scheme, "ListIssueDateTime")?, time(scheme, "NextUpdate")?);
        if now < issued_at {
            let detail = "the trusted list is dated in the future";
            return Err(Error::not_current("trusted_list_future", detail, now, issued_at));
        }
        if now >= next_update {
            let detail = "the trusted list is past its next update";
            return Err(Error::not_current("trusted_list_expired", detail, now, next_update));
        }
        let entities = match object(list)?.get("TrustedEntitiesList") {
            None => Vec::new(),
            Some(entities) => array(entities)?.iter().map(TrustedEntity::parse).collect::<Result<_>>()?,
        };
        let operator = name(scheme, "SchemeOperatorName")?;
        Ok(VerifiedTrustedList { operator, sequence, issued_at, next_update, entities })
    }
}

/// A list whose operator is trusted and which is current.
#[derive(Debug, Clone)]
pub struct VerifiedTrustedList {
    operator: String,
    sequence: u64,
    issued_at: UnixTime,
    next_update: UnixTime,
    entities: Vec<TrustedEntity>,
}

impl VerifiedTrustedList {
    /// Name of the scheme operator.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// `LoTESequenceNumber`: what the next list must at least have.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it was issued.
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// From this time on it counts no more.
    pub fn next_update(&self) -> UnixTime {
        self.next_update
    }

    /// Its entities, also those whose services have ended.
    pub fn entities(&self) -> &[TrustedEntity] {
        &self.entities
    }

    /// Entity names and certificates of the active services of one of `service_types`.
    pub fn certificates(&self, service_types: &[String]) -> impl Iterator<Item = (&str, &TrustAnchor)> {
        self.entities.iter().flat_map(|entity| {
            let fitting = entity
                .services
                .iter()
                .filter(|service| service.is_active() && service_types.contains(&service.service_type));
            fitting.flat_map(|service| &service.certificates).map(|anchor| (entity.name.as_str(), anchor))
        })
    }
}

/// One entity of a list.
#[derive(Debug, Clone)]
pub struct TrustedEntity {
    /// `TEName`.
    pub name: String,
    /// What it is trusted for.
    pub services: Vec<TrustedService>,
}

/// One service of an entity.
#[derive(Debug, Clone)]
pub struct TrustedService {
    /// `ServiceTypeIdentifier`: what the certificates are trusted for.
    pub service_type: String,
    /// `ServiceStatus`; lists that hold active services only have none.
    pub status: Option<String>,
    /// The X.509 certificates of `ServiceDigitalIdentity`.
    pub certificates: Vec<TrustAnchor>,
}

impl TrustedService {
    /// Whether the service counts: without a status, or with one that ends in `granted` or `notified`.
    pub fn is_active(&self) -> bool {
        let last = |status: &String| status.rsplit('/').next().unwrap_or_default().to_owned();
        self.status.as_ref().is_none_or(|status| matches!(last(status).as_str(), "granted" | "notified"))
    }

    fn parse(value: &Value) -> Result<Self> {
        let information = object(value).and_then(|service| member(service, "ServiceInformation"))?;
        let information = object(information)?;
        let identity = information.get("ServiceDigitalIdentity").and_then(|own| own.get("X509Certificates"));
        let certificate = |value: &Value| {
            let text = value.get("val").and_then(Value::as_str).ok_or_else(malformed)?;
            TrustAnchor::from_der(&base64::decode(text).map_err(|_| malformed())?)
        };
        let certificates = match identity {
            None => Vec::new(),
            Some(certificates) => array(certificates)?.iter().map(certificate).collect::<Result<_>>()?,
        };
        let optional = |name| information.get(name).map(text).transpose();
        Ok(Self {
            service_type: optional("ServiceTypeIdentifier")?.unwrap_or_default(),
            status: optional("ServiceStatus")?,
            certificates,
        })
    }
}

impl TrustedEntity {
    fn parse(value: &Value) -> Result<Self> {
        let entity = object(value)?;
        let information = object(member(entity, "TrustedEntityInformation")?)?;
        let services = array(member(entity, "TrustedEntityServices")?)?;
        Ok(Self {
            name: name(information, "TEName")?,
            services: services.iter().map(TrustedService::parse).collect::<Result<_>>()?,
        })
    }
}

/// A name in several languages: the English one, or the first.
fn name(members: &Map<String, Value>, member_name: &str) -> Result<String> {
    let names = array(member(members, member_name)?)?;
    let english = names.iter().find(|one| one.get("lang").and_then(Value::as_str) == Some("en"));
    english.or(names.first()).and_then(|one| one.get("value")).ok_or_else(malformed).and_then(text)
}

fn time(members: &Map<String, Value>, name: &str) -> Result<UnixTime> {
    date_time::parse(member(members, name)?.as_str().ok_or_else(malformed)?).map_err(|_| malformed())
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a Value> {
    members.get(name).ok_or_else(malformed)
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().ok_or_else(malformed)
}

fn array(value: &Value) -> Result<&[Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(malformed)
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(malformed)
}

fn malformed() -> Error {
    Error::malformed("trusted_list", "a member of the trusted list is missing or malformed")
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
    use serde_json::json;

    use super::*;
    use crate::jose::jwt;
    use crate::key::SoftwareKey;

    const ISSUANCE: &str = "http://uri.etsi.org/19602/SvcType/PubEAA/Issuance";
    const STATUS: &str = "http://uri.etsi.org/19602/PubEAAProvidersList/SvcStatus/";

    fn now() -> UnixTime {
        date_time::parse("2026-11-22T12:00:00Z").unwrap()
    }

    /// A certificate of itself with its key.
    fn certificate(name: &str) -> (Vec<u8>, SoftwareKey) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        (der, SoftwareKey::from_pkcs8(&key.serialize_der()).unwrap())
    }

    fn service(status: Option<&str>, certificate: &[u8]) -> Value {
        let mut information = json!({
            "ServiceName": [{ "lang": "en", "value": "Issuing" }],
            "ServiceTypeIdentifier": ISSUANCE,
            "ServiceDigitalIdentity": { "X509Certificates": [{ "val": base64::encode(certificate) }] }
        });
        if let Some(status) = status {
            information["ServiceStatus"] = format!("{STATUS}{status}").into();
        }
        json!({ "ServiceInformation": information })
    }

    fn list(services: &[Value]) -> Value {
        json!({ "LoTE": {
            "ListAndSchemeInformation": {
                "LoTEVersionIdentifier": 1, "LoTESequenceNumber": 7,
                "SchemeOperatorName": [{ "lang": "de", "value": "Amt" }, { "lang": "en", "value": "Office" }],
                "ListIssueDateTime": "2026-11-01T00:00:00Z", "NextUpdate": "2026-12-01T00:00:00Z"
            },
            "TrustedEntitiesList": [{
                "TrustedEntityInformation": { "TEName": [{ "lang": "cs", "value": "Nemocnice" }] },
                "TrustedEntityServices": services
            }]
        } })
    }

    /// Signed by an operator whose certificate is the anchor.
    fn judge(list: &Value, at_least: Option<u64>) -> Result<VerifiedTrustedList> {
        let (der, key) = certificate("operator");
        let header = json!({ "x5c": [base64::encode(&der)] }).as_object().unwrap().clone();
        let compact = jwt::sign("JOSE", header, list.as_object().unwrap(), &key).unwrap();
        let operators = [TrustAnchor::from_der(&der).unwrap()];
        UnverifiedTrustedList::parse(&compact, &LIMITS)?.verify(&operators, now(), at_least)
    }

    #[test]
    fn services_that_count() {
        let (hospital, _) = certificate("hospital");
        let services = [
            service(None, &hospital),
            service(Some("notified"), &hospital),
            service(Some("withdrawn"), &hospital),
            json!({ "ServiceInformation": { "ServiceTypeIdentifier": ISSUANCE } }),
        ];
        let verified = judge(&list(&services), Some(7)).unwrap();
        assert_eq!((verified.operator(), verified.sequence()), ("Office", 7));
        assert_eq!(verified.next_update(), date_time::parse("2026-12-01T00:00:00Z").unwrap());
        let types = [ISSUANCE.to_owned()];
        let found: Vec<_> =
            verified.certificates(&types).map(|(name, anchor)| (name, anchor.subject())).collect();
        assert_eq!(found, [("Nemocnice", verified.entities()[0].services[0].certificates[0].subject()); 2]);
        assert_eq!(verified.certificates(&["urn:other".to_owned()]).count(), 0);
    }

    #[test]
    fn lists_that_do_not_count() {
        let changed = |pointer: &str, value: Value| {
            let mut list = list(&[]);
            *list.pointer_mut(&format!("/LoTE/{pointer}")).unwrap() = value;
            list
        };
        let scheme = "ListAndSchemeInformation";
        for (list, at_least, expected) in [
            (list(&[]), Some(8), "trusted_list_rollback"),
            (
                changed(&format!("{scheme}/NextUpdate"), json!("2026-11-22T12:00:00Z")),
                None,
                "trusted_list_expired",
            ),
            (
                changed(&format!("{scheme}/ListIssueDateTime"), json!("2026-11-22T12:00:01Z")),
                None,
                "trusted_list_future",
            ),
            (changed(&format!("{scheme}/LoTEVersionIdentifier"), json!(2)), None, "trusted_list_version"),
            (changed(&format!("{scheme}/NextUpdate"), Value::Null), None, "trusted_list"),
            (changed(&format!("{scheme}/SchemeOperatorName"), json!([])), None, "trusted_list"),
            (changed("TrustedEntitiesList", json!([{}])), None, "trusted_list"),
            (json!({}), None, "trusted_list"),
        ] {
            assert_eq!(judge(&list, at_least).unwrap_err().code(), expected, "{list}");
        }
        let broken = json!({ "ServiceInformation": {
            "ServiceDigitalIdentity": { "X509Certificates": [{ "val": "AAAA" }] } } });
        assert_eq!(judge(&list(&[broken]), None).unwrap_err().code(), "x509");
    }

    #[test]
    fn only_the_operator_signs() {
        let ((der, key), (other, stranger)) = (certificate("operator"), certificate("operator"));
        let sign = |der: &[u8], key: &SoftwareKey| {
            let header = json!({ "x5c": [base64::encode(der)] }).as_object().unwrap().clone();
            let list = list(&[]);
            jwt::sign("JOSE", header, list.as_object().unwrap(), key).unwrap()
        };
        let code = |compact: &str| {
            let operators = [TrustAnchor::from_der(&der).unwrap()];
            let judged =
                UnverifiedTrustedList::parse(compact, &LIMITS).unwrap().verify(&operators, now(), None);
            judged.map_or_else(|error| error.code(), |_| "ok")
        };
        assert_eq!(code(&sign(&der, &key)), "ok");
        assert_eq!(code(&sign(&other, &stranger)), "x509_untrusted");
        assert_eq!(code(&sign(&der, &stranger)), "signature_invalid");
        let bare = jwt::sign("JOSE", Map::new(), list(&[]).as_object().unwrap(), &key).unwrap();
        assert_eq!(code(&bare), "x509_chain_empty");
    }
}
