//! COSE_Sign1 (RFC 9052 section 4.2) with the headers of VC-JOSE-COSE section 3.3.
//!
//! Strict: the CBOR reader refuses indefinite lengths, longer forms and unknown tags; a label may stand once in both
//! header maps together; `alg`, `typ` and content type count only where they are signed.

use super::{EnvelopeType, require_algorithm, wrong_cty, wrong_typ};
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm, Signer};
use crate::limits::Limits;
use crate::webauthn::cbor::{Reader, Writer};

// Header parameters (RFC 9052 table 3; RFC 9596 for `typ`).
const ALG: i64 = 1;
const CRIT: i64 = 2;
const CONTENT_TYPE: i64 = 3;
const KID: i64 = 4;
const TYP: i64 = 16;
/// Tag 18, "COSE_Sign1", in its one-byte form.
const TAG: u8 = 0xd2;
/// Most parameters of one header map.
const MAX_PARAMETERS: usize = 32;

fn label(algorithm: SignatureAlgorithm) -> Result<i64> {
    match algorithm {
        SignatureAlgorithm::Es256 => Ok(-7),
        SignatureAlgorithm::EdDsa => Ok(-8),
        SignatureAlgorithm::Es384 => Ok(-35),
        SignatureAlgorithm::Es512 => Ok(-36),
        SignatureAlgorithm::Rs256 => require_algorithm(algorithm).map(|()| 0),
    }
}

/// The algorithm of a label, polymorphic (RFC 9053 section 2) or with its curve (RFC 9864).
fn algorithm(label: i64) -> Result<SignatureAlgorithm> {
    match label {
        -7 | -9 => Ok(SignatureAlgorithm::Es256),
        -35 | -51 => Ok(SignatureAlgorithm::Es384),
        -36 | -52 => Ok(SignatureAlgorithm::Es512),
        -8 | -19 => Ok(SignatureAlgorithm::EdDsa),
        _ => Err(Error::unsupported("alg_unsupported", "this signature algorithm is not supported")),
    }
}

/// A message that was read but not verified.
#[derive(Clone)]
pub(super) struct UnverifiedSign1 {
    protected: Vec<u8>,
    pub(super) payload: Vec<u8>,
    signature: Vec<u8>,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) key_id: Option<Vec<u8>>,
}

#[derive(Default)]
struct Parameters {
    labels: Vec<Vec<u8>>,
    algorithm: Option<i64>,
    typ: Option<String>,
    content_type: Option<String>,
    key_id: Option<Vec<u8>>,
}

impl UnverifiedSign1 {
    /// Reads a message, tagged or not, whose protected header names `kind`.
    pub(super) fn parse(bytes: &[u8], kind: EnvelopeType, limits: &Limits) -> Result<Self> {
        if bytes.len() > limits.token_bytes {
            return Err(Error::malformed("token_too_large", "the token is longer than allowed"));
        }
        let mut reader = Reader::new(bytes.strip_prefix(&[TAG]).unwrap_or(bytes));
        if reader.array()? != 4 {
            return Err(malformed("not an array of four"));
        }
        let protected = reader.bytes()?;
        let mut parameters = Parameters::default();
        let mut inner = Reader::new(protected);
        parameters.read(&mut inner, true)?;
        inner.finish()?;
        parameters.read(&mut reader, false)?;
        let (payload, signature) = (reader.bytes()?, reader.bytes()?);
        reader.finish()?;
        let read = Self {
            protected: protected.to_vec(),
            payload: payload.to_vec(),
            signature: signature.to_vec(),
            algorithm: algorithm(parameters.algorithm.ok_or_else(|| malformed("alg is missing"))?)?,
            key_id: parameters.key_id,
        };
        let same = |found: &str, expected: &str| {
            found.to_ascii_lowercase().strip_prefix("application/").is_some_and(|found| found == expected)
        };
        if !parameters.typ.is_some_and(|typ| same(&typ, kind.typ())) {
            return Err(wrong_typ());
        }
        if parameters.content_type.is_some_and(|found| !same(&found, kind.content.as_str())) {
            return Err(wrong_cty());
        }
        Ok(read)
    }

    pub(super) fn check(&self, key: &PublicKey) -> Result<()> {
        require_algorithm(key.algorithm())?;
        if self.algorithm != key.algorithm() {
            return Err(Error::untrusted("alg_mismatch", "the token's algorithm is not the key's"));
        }
        key.verify(&to_be_signed(&self.protected, &self.payload), &self.signature)
    }
}

impl Parameters {
    fn read(&mut self, reader: &mut Reader<'_>, protected: bool) -> Result<()> {
        let count = reader.map()?;
        if count > MAX_PARAMETERS {
            return Err(malformed("too many header parameters"));
        }
        for _ in 0..count {
            let label = reader.skip()?;
            // RFC 9052 section 3: labels must not repeat, within one map or between both.
            if self.labels.iter().any(|other| other == label) {
                return Err(malformed("a header parameter stands twice"));
            }
            self.labels.push(label.to_vec());
            let number = match reader_of_label(label)? {
                Some(number) => number,
                None => {
                    reader.skip()?;
                    continue;
                }
            };
            match (number, protected) {
                (CRIT, _) => {
                    return Err(Error::unsupported(
                        "cose_crit",
                        "the header demands an extension that is not supported",
                    ));
                }
                (ALG, true) => self.algorithm = Some(reader.int()?),
                (TYP, true) => self.typ = Some(reader.text()?.to_owned()),
                (CONTENT_TYPE, true) => self.content_type = Some(reader.text()?.to_owned()),
                (ALG | TYP | CONTENT_TYPE, false) => {
                    return Err(malformed("alg, typ or content type is not in the protected header"));
                }
                (KID, _) => self.key_id = Some(reader.bytes()?.to_vec()),
                _ => drop(reader.skip()?),
            }
        }
        Ok(())
    }
}

/// A label is a number or text (RFC 9052 section 1.4); text ones are private, and ignored.
fn reader_of_label(label: &[u8]) -> Result<Option<i64>> {
    let mut reader = Reader::new(label);
    match reader.peek_major()? {
        0 | 1 => reader.int().map(Some),
        3 => Ok(None),
        _ => Err(malformed("a label is neither a number nor text")),
    }
}

/// The tagged message over `payload`.
pub(super) fn sign(
    payload: &[u8],
    kind: EnvelopeType,
    key_id: Option<&str>,
    signer: &dyn Signer,
) -> Result<Vec<u8>> {
    let mut protected = Writer::default();
    protected.map(3 + usize::from(key_id.is_some()));
    protected.int(ALG).int(label(signer.public_key().algorithm())?);
    protected.int(CONTENT_TYPE).text(&format!("application/{}", kind.content.as_str()));
    if let Some(key_id) = key_id {
        protected.int(KID).bytes(key_id.as_bytes());
    }
    protected.int(TYP).text(&kind.media_type());
    let protected = protected.finish();
    let signature = signer.sign(&to_be_signed(&protected, payload))?;
    let mut message = Writer::default();
    message.array(4).bytes(&protected).map(0).bytes(payload).bytes(&signature);
    let mut out = vec![TAG];
    out.extend(message.finish());
    Ok(out)
}

/// RFC 9052 section 4.4, without external data.
pub(super) fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut structure = Writer::default();
    structure.array(4).text("Signature1").bytes(protected).bytes(b"").bytes(payload);
    structure.finish()
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("cose_sign1", detail)
}
