//! What a wallet sends to the issuer: token and credential requests, notifications; and the issuer's metadata.
#![no_main]

use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vci::credential::{CredentialRequest, CredentialResponse};
use carekey_core::protocol::openid4vci::metadata::CredentialIssuerMetadata;
use carekey_core::protocol::openid4vci::notification::NotificationRequest;
use carekey_core::protocol::openid4vci::token::{TokenRequest, TokenResponse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = &Limits::DEFAULT;
    let _ = TokenRequest::parse_form(data, limits);
    let _ = TokenResponse::parse(data, limits);
    let _ = CredentialRequest::parse(data, limits);
    let _ = CredentialResponse::parse(data, limits);
    let _ = NotificationRequest::parse(data, limits);
    let _ = CredentialIssuerMetadata::parse(data, "https://hospital.example", limits);
});
