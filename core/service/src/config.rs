//! Configuration: a TOML file, overridden by the environment, into one typed value.
//!
//! An environment variable overrides the key it spells: with the prefix `CAREKEY_ISSUER`, the variable
//! `CAREKEY_ISSUER__SERVER__PUBLIC_URL` is the key `server.public_url` (`__` steps into a table, case does not matter).
//! Its text is taken as a TOML value where it is one (`8801`, `true`, `["a", "b"]`, `"8801"`), and as a string otherwise.
//!
//! A key that nobody reads is an error, in the file and in the environment: it is a typing mistake, or a setting that
//! somebody relies on and that has no effect.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Why there is no configuration; names the file or variable, and the key. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    source: String,
    key: Option<String>,
    reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}: key `{key}`: {}", self.source, self.reason),
            None => write!(f, "{}: {}", self.source, self.reason),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Reads `path` (none: an empty file), applies the variables that begin with `env_prefix` and `__`, and makes a `T`.
pub fn load<T: DeserializeOwned>(path: Option<&Path>, env_prefix: &str) -> Result<T, ConfigError> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load_from(path, env_prefix, variables)
}

/// [`load`] with the environment as an argument.
pub fn load_from<T: DeserializeOwned>(
    path: Option<&Path>,
    env_prefix: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let mut table = path.map_or_else(|| Ok(Table::new()), read_file)?;
    let overrides = overrides(env_prefix, variables);
    for (key, (variable, text)) in &overrides {
        set(&mut table, key, parse_value(text)).map_err(|reason| ConfigError {
            source: format!("environment variable {variable}"),
            key: Some(key.clone()),
            reason,
        })?;
    }
    let place = |key: &str| {
        // An override may name a whole table, so any prefix of the key counts.
        let variable =
            overrides.iter().find(|(of, _)| key == of.as_str() || key.starts_with(&format!("{of}.")));
        match (variable, path) {
            (Some((_, (variable, _))), _) => format!("environment variable {variable}"),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => format!("environment variables {env_prefix}__…"),
        }
    };
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(Value::Table(table), &mut track);
    // serde_ignored shows an `Option` on the way as `?`.
    let mut note = |key: serde_ignored::Path<'_>| unknown.push(key.to_string().replace(".?", ""));
    let outcome: Result<T, _> = serde_ignored::deserialize(tracked, &mut note);
    if let Some(key) = unknown.first() {
        return Err(ConfigError {
            source: place(key),
            key: Some(key.clone()),
            reason: "there is no such key".into(),
        });
    }
    outcome.map_err(|error| {
        let key = track.path().to_string();
        let named = !key.is_empty() && key != ".";
        ConfigError {
            source: place(if named { &key } else { "" }),
            key: named.then_some(key),
            reason: without_values(error.message()),
        }
    })
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let fail = |reason: String| ConfigError { source: path.display().to_string(), key: None, reason };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map(|span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1);
        match line {
            Some(line) => fail(format!("line {line}: {}", error.message())),
            None => fail(error.message().to_owned()),
        }
    })
}

fn overrides(
    prefix: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> BTreeMap<String, (String, String)> {
    let prefix = format!("{prefix}__");
    variables
        .into_iter()
        .filter_map(|(name, value)| {
            let key = name.strip_prefix(&prefix)?.to_lowercase().replace("__", ".");
            Some((key, (name, value)))
        })
        .collect()
}

fn parse_value(text: &str) -> Value {
    match format!("value = {text}").parse::<Table>() {
        Ok(mut table) if table.len() == 1 => {
            table.remove("value").unwrap_or_else(|| Value::String(text.to_owned()))
        }
        _ => Value::String(text.to_owned()),
    }
}

fn set(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
            Ok(())
        }
        Some((head, rest)) => {
            match table.entry(head.to_owned()).or_insert_with(|| Value::Table(Table::new())) {
                Value::Table(inner) => set(inner, rest, value),
                _ => Err(format!("`{head}` is not a table")),
            }
        }
    }
}

/// serde quotes the offending value after "invalid type: " and "invalid value: "; a configuration may hold secrets.
fn without_values(message: &str) -> String {
    let message = message.trim();
    match message.split_once(", expected ") {
        Some((head, expected)) if head.starts_with("invalid ") => {
            let kind = head.split(':').next().unwrap_or("invalid value");
            format!("{kind}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

/// A file or folder of the configuration: relative ones count from the folder of the configuration file.
pub fn resolve(config_file: Option<&Path>, path: &Path) -> PathBuf {
    match config_file.and_then(Path::parent) {
        Some(folder) => folder.join(path),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Config {
        name: String,
        #[serde(default)]
        server: Server,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    struct Server {
        port: u16,
        #[serde(default)]
        hosts: Vec<String>,
    }

    fn read(file: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, file).unwrap();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load_from(Some(&path), "CK", env)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "c.toml"))
    }

    #[test]
    fn file_then_environment() {
        let config = read(
            "name = 'a'\n[server]\nport = 1",
            &[
                ("CK__SERVER__PORT", "2"),
                ("CK__SERVER__HOSTS", "['x', 'y']"),
                ("CK__NAME", "b c"),
                ("CKX", "9"),
            ],
        );
        let server = Server { port: 2, hosts: vec!["x".into(), "y".into()] };
        assert_eq!(config.unwrap(), Config { name: "b c".into(), server });
        let alone: Config = load_from(None, "CK", [("CK__NAME".into(), "\"7\"".into())]).unwrap();
        assert_eq!(alone.name, "7");
    }

    #[test]
    fn errors_name_place_and_key_and_no_value() {
        for (file, env, expected) in [
            ("", vec![], "c.toml: missing field `name`"),
            ("name = 'a'\nnmae = 'b'", vec![], "c.toml: key `nmae`: there is no such key"),
            (
                "name = 'a'\n[server]\nport = 1\nprot = 2",
                vec![],
                "c.toml: key `server.prot`: there is no such key",
            ),
            (
                "name = 'a'\n[server]\nport = 'geheim'",
                vec![],
                "c.toml: key `server.port`: invalid type, expected u16",
            ),
            (
                "name = 'a'\n[server]\nport = 70000",
                vec![],
                "c.toml: key `server.port`: invalid value, expected u16",
            ),
            ("name = 'a'\nname 'b'", vec![], "c.toml: line 2: "),
            (
                "name = 'a'",
                vec![("CK__SERVER__X", "1")],
                "environment variable CK__SERVER__X: key `server.x`: ",
            ),
            (
                "name = 'a'",
                vec![("CK__SERVER__PORT", "geheim")],
                "environment variable CK__SERVER__PORT: key `server.port`: invalid type, expected u16",
            ),
            (
                "name = 'a'",
                vec![("CK__NAME__X", "1")],
                "environment variable CK__NAME__X: key `name.x`: `name` is not",
            ),
        ] {
            let error = read(file, &env).unwrap_err();
            assert!(error.starts_with(expected), "{error} / {expected}");
            assert!(!error.contains("geheim"), "{error}");
        }
        let missing = load_from::<Config>(Some(Path::new("/nowhere/c.toml")), "CK", []).unwrap_err();
        assert!(missing.to_string().starts_with("/nowhere/c.toml: "));
    }
}
