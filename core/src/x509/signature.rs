//! Keys and signatures of certificates (RFC 3279, 4055, 5480, 5758, 8410).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm};

/// How a certificate was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureScheme {
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    Ed25519,
    RsaSha256,
    RsaSha384,
    RsaSha512,
    /// SHA-1, RSA-PSS and whatever else: never accepted.
    Other,
}

impl SignatureScheme {
    pub(super) fn from_oid(oid: &str) -> Self {
        match oid {
            "1.2.840.10045.4.3.2" => Self::EcdsaSha256,
            "1.2.840.10045.4.3.3" => Self::EcdsaSha384,
            "1.2.840.10045.4.3.4" => Self::EcdsaSha512,
            "1.3.101.112" => Self::Ed25519,
            "1.2.840.113549.1.1.11" => Self::RsaSha256,
            "1.2.840.113549.1.1.12" => Self::RsaSha384,
            "1.2.840.113549.1.1.13" => Self::RsaSha512,
            _ => Self::Other,
        }
    }
}

/// The subject's key: its kind, and the content of the bit string.
#[derive(Debug, Clone)]
pub(super) struct SubjectKey {
    algorithm: Option<SignatureAlgorithm>,
    bits: Vec<u8>,
}

impl SubjectKey {
    pub(super) fn from_info(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let curve =
            || info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|oid| oid.to_id_string());
        let algorithm = match info.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.10045.2.1" => match curve().as_deref() {
                Some("1.2.840.10045.3.1.7") => Some(SignatureAlgorithm::Es256),
                Some("1.3.132.0.34") => Some(SignatureAlgorithm::Es384),
                Some("1.3.132.0.35") => Some(SignatureAlgorithm::Es512),
                _ => None,
            },
            "1.3.101.112" => Some(SignatureAlgorithm::EdDsa),
            "1.2.840.113549.1.1.1" => Some(SignatureAlgorithm::Rs256),
            _ => None,
        };
        let algorithm = algorithm.filter(|_| info.subject_public_key.unused_bits == 0);
        Self { algorithm, bits: info.subject_public_key.as_ref().to_vec() }
    }

    pub(super) fn to_public_key(&self) -> Result<PublicKey> {
        match self.algorithm {
            Some(SignatureAlgorithm::EdDsa) => PublicKey::from_ed25519(&self.bits),
            Some(SignatureAlgorithm::Rs256) => rsa(&self.bits),
            Some(ecdsa) => PublicKey::from_sec1(ecdsa, &self.bits),
            None => Err(Error::unsupported("x509_key", "the certificate's key is of an unsupported type")),
        }
    }

    pub(super) fn verify(&self, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> Result<()> {
        use SignatureAlgorithm::{EdDsa, Es256, Es384, Es512, Rs256};
        use SignatureScheme as S;
        let algorithm: &'static dyn VerificationAlgorithm = match (self.algorithm, scheme) {
            (Some(Es256), S::EcdsaSha256) => &ECDSA_P256_SHA256_ASN1,
            (Some(Es256), S::EcdsaSha384) => &ECDSA_P256_SHA384_ASN1,
            (Some(Es256), S::EcdsaSha512) => &ECDSA_P256_SHA512_ASN1,
            (Some(Es384), S::EcdsaSha256) => &ECDSA_P384_SHA256_ASN1,
            (Some(Es384), S::EcdsaSha384) => &ECDSA_P384_SHA384_ASN1,
            (Some(Es384), S::EcdsaSha512) => &ECDSA_P384_SHA512_ASN1,
            (Some(Es512), S::EcdsaSha256) => &ECDSA_P521_SHA256_ASN1,
            (Some(Es512), S::EcdsaSha384) => &ECDSA_P521_SHA384_ASN1,
            (Some(Es512), S::EcdsaSha512) => &ECDSA_P521_SHA512_ASN1,
            (Some(EdDsa), S::Ed25519) => &ED25519,
            (Some(Rs256), S::RsaSha256) => &RSA_PKCS1_2048_8192_SHA256,
            (Some(Rs256), S::RsaSha384) => &RSA_PKCS1_2048_8192_SHA384,
            (Some(Rs256), S::RsaSha512) => &RSA_PKCS1_2048_8192_SHA512,
            _ => {
                let detail = "a certificate is signed with an algorithm that is not supported";
                return Err(Error::unsupported("x509_signature_algorithm", detail));
            }
        };
        UnparsedPublicKey::new(algorithm, &self.bits)
            .verify(message, signature)
            .map_err(|_| Error::untrusted("x509_signature", "the signature of a certificate does not verify"))
    }
}

fn rsa(bits: &[u8]) -> Result<PublicKey> {
    let malformed = || Error::malformed("public_key", "not a valid public key of its algorithm");
    let (rest, key) = RSAPublicKey::from_der(bits).map_err(|_| malformed())?;
    if !rest.is_empty() {
        return Err(malformed());
    }
    let unsigned = |bytes: &'_ [u8]| bytes.strip_prefix(&[0]).unwrap_or(bytes).to_vec();
    PublicKey::from_rsa(&unsigned(key.modulus), &unsigned(key.exponent))
}
