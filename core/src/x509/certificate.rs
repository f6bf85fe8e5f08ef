//! One certificate, read once into owned facts.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Version};

use super::signature::{SignatureScheme, SubjectKey};
use crate::clock::UnixTime;
use crate::encoding::sha256;
use crate::error::{Error, Result};
use crate::key::PublicKey;

/// Longer certificates are refused before they are parsed.
const MAX_CERTIFICATE_BYTES: usize = 32 * 1024;

/// A parsed certificate; nothing about it is verified.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    scheme: SignatureScheme,
    signature: Vec<u8>,
    serial: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    subject_text: String,
    subject_attributes: Vec<(String, String)>,
    pub(super) not_before: UnixTime,
    pub(super) not_after: UnixTime,
    key: SubjectKey,
    pub(super) version: u32,
    /// `cA` and `pathLenConstraint`.
    pub(super) basic_constraints: Option<(bool, Option<u32>)>,
    pub(super) key_usage: Option<KeyUsage>,
    san_dns: Vec<String>,
    san_uri: Vec<String>,
    authority_key_id: Option<Vec<u8>>,
    extensions: Vec<Extension>,
    pub(super) unheeded: Option<Unheeded>,
}

/// An extension as it stands in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Object identifier in dotted form.
    pub oid: String,
    /// Whether a reader that does not know it must refuse the certificate.
    pub critical: bool,
    /// DER of the value.
    pub value: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct KeyUsage {
    pub(super) sign: bool,
    pub(super) cert_sign: bool,
}

/// Why a certificate cannot be part of a path, whatever its signatures say.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unheeded {
    CriticalExtension,
    Constraints,
}

impl Certificate {
    /// Reads one certificate in DER, with nothing after it.
    ///
    /// [`Error::Malformed`] `x509` when it is none, or has an extension twice or malformed; algorithms that are not
    /// carried are an error only when they are used.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(malformed());
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| malformed())?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        Self::from_parsed(der, &parsed)
    }

    fn from_parsed(der: &[u8], parsed: &X509Certificate<'_>) -> Result<Self> {
        // RFC 5280 section 4.1.1.2: the signed and the unsigned copy must agree.
        if parsed.signature_algorithm != parsed.tbs_certificate.signature
            || !same_algorithm_bytes(der, parsed.tbs_certificate.as_ref())
            || parsed.signature_value.unused_bits != 0
        {
            return Err(malformed());
        }
        let version = match parsed.version() {
            X509Version::V1 => 1,
            X509Version::V2 => 2,
            X509Version::V3 => 3,
            _ => return Err(malformed()),
        };
        let mut certificate = Self {
            der: der.to_vec(),
            tbs: parsed.tbs_certificate.as_ref().to_vec(),
            scheme: SignatureScheme::from_oid(&parsed.signature_algorithm.algorithm.to_id_string()),
            signature: parsed.signature_value.as_ref().to_vec(),
            serial: parsed.raw_serial().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            subject_text: parsed.subject().to_string(),
            subject_attributes: parsed
                .subject()
                .iter_attributes()
                .filter_map(|a| Some((a.attr_type().to_id_string(), a.as_str().ok()?.to_owned())))
                .collect(),
            not_before: UnixTime::from_secs(parsed.validity().not_before.timestamp()),
            not_after: UnixTime::from_secs(parsed.validity().not_after.timestamp()),
            key: SubjectKey::from_info(parsed.public_key()),
            version,
            basic_constraints: None,
            key_usage: None,
            san_dns: Vec::new(),
            san_uri: Vec::new(),
            authority_key_id: None,
            extensions: Vec::new(),
            unheeded: None,
        };
        parsed.tbs_certificate.extensions_map().map_err(|_| malformed())?; // refuses an extension that occurs twice
        for extension in parsed.extensions() {
            certificate.heed(extension.parsed_extension(), extension.critical)?;
            certificate.extensions.push(Extension {
                oid: extension.oid.to_id_string(),
                critical: extension.critical,
                value: extension.value.to_vec(),
            });
        }
        Ok(certificate)
    }

    fn heed(&mut self, extension: &ParsedExtension<'_>, critical: bool) -> Result<()> {
        match extension {
            ParsedExtension::ParseError { .. } => return Err(malformed()),
            ParsedExtension::BasicConstraints(basic) => {
                self.basic_constraints = Some((basic.ca, basic.path_len_constraint));
            }
            ParsedExtension::KeyUsage(usage) => {
                self.key_usage = Some(KeyUsage {
                    sign: usage.digital_signature() || usage.non_repudiation(),
                    cert_sign: usage.key_cert_sign(),
                });
            }
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    match name {
                        GeneralName::DNSName(name) => self.san_dns.push((*name).to_owned()),
                        GeneralName::URI(uri) => self.san_uri.push((*uri).to_owned()),
                        GeneralName::Invalid(..) => return Err(malformed()),
                        _ => {}
                    }
                }
            }
            // Constraints bind whether or not they are critical.
            ParsedExtension::NameConstraints(_)
            | ParsedExtension::PolicyConstraints(_)
            | ParsedExtension::InhibitAnyPolicy(_) => self.unheeded = Some(Unheeded::Constraints),
            // Without an initial policy set every policy is acceptable; purposes are the caller's matter.
            ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::SubjectKeyIdentifier(_) => {}
            ParsedExtension::AuthorityKeyIdentifier(authority) => {
                self.authority_key_id = authority.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ if critical => self.unheeded = Some(self.unheeded.unwrap_or(Unheeded::CriticalExtension)),
            _ => {}
        }
        Ok(())
    }

    /// The DER it was read from.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the DER.
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.der)
    }

    /// The key that it certifies.
    ///
    /// [`Error::Unsupported`] `x509_key` for a type that this crate does not carry, [`Error::Malformed`] `public_key`.
    pub fn public_key(&self) -> Result<PublicKey> {
        self.key.to_public_key()
    }

    /// Version of the format: 1, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The serial number in lower-case hexadecimal, without leading zeros (revocation lists of attestation keys).
    pub fn serial_hex(&self) -> String {
        let hex: String = self.serial.iter().map(|byte| format!("{byte:02x}")).collect();
        hex.trim_start_matches('0').to_owned()
    }

    /// The subject, for people.
    pub fn subject(&self) -> &str {
        &self.subject_text
    }

    /// Values of an attribute of the subject (dotted object identifier, such as `2.5.4.3` for the common name).
    pub fn subject_attribute<'a>(&'a self, oid: &'a str) -> impl Iterator<Item = &'a str> {
        self.subject_attributes.iter().filter(move |(name, _)| name == oid).map(|(_, value)| value.as_str())
    }

    /// Whether `basicConstraints` says that it is a CA; `None` without that extension.
    pub fn is_ca(&self) -> Option<bool> {
        self.basic_constraints.map(|(ca, _)| ca)
    }

    /// DNS names among the subject alternative names.
    pub fn san_dns(&self) -> &[String] {
        &self.san_dns
    }

    /// URIs among the subject alternative names.
    pub fn san_uri(&self) -> &[String] {
        &self.san_uri
    }

    /// `keyIdentifier` of the authority key identifier (RFC 5280 section 4.2.1.1), as claimed.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.authority_key_id.as_deref()
    }

    /// The extension of a dotted object identifier.
    pub fn extension(&self, oid: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.oid == oid)
    }

    /// First second of validity.
    pub fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// Last second of validity.
    pub fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// Whether `issuer`'s key signed this certificate: [`Error::Untrusted`] `x509_signature`, [`Error::Unsupported`]
    /// `x509_signature_algorithm`. Names and extensions are not looked at.
    pub(super) fn check_signed_by(&self, issuer: &Self) -> Result<()> {
        issuer.key.verify(self.scheme, &self.tbs, &self.signature)
    }
}

/// Whether the unsigned algorithm identifier after `tbs` also stands in `tbs`, byte for byte, and the tags of the whole
/// and of the signature are those of DER: the parser reads these with some tolerance, and one certificate should have
/// one encoding.
fn same_algorithm_bytes(der: &[u8], tbs: &[u8]) -> bool {
    let start = der.windows(tbs.len()).position(|window| window == tbs);
    let Some(tail) = start.and_then(|start| der.get(start + tbs.len()..)) else { return false };
    let Some(len) = tail.get(1).filter(|len| **len < 0x80) else { return false };
    let Some(identifier) = tail.get(..usize::from(*len) + 2) else { return false };
    let tags = der.first() == Some(&0x30) && tail.get(identifier.len()) == Some(&0x03);
    tags && tbs.windows(identifier.len()).any(|window| window == identifier)
}

fn malformed() -> Error {
    Error::malformed("x509", "not a well-formed X.509 certificate")
}
