//! The signing key of a service and its certificates, made at first start and kept in the data folder.
//!
//! | file | what |
//! | --- | --- |
//! | `ca.key`, `ca.pem` | the own certification authority: whoever trusts this service takes `ca.pem` as trust anchor |
//! | `signing.key`, `signing.pem` | the signing key (P-256) and its certificate for the host and URL of the service |
//!
//! Keys are PKCS#8 in PEM, readable by the owner only. A hospital with its own PKI puts its own `signing.key` and
//! `signing.pem` there (and no `ca.key`): they are used as they are, and never renewed here.

mod software;

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use carekey_core::clock::{Clock, UnixTime};
use carekey_core::key::{Signer, SoftwareKey};
use carekey_core::random::Random;
use carekey_core::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use url::Url;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::private_file;

pub use software::load_or_create_software_key;

const PREPARED_KEY: &str = "signing.key.prepared";
const DAY: i64 = 86_400;
/// A credential carries the certificate it was signed under and must not outlive it. So the certificate is renewed, with
/// the same key, while it still holds for a year: the longest life of a credential.
const LEAF_DAYS: i64 = 730;
const LEAF_RENEW_DAYS: i64 = 365;
/// Renewed with the same key and name, so that trust in the old certificate carries over.
const CA_DAYS: i64 = 7_300;
const CA_RENEW_DAYS: i64 = 1_825;
/// Clocks differ.
const BACKDATE: i64 = 3_600;

/// The signing key of a service with its certificates.
pub struct ServiceKeys {
    folder: PathBuf,
    url: Url,
    signer: Arc<SoftwareKey>,
    current: RwLock<Certificates>,
}

/// A leaf and where it comes from.
#[derive(Clone)]
struct Certificates {
    /// The chain without the trust anchor, the leaf first.
    chain: Vec<Vec<u8>>,
    /// The own authority; absent when the operator brought the certificate.
    ca: Option<Vec<u8>>,
    renew_at: Option<UnixTime>,
}

/// Loads the keys and certificates in `folder`, and makes what is missing, out of date or for another URL than
/// `public_url`. Errors name the file.
pub fn load_or_create(
    folder: &Path,
    public_url: &Url,
    random: &dyn Random,
    clock: &dyn Clock,
) -> Result<ServiceKeys> {
    let key = load_or_create_key(&folder.join("signing.key"))?;
    let signer = SoftwareKey::from_pkcs8(key.serialized_der())
        .map_err(|error| invalid(&folder.join("signing.key"), error.detail()))?;
    let current = certificates(folder, public_url, &key, random, clock.now())?;
    Ok(ServiceKeys {
        folder: folder.to_owned(),
        url: public_url.clone(),
        signer: Arc::new(signer),
        current: RwLock::new(current),
    })
}

/// The key that is to follow `signing.key` in `folder`, made where it is missing.
///
/// Errors name the file; also when the operator brought the certificate of the signing key, which would not fit.
pub fn prepare_signing_key(folder: &Path) -> Result<SoftwareKey> {
    let leaf = folder.join("signing.pem");
    if leaf.exists() && !folder.join("ca.key").exists() {
        return Err(invalid(&leaf, "the operator's own certificate: bring a new key with a new certificate"));
    }
    let path = folder.join(PREPARED_KEY);
    let key = load_or_create_key(&path)?;
    SoftwareKey::from_pkcs8(key.serialized_der()).map_err(|error| invalid(&path, error.detail()))
}

/// Puts the prepared key in the place of `signing.key`, which is destroyed; errors name the file.
pub fn take_prepared_signing_key(folder: &Path) -> Result<()> {
    let path = folder.join(PREPARED_KEY);
    fs::rename(&path, folder.join("signing.key")).map_err(|error| named(&path, &error))?;
    fs::File::open(folder)?.sync_all()
}

impl ServiceKeys {
    /// The signing key.
    pub fn signer(&self) -> Arc<dyn Signer> {
        let signer: Arc<SoftwareKey> = Arc::clone(&self.signer);
        signer
    }

    /// The certificate chain for `x5c`, DER, the leaf first, without the trust anchor (RFC 7515 section 4.1.6; the anchor
    /// is what the reader must have already).
    pub fn chain(&self) -> Vec<Vec<u8>> {
        self.certificates().chain
    }

    /// The certificate of the own authority, DER: the trust anchor of this service. `None` when the operator brought the
    /// certificate.
    pub fn anchor(&self) -> Option<Vec<u8>> {
        self.certificates().ca
    }

    /// Renews the certificate when its time has come; returns whether it did. To be called about once a day.
    pub fn renew(&self, random: &dyn Random, clock: &dyn Clock) -> Result<bool> {
        let now = clock.now();
        if self.certificates().renew_at.is_none_or(|at| now < at) {
            return Ok(false);
        }
        let key = load_or_create_key(&self.folder.join("signing.key"))?;
        let stored = SoftwareKey::from_pkcs8(key.serialized_der());
        if stored.is_ok_and(|stored| stored.public_key() != self.signer.public_key()) {
            // Rotated while this process runs: a certificate of the next key does not fit what this one signs.
            return Ok(false);
        }
        let fresh = certificates(&self.folder, &self.url, &key, random, now)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }

    fn certificates(&self) -> Certificates {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for ServiceKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceKeys").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// The 256-bit secret in the file `path` (base64url), made at first use and readable by the owner only: the key that
/// seals a store, for example.
pub fn load_or_create_secret(path: &Path, random: &dyn Random) -> Result<Secret<[u8; 32]>> {
    use carekey_core::encoding::base64url;
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Secret::new(text);
            let bytes = base64url::decode(text.expose().trim()).map(Secret::new);
            let bytes = bytes.map_err(|_| invalid(path, "not base64url"))?;
            let array = <[u8; 32]>::try_from(bytes.expose().as_slice());
            array.map(Secret::new).map_err(|_| invalid(path, "not 32 bytes"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let secret = Secret::new(random.array());
            let text = Secret::new(base64url::encode(secret.expose()));
            private_file::create(path, text.expose().as_bytes())?;
            Ok(secret)
        }
        Err(error) => Err(named(path, &error)),
    }
}

fn load_or_create_key(path: &Path) -> Result<KeyPair> {
    match fs::read_to_string(path) {
        Ok(pem) => {
            let pem = Secret::new(pem);
            KeyPair::from_pem(pem.expose()).map_err(|_| invalid(path, "not a P-256 key in PKCS#8 PEM"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::other)?;
            let pem = Secret::new(key.serialize_pem());
            private_file::create(path, pem.expose().as_bytes())?;
            Ok(key)
        }
        Err(error) => Err(named(path, &error)),
    }
}

fn certificates(
    folder: &Path,
    url: &Url,
    key: &KeyPair,
    random: &dyn Random,
    now: UnixTime,
) -> Result<Certificates> {
    let (leaf_path, ca_key_path) = (folder.join("signing.pem"), folder.join("ca.key"));
    let stored = read_chain(&leaf_path)?;
    if let (Some(chain), false) = (&stored, ca_key_path.exists()) {
        let leaf = facts(&leaf_path, chain)?;
        if leaf.public_key != key.subject_public_key_info() {
            return Err(invalid(&leaf_path, "the first certificate is not for the key in signing.key"));
        }
        return Ok(Certificates { chain: chain.clone(), ca: None, renew_at: None });
    }
    let ca_key = load_or_create_key(&ca_key_path)?;
    let ca_params = ca_params(&ca_key, random, now)?;
    let ca = authority(folder, &ca_key, &ca_params, now)?;
    if let Some(chain) = stored {
        let leaf = facts(&leaf_path, &chain)?;
        let renew_at = leaf.not_after.plus(-LEAF_RENEW_DAYS * DAY);
        let fits =
            leaf.public_key == key.subject_public_key_info() && leaf.urls.iter().any(|of| of == url.as_str());
        if fits && now < renew_at {
            return Ok(Certificates { chain, ca: Some(ca), renew_at: Some(renew_at) });
        }
    }
    let params = leaf_params(url, random, now)?;
    let issuer = Issuer::from_params(&ca_params, &ca_key);
    let leaf = params.signed_by(key, &issuer).map_err(Error::other)?;
    private_file::write(&leaf_path, leaf.pem().as_bytes())?;
    let renew_at = now.plus((LEAF_DAYS - LEAF_RENEW_DAYS) * DAY);
    Ok(Certificates { chain: vec![leaf.der().to_vec()], ca: Some(ca), renew_at: Some(renew_at) })
}

/// The certificate of the own authority: the stored one while it lasts, else a fresh one for the same key.
fn authority(folder: &Path, key: &KeyPair, params: &CertificateParams, now: UnixTime) -> Result<Vec<u8>> {
    let path = folder.join("ca.pem");
    if let Some(chain) = read_chain(&path)? {
        let stored = facts(&path, &chain)?;
        if stored.public_key == key.subject_public_key_info()
            && now < stored.not_after.plus(-CA_RENEW_DAYS * DAY)
        {
            return chain.into_iter().next().ok_or_else(|| invalid(&path, "no certificate"));
        }
    }
    let certificate = params.self_signed(key).map_err(Error::other)?;
    private_file::write(&path, certificate.pem().as_bytes())?;
    Ok(certificate.der().to_vec())
}

fn ca_params(key: &KeyPair, random: &dyn Random, now: UnixTime) -> Result<CertificateParams> {
    let mut params = base_params(random, now, CA_DAYS)?;
    // The name follows from the key alone, so that a renewed certificate has the same name.
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.public_key_raw());
    let tag: String = digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = common_name(&format!("CareKey service root {tag}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params(url: &Url, random: &dyn Random, now: UnixTime) -> Result<CertificateParams> {
    let host =
        url.host_str().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the public URL has no host"))?;
    let mut params = base_params(random, now, LEAF_DAYS)?;
    params.distinguished_name = common_name(host);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let name = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(host.try_into().map_err(Error::other)?),
    };
    let uri = url.as_str().trim_end_matches('/');
    params.subject_alt_names = vec![
        name,
        SanType::URI(uri.try_into().map_err(Error::other)?),
        SanType::URI(url.as_str().try_into().map_err(Error::other)?),
    ];
    params.subject_alt_names.dedup();
    Ok(params)
}

fn base_params(random: &dyn Random, now: UnixTime, days: i64) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    let mut serial: [u8; 16] = random.array();
    // Positive, and of full length (RFC 5280 section 4.1.2.2).
    let [first, ..] = &mut serial;
    *first = *first & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let begin = u64::try_from(now.plus(-BACKDATE).as_secs()).map_err(Error::other)?;
    let length = u64::try_from(days.saturating_mul(DAY)).map_err(Error::other)?;
    params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(begin);
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(begin.saturating_add(length));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}

fn read_chain(path: &Path) -> Result<Option<Vec<Vec<u8>>>> {
    let pem = match fs::read(path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(path, &error)),
    };
    let chain: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&pem).map(|item| item.map(|der| der.to_vec())).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(Some(chain)),
        _ => Err(invalid(path, "no certificate in PEM")),
    }
}

struct Facts {
    not_after: UnixTime,
    public_key: Vec<u8>,
    urls: Vec<String>,
}

fn facts(path: &Path, chain: &[Vec<u8>]) -> Result<Facts> {
    let der = chain.first().ok_or_else(|| invalid(path, "no certificate"))?;
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| invalid(path, "not an X.509 certificate"))?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let urls =
        names.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        });
    Ok(Facts {
        not_after: UnixTime::from_secs(certificate.validity().not_after.timestamp()),
        public_key: certificate.public_key().raw.to_vec(),
        urls: urls.collect(),
    })
}

fn invalid(path: &Path, reason: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("{}: {reason}", path.display()))
}

fn named(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use carekey_core::clock::FixedClock;
    use carekey_core::random::SystemRandom;

    use super::*;

    const START: i64 = 1_780_000_000;

    fn open(folder: &Path, url: &str, clock: &FixedClock) -> ServiceKeys {
        load_or_create(folder, &Url::parse(url).unwrap(), &SystemRandom, clock).unwrap()
    }

    fn leaf(keys: &ServiceKeys) -> Facts {
        facts(Path::new("leaf"), &keys.chain()).unwrap()
    }

    #[test]
    fn keys_survive_a_restart_and_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/b");
        let clock = FixedClock::new(UnixTime::from_secs(START));
        let first = open(&data, "https://hospital.example", &clock);
        let second = open(&data, "https://hospital.example", &clock);
        assert_eq!(first.signer().public_key(), second.signer().public_key());
        assert_eq!((first.chain(), first.anchor()), (second.chain(), second.anchor()));
        #[cfg(unix)]
        for name in ["ca.key", "signing.key"] {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        assert!(!format!("{first:?}").contains("BEGIN"));
    }

    #[test]
    fn certificate_names_the_service_and_is_signed_by_the_authority() {
        let folder = tempfile::tempdir().unwrap();
        let clock = FixedClock::new(UnixTime::from_secs(START));
        let keys = open(folder.path(), "https://hospital.example:8801/", &clock);
        let (leaf_der, ca_der) = (keys.chain().remove(0), keys.anchor().unwrap());
        let (_, leaf) = X509Certificate::from_der(&leaf_der).unwrap();
        let (_, ca) = X509Certificate::from_der(&ca_der).unwrap();
        assert_eq!(leaf.issuer(), ca.subject());
        let names = leaf.subject_alternative_name().unwrap().unwrap();
        let names: Vec<_> = names.value.general_names.iter().map(ToString::to_string).collect();
        assert!(names.iter().any(|name| name.contains("DNSName(hospital.example)")), "{names:?}");
        assert!(names.iter().any(|name| name.contains("URI(https://hospital.example:8801)")), "{names:?}");
        assert!(ca.basic_constraints().unwrap().unwrap().value.ca);
        assert!(leaf.basic_constraints().unwrap().is_none());
        assert!(leaf.key_usage().unwrap().unwrap().value.digital_signature());

        // The signature, by the key of the authority and by core's own verification.
        let signature = leaf.signature_value.data.as_ref();
        let point = ca.public_key().subject_public_key.data.as_ref();
        let key =
            carekey_core::key::PublicKey::from_sec1(carekey_core::key::SignatureAlgorithm::Es256, point);
        key.unwrap().verify_der(leaf.tbs_certificate.as_ref(), signature).unwrap();
    }

    #[test]
    fn renewed_before_expiry_with_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let clock = FixedClock::new(UnixTime::from_secs(START));
        let keys = open(folder.path(), "https://h.example", &clock);
        let before = keys.chain();
        assert!(!keys.renew(&SystemRandom, &clock).unwrap());
        clock.set(UnixTime::from_secs(START + 366 * DAY));
        assert!(keys.renew(&SystemRandom, &clock).unwrap());
        assert!(!keys.renew(&SystemRandom, &clock).unwrap());
        assert_ne!(before, keys.chain());
        assert!(leaf(&keys).not_after.since(clock.now()) > LEAF_RENEW_DAYS * DAY);
        let again = open(folder.path(), "https://h.example", &clock);
        assert_eq!(again.chain(), keys.chain());
        assert_eq!(again.signer().public_key(), keys.signer().public_key());

        // The authority: another certificate, the same key and name, so that the old anchor still holds.
        let old = keys.anchor().unwrap();
        clock.set(UnixTime::from_secs(START + 16 * 365 * DAY));
        assert!(keys.renew(&SystemRandom, &clock).unwrap());
        let new = keys.anchor().unwrap();
        assert_ne!(old, new);
        let (_, old) = X509Certificate::from_der(&old).unwrap();
        let (_, new) = X509Certificate::from_der(&new).unwrap();
        assert_eq!((old.subject(), old.public_key()), (new.subject(), new.public_key()));
    }

    #[test]
    fn another_url_is_another_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let clock = FixedClock::new(UnixTime::from_secs(START));
        let first = open(folder.path(), "https://a.example", &clock);
        let second = open(folder.path(), "https://b.example", &clock);
        assert_ne!(first.chain(), second.chain());
        assert_eq!(first.anchor(), second.anchor());
        open(folder.path(), "http://127.0.0.1:8801", &clock);
        open(folder.path(), "http://[::1]:8801", &clock);
    }

    #[test]
    fn an_own_certificate_is_used_as_it_is() {
        let (made, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let clock = FixedClock::new(UnixTime::from_secs(START));
        let theirs = open(made.path(), "https://h.example", &clock);
        for name in ["signing.key", "signing.pem"] {
            fs::copy(made.path().join(name), own.path().join(name)).unwrap();
        }
        let ours = open(own.path(), "https://h.example", &clock);
        assert_eq!((ours.chain(), ours.anchor()), (theirs.chain(), None));
        assert!(!own.path().join("ca.key").exists());
        clock.set(UnixTime::from_secs(START + 700 * DAY));
        assert!(!ours.renew(&SystemRandom, &clock).unwrap());

        // A certificate for another key.
        let other = tempfile::tempdir().unwrap();
        fs::copy(made.path().join("signing.pem"), other.path().join("signing.pem")).unwrap();
        let url = Url::parse("https://h.example").unwrap();
        let error = load_or_create(other.path(), &url, &SystemRandom, &clock).unwrap_err();
        assert!(error.to_string().contains("signing.pem"), "{error}");
    }

    #[test]
    fn secrets_are_made_once_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        let first = load_or_create_secret(&path, &SystemRandom).unwrap();
        assert_eq!(load_or_create_secret(&path, &SystemRandom).unwrap().expose(), first.expose());
        fs::write(&path, "AAAA").unwrap();
        let error = load_or_create_secret(&path, &SystemRandom).unwrap_err();
        assert!(error.to_string().contains("store.key"));
        fs::write(folder.path().join("signing.key"), "x").unwrap();
        let clock = FixedClock::new(UnixTime::from_secs(START));
        let url = Url::parse("https://h.example").unwrap();
        let error = load_or_create(folder.path(), &url, &SystemRandom, &clock).unwrap_err();
        assert!(error.to_string().contains("signing.key"), "{error}");
    }
}
