//! OpenID for Verifiable Presentations 1.0: the request, the query language, the response and transaction data.
//!
//! <https://openid.net/specs/openid-4-verifiable-presentations-1_0.html>. Carried: response type `vp_token`, response
//! modes `direct_post` and `direct_post.jwt`, signed requests by reference, client identifier prefixes `redirect_uri`,
//! `x509_san_dns`, `x509_hash` and `decentralized_identifier`, the credential format `dc+sd-jwt`.
//! Not carried: the Digital Credentials API, `scope`, `openid_federation`, `verifier_attestation`, `trusted_authorities`,
//! ISO mdoc and the W3C formats; a request that needs one of them is refused with a code that says so.

pub mod client_id;
pub mod dcql;
pub mod link;
pub mod request;
pub mod response;
pub mod signed_request;
pub mod transaction_data;
