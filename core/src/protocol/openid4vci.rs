//! OpenID for Verifiable Credential Issuance 1.0: the messages.
//!
//! Carried: credential offer (by value and by reference) for the pre-authorized code and the authorization code grant,
//! credential issuer metadata (plain and signed) and authorization server metadata, token request and response,
//! authorization details, nonce, credential request with key proofs of type `jwt` (several: batches) and `attestation`,
//! encryption of requests and responses, deferred credentials, notification. The rest of the authorization code flow and
//! DPoP are in [`super::oauth`]. Not carried: proof type `di_vp`, compression.

pub mod authorization_details;
pub mod credential;
pub mod key_proof;
pub mod metadata;
pub mod notification;
pub mod offer;
pub mod signed_metadata;
pub mod token;

/// Grant type of the pre-authorized code flow (OpenID4VCI 1.0 section 4.1.1).
pub const PRE_AUTHORIZED_CODE: &str = "urn:ietf:params:oauth:grant-type:pre-authorized_code";

/// Text as `error_description` may carry it: RFC 6749 section 5.2 allows `%x20-21 / %x23-5B / %x5D-7E` only.
pub fn ascii_description(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}
