//! The routes of the issuer, one file per route.

pub mod desk;
