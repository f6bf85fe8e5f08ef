//! What both CareKey servers share: configuration, serving, problems, metrics, limits and the guarded HTTP client.
//!
//! Nothing here knows about credentials. A server is put together like this:
//!
//! 1. [`config::load`] makes its configuration, [`log::init`] starts the log;
//! 2. it builds its own routes, with [`extract`]ors that answer bad input by [`problem`]s, [`limit::apply`] around the
//!    public ones and [`auth::require`] around the management API, and adds [`health::routes`];
//! 3. [`serve::bind`] and [`serve::run`] put the common layers around it and answer until they are told to stop.

pub mod auth;
pub mod client;
pub mod config;
pub mod cors;
pub mod dids;
pub mod extract;
pub mod fetch;
pub mod health;
pub mod keys;
pub mod limit;
pub mod log;
pub mod metrics;
pub mod openapi;
pub mod pages;
pub mod private_file;
pub mod problem;
pub mod serve;
pub mod trust_snapshot;
pub mod trusted_lists;
