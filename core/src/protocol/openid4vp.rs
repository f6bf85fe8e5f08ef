//! OpenID for Verifiable Presentations 1.0: the request, the query language, the response and transaction data.
//!
//! <https://openid.net/specs/openid-4-verifiable-presentations-1_0.html>. Carried: response type `vp_token`; response
//! modes `direct_post`, `direct_post.jwt`, `fragment`, `dc_api` and `dc_api.jwt` (Digital Credentials API, unsigned, signed
//! and multi-signed); signed requests by reference with GET and POST; client identifier prefixes `redirect_uri`,
//! `x509_san_dns`, `x509_hash`, `decentralized_identifier` and `verifier_attestation`; the whole of DCQL; transaction data
//! of registered types; registration certificates in `verifier_info`.
//! Not carried: `scope`, pre-registered clients, `openid_federation` as client identifier, signed requests by value, ISO
//! mdoc; a request that needs one of them is refused with a code that says so.

pub mod client_id;
pub mod dcql;
pub mod digital_credentials;
pub mod link;
pub mod request;
pub mod response;
pub mod signed_request;
pub mod transaction_data;
pub mod transaction_types;
pub mod verifier_attestation;
pub mod verifier_info;
pub mod wallet_metadata;
