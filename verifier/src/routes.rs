//! One file per route: extract, call the service, map the result.

pub mod brought;
pub mod create_request;
pub mod did_document;
pub mod events;
pub mod identifiers;
pub mod outcome;
pub mod portal;
pub mod request_object;
pub mod response;
pub mod response_code;
pub mod vc_api;
