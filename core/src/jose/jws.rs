//! JSON Web Signatures, compact serialization (RFC 7515 section 7.1).

use serde_json::{Map, Value};

use super::jwk::Jwk;
use crate::encoding::{base64url, json};
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm, Signer};
use crate::limits::Limits;

/// The protected header of a JWS (RFC 7515 section 4).
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The algorithm; never `none`.
    pub alg: SignatureAlgorithm,
    /// Media type of the whole, as written.
    pub typ: Option<String>,
    /// Name of the signing key.
    pub kid: Option<String>,
    /// The signing key itself.
    pub jwk: Option<Jwk>,
    /// Certificates of the signing key, leaf first, base64 DER.
    pub x5c: Option<Vec<String>>,
    /// Every other member.
    pub others: Map<String, Value>,
}

impl Header {
    /// Reads a protected header.
    ///
    /// Refused: `crit` of any content ([`Error::Unsupported`] `jws_crit`, RFC 7515 section 4.1.11: no extension is
    /// understood here), `b64` (RFC 7797, `jws_crit`), `alg` missing or not text ([`Error::Malformed`] `jws_header`),
    /// `alg` not carried (see [`SignatureAlgorithm::parse`]).
    fn from_map(mut members: Map<String, Value>) -> Result<Self> {
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(Error::unsupported(
                "jws_crit",
                "the header demands an extension that is not supported",
            ));
        }
        let alg = text(&mut members, "alg")?.ok_or_else(malformed_header)?;
        Ok(Self {
            alg: SignatureAlgorithm::parse(&alg)?,
            typ: text(&mut members, "typ")?,
            kid: text(&mut members, "kid")?,
            jwk: members.shift_remove("jwk").map(|jwk| Jwk::from_value(&jwk)).transpose()?,
            x5c: members.shift_remove("x5c").map(texts).transpose()?,
            others: members,
        })
    }

    /// Whether `typ` is this media type; the prefix `application/` may be left out on either side (section 4.1.9).
    pub fn has_typ(&self, expected: &str) -> bool {
        let short = |typ: &str| typ.strip_prefix("application/").unwrap_or(typ).to_ascii_lowercase();
        self.typ.as_deref().is_some_and(|typ| short(typ) == short(expected))
    }

    /// [`Error::Malformed`] `jws_typ` unless [`Self::has_typ`].
    pub fn require_typ(&self, expected: &str) -> Result<()> {
        if self.has_typ(expected) {
            return Ok(());
        }
        Err(Error::malformed("jws_typ", format!("the type of the token is not {expected}")))
    }
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>> {
    match members.shift_remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed_header()),
    }
}

fn texts(value: Value) -> Result<Vec<String>> {
    let Value::Array(items) = value else { return Err(malformed_header()) };
    items
        .into_iter()
        .map(|item| match item {
            Value::String(text) => Ok(text),
            _ => Err(malformed_header()),
        })
        .collect()
}

fn malformed_header() -> Error {
    Error::malformed("jws_header", "a member of the protected header is missing or of the wrong type")
}

/// A JWS whose signature nobody checked.
#[derive(Clone)]
pub struct UnverifiedJws {
    compact: String,
    /// Where the signing input (header and payload, with the dot between) ends in `compact`.
    signed_len: usize,
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl UnverifiedJws {
    /// Reads a compact JWS of at most `limits.token_bytes`.
    ///
    /// [`Error::Malformed`] `token_too_large`, `jws` (not three parts), `base64url`, or a fault of the header: `json_…`,
    /// `jws_header`, `jwk`, `jwk_private`; [`Error::Unsupported`] `jws_crit`, `alg_unsupported`; [`Error::Untrusted`]
    /// `alg_none`.
    pub fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        if compact.len() > limits.token_bytes {
            return Err(Error::malformed("token_too_large", "the token is longer than allowed"));
        }
        let not_three = || Error::malformed("jws", "not a compact JWS: three parts with dots between");
        let (signed, signature) = compact.rsplit_once('.').ok_or_else(not_three)?;
        let (header, payload) = signed.split_once('.').ok_or_else(not_three)?;
        if payload.contains('.') || header.is_empty() {
            return Err(not_three());
        }
        let members = match json::parse(&base64url::decode(header)?, limits)? {
            Value::Object(members) => members,
            _ => return Err(malformed_header()),
        };
        Ok(Self {
            header: Header::from_map(members)?,
            payload: base64url::decode(payload)?,
            signature: base64url::decode(signature)?,
            signed_len: signed.len(),
            compact: compact.to_owned(),
        })
    }

    /// The header, as claimed.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The payload, as claimed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The serialization it was read from.
    pub fn as_str(&self) -> &str {
        &self.compact
    }

    /// Checks the signature with `key`.
    ///
    /// [`Error::Untrusted`] `alg_mismatch` when the header names another algorithm than the key's, `signature_invalid`
    /// when the signature does not hold.
    pub fn verify(self, key: &PublicKey) -> Result<VerifiedJws> {
        self.check(key)?;
        Ok(VerifiedJws { header: self.header, payload: self.payload })
    }

    pub(super) fn into_header(self) -> Header {
        self.header
    }

    /// The check of [`Self::verify`], for callers that keep the unverified value.
    pub fn check(&self, key: &PublicKey) -> Result<()> {
        if self.header.alg != key.algorithm() {
            return Err(Error::untrusted("alg_mismatch", "the token's algorithm is not the key's"));
        }
        let signed = self.compact.as_bytes().get(..self.signed_len).unwrap_or_default();
        key.verify(signed, &self.signature)
    }
}

impl std::fmt::Debug for UnverifiedJws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The payload may be health data.
        f.debug_struct("UnverifiedJws").field("header", &self.header).finish_non_exhaustive()
    }
}

/// A JWS whose signature holds under the key that was given.
#[derive(Clone)]
pub struct VerifiedJws {
    header: Header,
    payload: Vec<u8>,
}

impl VerifiedJws {
    /// The signed header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The signed payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl std::fmt::Debug for VerifiedJws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedJws").field("header", &self.header).finish_non_exhaustive()
    }
}

/// What a signer signs for `header` and `payload` (RFC 7515 section 5.1, step 8): for keys that sign elsewhere.
///
/// The header must hold `alg` of that key: [`Error::Misuse`] `jws_alg_missing` when it has none.
pub fn signing_input(header: &Map<String, Value>, payload: &[u8]) -> Result<String> {
    if !header.get("alg").is_some_and(Value::is_string) {
        return Err(Error::misuse("jws_alg_missing", "a JWS header needs alg"));
    }
    let header = serde_json::to_vec(header)
        .map_err(|_| Error::misuse("jws_header_json", "the header cannot be written as JSON"))?;
    let mut out = base64url::encode(&header);
    out.push('.');
    out.push_str(&base64url::encode(payload));
    Ok(out)
}

/// The compact JWS of a signing input and its signature (r‖s, or 64 bytes of Ed25519).
pub fn assemble(signing_input: String, signature: &[u8]) -> String {
    let mut out = signing_input;
    out.push('.');
    out.push_str(&base64url::encode(signature));
    out
}

/// Signs `payload`; the header is `alg` of the signer, then `header_extra` (whose own `alg`, if any, is overwritten).
///
/// Errors of [`Signer::sign`].
pub fn sign(header_extra: Map<String, Value>, payload: &[u8], signer: &dyn Signer) -> Result<String> {
    let mut header = Map::with_capacity(header_extra.len() + 1);
    header.insert("alg".into(), Value::Null); // keeps alg first
    header.extend(header_extra);
    header.insert("alg".into(), signer.public_key().algorithm().as_str().into());
    let input = signing_input(&header, payload)?;
    let signature = signer.sign(input.as_bytes())?;
    Ok(assemble(input, &signature))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::key::SoftwareKey;

    const L: &Limits = &Limits::DEFAULT;

    fn key(jwk: Value) -> PublicKey {
        Jwk::from_value(&jwk).unwrap().public_key().unwrap()
    }

    fn with_header(header: &str) -> String {
        format!("{}.e30.AAAA", base64url::encode(header.as_bytes()))
    }

    #[test]
    fn rfc7515_es256() {
        // RFC 7515 appendix A.3.
        let compact = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let public = key(json!({"kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}));
        let verified = UnverifiedJws::parse(compact, L).unwrap().verify(&public).unwrap();
        assert!(verified.payload().starts_with(b"{\"iss\":\"joe\""));
        let mut tampered = compact.to_owned();
        tampered.replace_range(30..31, "J");
        let tampered = UnverifiedJws::parse(&tampered, L).unwrap();
        assert_eq!(tampered.verify(&public).unwrap_err().code(), "signature_invalid");
    }

    #[test]
    fn rfc7515_es512() {
        // RFC 7515 appendix A.4.
        let compact = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
        let public = key(json!({"kty": "EC", "crv": "P-521",
            "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
            "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}));
        assert_eq!(UnverifiedJws::parse(compact, L).unwrap().verify(&public).unwrap().payload(), b"Payload");
    }

    #[test]
    fn rfc7520_es512() {
        // RFC 7520 section 4.3: with kid, and a text that is no JSON.
        let compact = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2";
        let public = key(
            json!({"kty": "EC", "crv": "P-521", "use": "sig", "kid": "bilbo.baggins@hobbiton.example",
            "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
            "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}),
        );
        let verified = UnverifiedJws::parse(compact, L).unwrap().verify(&public).unwrap();
        assert_eq!(verified.header().kid.as_deref(), Some("bilbo.baggins@hobbiton.example"));
    }

    #[test]
    fn rfc7515_rs256() {
        // RFC 7515 appendix A.2.
        let compact = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        let public = key(json!({"kty": "RSA", "e": "AQAB",
            "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}));
        UnverifiedJws::parse(compact, L).unwrap().verify(&public).unwrap();
    }

    #[test]
    fn rfc8037_ed25519() {
        // RFC 8037 appendix A.4 and A.5.
        let compact = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let public =
            key(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}));
        UnverifiedJws::parse(compact, L).unwrap().verify(&public).unwrap();
        // Ed25519 signs the same way every time, so our own output is known too.
        let seed = base64url::decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let signer = SoftwareKey::from_ed25519_seed(&seed.try_into().unwrap()).unwrap();
        assert_eq!(sign(Map::new(), b"Example of Ed25519 signing", &signer).unwrap(), compact);
    }

    #[test]
    fn refuses() {
        let code = |compact: &str| UnverifiedJws::parse(compact, L).unwrap_err().code();
        let cases = [
            (r#"{"alg":"none"}"#, "alg_none"),
            (r#"{"alg":"NonE"}"#, "alg_none"),
            (r#"{"alg":"HS256"}"#, "alg_unsupported"),
            (r#"{"alg":"ES256","crit":["exp"],"exp":1}"#, "jws_crit"),
            (r#"{"alg":"ES256","crit":[]}"#, "jws_crit"),
            (r#"{"alg":"ES256","b64":true}"#, "jws_crit"),
            (r#"{"alg":"ES256","alg":"EdDSA"}"#, "json_duplicate_member"),
            (r#"{"alg":1}"#, "jws_header"),
            (r#"{}"#, "jws_header"),
            (r#"[]"#, "jws_header"),
            (r#"{"alg":"ES256","kid":1}"#, "jws_header"),
            (r#"{"alg":"ES256","x5c":"AA"}"#, "jws_header"),
            (r#"{"alg":"ES256","x5c":[1]}"#, "jws_header"),
            (r#"{"alg":"ES256","jwk":{"kty":"EC","d":"AQ"}}"#, "jwk_private"),
            (r#"{"alg":"ES256","jwk":"x"}"#, "jwk"),
            (r#"{"alg":"ES256""#, "json_syntax"),
        ];
        for (header, expected) in cases {
            assert_eq!(code(&with_header(header)), expected, "{header}");
        }
        let good = with_header(r#"{"alg":"ES256"}"#);
        assert!(UnverifiedJws::parse(&good, L).is_ok());
        for bad in
            ["", ".", "..", "a", "e30.e30", &format!("{good}.AA"), &format!("x{good}"), &format!("{good}=")]
        {
            assert!(["jws", "base64url", "json_syntax", "jws_header"].contains(&code(bad)), "{bad}");
        }
        assert_eq!(code(&"a".repeat(L.token_bytes + 1)), "token_too_large");
    }

    #[test]
    fn algorithm_must_be_the_keys() {
        let p256 = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let ed = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
        let jws = UnverifiedJws::parse(&sign(Map::new(), b"x", &p256).unwrap(), L).unwrap();
        assert_eq!(jws.check(ed.public_key()).unwrap_err().code(), "alg_mismatch");
        let other = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        assert_eq!(jws.check(other.public_key()).unwrap_err().code(), "signature_invalid");
        jws.verify(p256.public_key()).unwrap();
    }

    #[test]
    fn header_of_our_own() {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let extra = json!({"typ": "application/kb+jwt", "alg": "none", "x": 1, "x5c": ["AA"]});
        let jws = sign(extra.as_object().unwrap().clone(), b"x", &key).unwrap();
        let jws = UnverifiedJws::parse(&jws, L).unwrap();
        let header = jws.header();
        assert_eq!(header.alg, SignatureAlgorithm::Es256);
        assert!(header.has_typ("kb+jwt") && header.has_typ("application/KB+JWT") && !header.has_typ("jwt"));
        assert_eq!(header.require_typ("dc+sd-jwt").unwrap_err().code(), "jws_typ");
        assert_eq!(header.others, json!({"x": 1}).as_object().unwrap().clone());
        assert_eq!(header.x5c.as_deref(), Some(&["AA".to_owned()][..]));
        assert_eq!(signing_input(&Map::new(), b"").unwrap_err().code(), "jws_alg_missing");
    }
}
