//! OAuth 2.0 as the issuance protocol uses it: forms, DPoP (RFC 9449), PKCE (RFC 7636), pushed authorization requests
//! (RFC 9126), the authorization code grant with `iss` in its response (RFC 6749, RFC 9207), access
//! tokens of other servers (RFC 9068).

pub mod access_token;
pub mod authorization;
pub mod dpop;
pub mod form;
pub mod openid_connect;
pub mod pkce;
