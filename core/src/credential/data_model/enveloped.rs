//! The objects that stand for a secured document: EnvelopedVerifiableCredential and EnvelopedVerifiablePresentation
//! (VCDM 2.0 sections 4.13.1 and 4.13.2).

use serde_json::{Map, Value};

use super::members::{Path, object, types, wrong_id};
use super::{CONTEXT_V2, check_further_contexts, type_names, wrong_context, wrong_type};
use crate::error::Result;

const CREDENTIAL: &str = "EnvelopedVerifiableCredential";
const PRESENTATION: &str = "EnvelopedVerifiablePresentation";

/// Whether `type` says that this is an enveloped credential or presentation.
pub fn is_enveloped(value: &Value) -> bool {
    let members = value.as_object();
    members.is_some_and(|members| type_names(members).any(|name| matches!(name, CREDENTIAL | PRESENTATION)))
}

/// Checks the shape of an enveloped credential: base context, type, and an `id` that is a `data:` URL. What the URL
/// holds is not looked at.
///
/// [`Error::Malformed`](crate::Error::Malformed) `vc_shape`, `vc_context`, `vc_type`, `vc_id`.
pub fn check_enveloped_credential(value: &Value) -> Result<()> {
    credential_at(value, &Path::Root)
}

/// The same for a presentation.
pub fn check_enveloped_presentation(value: &Value) -> Result<()> {
    check(value, &Path::Root, PRESENTATION)
}

/// Media type (with its parameters) and data of a `data:` URL (RFC 2397); `None` when either is missing. White space
/// around it is dropped, as the URL standard does: documents of the W3C suite of VC-JOSE-COSE end in a line break.
pub fn data_url(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.trim_ascii().split_at_checked(5)?;
    let (media_type, data) = rest.split_once(',')?;
    let sound = media_type.contains('/')
        && !data.is_empty()
        && rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'`'));
    (scheme.eq_ignore_ascii_case("data:") && sound).then_some((media_type, data))
}

pub(super) fn credential_at(value: &Value, at: &Path<'_>) -> Result<()> {
    check(value, at, CREDENTIAL)
}

fn check(value: &Value, at: &Path<'_>, demanded: &str) -> Result<()> {
    let members = object(value, at)?;
    check_context(members, at)?;
    types(members, at)?;
    if !type_names(members).any(|name| name == demanded) {
        return Err(wrong_type(&at.member("type"), &format!("must be {demanded}")));
    }
    match members.get("id").and_then(Value::as_str).and_then(data_url) {
        Some(_) => Ok(()),
        None => Err(wrong_id(&at.member("id"), "must be a data: URL with a media type")),
    }
}

/// These objects may name their one context without a list, as the specification's own examples do.
fn check_context(members: &Map<String, Value>, at: &Path<'_>) -> Result<()> {
    let path = at.member("@context");
    match members.get("@context") {
        Some(Value::String(text)) if text == CONTEXT_V2 => Ok(()),
        Some(Value::Array(contexts)) if contexts.first().and_then(Value::as_str) == Some(CONTEXT_V2) => {
            check_further_contexts(contexts, &path)
        }
        _ => Err(wrong_context(&path, "must begin with the base context of VCDM 2.0")),
    }
}
