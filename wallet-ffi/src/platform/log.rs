//! Where the wallet's log goes.

use std::sync::Arc;

use carekey_core::holder::wallet::platform as core;
use carekey_core::holder::wallet::platform::LogLevel;

/// How much a line of the log matters.
#[uniffi::remote(Enum)]
pub enum LogLevel {
    /// Course of events.
    Debug,
    /// Worth knowing.
    Info,
    /// Something went wrong and was dealt with.
    Warn,
    /// Something went wrong.
    Error,
}

/// Takes the wallet's log: ids and codes, no claims, no secrets. Called on any thread; must not block.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync {
    /// One line.
    fn log(&self, level: LogLevel, target: String, message: String);
}

/// The app's log as the engine sees it.
pub(crate) struct Log(pub(crate) Arc<dyn LogSink>);

impl core::LogSink for Log {
    fn log(&self, level: LogLevel, target: &str, message: &str) {
        self.0.log(level, target.to_owned(), message.to_owned());
    }
}
