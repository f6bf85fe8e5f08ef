//! Type metadata: what a `vct` means, how to show it, and which rules its credentials follow
//! (draft-ietf-oauth-sd-jwt-vc, "SD-JWT VC Type Metadata" and "Integrity of Referenced Documents").
//!
//! Not here: retrieval over the network. A [`TypeMetadataSet`] holds the documents that this party brought along or
//! fetched.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::verify::UnverifiedSdJwtVc;
use crate::credential::claims::ClaimPath;
use crate::encoding::{base64, json, sha256, sha384, sha512};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Types that may extend one another in a chain.
const MAX_EXTENDS: usize = 8;

/// One type metadata document. Unknown members are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeMetadata {
    /// The type that is described.
    pub vct: String,
    /// Name, for developers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description, for developers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The type that this one extends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Integrity metadata of the extended type's document.
    #[serde(rename = "extends#integrity", default, skip_serializing_if = "Option::is_none")]
    pub extends_integrity: Option<String>,
    /// How to show the type, one entry per locale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<TypeDisplay>,
    /// The claims of the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimMetadata>,
}

/// How to show a type in one locale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeDisplay {
    /// Language tag (RFC 5646).
    pub locale: String,
    /// Name, for people.
    pub name: String,
    /// Description, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Rendering methods, by their identifier (`simple`, `svg_templates`), as they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendering: Option<serde_json::Map<String, Value>>,
}

/// What the type says about the claims at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimMetadata {
    /// Which claims.
    pub path: ClaimPath,
    /// How to call them, one entry per locale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<ClaimDisplay>,
    /// Whether the issuer must include it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandatory: Option<bool>,
    /// Whether it is selectively disclosable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sd: Option<SelectiveDisclosure>,
    /// Name of the claim in SVG templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub svg_id: Option<String>,
}

/// How to call a claim in one locale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimDisplay {
    /// Language tag (RFC 5646).
    pub locale: String,
    /// Name of the claim, for people.
    pub label: String,
    /// Explanation, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Whether a claim must, may or must not be selectively disclosable ("Claim Selective Disclosure Metadata").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelectiveDisclosure {
    /// The issuer must make it so.
    Always,
    /// The issuer may.
    Allowed,
    /// The issuer must not.
    Never,
}

/// Who checks a credential against its type: a verifier cannot know what was not disclosed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checker {
    /// Has all disclosures.
    Holder,
    /// Has those that the holder chose.
    Verifier,
}

impl TypeMetadata {
    /// Reads a document.
    ///
    /// [`Error::Malformed`] `type_metadata` when `vct` is empty, or an `svg_id` is malformed or there twice; errors of
    /// [`json::parse_as`].
    pub fn parse(document: &[u8], limits: &Limits) -> Result<Self> {
        let read: Self = json::parse_as(document, limits)?;
        if read.vct.is_empty() {
            return Err(Error::malformed("type_metadata", "vct is empty"));
        }
        let mut seen = HashSet::new();
        for id in read.claims.iter().filter_map(|claim| claim.svg_id.as_deref()) {
            let sound = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !sound || id.is_empty() || id.starts_with(|c: char| c.is_ascii_digit()) || !seen.insert(id) {
                return Err(Error::malformed("type_metadata", "an svg_id is malformed or there twice"));
            }
        }
        Ok(read)
    }

    /// What is said about the claims at exactly this path.
    pub fn claim(&self, path: &ClaimPath) -> Option<&ClaimMetadata> {
        self.claims.iter().find(|claim| claim.path == *path)
    }

    /// The display entry that fits `locale` best: the same tag, else the same language, else the first.
    pub fn display_for(&self, locale: &str) -> Option<&TypeDisplay> {
        best(&self.display, locale, |display| &display.locale)
    }

    /// This type with what it inherits from `parent` ("Extending Display Metadata", "Extending Claim Metadata").
    ///
    /// [`Error::Malformed`] `type_metadata_extends` when it weakens a rule of its parent.
    fn inherit(mut self, parent: &Self) -> Result<Self> {
        if self.display.is_empty() {
            self.display.clone_from(&parent.display);
        }
        let mut own = std::mem::take(&mut self.claims);
        for inherited in &parent.claims {
            let claim = match own.iter().position(|claim| claim.path == inherited.path) {
                None => inherited.clone(),
                Some(position) => own.remove(position).inherit(inherited)?,
            };
            self.claims.push(claim);
        }
        self.claims.append(&mut own);
        Ok(self)
    }

    /// Checks a credential against the claim metadata ("Claim Metadata"): for documents that went through
    /// [`TypeMetadataSet::resolve`].
    ///
    /// [`Error::Untrusted`] `type_metadata_vct` when the credential is of another type, `type_metadata_mandatory`,
    /// `type_metadata_sd`; [`Error::Malformed`] `claim_path_type` when a path does not fit the credential.
    pub fn check(&self, credential: &UnverifiedSdJwtVc, checker: Checker) -> Result<()> {
        if credential.vct() != self.vct {
            return Err(Error::untrusted("type_metadata_vct", "the type metadata is that of another type"));
        }
        let tree = credential.tree()?;
        for claim in &self.claims {
            let selected = tree.select(&claim.path, true)?;
            let wrong = match claim.sd.unwrap_or(SelectiveDisclosure::Allowed) {
                SelectiveDisclosure::Allowed => false,
                SelectiveDisclosure::Always => selected.iter().any(|hit| !hit.selective),
                SelectiveDisclosure::Never => selected.iter().any(|hit| hit.selective),
            };
            if wrong {
                let detail = format!("{} is not selectively disclosable as its type demands", claim.path);
                return Err(Error::untrusted("type_metadata_sd", detail));
            }
            if claim.mandatory == Some(true)
                && selected.is_empty()
                && claim.must_be_visible(&tree, checker)?
            {
                let detail = format!("{} is missing, which the type demands", claim.path);
                return Err(Error::untrusted("type_metadata_mandatory", detail));
            }
        }
        Ok(())
    }
}

impl ClaimMetadata {
    /// The label that fits `locale` best: the same tag, else the same language, else the first.
    pub fn label(&self, locale: &str) -> Option<&str> {
        best(&self.display, locale, |display| &display.locale).map(|display| display.label.as_str())
    }

    /// Whether this party would see the claim if the issuer had included it. A verifier would only where it is never
    /// selectively disclosable and its parent is there.
    fn must_be_visible(&self, tree: &super::process::Tree<'_>, checker: Checker) -> Result<bool> {
        if checker == Checker::Holder {
            return Ok(true);
        }
        if self.sd != Some(SelectiveDisclosure::Never) {
            return Ok(false);
        }
        let elements = self.path.elements();
        let parent = elements.split_last().map(|(_, parent)| parent.to_vec()).unwrap_or_default();
        match ClaimPath::new(parent) {
            Err(_) => Ok(true), // the root is always there
            Ok(parent) => Ok(tree.select(&parent, true)?.iter().any(|hit| hit.value.is_some())),
        }
    }

    fn inherit(mut self, parent: &Self) -> Result<Self> {
        let weakened =
            || Error::malformed("type_metadata_extends", "a type weakens a rule of the type that it extends");
        match (self.sd, parent.sd) {
            (None, inherited) => self.sd = inherited,
            (Some(_), None | Some(SelectiveDisclosure::Allowed)) => {}
            (Some(own), Some(inherited)) if own == inherited => {}
            _ => return Err(weakened()),
        }
        match (self.mandatory, parent.mandatory) {
            (None, inherited) => self.mandatory = inherited,
            (Some(false), Some(true)) => return Err(weakened()),
            _ => {}
        }
        if self.display.is_empty() {
            self.display.clone_from(&parent.display);
        }
        if self.svg_id.is_none() {
            self.svg_id.clone_from(&parent.svg_id);
        }
        Ok(self)
    }
}

fn best<'a, T>(entries: &'a [T], locale: &str, tag: impl Fn(&T) -> &String) -> Option<&'a T> {
    let language = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let exact = entries.iter().find(|entry| tag(entry).eq_ignore_ascii_case(locale));
    let near = || entries.iter().find(|entry| language(tag(entry)) == language(locale));
    exact.or_else(near).or(entries.first())
}

/// Type metadata documents at hand, by `vct`.
#[derive(Debug, Clone, Default)]
pub struct TypeMetadataSet {
    documents: BTreeMap<String, (Vec<u8>, TypeMetadata)>,
}

impl TypeMetadataSet {
    /// Adds a document, in place of an earlier one of the same `vct`; errors of [`TypeMetadata::parse`].
    pub fn add(&mut self, document: &[u8], limits: &Limits) -> Result<()> {
        let read = TypeMetadata::parse(document, limits)?;
        self.documents.insert(read.vct.clone(), (document.to_vec(), read));
        Ok(())
    }

    /// The document of `vct`, byte for byte: what `vct#integrity` is computed over and what is published.
    pub fn document(&self, vct: &str) -> Option<&[u8]> {
        self.documents.get(vct).map(|(document, _)| document.as_slice())
    }

    /// The metadata of `vct`, with everything that it inherits. `None` when the set has no document of that type.
    ///
    /// [`Error::Untrusted`] `integrity` when `vct_integrity`, or an `extends#integrity`, does not fit; [`Error::Refused`]
    /// `type_metadata_missing` when an extended type is not in the set; [`Error::Malformed`] `type_metadata_extends`
    /// when types extend each other in a circle, in too long a chain, or weaken a rule.
    pub fn resolve(&self, vct: &str, vct_integrity: Option<&str>) -> Result<Option<TypeMetadata>> {
        if !self.documents.contains_key(vct) {
            return Ok(None);
        }
        let mut chain: Vec<TypeMetadata> = Vec::new();
        let mut next = Some((vct.to_owned(), vct_integrity.map(str::to_owned)));
        while let Some((vct, expected)) = next {
            if chain.len() >= MAX_EXTENDS || chain.iter().any(|earlier| earlier.vct == vct) {
                return Err(Error::malformed(
                    "type_metadata_extends",
                    "the chain of extended types is a circle or too long",
                ));
            }
            let missing =
                || Error::refused("type_metadata_missing", "the metadata of an extended type is not at hand");
            let (document, read) = self.documents.get(&vct).ok_or_else(missing)?;
            if let Some(expected) = expected {
                check_integrity(&expected, document)?;
            }
            next = read.extends.clone().map(|parent| (parent, read.extends_integrity.clone()));
            chain.push(read.clone());
        }
        // The base first, each then inherits from what was built so far.
        let mut types = chain.into_iter().rev();
        let base = types.next();
        types.try_fold(base, |parent, child| parent.map(|parent| child.inherit(&parent)).transpose())
    }
}

/// Integrity metadata (W3C Subresource Integrity section 3) of a document: SHA-256, as `vct#integrity` carries it.
pub fn integrity(document: &[u8]) -> String {
    format!("sha256-{}", base64::encode(&sha256(document)))
}

/// Checks a document against integrity metadata: the strongest algorithm that it names counts, and any of its values.
///
/// [`Error::Untrusted`] `integrity` when none fits; [`Error::Unsupported`] `integrity_algorithm` when no algorithm is
/// known.
pub fn check_integrity(expected: &str, document: &[u8]) -> Result<()> {
    for (prefix, digest) in [
        ("sha512-", sha512(document).as_slice()),
        ("sha384-", sha384(document).as_slice()),
        ("sha256-", sha256(document).as_slice()),
    ] {
        let values = expected.split_ascii_whitespace().filter_map(|word| word.strip_prefix(prefix));
        let mut values =
            values.map(|value| value.split_once('?').map_or(value, |(value, _)| value)).peekable();
        if values.peek().is_some() {
            return match values.any(|value| base64::decode(value).is_ok_and(|value| value == digest)) {
                true => Ok(()),
                false => {
                    Err(Error::untrusted("integrity", "the document is not the one that its reference names"))
                }
            };
        }
    }
    Err(Error::unsupported("integrity_algorithm", "the integrity metadata names no known algorithm"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::UnixTime;
    use crate::credential::validity::Validity;
    use crate::format::sd_jwt_vc::disclosure::DigestAlgorithm;
    use crate::format::sd_jwt_vc::issue::{DisclosureFrame, IssueInput, IssuerKeyHeader, issue};
    use crate::key::{SignatureAlgorithm, SoftwareKey};
    use crate::random::SystemRandom;

    fn parse(document: Value) -> Result<TypeMetadata> {
        TypeMetadata::parse(document.to_string().as_bytes(), &Limits::DEFAULT)
    }

    fn set(documents: &[Value]) -> TypeMetadataSet {
        let mut set = TypeMetadataSet::default();
        for document in documents {
            set.add(document.to_string().as_bytes(), &Limits::DEFAULT).unwrap();
        }
        set
    }

    /// The draft's "Example for Extending Type Metadata".
    #[test]
    fn extending_example() {
        let base = json!({
            "vct": "https://example.com/base-type-metadata",
            "claims": [
                {"path": ["name"], "display": [{"label": "Full Name", "locale": "en"}]},
                {"path": ["address", "city"], "display": [{"label": "City", "locale": "en"}]}
            ]
        });
        let child = json!({
            "vct": "https://example.com/custom-type-metadata",
            "extends": "https://example.com/base-type-metadata",
            "claims": [
                {"path": ["address", "city"], "display": [{"label": "Town", "locale": "en"}]},
                {"path": ["nationalities"], "display": [{"label": "Nationalities", "locale": "en"}]}
            ]
        });
        let set = set(&[base, child]);
        let resolved = set.resolve("https://example.com/custom-type-metadata", None).unwrap().unwrap();
        assert_eq!(
            serde_json::to_value(&resolved.claims).unwrap(),
            json!([
                {"path": ["name"], "display": [{"label": "Full Name", "locale": "en"}]},
                {"path": ["address", "city"], "display": [{"label": "Town", "locale": "en"}]},
                {"path": ["nationalities"], "display": [{"label": "Nationalities", "locale": "en"}]}
            ])
        );
        assert_eq!(resolved.vct, "https://example.com/custom-type-metadata");
        assert!(set.resolve("https://example.com/unknown", None).unwrap().is_none());
    }

    #[test]
    fn extending_may_not_weaken() {
        let resolve = |own: Value, inherited: Value| {
            let base = json!({"vct": "b", "claims": [inherited]});
            set(&[base, json!({"vct": "c", "extends": "b", "claims": [own]})]).resolve("c", None)
        };
        for (own, inherited, fits) in [
            (json!({"path": ["a"], "sd": "always"}), json!({"path": ["a"], "sd": "allowed"}), true),
            (json!({"path": ["a"], "sd": "never"}), json!({"path": ["a"]}), true),
            (json!({"path": ["a"]}), json!({"path": ["a"], "sd": "never", "mandatory": true}), true),
            (json!({"path": ["a"], "mandatory": true}), json!({"path": ["a"], "mandatory": false}), true),
            (json!({"path": ["a"], "sd": "allowed"}), json!({"path": ["a"], "sd": "always"}), false),
            (json!({"path": ["a"], "sd": "never"}), json!({"path": ["a"], "sd": "always"}), false),
            (json!({"path": ["a"], "mandatory": false}), json!({"path": ["a"], "mandatory": true}), false),
        ] {
            match resolve(own, inherited) {
                Ok(resolved) => assert!(fits && resolved.is_some()),
                Err(error) => assert!(!fits && error.code() == "type_metadata_extends"),
            }
        }
        let inherited =
            resolve(json!({"path": ["a"]}), json!({"path": ["a"], "sd": "never", "mandatory": true}));
        let claim = inherited.unwrap().unwrap().claims.remove(0);
        assert_eq!((claim.sd, claim.mandatory), (Some(SelectiveDisclosure::Never), Some(true)));
    }

    #[test]
    fn circles_and_gaps() {
        let circle = set(&[json!({"vct": "a", "extends": "b"}), json!({"vct": "b", "extends": "a"})]);
        assert_eq!(circle.resolve("a", None).unwrap_err().code(), "type_metadata_extends");
        let gap = set(&[json!({"vct": "a", "extends": "b"})]);
        assert_eq!(gap.resolve("a", None).unwrap_err().code(), "type_metadata_missing");
        let long: Vec<_> =
            (0..9).map(|n| json!({"vct": n.to_string(), "extends": (n + 1).to_string()})).collect();
        assert_eq!(set(&long).resolve("0", None).unwrap_err().code(), "type_metadata_extends");
    }

    #[test]
    fn integrity_of_documents() {
        // W3C Subresource Integrity, section 3.2.
        let script = b"alert('Hello, world.');";
        let sha384 = "sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO";
        assert!(check_integrity(sha384, script).is_ok());
        assert!(check_integrity(&format!("{sha384}?opt"), script).is_ok());
        assert!(check_integrity(&integrity(script), script).is_ok());
        // Only the strongest algorithm counts; any of its values may fit; unknown ones are skipped.
        assert!(check_integrity(&format!("md5-AAAA sha256-AAAA {sha384}"), script).is_ok());
        assert!(check_integrity(&format!("sha384-AAAA {sha384}"), script).is_ok());
        let weaker = format!("sha384-AAAA {}", integrity(script));
        for bad in [weaker.as_str(), &integrity(b"other"), "sha256-", "sha256-!!!"] {
            assert_eq!(check_integrity(bad, script).unwrap_err().code(), "integrity", "{bad}");
        }
        for unknown in ["", "md5-AAAA", "sha384", "SHA256-AAAA"] {
            assert_eq!(check_integrity(unknown, script).unwrap_err().code(), "integrity_algorithm");
        }
        let set = set(&[json!({"vct": "a"})]);
        let right = integrity(set.document("a").unwrap());
        assert!(set.resolve("a", Some(&right)).unwrap().is_some());
        assert_eq!(set.resolve("a", Some(&integrity(b"x"))).unwrap_err().code(), "integrity");
    }

    #[test]
    fn documents() {
        let document = json!({
            "vct": "https://hospital.example/vct/patient-identity", "name": "Patient identity", "unknown": {"x": 1},
            "display": [
                {"locale": "en-GB", "name": "Patient ID", "rendering": {"simple": {"background_color": "#12107c"}}},
                {"locale": "de", "name": "Patientenausweis"}
            ],
            "claims": [{
                "path": ["identifiers", null, "value"], "sd": "always", "mandatory": true, "svg_id": "id_1",
                "display": [{"locale": "en", "label": "Number"}, {"locale": "de-AT", "label": "Nummer"}]
            }]
        });
        let read = parse(document.clone()).unwrap();
        let mut written = serde_json::to_value(&read).unwrap();
        written["unknown"] = json!({"x": 1});
        assert_eq!(written, document);
        assert_eq!(read.display_for("de-CH").unwrap().name, "Patientenausweis");
        assert_eq!(read.display_for("fr").unwrap().name, "Patient ID");
        let path = serde_json::from_value(json!(["identifiers", null, "value"])).unwrap();
        assert_eq!(read.claim(&path).unwrap().label("de"), Some("Nummer"));
        for (bad, code) in [
            (json!({"name": "x"}), "json_shape"),
            (json!({"vct": ""}), "type_metadata"),
            (json!({"vct": "a", "claims": {}}), "json_shape"),
            (json!({"vct": "a", "claims": [{"path": []}]}), "json_shape"),
            (json!({"vct": "a", "claims": [{"path": ["a"], "sd": "sometimes"}]}), "json_shape"),
            (json!({"vct": "a", "claims": [{"path": ["a"], "mandatory": "yes"}]}), "json_shape"),
            (json!({"vct": "a", "claims": [{"path": ["a"], "display": [{"locale": "en"}]}]}), "json_shape"),
            (json!({"vct": "a", "claims": [{"path": ["a"], "svg_id": "1a"}]}), "type_metadata"),
            (json!({"vct": "a", "claims": [{"path": ["a"], "svg_id": "a-b"}]}), "type_metadata"),
            (
                json!({"vct": "a", "claims": [{"path": ["a"], "svg_id": "x"}, {"path": ["b"], "svg_id": "x"}]}),
                "type_metadata",
            ),
            (json!([]), "json_shape"),
        ] {
            assert_eq!(parse(bad).unwrap_err().code(), code);
        }
    }

    #[test]
    fn credentials_against_their_type() {
        let frame = DisclosureFrame::of(
            &[json!(["name"]), json!(["list"]), json!(["list", 0])]
                .map(|path| serde_json::from_value::<ClaimPath>(path).unwrap()),
        );
        let input = IssueInput {
            vct: "https://a.example/t",
            iss: Some("https://a.example"),
            validity: Validity { issued_at: Some(UnixTime::from_secs(1)), ..Validity::default() },
            holder_key: None,
            status: None,
            vct_integrity: None,
            aka_vcts: &[],
            claims: json!({"name": "x", "list": ["y", "z"], "open": {"a": 1}}).as_object().unwrap().clone(),
            frame: &frame,
            key_header: IssuerKeyHeader::Kid("k".into()),
            digest_algorithm: DigestAlgorithm::Sha256,
        };
        let signer = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let issued = issue(input, &signer, &SystemRandom).unwrap();
        let whole = UnverifiedSdJwtVc::parse(&issued, &Limits::DEFAULT).unwrap();
        let list = ClaimPath::member("list").then(crate::credential::claims::PathElement::Index(1));
        let partly = whole.present(&[list]).unwrap();
        let partly = UnverifiedSdJwtVc::parse(partly.sd_jwt(), &Limits::DEFAULT).unwrap();
        let check = |claim: Value, credential: &UnverifiedSdJwtVc, checker| {
            let metadata = parse(json!({"vct": "https://a.example/t", "claims": [claim]})).unwrap();
            metadata.check(credential, checker).map_err(|error| error.code())
        };
        for (claim, holder, verifier) in [
            (json!({"path": ["name"], "sd": "always", "mandatory": true}), Ok(()), Ok(())),
            (json!({"path": ["open"], "sd": "never", "mandatory": true}), Ok(()), Ok(())),
            (json!({"path": ["open"], "sd": "always"}), Err("type_metadata_sd"), Err("type_metadata_sd")),
            // A verifier that did not get the name cannot tell that it is not always visible.
            (json!({"path": ["name"], "sd": "never"}), Err("type_metadata_sd"), Ok(())),
            // The hidden first element counts: index 1 is visible inside the list, index 0 has a disclosure of its own.
            (json!({"path": ["list", 0], "sd": "always"}), Ok(()), Ok(())),
            (json!({"path": ["list", 1], "sd": "never"}), Ok(()), Ok(())),
            (json!({"path": ["list", 1], "sd": "always"}), Err("type_metadata_sd"), Err("type_metadata_sd")),
            (
                json!({"path": ["list", null], "sd": "always"}),
                Err("type_metadata_sd"),
                Err("type_metadata_sd"),
            ),
            (json!({"path": ["gone"], "mandatory": true}), Err("type_metadata_mandatory"), Ok(())),
            (
                json!({"path": ["open", "b"], "mandatory": true, "sd": "never"}),
                Err("type_metadata_mandatory"),
                Err("type_metadata_mandatory"),
            ),
            (
                json!({"path": ["gone"], "mandatory": true, "sd": "never"}),
                Err("type_metadata_mandatory"),
                Err("type_metadata_mandatory"),
            ),
            (
                json!({"path": ["gone", "x"], "mandatory": true, "sd": "never"}),
                Err("type_metadata_mandatory"),
                Ok(()),
            ),
            (json!({"path": ["open", 0]}), Err("claim_path_type"), Err("claim_path_type")),
        ] {
            assert_eq!(check(claim.clone(), &whole, Checker::Holder), holder, "{claim}");
            assert_eq!(check(claim.clone(), &partly, Checker::Verifier), verifier, "{claim}");
        }
        let other = parse(json!({"vct": "https://a.example/u"})).unwrap();
        assert_eq!(other.check(&whole, Checker::Holder).unwrap_err().code(), "type_metadata_vct");
    }
}
