//! DID URLs and what they lead to (W3C DID Resolution section 5): a document, a part of it, or the address of a service.

use serde_json::Value;
use url::{Url, form_urlencoded};

use super::Did;
use super::resolver::ResolvedDid;
use super::webvh::VersionSelector;
use crate::error::{Error, Result};

/// Longer DID URLs are refused.
const MAX_BYTES: usize = 8192;

/// A DID URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidReference {
    /// The DID.
    pub did: Did,
    /// With its leading slash.
    pub path: Option<String>,
    /// Which version of the document is meant.
    pub version: VersionSelector,
    /// `service`: the fragment of a service's `id`.
    pub service: Option<String>,
    /// `serviceType`: the type of a service.
    pub service_type: Option<String>,
    /// `relativeRef`: what is appended to the service's address.
    pub relative_ref: Option<String>,
    /// Without `#`.
    pub fragment: Option<String>,
}

/// What a DID URL leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Dereferenced {
    /// The whole document.
    Document(Value),
    /// The part of it that the fragment names.
    Part(Value),
    /// The address of a service.
    Service(Url),
}

impl DidReference {
    /// Reads a DID URL; a bare DID is one.
    ///
    /// [`Error::Malformed`] `did`, `did_url` (too long, or a parameter twice), `webvh_query`; [`Error::Unsupported`]
    /// `did_url_parameter` for a parameter that is not known here.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::malformed("did_url", "a DID URL is too long or names something twice");
        if text.len() > MAX_BYTES {
            return Err(malformed());
        }
        let (text, fragment) = split(text, '#');
        let (text, query) = split(text, '?');
        let (did, path) = match text.find('/') {
            Some(at) => text.split_at_checked(at).unwrap_or((text, "")),
            None => (text, ""),
        };
        let did = Did::parse(did)?;
        let query = query.unwrap_or_default();
        let mut parameters = [("service", None), ("serviceType", None), ("relativeRef", None)];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if matches!(name.as_ref(), "versionId" | "versionTime" | "versionNumber") {
                continue;
            }
            let place = parameters.iter_mut().find(|(known, _)| *known == name);
            let (_, place) = place.ok_or_else(|| {
                Error::unsupported("did_url_parameter", "the DID URL has a parameter that is not supported")
            })?;
            if place.replace(value.into_owned()).is_some() {
                return Err(malformed());
            }
        }
        let [(_, service), (_, service_type), (_, relative_ref)] = parameters;
        Ok(Self {
            did,
            path: (!path.is_empty()).then(|| path.to_owned()),
            version: VersionSelector::from_query(query)?,
            service,
            service_type,
            relative_ref,
            fragment: fragment.filter(|fragment| !fragment.is_empty()).map(str::to_owned),
        })
    }

    /// Whether this is a DID and nothing else.
    pub fn is_bare(&self) -> bool {
        *self == Self::bare(self.did.clone())
    }

    /// The DID URL of a DID.
    pub fn bare(did: Did) -> Self {
        Self {
            did,
            path: None,
            version: VersionSelector::Latest,
            service: None,
            service_type: None,
            relative_ref: None,
            fragment: None,
        }
    }

    /// What the DID URL leads to, in the document that its DID and version were resolved to.
    ///
    /// [`Error::Refused`] `did_deactivated`; [`Error::Unavailable`] `did_url_not_found` for a fragment, service or path
    /// that leads nowhere; [`Error::Unsupported`] `did_url_path` for a path where the method has no rule, or a service
    /// without a single address.
    pub fn dereference(&self, resolved: &ResolvedDid) -> Result<Dereferenced> {
        let document = resolved
            .document
            .as_ref()
            .ok_or_else(|| Error::refused("did_deactivated", "the DID was deactivated by its controller"))?;
        if let Some(path) = &self.path {
            return self.path(document, path);
        }
        if self.service.is_some() || self.service_type.is_some() {
            let service = services(document).find(|service| self.means(service));
            let base = endpoint(service.ok_or_else(not_found)?)?;
            return Ok(Dereferenced::Service(self.address(&base, self.relative_ref.as_deref())?));
        }
        match &self.fragment {
            None => Ok(Dereferenced::Document(document.clone())),
            Some(fragment) => {
                self.part(document, fragment).cloned().map(Dereferenced::Part).ok_or_else(not_found)
            }
        }
    }

    /// "DID URL Resolution" of did:webvh: `/whois` and files, by the services for them.
    fn path(&self, document: &Value, path: &str) -> Result<Dereferenced> {
        if self.did.method() != "webvh" {
            let detail = "this DID method does not say where paths lead";
            return Err(Error::unsupported("did_url_path", detail));
        }
        let by = |fragment: &str| {
            services(document).find(|service| self.is_named(service, fragment)).ok_or_else(not_found)
        };
        if path == "/whois" {
            return Ok(Dereferenced::Service(self.address(&endpoint(by("whois")?)?, None)?));
        }
        let mut base = endpoint(by("files")?)?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let below = path.trim_start_matches('/');
        Ok(Dereferenced::Service(self.address(&base, Some(below))?))
    }

    fn means(&self, service: &Value) -> bool {
        let types = service.get("type").map(|types| match types {
            Value::Array(many) => many.as_slice(),
            one => std::slice::from_ref(one),
        });
        let has_type = |wanted: &String| {
            types.unwrap_or_default().iter().any(|name| name.as_str() == Some(wanted.as_str()))
        };
        self.service.as_ref().is_none_or(|name| self.is_named(service, name))
            && self.service_type.as_ref().is_none_or(has_type)
    }

    fn is_named(&self, value: &Value, fragment: &str) -> bool {
        let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
        let (did, own) = split(id, '#');
        own == Some(fragment) && (did.is_empty() || did == self.did.as_str())
    }

    /// The address below `base`, never of another origin, with the fragment of the DID URL.
    fn address(&self, base: &Url, relative: Option<&str>) -> Result<Url> {
        let mut url = match relative {
            Some(relative) => base.join(relative).map_err(|_| not_found())?,
            None => base.clone(),
        };
        if url.origin() != base.origin() {
            return Err(not_found());
        }
        if self.fragment.is_some() {
            url.set_fragment(self.fragment.as_deref());
        }
        Ok(url)
    }

    /// A verification method, also one that stands in a relationship, or a service.
    fn part<'v>(&self, document: &'v Value, fragment: &str) -> Option<&'v Value> {
        let members = document.as_object()?;
        let lists = members.values().filter_map(Value::as_array);
        lists.flatten().find(|item| item.is_object() && self.is_named(item, fragment))
    }
}

/// `document` with every name that is relative to its `id` made absolute (option `expandRelativeUrls`).
pub fn expand_relative(document: &mut Value) {
    let Some(did) = document.get("id").and_then(Value::as_str).map(str::to_owned) else { return };
    let expand = |value: &mut Value| {
        if let Value::String(text) = value
            && text.starts_with('#')
        {
            *text = format!("{did}{text}");
        }
    };
    let lists = document.as_object_mut().into_iter().flat_map(|members| members.values_mut());
    for item in lists.filter_map(Value::as_array_mut).flatten() {
        match item {
            Value::Object(members) => members.get_mut("id").into_iter().for_each(expand),
            other => expand(other),
        }
    }
}

fn services(document: &Value) -> impl Iterator<Item = &Value> {
    document.get("service").and_then(Value::as_array).into_iter().flatten()
}

/// The one address of a service.
fn endpoint(service: &Value) -> Result<Url> {
    let text = match service.get("serviceEndpoint") {
        Some(Value::Array(many)) => many.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    let url = text.and_then(|text| Url::parse(text).ok());
    url.ok_or_else(|| Error::unsupported("did_url_path", "the service has no single address"))
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn not_found() -> Error {
    Error::unavailable("did_url_not_found", "the DID URL leads to nothing in the document")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DID: &str = "did:webvh:QmSCID:a.example";

    fn resolved() -> ResolvedDid {
        let document = json!({
            "id": DID,
            "verificationMethod": [{"id": "#k", "type": "Multikey"}],
            "authentication": [{"id": format!("{DID}#inner"), "type": "Multikey"}, "#k"],
            "service": [
                {"id": format!("{DID}#files"), "type": "relativeRef", "serviceEndpoint": "https://a.example/x"},
                {"id": "#whois", "type": "P", "serviceEndpoint": "https://a.example/x/whois.vp"},
                {"id": "#many", "type": ["M", "N"], "serviceEndpoint": ["https://m.example/", "https://n.example/"]},
                {"id": "#map", "type": "X", "serviceEndpoint": {"uri": "https://m.example/"}},
            ],
        });
        ResolvedDid { document: Some(document), metadata: serde_json::Map::new() }
    }

    fn at(rest: &str) -> Result<Dereferenced> {
        DidReference::parse(&format!("{DID}{rest}"))?.dereference(&resolved())
    }

    #[test]
    fn leads_to_parts_and_services() {
        assert_eq!(at("").unwrap(), Dereferenced::Document(resolved().document.unwrap()));
        for name in ["k", "inner", "many"] {
            let Dereferenced::Part(part) = at(&format!("#{name}")).unwrap() else { panic!("{name}") };
            assert!(part["id"].as_str().unwrap().ends_with(name));
        }
        for (rest, url) in [
            ("?service=files", "https://a.example/x"),
            ("?service=files&relativeRef=%2Fa%3Fb%3D1", "https://a.example/a?b=1"),
            ("?service=many#part", "https://m.example/#part"),
            ("?serviceType=N", "https://m.example/"),
            ("/whois", "https://a.example/x/whois.vp"),
            ("/docs/a.pdf#p2", "https://a.example/x/docs/a.pdf#p2"),
        ] {
            assert_eq!(at(rest).unwrap(), Dereferenced::Service(Url::parse(url).unwrap()), "{rest}");
        }
    }

    #[test]
    fn refuses() {
        for (rest, code) in [
            ("#none", "did_url_not_found"),
            ("?service=none", "did_url_not_found"),
            ("?service=many&serviceType=X", "did_url_not_found"),
            ("?service=files&relativeRef=https%3A%2F%2Fevil.example%2F", "did_url_not_found"),
            ("?service=files&relativeRef=%2F%2Fevil.example%2F", "did_url_not_found"),
            ("?service=map", "did_url_path"),
            ("?hl=abc", "did_url_parameter"),
            ("?service=a&service=b", "did_url"),
            ("?versionId=1-a&versionNumber=1", "webvh_query"),
        ] {
            assert_eq!(at(rest).unwrap_err().code(), code, "{rest}");
        }
        let long = format!("{DID}#{}", "a".repeat(9000));
        assert_eq!(DidReference::parse(&long).unwrap_err().code(), "did_url");
        assert_eq!(DidReference::parse("did:x#a").unwrap_err().code(), "did");
        let other = DidReference::parse("did:key:z6Mk/x").unwrap().dereference(&resolved());
        assert_eq!(other.unwrap_err().code(), "did_url_path");
        let gone = ResolvedDid { document: None, ..resolved() };
        let error = DidReference::parse(DID).unwrap().dereference(&gone).unwrap_err();
        assert_eq!(error.code(), "did_deactivated");
    }

    #[test]
    fn bare_and_versions() {
        let bare = DidReference::parse(DID).unwrap();
        assert!(bare.is_bare());
        let second = DidReference::parse(&format!("{DID}?versionNumber=2")).unwrap();
        assert_eq!((second.is_bare(), second.version), (false, VersionSelector::Number(2)));
    }

    #[test]
    fn expands() {
        let mut document = resolved().document.unwrap();
        expand_relative(&mut document);
        assert_eq!(document["verificationMethod"][0]["id"], format!("{DID}#k"));
        assert_eq!(document["authentication"][1], format!("{DID}#k"));
        assert_eq!(document["service"][1]["id"], format!("{DID}#whois"));
    }
}
