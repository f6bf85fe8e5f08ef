//! The `packed` attestation statement (WebAuthn Level 3 §8.2, §8.2.1, §8.2.2).

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::webauthn::cbor::Reader;
use crate::webauthn::cose_key::algorithm_from_cose;
use crate::webauthn::registration::VerifiedRegistration;
use crate::x509::{Certificate, UnverifiedChain};

/// `id-fido-gen-ce-aaguid`.
const AAGUID_EXTENSION: &str = "1.3.6.1.4.1.45724.1.1.4";
const COUNTRY: &str = "2.5.4.6";
const ORGANIZATION: &str = "2.5.4.10";
const ORGANIZATIONAL_UNIT: &str = "2.5.4.11";
const COMMON_NAME: &str = "2.5.4.3";

/// A `packed` attestation whose signature holds.
#[derive(Debug, Clone)]
pub enum PackedAttestation {
    /// Signed by the new key itself (self attestation).
    SelfSigned,
    /// Signed by the leaf of this chain, whose form fulfils §8.2.1; nobody has vouched for the chain yet.
    Certified(Box<UnverifiedChain>),
}

/// The members of `attStmt`, the same in `packed` and `android-key` (§8.4).
pub(super) struct Statement<'a> {
    pub(super) alg: i64,
    pub(super) sig: &'a [u8],
    pub(super) x5c: Option<Vec<&'a [u8]>>,
}

impl<'a> Statement<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        Self::members(bytes).map_err(|error| {
            Error::malformed(
                "attestation_statement",
                format!("the attestation statement: {}", error.detail()),
            )
        })
    }

    fn members(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let (mut alg, mut sig, mut x5c) = (None, None, None);
        for _ in 0..reader.map()? {
            let fresh = match reader.text()? {
                "alg" => alg.replace(reader.int()?).is_none(),
                "sig" => sig.replace(reader.bytes()?).is_none(),
                "x5c" => {
                    let count = reader.array()?;
                    x5c.replace((0..count).map(|_| reader.bytes()).collect::<Result<Vec<_>>>()?).is_none()
                }
                _ => false,
            };
            if !fresh {
                return Err(Error::malformed("attestation_statement", "an unknown or repeated member"));
            }
        }
        reader.finish()?;
        match (alg, sig) {
            (Some(alg), Some(sig)) => Ok(Self { alg, sig, x5c }),
            _ => Err(Error::malformed("attestation_statement", "alg or sig is missing")),
        }
    }
}

/// Verifies the statement's signature and the form of its certificate; the chain is for the caller to anchor.
///
/// Errors: `attestation_statement`, `cose_algorithm`, `attestation_algorithm` (`alg` does not fit the key),
/// `attestation_signature`, `attestation_certificate` (§8.2.1), `attestation_aaguid`, and those of
/// [`UnverifiedChain::from_der`].
pub fn verify(registration: &VerifiedRegistration, limits: &Limits) -> Result<PackedAttestation> {
    let attestation = &registration.attestation;
    let statement = Statement::read(&attestation.statement)?;
    let algorithm = algorithm_from_cose(statement.alg)?;
    let message = [&attestation.authenticator_data[..], &attestation.client_data_hash].concat();
    let chain = statement.x5c.as_ref().map(|x5c| UnverifiedChain::from_der(x5c, limits)).transpose()?;
    let key = match &chain {
        Some(chain) => chain.leaf_public_key()?,
        None => registration.public_key.clone(),
    };
    if key.algorithm() != algorithm {
        return Err(Error::untrusted(
            "attestation_algorithm",
            "the attestation's algorithm does not fit its key",
        ));
    }
    key.verify_der(&message, statement.sig).map_err(|_| {
        Error::untrusted("attestation_signature", "the attestation's signature does not verify")
    })?;
    let Some(chain) = chain else { return Ok(PackedAttestation::SelfSigned) };
    check_certificate(chain.leaf(), &registration.aaguid)?;
    Ok(PackedAttestation::Certified(Box::new(chain)))
}

/// §8.2.1, "Certificate Requirements for Packed Attestation Statements".
fn check_certificate(leaf: &Certificate, aaguid: &[u8; 16]) -> Result<()> {
    let bad = |detail: &'static str| Err(Error::untrusted("attestation_certificate", detail));
    if leaf.version() != 3 {
        return bad("the attestation certificate is not of version 3");
    }
    let is_country = |c: &str| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase());
    if !leaf.subject_attribute(COUNTRY).any(is_country) {
        return bad("the attestation certificate names no country");
    }
    if !leaf.subject_attribute(ORGANIZATION).any(|o| !o.is_empty()) {
        return bad("the attestation certificate names no organization");
    }
    let mut units = leaf.subject_attribute(ORGANIZATIONAL_UNIT);
    if units.next() != Some("Authenticator Attestation") || units.next().is_some() {
        return bad("the attestation certificate's unit is not \"Authenticator Attestation\"");
    }
    if !leaf.subject_attribute(COMMON_NAME).any(|cn| !cn.is_empty()) {
        return bad("the attestation certificate has no common name");
    }
    if leaf.is_ca() != Some(false) {
        return bad("the attestation certificate does not say that it is no CA");
    }
    if let Some(extension) = leaf.extension(AAGUID_EXTENSION) {
        if extension.critical {
            return bad("the attestation certificate's AAGUID extension is critical");
        }
        // OCTET STRING of 16 bytes.
        if extension.value.strip_prefix(&[0x04, 0x10]) != Some(aaguid) {
            return Err(Error::untrusted("attestation_aaguid", "the certificate belongs to another model"));
        }
    }
    Ok(())
}
