//! The issuer's picture of a credential: fetched once, when the credential is collected, and never afterwards. Whoever
//! serves it learns that a credential was collected, not when it is shown.

use serde::{Deserialize, Serialize};
use url::Url;

use super::Wallet;
use super::platform::LogLevel;
use crate::binding::transaction::visible;
use crate::encoding::{base64, base64url};
use crate::error::{Error, Result};
use crate::holder::{HttpRequest, LogoReference};

/// The largest picture that is kept, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Longest text in place of the picture, in characters.
const MAX_ALT_TEXT: usize = 200;

/// A picture that an issuer's metadata names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logo {
    /// `image/png`, `image/jpeg` or `image/webp`, as its first bytes say; never a format that can hold scripts.
    pub media_type: String,
    /// The picture, base64url.
    pub data: String,
    /// What it shows, for people who do not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt_text: Option<String>,
}

impl Logo {
    fn new(bytes: &[u8], alt_text: Option<&str>) -> Result<Self> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::refused("logo_size", "the picture is larger than 256 KiB"));
        }
        Ok(Self {
            media_type: media_type(bytes)?.to_owned(),
            data: base64url::encode(bytes),
            alt_text: alt_text.map(|text| visible(&text.chars().take(MAX_ALT_TEXT).collect::<String>())),
        })
    }
}

/// By the first bytes: what a server says about them does not matter.
fn media_type(bytes: &[u8]) -> Result<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Ok("image/png"),
        [0xff, 0xd8, 0xff, ..] => Ok("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok("image/webp"),
        _ => Err(Error::unsupported("logo_type", "the picture is neither PNG nor JPEG nor WebP")),
    }
}

impl Wallet {
    /// The picture behind a reference, or nothing: a credential without its picture is still a credential.
    pub(super) async fn fetch_logo(&self, reference: &LogoReference) -> Option<Logo> {
        match self.logo_of(reference).await {
            Ok(logo) => Some(logo),
            Err(error) => {
                self.log(LogLevel::Info, &format!("no picture of a credential: {}", error.code()));
                None
            }
        }
    }

    async fn logo_of(&self, reference: &LogoReference) -> Result<Logo> {
        let alt_text = reference.alt_text.as_deref();
        if let Some(data) = reference.uri.strip_prefix("data:") {
            let text = data.split_once(";base64,").map(|(_, text)| text);
            let text =
                text.ok_or_else(|| Error::unsupported("logo_uri", "a data: URL that is not base64"))?;
            if text.len() > 2 * MAX_BYTES {
                return Err(Error::refused("logo_size", "the picture is larger than 256 KiB"));
            }
            return Logo::new(&base64::decode(text)?, alt_text);
        }
        let url = Url::parse(&reference.uri).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        let url = url.ok_or_else(|| Error::unsupported("logo_uri", "no web address of a picture"))?;
        let response =
            self.platform.http.send(HttpRequest::get(url, "image/png, image/jpeg, image/webp")).await?;
        if response.status != 200 {
            return Err(Error::unavailable("logo_fetch", "the picture cannot be had"));
        }
        Logo::new(&response.body, alt_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_pictures_of_known_kinds() {
        let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 100]].concat();
        let logo = Logo::new(&png, Some("the hospital's\u{202e} sign")).unwrap();
        assert_eq!(logo.media_type, "image/png");
        assert!(!logo.alt_text.unwrap().contains('\u{202e}'), "hidden characters are written out");
        assert_eq!(Logo::new(b"\xff\xd8\xff\xe0", None).unwrap().media_type, "image/jpeg");
        assert_eq!(Logo::new(b"RIFF1234WEBPVP8 ", None).unwrap().media_type, "image/webp");
        assert_eq!(Logo::new(b"<svg onload=alert(1)>", None).unwrap_err().code(), "logo_type");
        let large = [png, vec![0; MAX_BYTES]].concat();
        assert_eq!(Logo::new(&large, None).unwrap_err().code(), "logo_size");
    }
}
