//! A whole authenticator and client in memory: no hardware, no person. For the demonstration without a browser, and for
//! tests, which can make it misbehave.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::authenticator::embedded::{
    AttestationSource, ClientDataMembers, assertion_data, attestation_object, challenge_text,
    registration_data, signed_message,
};
use crate::error::{Error, Result};
use crate::key::{SignatureAlgorithm, SoftwareKey};
use crate::random::Random;
use crate::webauthn::assertion::{AssertionResponse, AuthenticationResponse};
use crate::webauthn::authenticator_data::Flags;
use crate::webauthn::client_data::Ceremony;
use crate::webauthn::cose_key::cose_algorithm;
use crate::webauthn::options::{CreationOptions, RequestOptions};
use crate::webauthn::registration::{AttestationResponse, RegistrationResponse};
use crate::webauthn::{Bytes, CredentialType, StrippedExtensionResults};

/// How the authenticator and its client behave. The default is good behaviour: user present and verified, key bound to
/// the device, no counter. Everything else is for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// The UP flag.
    pub user_present: bool,
    /// The UV flag.
    pub user_verified: bool,
    /// The BE flag.
    pub backup_eligible: bool,
    /// The BS flag.
    pub backup_state: bool,
    /// The person says no.
    pub declines: bool,
    /// The counter of the next assertion; zero means that none is kept.
    pub sign_count: u32,
    /// Instead of the configured origin.
    pub origin: Option<String>,
    /// Instead of the ceremony's `type`.
    pub kind: Option<String>,
    /// Instead of the RP ID of the options.
    pub rp_id: Option<String>,
    /// Instead of the challenge of the options.
    pub challenge: Option<Vec<u8>>,
    /// `crossOrigin`.
    pub cross_origin: bool,
    /// `topOrigin`.
    pub top_origin: Option<String>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            user_present: true,
            user_verified: true,
            backup_eligible: false,
            backup_state: false,
            declines: false,
            sign_count: 0,
            origin: None,
            kind: None,
            rp_id: None,
            challenge: None,
            cross_origin: false,
            top_origin: None,
        }
    }
}

impl Behaviour {
    const fn flags(&self) -> Flags {
        let mut byte = 0;
        if self.user_present {
            byte |= 0x01;
        }
        if self.user_verified {
            byte |= 0x04;
        }
        if self.backup_eligible {
            byte |= 0x08;
        }
        if self.backup_state {
            byte |= 0x10;
        }
        Flags::from_byte(byte)
    }
}

struct HeldKey {
    rp_id: String,
    user_handle: Bytes,
    key: SoftwareKey,
}

/// A software authenticator behind one client origin. It counts how often it asked its (imaginary) user.
pub struct SoftwareAuthenticator {
    origin: String,
    aaguid: [u8; 16],
    attestation: AttestationSource,
    random: Arc<dyn Random>,
    behaviour: Mutex<Behaviour>,
    keys: Mutex<HashMap<Vec<u8>, HeldKey>>,
    prompts: AtomicUsize,
}

impl std::fmt::Debug for SoftwareAuthenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoftwareAuthenticator").field("origin", &self.origin).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every critical section leaves its value whole, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SoftwareAuthenticator {
    /// An authenticator that answers from `origin`, without attestation and with AAGUID zero.
    pub fn new(origin: impl Into<String>, random: Arc<dyn Random>) -> Self {
        Self {
            origin: origin.into(),
            aaguid: [0; 16],
            attestation: AttestationSource::None,
            random,
            behaviour: Mutex::default(),
            keys: Mutex::default(),
            prompts: AtomicUsize::new(0),
        }
    }

    /// The same, attesting its keys as model `aaguid`.
    #[must_use]
    pub fn with_attestation(mut self, aaguid: [u8; 16], attestation: AttestationSource) -> Self {
        self.aaguid = aaguid;
        self.attestation = attestation;
        self
    }

    /// Behaves like that from here on.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.behaviour) = behaviour;
    }

    /// How often the user was asked.
    pub fn prompts(&self) -> usize {
        self.prompts.load(Ordering::SeqCst)
    }

    /// Puts a key into the authenticator, as if it had been registered.
    pub fn insert_key(&self, credential_id: &[u8], rp_id: &str, key: SoftwareKey) {
        let held = HeldKey { rp_id: rp_id.to_owned(), user_handle: Bytes::default(), key };
        lock(&self.keys).insert(credential_id.to_vec(), held);
    }

    /// Asks the user once.
    fn prompt(&self) -> Result<Behaviour> {
        self.prompts.fetch_add(1, Ordering::SeqCst);
        let behaviour = lock(&self.behaviour).clone();
        if behaviour.declines {
            return Err(Error::refused("user_declined", "the person declined the user verification"));
        }
        Ok(behaviour)
    }

    fn client_data(&self, ceremony: Ceremony, challenge: &[u8], behaviour: &Behaviour) -> Result<Vec<u8>> {
        ClientDataMembers {
            kind: behaviour.kind.as_deref().unwrap_or(ceremony.as_str()),
            challenge: &challenge_text(behaviour.challenge.as_deref().unwrap_or(challenge)),
            origin: behaviour.origin.as_deref().unwrap_or(&self.origin),
            cross_origin: behaviour.cross_origin,
            top_origin: behaviour.top_origin.as_deref(),
        }
        .to_json()
    }

    /// `navigator.credentials.create()`: makes an ES256 key. One prompt.
    ///
    /// Errors: `cose_algorithm` when ES256 is not offered, `authenticator_excluded` when a key of `excludeCredentials` is
    /// here, `user_declined`.
    pub fn create(&self, options: &CreationOptions) -> Result<RegistrationResponse> {
        let es256 = cose_algorithm(SignatureAlgorithm::Es256);
        if !options.pub_key_cred_params.iter().any(|p| p.alg == es256) {
            return Err(Error::unsupported("cose_algorithm", "this authenticator makes ES256 keys only"));
        }
        if options.exclude_credentials.iter().any(|c| lock(&self.keys).contains_key(&c.id.0)) {
            return Err(Error::refused(
                "authenticator_excluded",
                "a key of this account is on the authenticator",
            ));
        }
        let behaviour = self.prompt()?;
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256)?;
        let credential_id = self.random.array::<16>();
        let client_data = self.client_data(Ceremony::Registration, &options.challenge.0, &behaviour)?;
        let data = registration_data(
            behaviour.rp_id.as_deref().unwrap_or(&options.rp.id),
            behaviour.flags(),
            0,
            &self.aaguid,
            &credential_id,
            crate::key::Signer::public_key(&key),
        )?;
        // `none` in the options: the client takes the attestation away (§5.4.7).
        let source = if options.attestation == "none" { &AttestationSource::None } else { &self.attestation };
        let object = attestation_object(source, &key, &data, &client_data)?;
        let held = HeldKey { rp_id: options.rp.id.clone(), user_handle: options.user.id.clone(), key };
        lock(&self.keys).insert(credential_id.to_vec(), held);
        Ok(RegistrationResponse {
            id: Bytes(credential_id.to_vec()),
            raw_id: Bytes(credential_id.to_vec()),
            response: AttestationResponse {
                client_data_json: Bytes(client_data),
                attestation_object: Bytes(object),
                transports: vec!["internal".to_owned()],
            },
            authenticator_attachment: Some("platform".to_owned()),
            client_extension_results: StrippedExtensionResults {},
            kind: CredentialType::PublicKey,
            app_attest: None,
        })
    }

    /// `navigator.credentials.get()`: signs with the first allowed key that is here. One prompt.
    ///
    /// Errors: `authenticator_no_key`, `user_declined`.
    pub fn get(&self, options: &RequestOptions) -> Result<AuthenticationResponse> {
        let behaviour = self.prompt()?;
        let keys = lock(&self.keys);
        let allowed = |id: &Vec<u8>| {
            options.allow_credentials.is_empty() || options.allow_credentials.iter().any(|c| c.id.0 == *id)
        };
        let (id, held) = keys
            .iter()
            .find(|(id, held)| held.rp_id == options.rp_id && allowed(id))
            .ok_or_else(|| Error::refused("authenticator_no_key", "no key of that relying party is here"))?;
        let client_data = self.client_data(Ceremony::Assertion, &options.challenge.0, &behaviour)?;
        let rp_id = behaviour.rp_id.as_deref().unwrap_or(&options.rp_id);
        let data = assertion_data(rp_id, behaviour.flags(), behaviour.sign_count);
        let signature = held.key.sign_der(&signed_message(&data, &client_data))?;
        Ok(AuthenticationResponse {
            id: Bytes(id.clone()),
            raw_id: Bytes(id.clone()),
            response: AssertionResponse {
                client_data_json: Bytes(client_data),
                authenticator_data: Bytes(data),
                signature: Bytes(signature),
                user_handle: Some(held.user_handle.clone()),
            },
            authenticator_attachment: Some("platform".to_owned()),
            client_extension_results: StrippedExtensionResults {},
            kind: CredentialType::PublicKey,
        })
    }
}
