//! JOSE: keys (RFC 7517, 7518, 7638, 8037), signatures (RFC 7515), tokens (RFC 7519),
//! encryption (RFC 7516); compact serialization only.

pub mod jwe;
pub mod jwk;
pub mod jws;
pub mod jwt;
