//! The error codes in core are the table in the manual, no more and no less.
//!
//! `CAREKEY_BLESS=1 cargo test -p carekey-tests --test error_codes` writes the table anew from the code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const HEAD: &str = "\
Every error code of `carekey_core`, made from the code by a test (`tests/tests/error_codes.rs`), so that it is complete.

Codes are stable: programs may compare them. Whose fault it is decides the HTTP status: *malformed* and *unsupported*
are the sender's (400), *untrusted*, *not current* and *refused* are answers of this party (400 in the protocols, 403 or
409 in the management API), *unavailable* says that something outside did not answer (503), *misuse* is a mistake of the calling program (500, and never caused by remote input).

| code | fault | modules |
| --- | --- | --- |
";

const MAKERS: &[(&str, &str)] = &[
    ("Error::malformed(", "malformed"),
    ("Error::untrusted(", "untrusted"),
    ("Error::not_current(", "not current"),
    ("Error::refused(", "refused"),
    ("Error::unsupported(", "unsupported"),
    ("Error::misuse(", "misuse"),
    ("Error::unavailable(", "unavailable"),
    ("relabel(error, ", "untrusted"),
];

fn core_src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src")
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file without comments and without its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    shipped.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn codes() -> BTreeMap<String, (Vec<&'static str>, Vec<String>)> {
    let mut files = Vec::new();
    rust_files(&core_src(), &mut files);
    files.sort();
    let mut found: BTreeMap<String, (Vec<&'static str>, Vec<String>)> = BTreeMap::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name == "tests.rs" || name == "error.rs" {
            continue;
        }
        let relative = file.strip_prefix(core_src()).unwrap().with_extension("");
        let module = relative.to_str().unwrap().replace('/', "::");
        let code = code(&file);
        for (maker, fault) in MAKERS {
            for (at, _) in code.match_indices(maker) {
                let rest = code[at + maker.len()..].trim_start();
                let Some(text) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                    continue;
                };
                let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                assert!(!text.is_empty() && text.chars().all(snake), "{module}: {text:?} is not snake_case");
                let (faults, modules) = found.entry(text.to_owned()).or_default();
                if !faults.contains(fault) {
                    faults.push(fault);
                }
                if !modules.contains(&module) {
                    modules.push(module.clone());
                }
            }
        }
    }
    found
}

#[test]
#[allow(clippy::disallowed_methods)] // the switch of a developer, not configuration
fn the_manual_lists_every_code() {
    let mut table = HEAD.to_owned();
    let codes = codes();
    assert!(codes.len() > 20, "only {} codes found", codes.len());
    for (code, (faults, modules)) in codes {
        let modules: Vec<String> = modules.iter().map(|module| format!("`{module}`")).collect();
        writeln!(table, "| `{code}` | {} | {} |", faults.join(", "), modules.join(", ")).unwrap();
    }
    let path = core_src().join("manual/errors.md");
    if std::env::var("CAREKEY_BLESS").is_ok() {
        fs::write(&path, &table).unwrap();
    }
    let manual = fs::read_to_string(&path).unwrap();
    assert!(
        manual == table,
        "the table is old: CAREKEY_BLESS=1 cargo test -p carekey-tests --test error_codes"
    );
}
