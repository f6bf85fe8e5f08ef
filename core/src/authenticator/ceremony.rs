//! Both ceremonies of the authenticator embedded in a wallet app, cut where the platform's key store has its part: the
//! bytes are made here, the key is made and used there, perhaps behind a prompt (source S1 of the design).
//!
//! ```text
//! NewRegistration::begin ─ client_data_hash ─▶ key store makes AK, attesting that hash
//!   .with_key(AK) ─ message ─▶ key store signs (only where the format has a signature)
//!   .finish(evidence) ─▶ RegistrationResponse
//! ```

use crate::authenticator::embedded::{
    ClientDataMembers, android_key_object, assertion_data, challenge_text, none_object, registration_data,
    signed_message,
};
use crate::encoding::sha256;
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::webauthn::assertion::{AssertionResponse, AuthenticationResponse};
use crate::webauthn::authenticator_data::Flags;
use crate::webauthn::client_data::Ceremony;
use crate::webauthn::cose_key::cose_algorithm;
use crate::webauthn::options::{CreationOptions, RequestOptions};
use crate::webauthn::registration::{AppAttestEvidence, AttestationResponse, RegistrationResponse};
use crate::webauthn::{Bytes, CredentialType, StrippedExtensionResults};

/// The model of this authenticator: a random identifier of this project, d0ce032d-b642-45d9-a5f1-ffca9077ab45.
pub const AAGUID: [u8; 16] =
    [0xd0, 0xce, 0x03, 0x2d, 0xb6, 0x42, 0x45, 0xd9, 0xa5, 0xf1, 0xff, 0xca, 0x90, 0x77, 0xab, 0x45];

/// User present and verified, key bound to the device.
const VERIFIED: Flags = Flags::from_byte(0x05);

/// What the platform's key store says about AK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing: the registration is `none`.
    None,
    /// Android Key Attestation: format `android-key`.
    AndroidKey {
        /// The signature by AK over [`UnsignedRegistration::message`], DER.
        signature: Vec<u8>,
        /// Certificates in DER, leaf first.
        chain: Vec<Vec<u8>>,
    },
    /// App Attest over [`UnsignedRegistration::app_attest_hash`]: format `none`, and the evidence beside it.
    AppAttest(AppAttestEvidence),
}

/// A registration whose key does not exist yet.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    rp_id: String,
    credential_id: Vec<u8>,
    client_data: Vec<u8>,
}

impl NewRegistration {
    /// Starts a registration for `options` under a fresh random `credential_id`, as client `origin`.
    ///
    /// # Errors
    /// `cose_algorithm` when ES256 is not offered.
    pub fn begin(options: &CreationOptions, origin: &str, credential_id: &[u8]) -> Result<Self> {
        let es256 = cose_algorithm(SignatureAlgorithm::Es256);
        if !options.pub_key_cred_params.iter().any(|offered| offered.alg == es256) {
            return Err(Error::unsupported("cose_algorithm", "this authenticator makes ES256 keys only"));
        }
        Ok(Self {
            rp_id: options.rp.id.clone(),
            credential_id: credential_id.to_vec(),
            client_data: client_data(Ceremony::Registration, &options.challenge.0, origin)?,
        })
    }

    /// What the key store's evidence has to commit to: on Android the attestation challenge, on Apple's systems the first
    /// part of what [`client_data_hash`](crate::attestation::app_attest::client_data_hash) covers.
    pub fn client_data_hash(&self) -> [u8; 32] {
        sha256(&self.client_data)
    }

    /// Goes on with the key that was made.
    ///
    /// # Errors
    /// `cose_algorithm` for a key that is not P-256, `credential_id_length`.
    pub fn with_key(self, key: &PublicKey) -> Result<UnsignedRegistration> {
        if key.algorithm() != SignatureAlgorithm::Es256 {
            return Err(Error::misuse("cose_algorithm", "the key of the authenticator is not P-256"));
        }
        let data = registration_data(&self.rp_id, VERIFIED, 0, &AAGUID, &self.credential_id, key)?;
        Ok(UnsignedRegistration { registration: self, key: key.clone(), data })
    }
}

/// A registration that wants its evidence.
#[derive(Debug, Clone)]
pub struct UnsignedRegistration {
    registration: NewRegistration,
    key: PublicKey,
    data: Vec<u8>,
}

impl UnsignedRegistration {
    /// What AK signs for `android-key`.
    pub fn message(&self) -> Vec<u8> {
        signed_message(&self.data, &self.registration.client_data)
    }

    /// What App Attest signs.
    pub fn app_attest_hash(&self) -> [u8; 32] {
        crate::attestation::app_attest::client_data_hash(&self.registration.client_data_hash(), &self.key)
    }

    /// The response, as a browser would hand it out.
    pub fn finish(self, evidence: Evidence) -> RegistrationResponse {
        let (object, app_attest) = match evidence {
            Evidence::None => (none_object(&self.data), None),
            Evidence::AndroidKey { signature, chain } => {
                (android_key_object(&signature, &chain, &self.data), None)
            }
            Evidence::AppAttest(evidence) => (none_object(&self.data), Some(evidence)),
        };
        let NewRegistration { credential_id, client_data, .. } = self.registration;
        RegistrationResponse {
            id: Bytes(credential_id.clone()),
            raw_id: Bytes(credential_id),
            response: AttestationResponse {
                client_data_json: Bytes(client_data),
                attestation_object: Bytes(object),
                transports: vec!["internal".to_owned()],
            },
            authenticator_attachment: Some("platform".to_owned()),
            client_extension_results: StrippedExtensionResults {},
            kind: CredentialType::PublicKey,
            app_attest,
        }
    }
}

/// An assertion that wants AK's signature.
#[derive(Debug, Clone)]
pub struct UnsignedAssertion {
    credential_id: Vec<u8>,
    client_data: Vec<u8>,
    data: Vec<u8>,
}

impl UnsignedAssertion {
    /// Starts an assertion for `options` by the key `credential_id`, as client `origin`.
    ///
    /// # Errors
    /// `authenticator_no_key` when `options` name other keys only.
    pub fn begin(options: &RequestOptions, origin: &str, credential_id: &[u8]) -> Result<Self> {
        let allowed = &options.allow_credentials;
        if !allowed.is_empty() && !allowed.iter().any(|key| key.id.0 == credential_id) {
            return Err(Error::refused("authenticator_no_key", "the request is for other keys"));
        }
        Ok(Self {
            credential_id: credential_id.to_vec(),
            client_data: client_data(Ceremony::Assertion, &options.challenge.0, origin)?,
            data: assertion_data(&options.rp_id, VERIFIED, 0),
        })
    }

    /// What AK signs, after verification of its user.
    pub fn message(&self) -> Vec<u8> {
        signed_message(&self.data, &self.client_data)
    }

    /// The response with the signature, DER.
    pub fn finish(self, signature: Vec<u8>) -> AuthenticationResponse {
        AuthenticationResponse {
            id: Bytes(self.credential_id.clone()),
            raw_id: Bytes(self.credential_id),
            response: AssertionResponse {
                client_data_json: Bytes(self.client_data),
                authenticator_data: Bytes(self.data),
                signature: Bytes(signature),
                user_handle: None,
            },
            authenticator_attachment: Some("platform".to_owned()),
            client_extension_results: StrippedExtensionResults {},
            kind: CredentialType::PublicKey,
        }
    }
}

fn client_data(ceremony: Ceremony, challenge: &[u8], origin: &str) -> Result<Vec<u8>> {
    let challenge = challenge_text(challenge);
    let kind = ceremony.as_str();
    ClientDataMembers { kind, challenge: &challenge, origin, cross_origin: false, top_origin: None }.to_json()
}
