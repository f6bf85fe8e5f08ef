//! The CareKey issuer: OpenID4VCI 1.0, token status lists and the hospital desk.

pub mod routes;
