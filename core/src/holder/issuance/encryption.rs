//! Encrypted credential requests and responses from the wallet's side (OpenID4VCI 1.0 section 10).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::exchange;
use super::session::Session;
use crate::error::{Error, Result};
use crate::holder::http::HttpRequest;
use crate::jose::jwe::{self, ContentEncryption, JweDecryptionKey, KeyManagement, PartyInfo};
use crate::jose::jwk::Jwk;
use crate::limits::Limits;
use crate::protocol::openid4vci::credential::ResponseEncryptionRequest;
use crate::protocol::openid4vci::metadata::CredentialIssuerMetadata;

/// Name of the key that a response is encrypted to; made for one response.
const RESPONSE_KEY: &str = "response";

const JWT: &str = "application/jwt";

/// What of the messages to an issuer is encrypted, and how.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Encryption {
    request: Option<(Jwk, ContentEncryption)>,
    response: Option<(KeyManagement, ContentEncryption)>,
}

impl Encryption {
    /// What the issuer demands; with `wanted`, what it offers.
    ///
    /// # Errors
    /// `metadata_encryption`: the issuer demands what is not carried here.
    pub(super) fn of(issuer: &CredentialIssuerMetadata, wanted: bool) -> Result<Self> {
        let bad = |detail: &'static str| Error::unsupported("metadata_encryption", detail);
        let (requests, responses) =
            (&issuer.credential_request_encryption, &issuer.credential_response_encryption);
        let choice = requests.as_ref().and_then(|offered| offered.choose());
        let mut response = responses.as_ref().and_then(|offered| offered.choose());
        let must = |required: Option<bool>| required.unwrap_or_default();
        let response_required = must(responses.as_ref().map(|offered| offered.encryption_required));
        let request_required = must(requests.as_ref().map(|offered| offered.encryption_required));
        if response_required && response.is_none() {
            return Err(bad("the issuer insists on a way to encrypt responses that is not carried"));
        }
        // Section 8.2: a key for the response travels in an encrypted request only.
        if (response_required || request_required) && choice.is_none() {
            return Err(bad("the issuer insists on a way to encrypt requests that is not carried"));
        }
        response = response.filter(|_| response_required || (wanted && choice.is_some()));
        let request = choice.filter(|_| request_required || response.is_some() || wanted);
        Ok(Self { request, response })
    }

    /// Posts what `body` makes of the wish for an encrypted response: the JSON of the answer.
    ///
    /// # Errors
    /// `issuance_unencrypted`: the answer is not encrypted as it was asked for; those of [`jwe::decrypt`] and of
    /// [`exchange::expect_success`].
    pub(super) async fn post(
        &self,
        url: &Url,
        body: impl FnOnce(Option<ResponseEncryptionRequest>) -> Value,
        session: &Session<'_>,
    ) -> Result<Vec<u8>> {
        let key = match self.response {
            None => None,
            Some((alg, enc)) => Some((JweDecryptionKey::generate()?.for_algorithm(alg), enc)),
        };
        let wish = key
            .as_ref()
            .map(|(key, enc)| ResponseEncryptionRequest { jwk: key.jwk(RESPONSE_KEY), enc: *enc });
        let body = body(wish);
        let response = match &self.request {
            None => session.post_json(url, &body).await?,
            Some((jwk, enc)) => {
                let jwt = jwe::encrypt(body.to_string().as_bytes(), jwk, *enc, &PartyInfo::default())?;
                session.send(HttpRequest::post(url.clone(), JWT, jwt.into_bytes())).await?
            }
        };
        let Some((key, enc)) = key.filter(|_| response.is_success()) else {
            return exchange::expect_success(response);
        };
        let plain = || Error::untrusted("issuance_unencrypted", "the answer is not encrypted as asked for");
        if response.media_type() != JWT {
            return Err(plain());
        }
        let compact = std::str::from_utf8(&response.body).map_err(|_| plain())?;
        let (header, content) = jwe::decrypt(compact.trim(), &key, &Limits::DEFAULT)?;
        if header.enc == enc { Ok(content) } else { Err(plain()) }
    }
}
