//! JSON Web Encryption, compact serialization (RFC 7516 section 7.1): ECDH-ES in direct key agreement on P-256 (RFC 7518
//! section 4.6) with AES-GCM (section 5.3), as OpenID4VP section 8.3 uses it.
//!
//! Whoever encrypts stays anonymous: a JWE hides, it does not say who sent it.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::jwk::Jwk;
use crate::encoding::{base64url, json};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::random::{Random, SystemRandom};
use crate::secret::Secret;

/// The only key management algorithm that is carried.
pub const ALG: &str = "ECDH-ES";

const TAG_LEN: usize = 16;
/// `apu` and `apv` are names or nonces; longer ones are refused.
const MAX_PARTY_BYTES: usize = 1024;

/// How the content is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContentEncryption {
    /// AES-128 in Galois/Counter Mode.
    #[serde(rename = "A128GCM")]
    A128Gcm,
    /// AES-256 in Galois/Counter Mode.
    #[serde(rename = "A256GCM")]
    A256Gcm,
}

impl ContentEncryption {
    /// All that are carried, the default of OpenID4VP first.
    pub const ALL: [Self; 2] = [Self::A128Gcm, Self::A256Gcm];

    /// The JOSE name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
        }
    }

    /// The encryption of a JOSE name; [`Error::Unsupported`] `jwe_enc` for others.
    pub fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|enc| enc.as_str() == name);
        known.ok_or_else(|| Error::unsupported("jwe_enc", "this content encryption is not supported"))
    }

    const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm => 32,
        }
    }

    fn key(self, bytes: &[u8]) -> Result<LessSafeKey> {
        let algorithm = match self {
            Self::A128Gcm => &AES_128_GCM,
            Self::A256Gcm => &AES_256_GCM,
        };
        UnboundKey::new(algorithm, bytes).map(LessSafeKey::new).map_err(|_| unusable())
    }
}

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

/// Encrypts `payload` to `recipient`, a P-256 JWK, under a fresh ephemeral key; `kid` of the JWK goes into the header.
///
/// [`Error::Malformed`] `jwk`, `jwe_recipient` (not a P-256 key for ECDH-ES, or no point of the curve).
pub fn encrypt(
    payload: &[u8],
    recipient: &Jwk,
    enc: ContentEncryption,
    parties: &PartyInfo,
) -> Result<String> {
    let for_us = recipient.kty == "EC"
        && recipient.crv.as_deref() == Some("P-256")
        && recipient.use_.as_deref().is_none_or(|use_| use_ == "enc")
        && recipient.alg.as_deref().is_none_or(|alg| alg == ALG);
    if !for_us {
        return Err(bad_recipient());
    }
    let ephemeral = JweDecryptionKey::generate()?;
    let mut header = Map::new();
    header.insert("alg".into(), ALG.into());
    header.insert("enc".into(), enc.as_str().into());
    if let Some(kid) = &recipient.kid {
        header.insert("kid".into(), kid.as_str().into());
    }
    for (name, party) in [("apu", &parties.apu), ("apv", &parties.apv)] {
        if let Some(party) = party {
            header.insert(name.into(), base64url::encode(party).into());
        }
    }
    header.insert("epk".into(), ephemeral.public.to_value());
    let header = base64url::encode(Value::Object(header).to_string().as_bytes());

    let key = ephemeral.derive(&recipient.ec_point(32)?, enc, parties).map_err(|_| bad_recipient())?;
    let mut iv = [0; NONCE_LEN];
    SystemRandom.fill(&mut iv);
    let mut content = payload.to_vec();
    let tag = enc
        .key(&key)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(iv),
            Aad::from(header.as_bytes()),
            &mut content,
        )
        .map_err(|_| unusable())?;
    // No encrypted key between the first two dots: the agreed key encrypts directly.
    Ok([
        header,
        String::new(),
        base64url::encode(&iv),
        base64url::encode(&content),
        base64url::encode(tag.as_ref()),
    ]
    .join("."))
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
    epk: Vec<u8>,
    aad: String,
    iv: [u8; NONCE_LEN],
    content: Vec<u8>,
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
        if parts.next().is_some() || !encrypted_key.is_empty() {
            return Err(malformed());
        }
        let Value::Object(members) = json::parse(&base64url::decode(aad)?, limits)? else {
            return Err(malformed_header());
        };
        let (header, epk) = read_header(&members)?;
        let tag = base64url::decode(tag)?;
        let mut content = base64url::decode(content)?;
        if tag.len() != TAG_LEN {
            return Err(malformed());
        }
        content.extend_from_slice(&tag);
        let iv = base64url::decode(iv)?.try_into().map_err(|_| malformed())?;
        Ok(Self { header, epk, aad: aad.to_owned(), iv, content })
    }

    /// The header, as claimed.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The content, decrypted with `key`.
    ///
    /// [`Error::Untrusted`] `jwe_decrypt` when it was encrypted to another key, was changed, or when `epk` is no point
    /// of the curve.
    pub fn decrypt(&self, key: &JweDecryptionKey) -> Result<Vec<u8>> {
        let failed = || Error::untrusted("jwe_decrypt", "the JWE does not decrypt with this key");
        let enc = self.header.enc;
        let content_key = key.derive(&self.epk, enc, &self.header.parties).map_err(|_| failed())?;
        let mut content = self.content.clone();
        let plain = enc
            .key(&content_key)?
            .open_in_place(
                Nonce::assume_unique_for_key(self.iv),
                Aad::from(self.aad.as_bytes()),
                &mut content,
            )
            .map_err(|_| failed())?;
        let len = plain.len();
        content.truncate(len);
        Ok(content)
    }
}

fn read_header(members: &Map<String, Value>) -> Result<(Header, Vec<u8>)> {
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
    if text("alg")?.ok_or_else(malformed_header)? != ALG {
        return Err(Error::unsupported("jwe_alg", "this key management algorithm is not supported"));
    }
    let enc = ContentEncryption::parse(text("enc")?.ok_or_else(malformed_header)?)?;
    let epk = Jwk::from_value(members.get("epk").ok_or_else(malformed_header)?)?;
    if epk.kty != "EC" || epk.crv.as_deref() != Some("P-256") {
        return Err(Error::unsupported("jwe_alg", "the ephemeral key is not on P-256"));
    }
    let header = Header {
        enc,
        kid: text("kid")?.map(Into::into),
        cty: text("cty")?.map(Into::into),
        typ: text("typ")?.map(Into::into),
        parties: PartyInfo { apu: party("apu")?, apv: party("apv")? },
    };
    Ok((header, epk.ec_point(32)?))
}

/// A P-256 private key that decrypts.
pub struct JweDecryptionKey {
    private: PrivateKey,
    public: Jwk,
}

impl JweDecryptionKey {
    /// A fresh key.
    pub fn generate() -> Result<Self> {
        Self::new(PrivateKey::generate(&ECDH_P256).map_err(|_| unusable())?)
    }

    /// The key of a private scalar, 32 bytes big-endian; [`Error::Malformed`] `private_key` when it is none.
    pub fn from_bytes(scalar: &[u8]) -> Result<Self> {
        let private = PrivateKey::from_private_key(&ECDH_P256, scalar)
            .map_err(|_| Error::malformed("private_key", "not a private key of P-256"))?;
        Self::new(private)
    }

    /// The private scalar, 32 bytes big-endian.
    pub fn to_bytes(&self) -> Result<Secret<Vec<u8>>> {
        let bytes: EcPrivateKeyBin<'_> = self.private.as_be_bytes().map_err(|_| unusable())?;
        Ok(Secret::new(bytes.as_ref().to_vec()))
    }

    /// The public key as JWK, named `kid`, for ECDH-ES only: to be published in `client_metadata`.
    pub fn jwk(&self, kid: &str) -> Jwk {
        let mut jwk = self.public.clone();
        jwk.kid = Some(kid.to_owned());
        jwk.alg = Some(ALG.to_owned());
        jwk.use_ = Some("enc".to_owned());
        jwk
    }

    fn new(private: PrivateKey) -> Result<Self> {
        let point = private.compute_public_key().map_err(|_| unusable())?;
        let coordinates = point.as_ref().get(1..).and_then(|xy| xy.split_at_checked(32));
        let (x, y) = coordinates.ok_or_else(unusable)?;
        Ok(Self { public: Jwk::p256(x, y), private })
    }

    /// The content key: Concat KDF over the agreed secret (RFC 7518 section 4.6.2, NIST SP 800-56A section 5.8.1).
    fn derive(&self, peer: &[u8], enc: ContentEncryption, parties: &PartyInfo) -> Result<Zeroizing<Vec<u8>>> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer);
        agree(&self.private, peer, unusable(), |secret| concat_kdf(secret, enc, parties))
    }
}

fn concat_kdf(secret: &[u8], enc: ContentEncryption, parties: &PartyInfo) -> Result<Zeroizing<Vec<u8>>> {
    let mut context = digest::Context::new(&digest::SHA256);
    // One round: SHA-256 gives as many bits as the longest key needs.
    context.update(&1_u32.to_be_bytes());
    context.update(secret);
    let apu = parties.apu.as_deref().unwrap_or_default();
    let apv = parties.apv.as_deref().unwrap_or_default();
    for field in [enc.as_str().as_bytes(), apu, apv] {
        context.update(&u32::try_from(field.len()).map_err(|_| unusable())?.to_be_bytes());
        context.update(field);
    }
    let key_len = enc.key_len();
    context.update(&u32::try_from(key_len * 8).map_err(|_| unusable())?.to_be_bytes());
    let digest = context.finish();
    digest.as_ref().get(..key_len).map(|key| Zeroizing::new(key.to_vec())).ok_or_else(unusable)
}

impl fmt::Debug for JweDecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JweDecryptionKey").field("public", &self.public).finish_non_exhaustive()
    }
}

fn malformed() -> Error {
    Error::malformed("jwe", "not a compact JWE of direct key agreement")
}

fn malformed_header() -> Error {
    Error::malformed("jwe_header", "a member of the JWE header is missing or of the wrong type")
}

fn bad_recipient() -> Error {
    Error::malformed("jwe_recipient", "the recipient's key is not one to encrypt to with ECDH-ES on P-256")
}

fn unusable() -> Error {
    Error::misuse("key_unusable", "the private key could not be used")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const L: &Limits = &Limits::DEFAULT;

    fn key(d: &str) -> JweDecryptionKey {
        JweDecryptionKey::from_bytes(&base64url::decode(d).unwrap()).unwrap()
    }

    #[test]
    fn rfc7518_appendix_c() {
        let alice = key("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo");
        let bob = key("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw");
        assert_eq!(alice.public.x.as_deref(), Some("gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0"));
        assert_eq!(bob.public.y.as_deref(), Some("e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"));
        let parties = PartyInfo { apu: Some(b"Alice".to_vec()), apv: Some(b"Bob".to_vec()) };
        for (own, peer) in [(&alice, &bob), (&bob, &alice)] {
            let peer = peer.public.ec_point(32).unwrap();
            let derived = own.derive(&peer, ContentEncryption::A128Gcm, &parties).unwrap();
            assert_eq!(base64url::encode(&derived), "VqqN6vgjbSBcIijNcacQGg");
        }
    }

    /// OpenID4VP 1.0 section 8.3: the encrypted response and the key that it is for.
    const OPENID4VP: &str = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSIsImtpZCI6ImFjIiwiZXBrIjp7Imt0eSI6IkVDIiwieCI6Im5ubVZwbTNWM2piaGNhZlFhUkJrU1ZOSGx3Wkh3dC05ck9wSnVmeVlJdWsiLCJ5IjoicjRmakRxd0p5czlxVU9QLV9iM21SNVNaRy0tQ3dPMm1pYzVWU05UWU45ZyIsImNydiI6IlAtMjU2In19..uAYcHRUSSn2X0WPX.yVzlGSYG4qbg0bq18JcUiDRw56yVnbKR8E7S7YlEtzT00RqE3Pw5oTpUG3hdLN4taHZ9gC1kwak8JOnJgQ.1wR024_3-qtAlx1oFIUpQQ";

    #[test]
    fn example_of_openid4vp() {
        let recipient = key("Et-3ce0omz8_TuZ96Df9lp0GAaaDoUnDe6X-CRO7Aww");
        assert_eq!(recipient.public.x.as_deref(), Some("YO4epjifD-KWeq1sL2tNmm36BhXnkJ0He-WqMYrp9Fk"));
        let (header, payload) = decrypt(OPENID4VP, &recipient, L).unwrap();
        assert_eq!(header.kid.as_deref(), Some("ac"));
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload, json!({"vp_token": {"example_credential_id": ["eyJhb...YMetA"]}}));
    }

    #[test]
    fn round_trip() {
        let recipient = JweDecryptionKey::generate().unwrap();
        let again = JweDecryptionKey::from_bytes(recipient.to_bytes().unwrap().expose()).unwrap();
        let parties = PartyInfo { apu: Some(b"u".to_vec()), apv: None };
        for enc in ContentEncryption::ALL {
            let jwe = encrypt(b"secret", &recipient.jwk("k1"), enc, &parties).unwrap();
            let (header, payload) = decrypt(&jwe, &again, L).unwrap();
            assert_eq!(payload, b"secret");
            assert_eq!((header.enc, header.kid.as_deref(), &header.parties), (enc, Some("k1"), &parties));
            let other = JweDecryptionKey::generate().unwrap();
            assert_eq!(decrypt(&jwe, &other, L).unwrap_err().code(), "jwe_decrypt");
            assert_ne!(jwe, encrypt(b"secret", &recipient.jwk("k1"), enc, &parties).unwrap());
        }
        assert!(
            !format!("{recipient:?}").contains(&base64url::encode(recipient.to_bytes().unwrap().expose()))
        );
    }

    #[test]
    fn refuses_recipients() {
        let good = JweDecryptionKey::generate().unwrap().jwk("k");
        let code = |change: fn(&mut Jwk)| {
            let mut jwk = good.clone();
            change(&mut jwk);
            encrypt(b"", &jwk, ContentEncryption::A128Gcm, &PartyInfo::default())
                .err()
                .map(|error| error.code())
        };
        assert_eq!(code(|_| {}), None);
        assert_eq!(code(|jwk| jwk.use_ = Some("sig".into())), Some("jwe_recipient"));
        assert_eq!(code(|jwk| jwk.alg = Some("ECDH-ES+A128KW".into())), Some("jwe_recipient"));
        assert_eq!(code(|jwk| jwk.crv = Some("P-384".into())), Some("jwe_recipient"));
        assert_eq!(code(|jwk| jwk.y = jwk.x.clone()), Some("jwe_recipient"), "no point of the curve");
        assert_eq!(code(|jwk| jwk.y = None), Some("jwk"));
    }

    #[test]
    fn any_change_is_noticed() {
        let recipient = key("Et-3ce0omz8_TuZ96Df9lp0GAaaDoUnDe6X-CRO7Aww");
        for at in 0..OPENID4VP.len() {
            let mut changed = OPENID4VP.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(decrypt(&changed, &recipient, L).is_err(), "character {at}");
        }
    }

    #[test]
    fn refuses_headers_and_parts() {
        let epk = JweDecryptionKey::generate().unwrap().public.to_value();
        let recipient = JweDecryptionKey::generate().unwrap();
        let build = |change: &[(&str, Value)], rest: &str| {
            let mut header = json!({"alg": "ECDH-ES", "enc": "A128GCM", "epk": epk});
            for (name, value) in change {
                header[*name] = value.clone();
            }
            format!("{}{rest}", base64url::encode(header.to_string().as_bytes()))
        };
        const REST: &str = "..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA";
        let code = |compact: &str| decrypt(compact, &recipient, L).unwrap_err().code();
        assert_eq!(code(&build(&[], REST)), "jwe_decrypt");
        let mut with_d = epk.clone();
        with_d["d"] = json!("AA");
        let mut off_curve = epk.clone();
        off_curve["y"] = epk["x"].clone();
        let long = base64url::encode(&[0; 1025]);
        let cases = [
            ("alg", json!("ECDH-ES+A128KW"), "jwe_alg"),
            ("alg", json!("dir"), "jwe_alg"),
            ("alg", json!(null), "jwe_header"),
            ("enc", json!("A128CBC-HS256"), "jwe_enc"),
            ("enc", json!(1), "jwe_header"),
            ("zip", json!("DEF"), "jwe_zip"),
            ("crit", json!(["x"]), "jwe_crit"),
            ("epk", json!("x"), "jwk"),
            ("epk", with_d, "jwk_private"),
            ("epk", off_curve, "jwe_decrypt"),
            ("epk", json!({"kty": "OKP", "crv": "X25519", "x": "AA"}), "jwe_alg"),
            ("apu", json!("not base64url!"), "base64url"),
            ("apv", json!(long), "jwe_header"),
            ("kid", json!(1), "jwe_header"),
        ];
        for (name, value, expected) in cases {
            assert_eq!(code(&build(&[(name, value)], REST)), expected, "{name}");
        }
        for rest in [
            "",
            "..AAAAAAAAAAAAAAAA.AA",
            "..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA.",
            ".AA.AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA",
            "..AAAA.AA.AAAAAAAAAAAAAAAAAAAAAA",
            "..AAAAAAAAAAAAAAAA.AA.AAAA",
        ] {
            assert_eq!(code(&build(&[], rest)), "jwe", "{rest}");
        }
        assert_eq!(code(&"a".repeat(L.token_bytes + 1)), "token_too_large");
        assert_eq!(JweDecryptionKey::from_bytes(&[0; 32]).unwrap_err().code(), "private_key");
    }
}
