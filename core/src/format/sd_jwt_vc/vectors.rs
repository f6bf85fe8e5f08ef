//! Known answers: the examples of RFC 9901 and of draft-ietf-oauth-sd-jwt-vc.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::disclosure::DigestAlgorithm;
use super::key_binding::KeyBindingCheck;
use super::verify::{Timing, UnverifiedSdJwtVc};
use crate::clock::UnixTime;
use crate::credential::claims::ClaimPath;
use crate::credential::issuer_key::IssuerKey;
use crate::encoding::base64url;
use crate::jose::jwk::Jwk;
use crate::jose::jwt;
use crate::key::PublicKey;
use crate::limits::Limits;

/// Files in `sd-jwt` and `sd-jwt-vc`, all of which are read.
const FILES: usize = 212;

fn root() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods)] // the documented way to say where the vectors are
    let named = std::env::var("CAREKEY_VECTORS").ok().map(PathBuf::from);
    let root = named.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").into());
    let there = root.join("sd-jwt").is_dir();
    if !there {
        println!("skipped: {} absent", root.join("sd-jwt").display());
    }
    there.then_some(root)
}

/// Reads files and remembers which.
#[derive(Default)]
struct Reader(BTreeSet<PathBuf>);

impl Reader {
    fn text(&mut self, path: &Path) -> Option<String> {
        let text = std::fs::read_to_string(path).ok()?;
        self.0.insert(path.to_owned());
        Some(text)
    }

    fn json(&mut self, path: &Path) -> Value {
        let text = self.text(path).unwrap();
        // Long strings are wrapped, which JSON does not allow.
        serde_json::from_str(&text.lines().map(str::trim_start).collect::<String>()).unwrap()
    }

    /// The text without the line breaks that the documents wrap it with.
    fn unwrapped(&mut self, path: &Path) -> Option<String> {
        Some(self.text(path)?.split_whitespace().collect())
    }

    /// A compact SD-JWT: as it is, or put together from the JSON serialization.
    fn compact(&mut self, folder: &Path, name: &str) -> String {
        if let Some(compact) = self.text(&folder.join(format!("{name}.compact"))) {
            let compact = compact.trim().to_owned();
            assert_eq!(self.unwrapped(&folder.join(format!("{name}.txt"))).unwrap(), compact);
            return compact;
        }
        let serialized = self.unwrapped(&folder.join(format!("{name}.json"))).unwrap();
        let serialized: Value = serde_json::from_str(&serialized).unwrap();
        let text = |name: &str| serialized[name].as_str().unwrap_or_default();
        let disclosures = serialized["disclosures"].as_array().into_iter().flatten();
        let disclosures: String = disclosures.map(|part| format!("{}~", part.as_str().unwrap())).collect();
        format!(
            "{}.{}.{}~{disclosures}{}",
            text("protected"),
            text("payload"),
            text("signature"),
            text("kb_jwt")
        )
    }
}

fn key(x: &str, y: &str) -> PublicKey {
    Jwk::from_value(&json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})).unwrap().public_key().unwrap()
}

/// The first issuer key of every `settings.yml`.
fn issuer_key() -> PublicKey {
    key("b28d4MwZMjw8-00CG4xfnn9SLMVMM19SlqZpVb_uNtQ", "Xv5zWwuoaTgdS6hV43yI6gBwTnjukmFQQnJ_kCxzqk8")
}

fn holder_key() -> PublicKey {
    key("TCAER19Zvu3OHF4j4W4vfSVoHIP1ILilDls7vCeGemc", "ZxjiWWbZMQGHVWKVQ4hbSIirsVfuecCE6t4jT9F2HZQ")
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn read(compact: &str) -> UnverifiedSdJwtVc {
    UnverifiedSdJwtVc::read(compact, &[], &Limits::DEFAULT).unwrap()
}

/// The paths in `holder_disclosed_claims` of each `specification.yml`.
fn holder_paths(folder: &str) -> Value {
    match folder {
        "simple" => json!([["given_name"], ["family_name"], ["address"], ["nationalities", 0]]),
        "simple_structured" => json!([["address", "region"], ["address", "country"]]),
        "arf-pid" | "03-pid" => json!([["nationalities", 0], ["age_equal_or_over", "18"]]),
        "01" | "02" => json!([["address"], ["is_over_65"]]),
        "w3c-vc" => json!([["is_over_18"], ["given_name"]]),
        "json_serialization_flattened" | "json_serialization_general" => {
            json!([["given_name"], ["family_name"]])
        }
        "complex_ekyc" => json!([
            ["verified_claims", "verification", "time"],
            ["verified_claims", "verification", "evidence", 0, "method"],
            ["verified_claims", "claims", "given_name"],
            ["verified_claims", "claims", "family_name"],
            ["verified_claims", "claims", "address"]
        ]),
        "jsonld" => json!([
            ["credentialSubject", "type"],
            ["credentialSubject", "dateOfVaccination"],
            ["credentialSubject", "order"],
            ["credentialSubject", "vaccine", "type"],
            ["credentialSubject", "vaccine", "atcCode"],
            ["credentialSubject", "vaccine", "medicinalProductName"]
        ]),
        "address_only_flat" => json!([["address", "street_address"]]),
        "address_only_recursive" | "address_only_structured" | "address_only_structured_one_open" => {
            json!([])
        }
        // These choose an object without the selectively disclosable claims in it; our paths select claims whole.
        "w3c-vc_for_slide_deck" | "complex_eidas" | "complex_eidas_proposal" => Value::Null,
        other => panic!("unknown folder {other}"),
    }
}

fn check_folder(files: &mut Reader, folder: &Path) {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let issued_text = files.compact(folder, "sd_jwt_issuance");
    let issued = read(&issued_text);
    assert!(issued.key_binding().is_none());
    // The issuer's part: signature, payload, and everything disclosed.
    issued.jwt.check(&issuer_key()).unwrap();
    assert_eq!(
        Value::Object(issued.jwt.claims().clone()),
        files.json(&folder.join("sd_jwt_payload.json")),
        "{name}"
    );
    match files.unwrapped(&folder.join("sd_jwt_jws_part.txt")) {
        Some(jws) => assert_eq!(issued.issuer_jwt(), jws),
        None => {
            let part: Value =
                serde_json::from_str(&files.unwrapped(&folder.join("sd_jwt_jws_part.json")).unwrap())
                    .unwrap();
            assert!(issued.issuer_jwt().ends_with(part["signature"].as_str().unwrap()));
        }
    }
    let user_claims = files.json(&folder.join("user_claims.json"));
    let user_claims = user_claims.as_object().unwrap();
    let added = ["iss", "iat", "exp", "cnf"];
    let issued_claims: Map<String, Value> = issued.claims().clone().into_iter().collect();
    let own = issued_claims
        .into_iter()
        .filter(|(name, _)| user_claims.contains_key(name) || !added.contains(&name.as_str()));
    assert_eq!(&own.collect::<Map<_, _>>(), user_claims, "{name}");
    // The presentation: what the verifier sees.
    let presented = read(&files.compact(folder, "sd_jwt_presentation"));
    presented.jwt.check(&issuer_key()).unwrap();
    let verified_contents = files.json(&folder.join("verified_contents.json"));
    assert_eq!(Value::Object(presented.claims().clone()), verified_contents, "{name}");
    // Our own selection finds the same disclosures.
    if let Value::Array(paths) = holder_paths(name) {
        let paths: Vec<ClaimPath> =
            paths.into_iter().map(|path| serde_json::from_value(path).unwrap()).collect();
        let selected = issued.present(&paths).unwrap();
        let disclosures = |sd_jwt: &str| sd_jwt.split('~').map(str::to_owned).collect::<BTreeSet<_>>();
        if presented.issuer_jwt() == issued.issuer_jwt() {
            assert_eq!(disclosures(selected.sd_jwt()), disclosures(&presented.sd_jwt()), "{name}");
        }
        assert_eq!(Value::Object(selected.claims().clone()), verified_contents, "{name}");
    }
    check_key_binding(files, folder, presented);
    assert!(files.text(&folder.join("specification.yml")).is_some());
}

fn check_key_binding(files: &mut Reader, folder: &Path, presented: UnverifiedSdJwtVc) {
    let Some(serialized) = files.text(&folder.join("kb_jwt_serialized.compact")) else {
        assert!(presented.key_binding().is_none());
        return;
    };
    assert_eq!(files.unwrapped(&folder.join("kb_jwt_serialized.txt")).unwrap(), serialized.trim());
    let key_binding = presented.key_binding().unwrap().clone();
    let payload = files.json(&folder.join("kb_jwt_payload.json"));
    assert_eq!(Value::Object(key_binding.claims().clone()), payload);
    assert_eq!(files.json(&folder.join("kb_jwt_header.json")), json!({"alg": "ES256", "typ": "kb+jwt"}));
    // For the JSON serialization the library that made these hashed something else than the SD-JWT in its compact form
    // (RFC 9901 section 8.1), so there is one more refusal to see; everything else holds.
    let odd = folder.join("sd_jwt_presentation.json").exists();
    assert_eq!(payload["sd_hash"] != presented.sd_hash(), odd);
    let iat = jwt::required_time(key_binding.claims(), "iat").unwrap();
    let check = KeyBindingCheck {
        audience: payload["aud"].as_str().unwrap(),
        nonce: "1234567890",
        max_age: 300,
        transaction_data: &[],
        transaction_data_algorithms: &[],
    };
    let timing = Timing { now: iat.plus(1), skew: 0 };
    let sd_hash = payload["sd_hash"].as_str().unwrap();
    let by_hash = key_binding.clone().verify(&holder_key(), &presented.sd_hash(), timing, &check);
    assert_eq!(by_hash.err().map(|error| error.code()), odd.then_some("kb_jwt_sd_hash"));
    key_binding.verify(&holder_key(), sd_hash, timing, &check).unwrap();
}

#[test]
fn every_example() {
    let Some(root) = root() else { return };
    let mut files = Reader::default();
    let mut checked = 0;
    for part in ["sd-jwt", "sd-jwt-vc"] {
        for folder in folders(&root.join(part).join("generated")) {
            check_folder(&mut files, &folder);
            checked += 1;
        }
        for folder in folders(&root.join(part).join("examples")) {
            let generated = root.join(part).join("generated").join(folder.file_name().unwrap());
            let [own, theirs] =
                [&folder, &generated].map(|folder| files.text(&folder.join("specification.yml")).unwrap());
            assert_eq!(own, theirs);
        }
        for kind in ["examples", "generated"] {
            let settings = files.text(&root.join(part).join(kind).join("settings.yml")).unwrap();
            for coordinate in
                [issuer_key(), holder_key()].map(|key| base64url::encode(key.coordinates().unwrap().0))
            {
                assert!(settings.contains(&coordinate));
            }
        }
    }
    assert_eq!((checked, files.0.len()), (18, FILES));
}

/// The whole judgement, as SD-JWT VC, for the examples that are of that type.
#[test]
fn sd_jwt_vc_examples() {
    let Some(root) = root() else { return };
    for (folder, bound) in [
        ("sd-jwt-vc/generated/01", true),
        ("sd-jwt-vc/generated/02", false),
        ("sd-jwt-vc/generated/03-pid", true),
        ("sd-jwt/generated/arf-pid", true),
    ] {
        let compact = std::fs::read_to_string(root.join(folder).join("sd_jwt_presentation.compact")).unwrap();
        let presented = UnverifiedSdJwtVc::parse(compact.trim(), &Limits::DEFAULT).unwrap();
        let key = IssuerKey::pinned(issuer_key(), presented.iss().unwrap());
        let now = |secs| Timing { now: UnixTime::from_secs(secs), skew: 0 };
        let late = presented.clone().verify_credential(&key, now(1_883_000_000)).unwrap_err();
        assert_eq!(late.code(), "credential_expired");
        if !bound {
            assert!(presented.verify_issued(&key, now(1_882_999_999)).unwrap().holder_key().is_none());
            continue;
        }
        let payload = presented.key_binding().unwrap().claims().clone();
        let check = KeyBindingCheck {
            audience: payload["aud"].as_str().unwrap(),
            nonce: "1234567890",
            max_age: 300,
            transaction_data: &[],
            transaction_data_algorithms: &[DigestAlgorithm::Sha256],
        };
        let timing = now(payload["iat"].as_i64().unwrap());
        let verified = presented.verify_presentation(&key, timing, &check).unwrap();
        assert_eq!(verified.credential().holder_key(), Some(&holder_key()));
    }
}

/// OpenID4VP 1.0 appendix B.3.2 and the examples of responses: read as third parties wrote them.
#[test]
fn openid4vp_example() {
    let Some(root) = root() else { return };
    let path = root.join("openid4vp/1.0/examples/credentials/sd_jwt_vc.json");
    let payload: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let disclosures = [
        "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
        "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImZhbWlseV9uYW1lIiwgIkRvZSJd",
        "WyI2SWo3dE0tYTVpVlBHYm9TNXRtdlZBIiwgImJpcnRoZGF0ZSIsICIxOTQwLTAxLTAxIl0",
    ]
    .map(|text| {
        super::disclosure::Disclosure::parse(text, DigestAlgorithm::Sha256, &Limits::DEFAULT).unwrap()
    });
    let tree = super::process::Tree::new(&payload, &disclosures).unwrap();
    let claims = tree.processed(&super::NEVER_SELECTIVE, 16).unwrap();
    assert_eq!((&claims["given_name"], &claims["birthdate"]), (&json!("John"), &json!("1940-01-01")));
}
