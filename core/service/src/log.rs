//! Structured logs on standard error, without personal data: route templates, statuses, error codes and request ids;
//! never addresses, query strings, headers or bodies.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// `json` for machines, `text` for people.
    pub format: LogFormat,
    /// What is logged, in the notation of `RUST_LOG`: `info`, `warn,carekey_service=debug`.
    pub filter: String,
}

/// The form of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Json, filter: "info".into() }
    }
}

/// Starts the log of this process; a second call is an error, as is a filter that cannot be read. From then on a panic
/// is logged by its place alone: its message might quote data.
pub fn init(config: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| format!("key `log.filter`: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
        }
        LogFormat::Text => builder.try_init(),
    }
    .map_err(|error| error.to_string())?;
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
    Ok(())
}
