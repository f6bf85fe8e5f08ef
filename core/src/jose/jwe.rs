//! JSON Web Encryption, compact serialization (RFC 7516 section 7.1): ECDH-ES on P-256 and X25519, direct or with AES Key
//! Wrap (RFC 7518 section 4.6), AES-GCM and AES-CBC with HMAC (section 5), as OpenID4VP section 8.3 and OpenID4VCI
//! section 10 use it.
//!
//! Whoever encrypts stays anonymous: a JWE hides, it does not say who sent it. Refused before anything is computed:
//! more bytes than `limits.token_bytes`, algorithms that are not [`KeyManagement`] (so there is no `p2c` to be bounded),
//! compression (`zip`, which could unpack to any size) and critical extensions.

mod agreement;
mod algorithm;
mod content;

use serde_json::{Map, Value};

pub use agreement::{Curve, JweDecryptionKey};
pub use algorithm::{ContentEncryption, KeyManagement};

use super::jwk::Jwk;
use crate::encoding::{base64url, json};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::random::{Random, SystemRandom};

/// `apu` and `apv` are names or nonces; longer ones are refused.
const MAX_PARTY_BYTES: usize = 1024;

/// Parties of the key agreement, as bytes; both enter the derived key (RFC 7518 sections 4.6.1.2 and 4.6.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartyInfo {
    /// About the sender (`apu`).
    pub apu: Option<Vec<u8>>,
    /// About the recipient (`apv`).
    pub apv: Option<Vec<u8>>,
}

/// The protected header, as whoever encrypted it wrote it. It is authenticated only in the sense that the content
/// would not have decrypted with another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How the content key comes to the recipient.
    pub alg: KeyManagement,
    /// Encryption of the content.
    pub enc: ContentEncryption,
    /// Name of the recipient's key.
    pub kid: Option<String>,
    /// Media type of the content.
    pub cty: Option<String>,
    /// Media type of the whole.
    pub typ: Option<String>,
    /// Parties of the key agreement.
    pub parties: PartyInfo,
}

/// Encrypts `payload` to `recipient` under a fresh ephemeral key: with the algorithm that the JWK names (`ECDH-ES` when it
/// names none). `kid` of the JWK goes into the header.
///
/// [`Error::Malformed`] `jwk`, `jwe_recipient` (not a key on P-256 or X25519 for a [`KeyManagement`], or no point of the
/// curve).
pub fn encrypt(
    payload: &[u8],
    recipient: &Jwk,
    enc: ContentEncryption,
    parties: &PartyInfo,
) -> Result<String> {
    let (alg, curve) = recipient_algorithm(recipient).ok_or_else(bad_recipient)?;
    let ephemeral = JweDecryptionKey::generate_on(curve)?;
    let header = write_header(alg, enc, recipient.kid.as_deref(), parties, &ephemeral.public);
    let agreed =
        ephemeral.agree(&curve.public_bytes(recipient)?, alg, enc, parties).map_err(|_| bad_recipient())?;
    let (key, encrypted_key) = agreement::content_key(alg, enc, agreed)?;
    let mut iv = vec![0; enc.iv_len()];
    SystemRandom.fill(&mut iv);
    let (content, tag) = content::seal(enc, &key, &iv, header.as_bytes(), payload)?;
    let parts = [&encrypted_key, &iv, &content, &tag].map(|part| base64url::encode(part));
    Ok(format!("{header}.{}", parts.join(".")))
}

/// Whether [`encrypt`] can encrypt to `recipient`, and how; `None` when it cannot.
pub fn recipient_algorithm(recipient: &Jwk) -> Option<(KeyManagement, Curve)> {
    if recipient.use_.as_deref().is_some_and(|use_| use_ != "enc") {
        return None;
    }
    let alg = recipient.alg.as_deref().map_or(Ok(KeyManagement::EcdhEs), KeyManagement::parse).ok()?;
    Some((alg, Curve::of(recipient)?))
}

fn write_header(
    alg: KeyManagement,
    enc: ContentEncryption,
    kid: Option<&str>,
    parties: &PartyInfo,
    epk: &Jwk,
) -> String {
    let mut header = Map::new();
    header.insert("alg".into(), alg.as_str().into());
    header.insert("enc".into(), enc.as_str().into());
    if let Some(kid) = kid {
        header.insert("kid".into(), kid.into());
    }
    for (name, party) in [("apu", &parties.apu), ("apv", &parties.apv)] {
        if let Some(party) = party {
            header.insert(name.into(), base64url::encode(party).into());
        }
    }
    header.insert("epk".into(), epk.to_value());
    base64url::encode(Value::Object(header).to_string().as_bytes())
}

/// Reads and decrypts in one step; errors of [`UnverifiedJwe::parse`] and [`UnverifiedJwe::decrypt`].
pub fn decrypt(compact: &str, key: &JweDecryptionKey, limits: &Limits) -> Result<(Header, Vec<u8>)> {
    let jwe = UnverifiedJwe::parse(compact, limits)?;
    let payload = jwe.decrypt(key)?;
    Ok((jwe.header, payload))
}

/// A JWE that was read, but not decrypted: its header says which key it is for.
#[derive(Debug)]
pub struct UnverifiedJwe {
    header: Header,
    curve: Curve,
    epk: Vec<u8>,
    aad: String,
    encrypted_key: Vec<u8>,
    iv: Vec<u8>,
    content: Vec<u8>,
    tag: Vec<u8>,
}

impl UnverifiedJwe {
    /// Reads a compact JWE of at most `limits.token_bytes`.
    ///
    /// [`Error::Malformed`] `token_too_large`, `jwe` (not five parts, or a part of the wrong length), `base64url`,
    /// `json_…`, `jwe_header`, `jwk`, `jwk_private`; [`Error::Unsupported`] `jwe_alg`, `jwe_enc`, `jwe_zip`, `jwe_crit`.
    pub fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        if compact.len() > limits.token_bytes {
            return Err(Error::malformed("token_too_large", "the token is longer than allowed"));
        }
        let mut parts = compact.split('.');
        let mut part = || parts.next().ok_or_else(malformed);
        let (aad, encrypted_key, iv, content, tag) = (part()?, part()?, part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(malformed());
        }
        let Value::Object(members) = json::parse(&base64url::decode(aad)?, limits)? else {
            return Err(malformed_header());
        };
        let (header, curve, epk) = read_header(&members)?;
        let jwe = Self {
            curve,
            epk,
            aad: aad.to_owned(),
            encrypted_key: base64url::decode(encrypted_key)?,
            iv: base64url::decode(iv)?,
            content: base64url::decode(content)?,
            tag: base64url::decode(tag)?,
            header,
        };
        let direct = jwe.header.alg.wrapping_key_len().is_none();
        let enc = jwe.header.enc;
        let lengths_fit = jwe.encrypted_key.is_empty() == direct
            && jwe.iv.len() == enc.iv_len()
            && jwe.tag.len() == enc.tag_len();
        lengths_fit.then_some(jwe).ok_or_else(malformed)
    }

    /// The header, as claimed.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The content, decrypted with `key`.
    ///
    /// [`Error::Unsupported`] `jwe_alg` when the key is for another algorithm or curve; [`Error::Untrusted`]
    /// `jwe_decrypt` when it was encrypted to another key, was changed, or when `epk` is no point of the curve.
    pub fn decrypt(&self, key: &JweDecryptionKey) -> Result<Vec<u8>> {
        let Header { alg, enc, parties, .. } = &self.header;
        if *alg != key.algorithm() || self.curve != key.curve() {
            return Err(Error::unsupported("jwe_alg", "the JWE uses another algorithm than the key is for"));
        }
        let failed = || Error::untrusted("jwe_decrypt", "the JWE does not decrypt with this key");
        let agreed = key.agree(&self.epk, *alg, *enc, parties).map_err(|_| failed())?;
        let content_key = agreement::open_content_key(*alg, *enc, agreed, &self.encrypted_key)?;
        content::open(
            *enc,
            &content_key.ok_or_else(failed)?,
            &self.iv,
            self.aad.as_bytes(),
            self.content.clone(),
            &self.tag,
        )?
        .ok_or_else(failed)
    }
}

fn read_header(members: &Map<String, Value>) -> Result<(Header, Curve, Vec<u8>)> {
    if members.contains_key("crit") {
        return Err(Error::unsupported("jwe_crit", "the header demands an extension that is not supported"));
    }
    if members.contains_key("zip") {
        return Err(Error::unsupported("jwe_zip", "compressed content is not accepted"));
    }
    let text = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(malformed_header()),
    };
    let party = |name: &str| match text(name)?.map(base64url::decode).transpose()? {
        Some(party) if party.len() > MAX_PARTY_BYTES => Err(malformed_header()),
        party => Ok(party),
    };
    let alg = KeyManagement::parse(text("alg")?.ok_or_else(malformed_header)?)?;
    let enc = ContentEncryption::parse(text("enc")?.ok_or_else(malformed_header)?)?;
    let epk = Jwk::from_value(members.get("epk").ok_or_else(malformed_header)?)?;
    let curve = Curve::of(&epk).ok_or_else(|| {
        Error::unsupported("jwe_alg", "the ephemeral key is on a curve that is not supported")
    })?;
    let header = Header {
        alg,
        enc,
        kid: text("kid")?.map(Into::into),
        cty: text("cty")?.map(Into::into),
        typ: text("typ")?.map(Into::into),
        parties: PartyInfo { apu: party("apu")?, apv: party("apv")? },
    };
    Ok((header, curve, curve.public_bytes(&epk)?))
}

fn malformed() -> Error {
    Error::malformed("jwe", "not a compact JWE")
}

fn malformed_header() -> Error {
    Error::malformed("jwe_header", "a member of the JWE header is missing or of the wrong type")
}

fn bad_recipient() -> Error {
    Error::malformed(
        "jwe_recipient",
        "the recipient's key is not one to encrypt to with ECDH-ES on P-256 or X25519",
    )
}

fn unusable() -> Error {
    Error::misuse("key_unusable", "the private key could not be used")
}

#[cfg(test)]
mod tests;
