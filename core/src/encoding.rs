//! Encodings that the formats share: each strict, each bounded.

pub mod base64url;
