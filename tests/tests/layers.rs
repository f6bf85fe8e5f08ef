//! Dependencies point one way: a module of core uses only modules above it in this list, and the three role modules
//! never use each other.

use std::fs;
use std::path::{Path, PathBuf};

/// The import order of `core/src`: lowest layer first.
const ORDER: &[&str] = &[
    "error",
    "limits",
    "clock",
    "random",
    "secret",
    "encoding",
    "key",
    "jose",
    "x509",
    "did",
    "webauthn",
    "attestation",
    "credential",
    "status",
    "format",
    "binding",
    "authenticator",
    "trust",
    "health",
    "protocol",
    "store",
    "vault",
    "issuer",
    "holder",
    "verifier",
    "manual",
];
const ROLES: &[&str] = &["issuer", "holder", "verifier"];
/// Modules of one layer: `error` displays times, and time is made of nothing but numbers.
const SAME_LAYER: &[(&str, &str)] = &[("error", "clock"), ("random", "encoding"), ("secret", "encoding")];

fn core_src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src")
}

/// Every `.rs` file below `dir`.
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

/// The top module that a file belongs to.
fn module_of(file: &Path) -> String {
    let relative = file.strip_prefix(core_src()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file without comments and without its tests, which may use everything.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines().peekable();
    let mut code = String::new();
    while let Some(line) = lines.next() {
        let line = line.split_once("//").map_or(line, |(before, _)| before);
        if line.trim() == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod tests")) {
            break;
        }
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// The top modules that `crate::…` paths in `code` name; braces are opened at their first level.
fn used_modules(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.push(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut item = String::new();
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                used.push(word(item.trim()));
                item.clear();
                if depth == 0 {
                    break;
                }
            } else {
                item.push(c);
            }
        }
    }
    used.retain(|name| name.starts_with(char::is_lowercase));
    used
}

#[test]
fn modules_use_only_what_stands_above_them() {
    let mut files = Vec::new();
    rust_files(&core_src(), &mut files);
    assert!(files.len() > 20, "{} files in core", files.len());
    let place = |module: &str| ORDER.iter().position(|name| *name == module);
    let mut wrong = Vec::new();
    for file in &files {
        let module = module_of(file);
        if module == "lib" {
            continue;
        }
        let Some(own) = place(&module) else {
            wrong.push(format!("{module} has no place in the order of layers"));
            continue;
        };
        for used in used_modules(&code(file)) {
            let Some(other) = place(&used) else { continue };
            let between_roles =
                used != module && ROLES.contains(&used.as_str()) && ROLES.contains(&module.as_str());
            let upwards = other > own && !SAME_LAYER.contains(&(module.as_str(), used.as_str()));
            if upwards || between_roles {
                wrong.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "layers:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_reads() {
    let code =
        "use crate::{error::{Error, Result}, jose::jws, Clock};\nlet x = crate::did::key::resolve();\n";
    assert_eq!(used_modules(code), ["error", "jose", "did"]);
}

/// Packages: `core ← storage ← service ← {issuer, verifier} ← cli`, `core ← wallet-ffi`.
#[test]
fn packages_depend_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rules: &[(&str, &[&str])] = &[
        ("core", &[]),
        ("core/storage", &["carekey-core"]),
        ("core/service", &["carekey-core", "carekey-storage"]),
        ("wallet-ffi", &["carekey-core"]),
        ("issuer", &["carekey-core", "carekey-storage", "carekey-service"]),
        ("verifier", &["carekey-core", "carekey-storage", "carekey-service"]),
    ];
    for (package, allowed) in rules {
        let manifest = fs::read_to_string(root.join(package).join("Cargo.toml")).unwrap();
        let shipped = manifest.split("[dev-dependencies]").next().unwrap();
        for line in shipped.lines().filter(|line| line.starts_with("carekey-")) {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&name), "{package} depends on {name}");
        }
    }
}
