//! What README and manual say about configuration is what the services read.

use std::fmt::Debug;
use std::path::Path;

use carekey_service::config::load_from;

const README: &str = include_str!("../../README.md");
const DEFAULTS: &str = include_str!("../../core/src/manual/defaults.md");

/// The TOML blocks of a Markdown text.
fn toml_blocks(markdown: &str) -> Vec<&str> {
    markdown.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

fn load<T: serde::de::DeserializeOwned>(text: &str, prefix: &str) -> T {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.toml");
    std::fs::write(&file, text).unwrap();
    load_from(Some(&file), prefix, Vec::new()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn the_examples_of_the_readme_are_read_as_they_say() {
    let blocks = toml_blocks(README);
    let [issuer, verifier] = blocks.as_slice() else { panic!("{} examples", blocks.len()) };
    let issuer: carekey_issuer::Config = load(issuer, "CAREKEY_ISSUER");
    let settings = issuer.settings("https://issuer.hospital.example");
    settings.check().unwrap();
    assert_eq!(settings.wallets.len(), 1);
    assert!(issuer.server.tls.is_some());
    let verifier: carekey_verifier::Config = load(verifier, "CAREKEY_VERIFIER");
    assert_eq!((verifier.trust.len(), verifier.types.patient_identity.len()), (1, 1));
    assert_eq!(verifier.trust[0].anchors, [Path::new("/etc/carekey/hospital-ca.pem")]);
}

#[test]
fn the_example_of_the_page_on_attestation_is_read_as_it_says() {
    let blocks = toml_blocks(include_str!("../../core/src/manual/attestation.md"));
    let [example] = blocks.as_slice() else { panic!("{} examples", blocks.len()) };
    let issuer: carekey_issuer::Config = load(example, "CAREKEY_ISSUER");
    let settings = issuer.settings("https://issuer.hospital.example");
    settings.check().unwrap();
    assert_eq!(settings.grading.android.min_patch_level, Some(202_601));
    assert!(!settings.grading.android.accept_pin && !settings.grading.apple.allow_development);
    let apps = &settings.wallets[0].apps;
    assert_eq!((apps.android[0].package.as_str(), apps.apple.len()), ("example.wallet", 1));
    let android = issuer.android_attestation.unwrap();
    assert_eq!((android.status_max_age_hours, android.roots.len()), (72, 0));
    assert_eq!(android.status_url.unwrap().host_str(), Some("android.googleapis.com"));
}

/// The rows of a section of the table of defaults: names of members, default.
fn rows(section: &str) -> Vec<(Vec<String>, &'static str)> {
    let text = DEFAULTS.split("## ").find(|part| part.starts_with(section)).unwrap();
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let mut names: Vec<String> = Vec::new();
        for name in cells[1].split(", ").map(|name| name.trim_matches('`').trim_start_matches('.')) {
            // `lifetimes.offer`, `offer_max`: the second lies beside the first.
            let beside =
                names.first().and_then(|first| first.rsplit_once('.')).map(|(table, _)| table.to_owned());
            match beside.filter(|table| !name.starts_with(&format!("{}.", table.split('.').next().unwrap())))
            {
                Some(table) => names.push(format!("{table}.{name}")),
                None => names.push(name.to_owned()),
            }
        }
        rows.push((names, cells[2]));
    }
    assert!(rows.len() > 5, "{section}");
    rows
}

/// Every default that the table states, given as a variable, leaves the configuration as it is without; every member
/// that it names is known.
fn check_section<T: serde::de::DeserializeOwned + Default + Debug>(section: &str, prefix: &str) -> usize {
    let usual = format!("{:?}", T::default());
    let mut compared = 0;
    for (names, default) in rows(section) {
        let values: Vec<&str> = default.split(", ").map(|value| value.trim_matches('`')).collect();
        for (position, name) in names.iter().enumerate() {
            let variable = format!("{prefix}__{}", name.to_uppercase().replace('.', "__"));
            let read = |value: &str| {
                load_from::<T>(None, prefix, [(variable.clone(), value.to_owned())])
                    .map_err(|e| e.to_string())
            };
            // A value that no member takes is refused, but never because the member is unknown.
            if let Err(refused) = read("[[[\"x\"]]]") {
                assert!(!refused.contains("no such key"), "{name}: {refused}");
            }
            let value = values.get(position).or(values.last()).unwrap();
            let value = value.split(" (").next().unwrap();
            if value.starts_with("none")
                || value.starts_with('<')
                || value.contains(' ')
                || value.contains("PORT")
            {
                continue;
            }
            let config = read(value).unwrap_or_else(|error| panic!("{name}: {error}"));
            // What the table writes out is `None` where a default of core stands behind it.
            let config = format!("{config:?}").replace(&format!("Some({value})"), "None");
            let plain = usual.replace(&format!("Some({value})"), "None");
            assert_eq!(config, plain, "{name} = {value}");
            compared += 1;
        }
    }
    compared
}

/// Every member of a configuration stands in the table.
fn check_complete(config: &impl Debug) {
    let text = format!("{config:#?}");
    for line in text.lines() {
        let Some((name, _)) = line.trim().split_once(": ") else { continue };
        if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            let found = ["`", "."].iter().any(|before| {
                ["`", "."].iter().any(|after| DEFAULTS.contains(&format!("{before}{name}{after}")))
            });
            assert!(found, "defaults.md does not name {name}");
        }
    }
}

#[test]
fn the_table_of_defaults_is_true_and_complete() {
    let issuer = check_section::<carekey_issuer::Config>("Issuer", "CAREKEY_ISSUER");
    let verifier = check_section::<carekey_verifier::Config>("Verifier", "CAREKEY_VERIFIER");
    assert!(issuer >= 14 && verifier >= 12, "{issuer} {verifier}");
    check_complete(&carekey_issuer::Config::default());
    check_complete(&carekey_verifier::Config::default());
}
