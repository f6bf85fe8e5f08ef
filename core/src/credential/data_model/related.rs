//! Integrity of related resources (VCDM 2.0 section 5.3).

use serde_json::{Map, Value};

use super::CONTEXT_V2;
use super::members::{Path, each, object, property, url};
use crate::encoding::{base64, multibase, sha256, sha384, sha512};
use crate::error::{Error, Result};

/// SHA-256, SHA-384 and SHA-512 of the base context, base64, in its two published revisions: of July 2024, whose digests
/// the test suite of VCDM 2.0 states, and the present one.
const BASE_CONTEXTS: [[&str; 3]; 2] = [
    [
        "JKGMkOmFbVJhEfKTduMC2XCyvRAYLjOVmZWwIH1wQ7k=",
        "NSOcNpmdIVUxIJGvGUoe22FjTWrXiaXlsZ8q6912LdnR3KraQO2n75Ica4wK4Qeg",
        "yxM236hnDYDQM0SzsMwl+vTUUgGCPDXzm7Gv5an5EfYV/07IDsXy+J4z0U6Wvsi+eOON81uRjJzV87NEm9bIjw==",
    ],
    [
        "WZVc7WaX1h4D8rJVb+vlMIqxaEKEb1tYbX8fet7JJzQ=",
        "l/HrjlBCNWyAX91hr6LFV2Y3heB5Tcr6IeE4/Tje8YyzYBM8IhqjHWiWpr8+ZbYU",
        "XVVFK9Lc+KKfWikEc+skKxxft31OaPGgqoe6pNuiaUhS1l7GPUisBKmdlW+fcVO5QG+E0tBMdIabAsI5odgTBQ==",
    ],
];

/// One digest that an issuer stated.
enum Digest {
    Sha256(Vec<u8>),
    Sha384(Vec<u8>),
    Sha512(Vec<u8>),
}

impl Digest {
    fn is_of(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Sha256(digest) => *digest == sha256(bytes),
            Self::Sha384(digest) => *digest == sha384(bytes),
            Self::Sha512(digest) => *digest == sha512(bytes),
        }
    }

    fn is_of_base_context(&self) -> bool {
        BASE_CONTEXTS.iter().any(|[in_256, in_384, in_512]| match self {
            Self::Sha256(digest) => base64::encode(digest) == *in_256,
            Self::Sha384(digest) => base64::encode(digest) == *in_384,
            Self::Sha512(digest) => base64::encode(digest) == *in_512,
        })
    }
}

/// Checks the stated digests of every resource that `bytes_of` knows by its URL.
///
/// [`Error::Untrusted`] `vc_related_digest` when one differs; errors of `vc_related_resource` as
/// [`super::check_credential`].
pub fn check_related_resources<'r>(
    credential: &Value,
    bytes_of: &dyn Fn(&str) -> Option<&'r [u8]>,
) -> Result<()> {
    let members = object(credential, &Path::Root)?;
    each(members, &Path::Root, "relatedResource", |item, path| {
        let (id, digests) = read(item, path)?;
        match bytes_of(id) {
            Some(bytes) if !digests.iter().all(|digest| digest.is_of(bytes)) => Err(mismatch(path)),
            _ => Ok(()),
        }
    })
}

/// The shape of all, unique ids, and the digests of the base context, which never changes.
pub(super) fn check(members: &Map<String, Value>, at: &Path<'_>) -> Result<()> {
    let mut ids = Vec::new();
    each(members, at, "relatedResource", |item, path| {
        let (id, digests) = read(item, path)?;
        if ids.contains(&id.to_owned()) {
            return Err(wrong(&path.member("id"), "must be unique among the related resources"));
        }
        ids.push(id.to_owned());
        match id == CONTEXT_V2 && !digests.iter().all(Digest::is_of_base_context) {
            true => Err(mismatch(path)),
            false => Ok(()),
        }
    })
}

fn read<'v>(item: &'v Value, path: &Path<'_>) -> Result<(&'v str, Vec<Digest>)> {
    let members = item.as_object().ok_or_else(|| wrong(path, "must be an object"))?;
    let id_path = path.member("id");
    let id = members.get("id").ok_or_else(|| wrong(&id_path, "is missing"))?;
    url(id, &id_path)?;
    property(members, path, "mediaType")?;
    let mut digests = Vec::new();
    each(members, path, "digestSRI", |value, path| {
        digests.extend(subresource(value).ok_or_else(|| wrong(path, "must be sha256-, sha384- or sha512-"))?);
        Ok(())
    })?;
    each(members, path, "digestMultibase", |value, path| {
        digests.push(multibase_digest(value).ok_or_else(|| wrong(path, "must be a multibase digest"))?);
        Ok(())
    })?;
    if digests.is_empty() {
        return Err(wrong(path, "must hold digestSRI or digestMultibase"));
    }
    Ok((id.as_str().unwrap_or_default(), digests))
}

/// Subresource Integrity section 3.5: one or more digests with white space between.
fn subresource(value: &Value) -> Option<Vec<Digest>> {
    let digests: Option<Vec<Digest>> =
        value.as_str()?.split_ascii_whitespace().map(one_subresource).collect();
    digests.filter(|digests| !digests.is_empty())
}

fn one_subresource(text: &str) -> Option<Digest> {
    let (name, digest) = text.split_once('-')?;
    let digest = base64::decode(digest.split('?').next()?).ok()?;
    match (name, digest.len()) {
        ("sha256", 32) => Some(Digest::Sha256(digest)),
        ("sha384", 48) => Some(Digest::Sha384(digest)),
        ("sha512", 64) => Some(Digest::Sha512(digest)),
        _ => None,
    }
}

/// A bare digest, told by its length, or a multihash of one (Controlled Identifiers 1.0 section 2.5).
fn multibase_digest(value: &Value) -> Option<Digest> {
    let bytes = multibase::decode(value.as_str()?, 66).ok()?;
    let digest = match bytes.as_slice() {
        [0x12, 32, digest @ ..] | [0x20, 48, digest @ ..] | [0x13, 64, digest @ ..]
            if digest.len() + 2 == bytes.len() && matches!(digest.len(), 32 | 48 | 64) =>
        {
            digest
        }
        bare => bare,
    };
    match digest.len() {
        32 => Some(Digest::Sha256(digest.to_vec())),
        48 => Some(Digest::Sha384(digest.to_vec())),
        64 => Some(Digest::Sha512(digest.to_vec())),
        _ => None,
    }
}

fn wrong(path: &Path<'_>, demand: &str) -> Error {
    Error::malformed("vc_related_resource", format!("{path}: {demand}"))
}

fn mismatch(path: &Path<'_>) -> Error {
    Error::untrusted("vc_related_digest", format!("{path}: the digest is not that of the resource"))
}
