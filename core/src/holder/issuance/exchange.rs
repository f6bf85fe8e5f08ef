//! Requests to an issuer and what its answers mean.

use url::Url;

use super::IssuanceContext;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::holder::http::{HttpRequest, HttpResponse};
use crate::limits::Limits;
use crate::protocol::openid4vci::ascii_description;
use crate::protocol::openid4vci::token::ErrorResponse;

/// A JSON document that must be there.
pub(super) async fn fetch_json(url: Url, context: &IssuanceContext<'_>) -> Result<Vec<u8>> {
    let response = context.http.send(HttpRequest::get(url, "application/json")).await?;
    if response.status != 200 {
        return Err(Error::unavailable("issuance_fetch", format!("the issuer answers {}", response.status)));
    }
    response.json(&Limits::DEFAULT)?;
    Ok(response.body)
}

/// The body of a 2xx answer in JSON; otherwise what the issuer said, as an error.
pub(super) fn expect_success(response: HttpResponse) -> Result<Vec<u8>> {
    if !response.is_success() {
        return Err(refusal(&response));
    }
    if response.media_type() != "application/json" {
        return Err(Error::malformed("http_media_type", "the issuer's answer is not application/json"));
    }
    Ok(response.body)
}

/// `issuance_invalid_grant` (wrong transaction code, or the offer is used or over), `issuance_invalid_nonce`, or
/// `issuance_refused`. The issuer's own words are cut and made printable.
fn refusal(response: &HttpResponse) -> Error {
    let Ok(answer) = json::parse_as::<ErrorResponse>(&response.body, &Limits::DEFAULT) else {
        return Error::unavailable("issuance_answer", format!("the issuer answers {}", response.status));
    };
    let words: String = ascii_description(answer.error_description.as_deref().unwrap_or_default())
        .chars()
        .take(200)
        .collect();
    let name: String = ascii_description(&answer.error).chars().take(64).collect();
    let code = match answer.error.as_str() {
        "invalid_grant" => "issuance_invalid_grant",
        "invalid_nonce" => "issuance_invalid_nonce",
        _ => "issuance_refused",
    };
    Error::refused(code, format!("the issuer says {name}: {words}"))
}
