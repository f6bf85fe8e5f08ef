//! From a link, or from what the platform hands over, to a request whose sender is authenticated.

use super::PresentationContext;
use crate::error::{Error, Result};
use crate::holder::HttpRequest;
use crate::jose::jwe::{self, JweDecryptionKey};
use crate::limits::Limits;
use crate::protocol::openid4vp::client_id::ClientId;
use crate::protocol::openid4vp::digital_credentials::{DigitalCredentialRequest, PlatformRequest};
use crate::protocol::openid4vp::link::{RequestLink, RequestUriMethod};
use crate::protocol::openid4vp::request::REQUEST_OBJECT_TYP;
use crate::protocol::openid4vp::signed_request::{AuthenticatedRequest, RequestEvidence, UnverifiedRequest};
use crate::protocol::openid4vp::wallet_metadata;

/// The request behind a link.
pub(super) async fn link(link: &str, context: &PresentationContext<'_>) -> Result<AuthenticatedRequest> {
    match RequestLink::parse(link, &Limits::DEFAULT)? {
        RequestLink::ByValue(request) => {
            AuthenticatedRequest::unsigned(*request, context.trust, context.clock.now())
        }
        RequestLink::ByReference { client_id, request_uri, method: RequestUriMethod::Get } => {
            let get = HttpRequest::get(request_uri, &format!("application/{REQUEST_OBJECT_TYP}"));
            authenticate(&object(get, None, context).await?, &client_id, None, context).await
        }
        RequestLink::ByReference { client_id, request_uri, method: RequestUriMethod::Post } => {
            by_post(&client_id, request_uri, context).await
        }
    }
}

/// Section 5.10: the object must hold our nonce, and the verifier may encrypt it to a key of this one exchange.
async fn by_post(
    client_id: &ClientId,
    request_uri: url::Url,
    context: &PresentationContext<'_>,
) -> Result<AuthenticatedRequest> {
    let nonce = context.random.token(16);
    let key = JweDecryptionKey::generate()?;
    let metadata = wallet_metadata::own(Some(&key.jwk("request-object"))).to_string();
    let pairs = [("wallet_nonce", nonce.as_str()), ("wallet_metadata", metadata.as_str())];
    let mut post = HttpRequest::post_form(request_uri, &pairs);
    post.headers.retain(|(name, _)| name != "accept");
    post.headers.push(("accept".into(), format!("application/{REQUEST_OBJECT_TYP}")));
    authenticate(&object(post, Some(&key), context).await?, client_id, Some(&nonce), context).await
}

/// The signed request object, decrypted where it is a JWE (RFC 9101 section 6.1).
async fn object(
    request: HttpRequest,
    key: Option<&JweDecryptionKey>,
    context: &PresentationContext<'_>,
) -> Result<String> {
    let unfit = |detail| Error::malformed("request_fetch", detail);
    let response = context.http.send(request).await?;
    if !response.is_success() || response.media_type() != format!("application/{REQUEST_OBJECT_TYP}") {
        return Err(unfit("the verifier gives no request object at that address"));
    }
    let body = String::from_utf8(response.body).map_err(|_| unfit("the request object is not text"))?;
    let compact = body.trim();
    match key.filter(|_| compact.matches('.').count() == 4) {
        None => Ok(compact.to_owned()),
        Some(key) => {
            let (_, payload) = jwe::decrypt(compact, key, &Limits::DEFAULT)?;
            String::from_utf8(payload).map_err(|_| unfit("the request object is not text"))
        }
    }
}

async fn authenticate(
    compact: &str,
    client_id: &ClientId,
    wallet_nonce: Option<&str>,
    context: &PresentationContext<'_>,
) -> Result<AuthenticatedRequest> {
    let unverified = UnverifiedRequest::parse(compact, &Limits::DEFAULT)?;
    with_evidence(unverified, Some(client_id), wallet_nonce, context).await
}

async fn with_evidence(
    unverified: UnverifiedRequest,
    client_id: Option<&ClientId>,
    wallet_nonce: Option<&str>,
    context: &PresentationContext<'_>,
) -> Result<AuthenticatedRequest> {
    let did_document = match unverified.did()? {
        Some(did) => Some(context.dids.resolve(&did).await?),
        None => None,
    };
    unverified.authenticate(&RequestEvidence {
        client_id,
        wallet_nonce,
        trust: context.trust,
        did_document: did_document.as_ref(),
        now: context.clock.now(),
    })
}

/// The request that came from `origin` over the Digital Credentials API. Of a multi-signed one, the first signature whose
/// verifier the wallet knows counts.
pub(super) async fn platform(
    request: &DigitalCredentialRequest,
    origin: &str,
    context: &PresentationContext<'_>,
) -> Result<AuthenticatedRequest> {
    match request.read(origin, &Limits::DEFAULT)? {
        PlatformRequest::Unsigned(request) => {
            AuthenticatedRequest::unsigned(*request, context.trust, context.clock.now())
        }
        PlatformRequest::Signed(candidates) => {
            let mut fault = Error::malformed("request_object", "the request has no signature");
            for candidate in candidates {
                match with_evidence(candidate, None, None, context).await {
                    Ok(authenticated) => return Ok(authenticated),
                    Err(error) => fault = error,
                }
            }
            Err(fault)
        }
    }
}
