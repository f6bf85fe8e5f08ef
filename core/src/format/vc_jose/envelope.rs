//! EnvelopedVerifiableCredential and EnvelopedVerifiablePresentation: a secured document inside a `data:` URL
//! (VCDM 2.0 sections 4.13.1 and 4.13.2; VC-JOSE-COSE section 3).

use std::fmt;

use data_encoding::BASE64_NOPAD;
use serde_json::{Value, json};

use super::verify::UnverifiedEnvelope;
use super::{Content, EnvelopeType, Mechanism};
use crate::credential::data_model;
use crate::encoding::base64;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// A secured document and how it is secured.
#[derive(Clone, PartialEq, Eq)]
pub struct Enveloped {
    kind: EnvelopeType,
    /// The compact text of JWT and SD-JWT, or the bytes of COSE.
    data: Vec<u8>,
}

impl Enveloped {
    /// A compact JWT or SD-JWT; [`Error::Misuse`] `vc_jose_envelope` for COSE, which is no text.
    pub fn text(kind: EnvelopeType, compact: &str) -> Result<Self> {
        match kind.mechanism {
            Mechanism::Jwt | Mechanism::SdJwt => Ok(Self { kind, data: compact.as_bytes().to_vec() }),
            Mechanism::Cose => Err(Error::misuse("vc_jose_envelope", "COSE is not text")),
        }
    }

    /// A COSE_Sign1 message.
    pub fn cose(content: Content, message: Vec<u8>) -> Self {
        Self { kind: EnvelopeType { content, mechanism: Mechanism::Cose }, data: message }
    }

    /// Takes the secured document out of an enveloped credential or presentation.
    ///
    /// [`Error::Malformed`] of [`data_model::check_enveloped_credential`], `vc_jose_data_url` (data of the wrong
    /// encoding, or a credential's media type in a presentation); [`Error::Unsupported`] `vc_jose_media_type`.
    pub fn from_value(value: &Value, content: Content) -> Result<Self> {
        match content {
            Content::Credential => data_model::check_enveloped_credential(value)?,
            Content::Presentation => data_model::check_enveloped_presentation(value)?,
        }
        let enveloped = Self::from_data_url(value.get("id").and_then(Value::as_str).unwrap_or_default())?;
        match enveloped.kind.content == content {
            true => Ok(enveloped),
            false => Err(wrong_data("the media type is not that of the type of the object")),
        }
    }

    /// Reads a `data:` URL (RFC 2397). Text stands as it is, COSE in base64, padded or not.
    ///
    /// Errors as [`Self::from_value`].
    pub fn from_data_url(url: &str) -> Result<Self> {
        let (media_type, data) =
            data_model::data_url(url).ok_or_else(|| wrong_data("not a data: URL with a media type"))?;
        let (name, is_base64) = match media_type.strip_suffix(";base64") {
            Some(name) => (name, true),
            None => (media_type, false),
        };
        let kind = EnvelopeType::parse(name)?;
        match (kind.mechanism, is_base64) {
            (Mechanism::Cose, true) => Ok(Self { kind, data: decode(data)? }),
            (Mechanism::Cose, false) => Err(wrong_data("COSE must be encoded in base64")),
            (Mechanism::Jwt | Mechanism::SdJwt, false) => Ok(Self { kind, data: data.as_bytes().to_vec() }),
            (Mechanism::Jwt | Mechanism::SdJwt, true) => {
                Err(wrong_data("a JWT or SD-JWT stands in the URL as it is"))
            }
        }
    }

    /// How it is secured.
    pub const fn kind(&self) -> EnvelopeType {
        self.kind
    }

    /// The secured document: compact text, or a COSE message.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The `data:` URL.
    pub fn to_data_url(&self) -> String {
        let media_type = self.kind.media_type();
        match std::str::from_utf8(&self.data) {
            Ok(text) if self.kind.mechanism != Mechanism::Cose => format!("data:{media_type},{text}"),
            _ => format!("data:{media_type};base64,{}", base64::encode(&self.data)),
        }
    }

    /// The object that stands for the secured document in a presentation.
    pub fn to_value(&self) -> Value {
        let name = match self.kind.content {
            Content::Credential => "EnvelopedVerifiableCredential",
            Content::Presentation => "EnvelopedVerifiablePresentation",
        };
        json!({"@context": [data_model::CONTEXT_V2], "type": name, "id": self.to_data_url()})
    }

    /// Reads the secured document; errors of [`UnverifiedEnvelope::parse`].
    pub fn open(&self, limits: &Limits) -> Result<UnverifiedEnvelope> {
        UnverifiedEnvelope::parse(self.kind, &self.data, limits)
    }
}

impl fmt::Debug for Enveloped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enveloped").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Base64 of RFC 4648 section 4, with all of its padding or none, and nothing else.
///
/// [`Error::Malformed`] `base64`.
pub fn decode(text: &str) -> Result<Vec<u8>> {
    match text.ends_with('=') {
        true => base64::decode(text),
        false => BASE64_NOPAD
            .decode(text.as_bytes())
            .map_err(|_| Error::malformed("base64", "not canonical base64")),
    }
}

fn wrong_data(detail: &'static str) -> Error {
    Error::malformed("vc_jose_data_url", detail)
}
