//! The whole logic of a wallet app: what an app, or the library that an app calls, translates and nothing more.
//!
//! [`platform`] is what the app provides, [`WalletError`] what it shows when something goes wrong.

pub mod error;
pub mod platform;

pub use error::{Advice, Party, WalletError};
pub use platform::{HardwareKeyStore, LogSink, PasskeyClient};
