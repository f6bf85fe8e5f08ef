//! One file per route, or per group of routes on one path.

pub(crate) mod api_credentials;
pub(crate) mod api_offers;
pub(crate) mod authorization;
pub(crate) mod credential;
pub(crate) mod deferred;
pub mod desk;
pub(crate) mod metadata;
pub(crate) mod nonce;
pub(crate) mod notification;
pub(crate) mod offer;
pub(crate) mod openapi;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod vc_api;
