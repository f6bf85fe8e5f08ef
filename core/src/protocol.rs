//! Wire messages of the protocols, final versions only: parsing, limits and encoding, no sockets.

pub mod oauth;
pub mod openid4vci;
pub mod openid4vp;
