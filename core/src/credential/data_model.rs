//! The rules of the W3C Verifiable Credentials Data Model, 2.0 and 1.1, on plain JSON.
//!
//! What is checked here needs no JSON-LD processing: contexts first and in order, types wherever one is demanded,
//! identifiers that are URLs, issuer and holder as text or object, language and direction objects, digests of related
//! resources, times. Whether each term is defined by a context is the business of the JSON-LD reader.
//!
//! Every error names the path of the property (`credentialSchema[0].id`) and what is demanded of it, never its value.
//! Whether a credential counts *now* is a separate question: [`check_time`].

mod enveloped;
mod members;
mod related;
mod time;

use serde_json::{Map, Value};

pub use self::enveloped::{check_enveloped_credential, check_enveloped_presentation, data_url, is_enveloped};
use self::members::{Path, each, object, optional_id, types, url, wrong_type};
pub use self::related::check_related_resources;
pub use self::time::{check_time, validity};
use crate::error::{Error, Result};

/// First context of VCDM 2.0.
pub const CONTEXT_V2: &str = "https://www.w3.org/ns/credentials/v2";
/// First context of VCDM 1.1.
pub const CONTEXT_V1: &str = "https://www.w3.org/2018/credentials/v1";

/// Most credentials of one presentation.
const MAX_CREDENTIALS: usize = 64;

/// Top-level members of a credential that VCDM 2.0 defines (section 4, 5 and appendix B.1), and the JWT claims that
/// VC-JOSE-COSE names beside them.
const CREDENTIAL_MEMBERS: [&str; 24] = [
    "@context",
    "id",
    "type",
    "name",
    "description",
    "issuer",
    "credentialSubject",
    "validFrom",
    "validUntil",
    "credentialStatus",
    "credentialSchema",
    "refreshService",
    "termsOfUse",
    "evidence",
    "relatedResource",
    "renderMethod",
    "confidenceMethod",
    "proof",
    "iss",
    "sub",
    "jti",
    "iat",
    "exp",
    "cnf",
];
/// The same of a presentation, with the claims that bind one to its receiver.
const PRESENTATION_MEMBERS: [&str; 16] = [
    "@context",
    "id",
    "type",
    "name",
    "description",
    "holder",
    "verifiableCredential",
    "termsOfUse",
    "proof",
    "iss",
    "sub",
    "jti",
    "iat",
    "exp",
    "aud",
    "nonce",
];

/// Which version of the data model a document follows: its first context says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 1.1.
    V1,
    /// 2.0.
    V2,
}

/// The version of a credential or presentation.
///
/// [`Error::Malformed`] `vc_context` unless `@context` is a list that begins with one of the two base contexts, and
/// whose other items are URLs or objects (VCDM 2.0 section 4.3); `vc_shape` when the document is no object.
pub fn version(document: &Value) -> Result<Version> {
    read_version(object(document, &Path::Root)?, &Path::Root)
}

fn read_version(document: &Map<String, Value>, at: &Path<'_>) -> Result<Version> {
    let path = at.member("@context");
    let contexts = match document.get("@context") {
        Some(Value::Array(contexts)) => contexts,
        _ => return Err(wrong_context(&path, "must be a list of contexts")),
    };
    let version = match contexts.first().and_then(Value::as_str) {
        Some(CONTEXT_V2) => Version::V2,
        Some(CONTEXT_V1) => Version::V1,
        _ => {
            let path = path.element(0);
            return Err(wrong_context(&path, "must be the base context of VCDM 2.0 or 1.1"));
        }
    };
    check_further_contexts(contexts, &path)?;
    Ok(version)
}

fn check_further_contexts(contexts: &[Value], path: &Path<'_>) -> Result<()> {
    contexts.iter().enumerate().skip(1).try_for_each(|(index, context)| match context {
        Value::Object(_) => Ok(()),
        Value::String(text) if members::is_url(text) => Ok(()),
        _ => Err(wrong_context(&path.element(index), "must be a URL or an object")),
    })
}

/// Checks a credential of either version, secured or not. Enveloped ones: [`check_enveloped_credential`].
///
/// All errors are [`Error::Malformed`] with the path in the detail: `vc_shape` (a value of the wrong kind, or missing),
/// `vc_context`, `vc_type`, `vc_id` (not one URL), `vc_issuer`, `vc_subject`, `vc_time`, `vc_language`,
/// `vc_related_resource`; except [`Error::Untrusted`] `vc_related_digest` when the stated digest of the base context is
/// not that of the published file.
pub fn check_credential(credential: &Value) -> Result<()> {
    credential_at(credential, &Path::Root)
}

fn credential_at(credential: &Value, at: &Path<'_>) -> Result<()> {
    let members = object(credential, at)?;
    let version = read_version(members, at)?;
    check_type(members, at, "VerifiableCredential")?;
    optional_id(members, at)?;
    check_party(members.get("issuer"), &at.member("issuer"), true)?;
    check_subjects(members, at)?;
    time::check_order(members, version, at)?;
    members::check_texts(members, at)?;
    related::check(members, at)?;
    check_typed(members, version, at)
}

/// Checks a presentation of either version, secured or not, and every credential in it. Enveloped ones:
/// [`check_enveloped_presentation`].
///
/// Errors as [`check_credential`]; besides `vc_holder` and `vc_too_many` (more than 64 credentials).
pub fn check_presentation(presentation: &Value) -> Result<()> {
    let at = &Path::Root;
    let members = object(presentation, at)?;
    let version = read_version(members, at)?;
    check_type(members, at, "VerifiablePresentation")?;
    optional_id(members, at)?;
    check_party(members.get("holder"), &at.member("holder"), false)?;
    for name in ["termsOfUse", "proof"] {
        each(members, at, name, |item, path| typed(item, path, Id::Optional))?;
    }
    let mut count = 0_usize;
    each(members, at, "verifiableCredential", |item, path| {
        count = count.saturating_add(1);
        match item {
            _ if count > MAX_CREDENTIALS => Err(Error::malformed(
                "vc_too_many",
                format!("{path}: more than {MAX_CREDENTIALS} credentials"),
            )),
            // VCDM 1.1 section 6.3.1: a JWT stands for itself.
            Value::String(jwt) if version == Version::V1 && jwt.split('.').count() == 3 => Ok(()),
            item if is_enveloped(item) => enveloped::credential_at(item, path),
            item => credential_at(item, path),
        }
    })
}

/// An issuer's own policy: refuses members of a credential or presentation, at its top level, that neither VCDM 2.0 nor
/// VC-JOSE-COSE defines. Readers must ignore such members (VC-JOSE-COSE section 3.1.3); whoever signs should know them.
///
/// [`Error::Refused`] `vc_unknown_member`.
pub fn check_known_members(document: &Value) -> Result<()> {
    let members = object(document, &Path::Root)?;
    let is_presentation = type_names(members).any(|name| name == "VerifiablePresentation");
    let known = if is_presentation { &PRESENTATION_MEMBERS[..] } else { &CREDENTIAL_MEMBERS[..] };
    if members.keys().all(|name| known.contains(&name.as_str())) {
        return Ok(());
    }
    Err(Error::refused("vc_unknown_member", "a member at the top level is not defined by the data model"))
}

/// The names in `type`, one or several.
pub(crate) fn type_names(members: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let value = members.get("type");
    let many = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    value.and_then(Value::as_str).into_iter().chain(many.iter().filter_map(Value::as_str))
}

fn check_type(members: &Map<String, Value>, at: &Path<'_>, demanded: &str) -> Result<()> {
    types(members, at)?;
    if type_names(members).any(|name| name == demanded) {
        return Ok(());
    }
    Err(wrong_type(&at.member("type"), &format!("must hold {demanded}")))
}

/// `issuer` and `holder`: a URL, or an object whose `id` is one (sections 4.7 and 4.13).
fn check_party(party: Option<&Value>, path: &Path<'_>, required: bool) -> Result<()> {
    let wrong = |path: &Path<'_>, demand: &str| {
        let detail = format!("{path}: {demand}");
        match required {
            true => Error::malformed("vc_issuer", detail),
            false => Error::malformed("vc_holder", detail),
        }
    };
    match party {
        None if required => Err(wrong(path, "is missing")),
        None => Ok(()),
        Some(Value::String(text)) if members::is_url(text) => Ok(()),
        Some(Value::Object(members)) => {
            let id = members.get("id").and_then(Value::as_str);
            if !id.is_some_and(members::is_url) {
                return Err(wrong(&path.member("id"), "must be a URL"));
            }
            members::check_texts(members, path)
        }
        Some(_) => Err(wrong(path, "must be a URL or an object with an id")),
    }
}

fn check_subjects(members: &Map<String, Value>, at: &Path<'_>) -> Result<()> {
    let wrong = |path: &Path<'_>, demand: &str| Error::malformed("vc_subject", format!("{path}: {demand}"));
    if !members.contains_key("credentialSubject") {
        return Err(wrong(&at.member("credentialSubject"), "is missing"));
    }
    each(members, at, "credentialSubject", |subject, path| match subject {
        Value::Object(claims) if claims.is_empty() => Err(wrong(path, "must hold at least one claim")),
        Value::Object(claims) => optional_id(claims, path),
        _ => Err(wrong(path, "must be an object")),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Id {
    Optional,
    Required,
}

/// Every property whose values need a type (section 4.5, "Types"), some of them an `id` too.
fn check_typed(members: &Map<String, Value>, version: Version, at: &Path<'_>) -> Result<()> {
    // Version 1.1 demands an id of statuses and refresh services also (its sections 4.9 and 5.5).
    let id_in_v1 = if version == Version::V1 { Id::Required } else { Id::Optional };
    for (name, id) in [
        ("credentialStatus", id_in_v1),
        ("credentialSchema", Id::Required),
        ("refreshService", id_in_v1),
        ("termsOfUse", Id::Optional),
        ("evidence", Id::Optional),
        ("confidenceMethod", Id::Optional),
        ("renderMethod", Id::Optional),
        ("proof", Id::Optional),
    ] {
        each(members, at, name, |item, path| typed(item, path, id))?;
    }
    Ok(())
}

fn typed(item: &Value, path: &Path<'_>, id: Id) -> Result<()> {
    let members = object(item, path)?;
    types(members, path)?;
    match (id, members.get("id")) {
        (Id::Required, None) => Err(members::wrong_id(&path.member("id"), "is missing")),
        (_, Some(value)) => url(value, &path.member("id")),
        (Id::Optional, None) => Ok(()),
    }
}

fn wrong_context(path: &Path<'_>, demand: &str) -> Error {
    Error::malformed("vc_context", format!("{path}: {demand}"))
}

#[cfg(test)]
mod tests;
