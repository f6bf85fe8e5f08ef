//! DID documents, as far as finding a key for a purpose needs them (W3C Controlled Identifiers 1.0 sections 2 and 3.3).

use serde_json::{Map, Value};

use super::{Did, DidUrl, key};
use crate::encoding::json as strict_json;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::key::{PublicKey, bbs};
use crate::limits::Limits;

/// What a verification method may be used for (section 2.3, verification relationships).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationPurpose {
    /// To sign in, and to present.
    Authentication,
    /// To make claims: to issue credentials.
    AssertionMethod,
    /// To receive encrypted data.
    KeyAgreement,
}

impl VerificationPurpose {
    const ALL: [Self; 3] = [Self::Authentication, Self::AssertionMethod, Self::KeyAgreement];

    const fn member(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::AssertionMethod => "assertionMethod",
            Self::KeyAgreement => "keyAgreement",
        }
    }
}

/// A public key within a document.
#[derive(Debug, Clone, PartialEq)]
pub struct VerificationMethod {
    /// Its name.
    pub id: DidUrl,
    /// Its type, such as `Multikey` or `JsonWebKey2020`.
    pub type_: String,
    /// Who may use it.
    pub controller: Did,
    /// The key.
    pub material: KeyMaterial,
}

/// The form in which a verification method holds its key.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyMaterial {
    /// `publicKeyJwk`.
    Jwk(Box<Jwk>),
    /// `publicKeyMultibase` with a multicodec prefix.
    Multibase(String),
    /// Something that this crate does not carry; such a method can stand in a document, but never be used.
    Unsupported,
}

impl VerificationMethod {
    /// A method that holds `key` as JWK (type `JsonWebKey2020`: published wallets do not know its later name,
    /// `JsonWebKey` of Controlled Identifiers 1.0).
    pub fn jwk(id: DidUrl, jwk: Jwk) -> Self {
        Self {
            controller: id.did().clone(),
            id,
            type_: "JsonWebKey2020".into(),
            material: KeyMaterial::Jwk(Box::new(jwk)),
        }
    }

    /// A method that holds `key` in multibase (type `Multikey`).
    ///
    /// [`Error::Unsupported`] `multikey` when the key's type has no such form here.
    pub fn multikey(id: DidUrl, key: &PublicKey) -> Result<Self> {
        let material = KeyMaterial::Multibase(key::encode_multikey(key)?);
        Ok(Self { controller: id.did().clone(), id, type_: "Multikey".into(), material })
    }

    /// The key: errors of [`Jwk::public_key`] and [`key::decode_multikey`], and [`Error::Unsupported`] `did_key_type`.
    pub fn public_key(&self) -> Result<PublicKey> {
        match &self.material {
            KeyMaterial::Jwk(jwk) => jwk.public_key(),
            KeyMaterial::Multibase(text) => key::decode_multikey(text),
            KeyMaterial::Unsupported => Err(Error::unsupported(
                "did_key_type",
                "the verification method's key is of an unsupported form",
            )),
        }
    }

    fn parse(value: &Value, base: &Did) -> Result<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).ok_or_else(malformed);
        let material = match (value.get("publicKeyJwk"), value.get("publicKeyMultibase")) {
            (Some(jwk), None) => KeyMaterial::Jwk(Box::new(Jwk::from_value(jwk)?)),
            (None, Some(Value::String(text))) => KeyMaterial::Multibase(text.clone()),
            (None, None) => KeyMaterial::Unsupported,
            _ => return Err(malformed()),
        };
        Ok(Self {
            id: DidUrl::parse_relative(text("id")?, base)?,
            type_: text("type")?.to_owned(),
            controller: Did::parse(text("controller")?)?,
            material,
        })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("id".into(), self.id.to_string().into());
        members.insert("type".into(), self.type_.as_str().into());
        members.insert("controller".into(), self.controller.as_str().into());
        match &self.material {
            KeyMaterial::Jwk(jwk) => {
                members.insert("publicKeyJwk".into(), jwk.to_value());
            }
            KeyMaterial::Multibase(text) => {
                members.insert("publicKeyMultibase".into(), text.as_str().into());
            }
            KeyMaterial::Unsupported => {}
        }
        members.into()
    }
}

/// A DID document: who it is about, its keys, and what each is for. Services and other members are not kept.
#[derive(Debug, Clone, PartialEq)]
pub struct DidDocument {
    /// Whom it is about.
    pub id: Did,
    /// The keys.
    pub verification_methods: Vec<VerificationMethod>,
    /// Names of the keys for presenting.
    pub authentication: Vec<DidUrl>,
    /// Names of the keys for issuing.
    pub assertion_method: Vec<DidUrl>,
    /// Names of the keys for receiving encrypted data.
    pub key_agreement: Vec<DidUrl>,
}

impl DidDocument {
    /// A document of keys that all serve authentication and assertion.
    pub fn for_signing(id: Did, verification_methods: Vec<VerificationMethod>) -> Self {
        let names: Vec<DidUrl> = verification_methods.iter().map(|method| method.id.clone()).collect();
        Self {
            id,
            verification_methods,
            authentication: names.clone(),
            assertion_method: names,
            key_agreement: Vec::new(),
        }
    }

    /// Reads the document of `did` from JSON or JSON-LD (no context is processed).
    ///
    /// [`Error::Untrusted`] `did_document_id` when it is about somebody else; [`Error::Malformed`] `did_document` (also
    /// for two methods of one name), `did`, `did_url`, `jwk…`, `json_…`.
    pub fn parse(did: &Did, bytes: &[u8], limits: &Limits) -> Result<Self> {
        Self::from_value(did, &strict_json::parse(bytes, limits)?)
    }

    /// As [`Self::parse`], of JSON that was read before.
    pub fn from_value(did: &Did, value: &Value) -> Result<Self> {
        match value.get("id").and_then(Value::as_str) {
            Some(id) if id == did.as_str() => {}
            Some(_) => {
                return Err(Error::untrusted("did_document_id", "the DID document is about another DID"));
            }
            None => return Err(malformed()),
        }
        let mut document = Self {
            id: did.clone(),
            verification_methods: Vec::new(),
            authentication: Vec::new(),
            assertion_method: Vec::new(),
            key_agreement: Vec::new(),
        };
        for method in list(value, "verificationMethod")? {
            document.add(VerificationMethod::parse(method, did)?)?;
        }
        for purpose in VerificationPurpose::ALL {
            for entry in list(value, purpose.member())? {
                let name = document.relation(entry)?;
                document.names_mut(purpose).push(name);
            }
        }
        Ok(document)
    }

    /// A name, or a whole method that serves this one purpose only (section 2.3).
    fn relation(&mut self, entry: &Value) -> Result<DidUrl> {
        match entry {
            Value::String(name) => DidUrl::parse_relative(name, &self.id),
            Value::Object(_) => {
                let method = VerificationMethod::parse(entry, &self.id)?;
                let name = method.id.clone();
                self.add(method)?;
                Ok(name)
            }
            _ => Err(malformed()),
        }
    }

    fn add(&mut self, method: VerificationMethod) -> Result<()> {
        if self.verification_methods.iter().any(|other| other.id == method.id) {
            return Err(malformed());
        }
        self.verification_methods.push(method);
        Ok(())
    }

    fn names(&self, purpose: VerificationPurpose) -> &[DidUrl] {
        match purpose {
            VerificationPurpose::Authentication => &self.authentication,
            VerificationPurpose::AssertionMethod => &self.assertion_method,
            VerificationPurpose::KeyAgreement => &self.key_agreement,
        }
    }

    fn names_mut(&mut self, purpose: VerificationPurpose) -> &mut Vec<DidUrl> {
        match purpose {
            VerificationPurpose::Authentication => &mut self.authentication,
            VerificationPurpose::AssertionMethod => &mut self.assertion_method,
            VerificationPurpose::KeyAgreement => &mut self.key_agreement,
        }
    }

    /// The method named `id`, if the document gives it this purpose (section 3.3).
    ///
    /// [`Error::Untrusted`] `did_method_not_found`, `did_method_purpose`, or `did_method_controller` when the document
    /// names somebody else as the one who controls the key.
    pub fn verification_method(
        &self,
        id: &DidUrl,
        purpose: VerificationPurpose,
    ) -> Result<&VerificationMethod> {
        let method = self.verification_methods.iter().find(|method| method.id == *id).ok_or_else(|| {
            Error::untrusted("did_method_not_found", "the DID document has no key of this name")
        })?;
        if method.controller != self.id || *id.did() != self.id {
            let detail = "the key of this name belongs to another DID";
            return Err(Error::untrusted("did_method_controller", detail));
        }
        if !self.names(purpose).contains(id) {
            return Err(Error::untrusted(
                "did_method_purpose",
                "the DID document gives this key another purpose",
            ));
        }
        Ok(method)
    }

    /// The key named `id` for `purpose`; errors of [`Self::verification_method`] and
    /// [`VerificationMethod::public_key`].
    pub fn verification_key(&self, id: &DidUrl, purpose: VerificationPurpose) -> Result<PublicKey> {
        self.verification_method(id, purpose)?.public_key()
    }

    /// The BBS key named `id` for `purpose`; errors of [`Self::verification_method`] and
    /// [`bbs::PublicKey::from_multikey`], and [`Error::Unsupported`] `did_key_type`.
    pub fn bbs_key(&self, id: &DidUrl, purpose: VerificationPurpose) -> Result<bbs::PublicKey> {
        match &self.verification_method(id, purpose)?.material {
            KeyMaterial::Multibase(text) => bbs::PublicKey::from_multikey(text),
            _ => Err(Error::unsupported("did_key_type", "the verification method's key is not one of BBS")),
        }
    }

    /// The document as JSON-LD, to be served as `application/did+ld+json` or `application/did`.
    pub fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("@context".into(), self.contexts());
        members.insert("id".into(), self.id.as_str().into());
        let methods: Vec<Value> =
            self.verification_methods.iter().map(VerificationMethod::to_value).collect();
        members.insert("verificationMethod".into(), methods.into());
        for purpose in VerificationPurpose::ALL {
            let names: Vec<Value> = self.names(purpose).iter().map(|name| name.to_string().into()).collect();
            if !names.is_empty() {
                members.insert(purpose.member().into(), names.into());
            }
        }
        members.into()
    }

    /// The contexts that define the types of the verification methods.
    fn contexts(&self) -> Value {
        let has = |form: fn(&KeyMaterial) -> bool| {
            self.verification_methods.iter().any(|method| form(&method.material))
        };
        let mut contexts = vec!["https://www.w3.org/ns/did/v1"];
        if has(|material| matches!(material, KeyMaterial::Jwk(_))) {
            contexts.push("https://w3id.org/security/suites/jws-2020/v1");
        }
        if has(|material| matches!(material, KeyMaterial::Multibase(_))) {
            contexts.push("https://w3id.org/security/multikey/v1");
        }
        contexts.into()
    }
}

fn list<'a>(document: &'a Value, member: &str) -> Result<&'a [Value]> {
    match document.get(member) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(malformed()),
    }
}

fn malformed() -> Error {
    Error::malformed("did_document", "a member of the DID document is missing or malformed")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn base() -> Value {
        let key = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2";
        json!({
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": "did:web:a.example",
            "verificationMethod": [
                {"id": "#one", "type": "Multikey", "controller": "did:web:a.example", "publicKeyMultibase": key},
                {"id": "did:web:a.example#odd", "type": "Odd", "controller": "did:web:a.example"},
                {"id": "#theirs", "type": "Multikey", "controller": "did:web:b.example", "publicKeyMultibase": key}
            ],
            "assertionMethod": ["#one", "#odd", "#theirs", "did:web:b.example#x"],
            "authentication": [
                {"id": "#two", "type": "JsonWebKey2020", "controller": "did:web:a.example", "publicKeyJwk": {
                    "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}
            ],
            "service": [{"id": "#s"}]
        })
    }

    fn parse(value: &Value) -> Result<DidDocument> {
        let did = Did::parse("did:web:a.example").unwrap();
        DidDocument::parse(&did, value.to_string().as_bytes(), &Limits::DEFAULT)
    }

    #[test]
    fn keys_by_purpose() {
        use VerificationPurpose::{AssertionMethod, Authentication, KeyAgreement};
        let document = parse(&base()).unwrap();
        let code = |fragment: &str, purpose| {
            let id = document.id.with_fragment(fragment).unwrap();
            document.verification_key(&id, purpose).err().map(|error| error.code())
        };
        assert_eq!(code("one", AssertionMethod), None);
        assert_eq!(code("two", Authentication), None);
        assert_eq!(code("one", Authentication), Some("did_method_purpose"));
        assert_eq!(code("two", AssertionMethod), Some("did_method_purpose"));
        assert_eq!(code("one", KeyAgreement), Some("did_method_purpose"));
        assert_eq!(code("three", AssertionMethod), Some("did_method_not_found"));
        assert_eq!(code("theirs", AssertionMethod), Some("did_method_controller"));
        assert_eq!(code("odd", AssertionMethod), Some("did_key_type"));
        // What we write reads as the same document.
        assert_eq!(parse(&document.to_value()).unwrap(), document);
    }

    #[test]
    fn refuses() {
        let cases = [
            ("id", json!("did:web:b.example"), "did_document_id"),
            ("id", json!(null), "did_document"),
            ("verificationMethod", json!({}), "did_document"),
            ("verificationMethod", json!([1]), "did_document"),
            ("verificationMethod", json!([{"id": "#a", "type": "X"}]), "did_document"),
            ("verificationMethod", json!([{"id": "a", "type": "X", "controller": "did:a:b"}]), "did_url"),
            ("verificationMethod", json!([{"id": "#a", "type": "X", "controller": "x"}]), "did"),
            ("authentication", json!(["nothing"]), "did_url"),
            ("authentication", json!([1]), "did_document"),
            (
                "verificationMethod",
                json!([{"id": "#a", "type": "X", "controller": "did:a:b"}, {"id": "#a", "type": "X", "controller": "did:a:b"}]),
                "did_document",
            ),
            (
                "verificationMethod",
                json!([{"id": "#a", "type": "X", "controller": "did:a:b", "publicKeyJwk": {"kty": "EC", "d": "AA"}}]),
                "jwk_private",
            ),
            (
                "verificationMethod",
                json!([{"id": "#a", "type": "X", "controller": "did:a:b", "publicKeyJwk": {}, "publicKeyMultibase": "z"}]),
                "did_document",
            ),
        ];
        for (member, value, code) in cases {
            let mut document = base();
            document[member] = value;
            assert_eq!(parse(&document).unwrap_err().code(), code, "{document}");
        }
        assert_eq!(parse(&json!([])).unwrap_err().code(), "did_document");
    }
}
