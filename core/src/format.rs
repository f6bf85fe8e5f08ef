//! Credential formats, one folder each.

pub mod sd_jwt_vc;
