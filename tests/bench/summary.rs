//! Ratios of what was just measured, beside the aims.

use std::fs;
use std::path::PathBuf;

use crate::data_integrity;

/// Where criterion keeps its estimates: `target/criterion`.
pub fn folder() -> PathBuf {
    let target = std::env::current_exe().unwrap();
    target.ancestors().nth(3).unwrap().join("criterion")
}

/// Mean time of a benchmark of this run, in microseconds.
fn micros(name: &str) -> Option<f64> {
    let file = folder().join(name.replace('/', "_")).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    Some(estimates.get("mean")?.get("point_estimate")?.as_f64()? / 1000.0)
}

/// Prints the table.
pub fn print(measured: &data_integrity::Measured) {
    let Some(p256) = micros("bare/p256") else { return };
    println!("\n{:<28} {:>9}  what it is held against", "benchmark", "µs");
    let line = |name: &str, against: String| {
        if let Some(time) = micros(name) {
            println!("{name:<28} {time:>9.1}  {against}");
        }
    };
    line("bare/p256", "one P-256 verification of aws-lc-rs, key parsed".to_owned());
    line("bare/ed25519", "one Ed25519 verification of aws-lc-rs, key parsed".to_owned());
    let against = |name: &str, signatures: f64, aim: &str| {
        let ratio = micros(name).unwrap_or_default() / (signatures * p256);
        format!("{ratio:.2} x {signatures} bare P-256{aim}")
    };
    line("sd_jwt_vc/verify", against("sd_jwt_vc/verify", 2.0, ""));
    line("sd_jwt_vc/verify_step_up", against("sd_jwt_vc/verify_step_up", 3.0, " (aim: at most 1.25)"));
    line("webauthn/assertion", against("webauthn/assertion", 1.0, ""));
    line("sd_jwt_vc/issue", "one signature, 13 salts and hashes".to_owned());
    let hash = micros("bare/sha256_1k").unwrap_or_default();
    line("bare/sha256_1k", "SHA-256 of 1 KiB".to_owned());
    line("bare/two_pairings", "one check of two pairings with blst".to_owned());
    for (name, bare, count, hashes, aim) in data_integrity::AIMS {
        let ratio = |count: f64| {
            let floor = count * micros(bare).unwrap_or_default() + hashes * hash;
            micros(name).unwrap_or_default() / floor
        };
        line(
            name,
            format!("{:.2} x ({count} x {bare} + {hashes} x bare/sha256_1k) (aim: {aim})", ratio(count)),
        );
        if name == "ecdsa_sd/verify" && measured.signatures > 0 {
            let needed = u32::try_from(measured.signatures).map_or(0.0, f64::from);
            line(name, format!("{:.2} x the {needed} signatures that this document needs", ratio(needed)));
        }
    }
    for name in data_integrity::others() {
        line(&name, "one small credential, or one with 100 claims".to_owned());
    }
    for (name, aim) in [("eddsa_rdfc", " (aim: at least 10)"), ("ecdsa_rdfc", ""), ("ecdsa_sd", "")] {
        for operation in ["issue", "issue_100", "verify", "verify_100"] {
            let (theirs, ours) = (format!("ssi_{name}/{operation}"), format!("{name}/{operation}"));
            if let (Some(ssi), Some(own)) = (micros(&theirs), micros(&ours)) {
                let aim = if operation == "verify" { aim } else { "" };
                line(&theirs, format!("{:.1} x ours{aim}", ssi / own));
            }
        }
    }
    for (name, time) in &measured.digitalbazaar {
        let ours = micros(name).map_or_else(String::new, |own| format!("{:.1} x ours", time / own));
        println!("{:<28} {time:>9.1}  {ours}", format!("digitalbazaar_{name}"));
    }
    match (micros("ssi/verify"), micros("sd_jwt_vc/verify")) {
        (Some(ssi), Some(ours)) => {
            line(
                "ssi/verify",
                format!("{:.1} x ours on the same presentation (aim: at least 3)", ssi / ours),
            );
        }
        _ => println!("{:<28} {:>9}  build with --features oracles (cargo xtask bench)", "ssi/verify", "-"),
    }
}
