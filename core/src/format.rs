//! Credential formats, one folder each.

pub mod any;
pub mod data_integrity;
pub mod sd_jwt_vc;
pub mod vc_jose;
pub mod vc_jwt;
pub mod w3c;
