//! W3C credentials with the proofs and envelopes of `ssi` 0.16. It has no JCS suites.

use std::borrow::Cow;

use serde_json::Value;
use ssi::claims::VerificationParameters;
use ssi::claims::data_integrity::{
    AnyDataIntegrity, AnySelectionOptions, AnySuite, CryptographicSuite as _, DataIntegrityDocument,
    ProofOptions,
};
use ssi::claims::vc::v2::JsonCredential;
use ssi::claims::vc_jose_cose::JoseVc;
use ssi::dids::{AnyDidMethod, DIDKey, DIDURLBuf, VerificationMethodDIDResolver};
use ssi::verification_methods::{AnyMethod, SingleSecretSigner};
use ssi_jwk::JWK;
use ssi_jws::{JwsPayload, JwsVec};

/// The payload of a `vc+jwt` (VC-JOSE-COSE section 3.1.1).
struct VcJwt(Vec<u8>);

impl JwsPayload for VcJwt {
    fn typ(&self) -> Option<&str> {
        Some("vc+jwt")
    }

    fn cty(&self) -> Option<&str> {
        Some("vc")
    }

    fn payload_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

type Resolver = VerificationMethodDIDResolver<AnyDidMethod, AnyMethod>;

/// `ssi` with a resolver of its DID methods, of which only did:key is used.
pub struct Securing {
    resolver: Resolver,
}

impl Default for Securing {
    fn default() -> Self {
        Self { resolver: VerificationMethodDIDResolver::new(AnyDidMethod::default()) }
    }
}

/// The name of a suite, and what makes a key for it.
pub type Suite = (&'static str, fn() -> JWK);

/// The suites of `ssi` that ours are compared with, each with a kind of key.
pub const SUITES: [Suite; 5] = [
    ("eddsa-rdfc-2022", ed25519),
    ("ecdsa-rdfc-2019", JWK::generate_p256),
    ("ecdsa-rdfc-2019", JWK::generate_p384),
    ("ecdsa-sd-2023", JWK::generate_p256),
    ("bbs-2023", JWK::generate_bls12381g2),
];

fn ed25519() -> JWK {
    JWK::generate_ed25519().expect("a key")
}

fn suite(name: &str) -> AnySuite {
    match name {
        "eddsa-rdfc-2022" => AnySuite::EdDsaRdfc2022,
        "ecdsa-rdfc-2019" => AnySuite::EcdsaRdfc2019,
        "ecdsa-sd-2023" => AnySuite::EcdsaSd2023,
        "bbs-2023" => AnySuite::Bbs2023,
        _ => panic!("no suite {name}"),
    }
}

impl Securing {
    /// `credential` with the key's did:key as its issuer and a proof of the suite (a base proof, where there are such).
    pub async fn issue(&self, name: &str, key: &JWK, credential: &Value) -> Value {
        let method = DIDKey::generate_url(key).expect("a did:key");
        let mut credential = credential.clone();
        credential["issuer"] = method.did().as_str().into();
        let credential: JsonCredential = serde_json::from_value(credential).expect("a credential");
        let options = ProofOptions::from_method(method.into_iri().into());
        let signer = SingleSecretSigner::new(key.clone()).into_local();
        let signed = suite(name).sign(credential, &self.resolver, signer, options).await.expect("signs");
        serde_json::to_value(signed).expect("JSON")
    }

    /// `credential` by the DID of `method` with a proof of a suite from before Data Integrity, in the name of `method`.
    pub async fn issue_older(&self, suite: AnySuite, key: &JWK, method: &str, credential: &Value) -> Value {
        let method = DIDURLBuf::from_string(method.to_owned()).expect("a DID URL");
        let mut credential = credential.clone();
        credential["issuer"] = method.did().as_str().into();
        let document: DataIntegrityDocument = serde_json::from_value(credential).expect("a document");
        let options = ProofOptions::from_method(method.into_iri().into());
        let signer = SingleSecretSigner::new(key.clone()).into_local();
        let signed = suite.sign(document, &self.resolver, signer, options).await.expect("signs");
        serde_json::to_value(signed).expect("JSON")
    }

    /// `credential` in a `vc+jwt` that `ssi` signs; its own type for these has the name of a draft.
    pub async fn issue_jwt(&self, key: &JWK, credential: &Value) -> String {
        VcJwt(credential.to_string().into_bytes()).sign(key).await.expect("signs").into_string()
    }

    /// Whether `ssi` accepts a `vc+jwt` under this key.
    pub async fn verify_jwt(&self, compact: &str, key: &JWK) -> bool {
        let Ok(jws) = JwsVec::new(compact.as_bytes().to_vec()) else { return false };
        let Ok(decoded) = JoseVc::decode_any(&jws) else { return false };
        matches!(decoded.verify(VerificationParameters::from_resolver(key)).await, Ok(Ok(())))
    }

    /// What a holder shows of a credential with a base proof.
    pub async fn derive(&self, credential: &Value, pointers: &[&str]) -> Value {
        let credential: AnyDataIntegrity<JsonCredential> =
            serde_json::from_value(credential.clone()).expect("a credential");
        let mut selection = AnySelectionOptions::default();
        selection.selective_pointers =
            pointers.iter().map(|pointer| pointer.parse().expect("a pointer")).collect();
        let parameters = VerificationParameters::from_resolver(&self.resolver);
        let derived = credential.select(&parameters, selection).await.expect("derives");
        serde_json::to_value(derived).expect("JSON")
    }

    /// Whether `ssi` accepts the credential.
    pub async fn verify(&self, text: &str) -> bool {
        let Ok(credential) = serde_json::from_str::<AnyDataIntegrity<JsonCredential>>(text) else {
            return false;
        };
        let parameters = VerificationParameters::from_resolver(&self.resolver);
        matches!(credential.verify(parameters).await, Ok(Ok(())))
    }
}
