//! Two `did:webvh` for suites of DID resolution: one that holds, with a service, and one that has ended.

use axum::Router;
use axum::routing::get;
use carekey_core::Result;
use carekey_core::clock::{Clock, SystemClock};
use carekey_core::did::key;
use carekey_core::did::webvh::{Change, Location, OwnLog};
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use serde_json::{Value, json};
use url::Url;

use crate::servers::Failure;

/// The logs, served under `base`, and what the command prints about them.
pub(super) fn publish(base: &Url) -> std::result::Result<(Router, Value), Failure> {
    let (active, ended) = (log(base, "active", false), log(base, "ended", true));
    let (active, ended) = (active.map_err(Failure::new)?, ended.map_err(Failure::new)?);
    let did = |log: &OwnLog| log.did().map(ToString::to_string).map_err(Failure::new);
    let (active_did, ended_did) = (did(&active)?, did(&ended)?);
    let authority = base.authority().replace(':', "%3A");
    let described = json!({
        "valid": active_did,
        "notFound": format!("did:web:{authority}:nobody"),
        "deactivated": ended_did,
        "didUrl": format!("{active_did}#key-1"),
        "serviceUrl": format!("{active_did}?service=files&relativeRef=report.txt"),
    });
    let serve = |log: &OwnLog| {
        let text = log.to_jsonl().to_owned();
        get(|| async { ([(axum::http::header::CONTENT_TYPE, "text/jsonl")], text) })
    };
    let router = Router::new()
        .route("/webvh/active/did.jsonl", serve(&active))
        .route("/webvh/ended/did.jsonl", serve(&ended));
    Ok((router, described))
}

fn log(base: &Url, name: &str, ended: bool) -> Result<OwnLog> {
    let mut url = base.clone();
    url.set_path(&format!("/webvh/{name}"));
    let location = Location::from_url(&url)?;
    let (signer, now) = (SoftwareKey::generate(SignatureAlgorithm::EdDsa)?, SystemClock.now());
    let (id, key) = (location.placeholder(), key::encode_multikey(signer.public_key())?);
    let document = json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": id,
        "verificationMethod": [
            {"id": format!("{id}#key-1"), "type": "Multikey", "controller": id, "publicKeyMultibase": key},
        ],
        "assertionMethod": [format!("{id}#key-1")],
        "authentication": [format!("{id}#key-1")],
    });
    let first = Change { document: Some(document), ..Change::default() };
    let mut log = OwnLog::create(&location, &first, now.plus(-20), &signer)?;
    if ended {
        log.deactivate(now.plus(-10), &signer)?;
    }
    Ok(log)
}
