//! The verifier over a real socket, with the holder engine as its wallet.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

mod bad_input;
mod forged;
mod front_end;
mod identifiers;
mod issuers;
mod journey;
mod once;
mod portal;
mod status;
mod vc_api;
mod ways;
#[path = "../../../core/tests/support/world.rs"]
mod world;
