//! Issuing: which claims are selectively disclosable, and the signed result (RFC 9901 section 4).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::disclosure::{DigestAlgorithm, Disclosure, ELEMENT, SD, SD_ALG, is_reserved};
use super::{NEVER_SELECTIVE, TYP};
use crate::credential::claims::{ClaimPath, PathElement};
use crate::credential::validity::Validity;
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::jose::jws;
use crate::key::{PublicKey, SignatureAlgorithm, Signer};
use crate::limits::Limits;
use crate::random::Random;
use crate::status::reference::StatusReference;

/// Bytes of one salt: 128 bits, as RFC 9901 section 9.3 recommends.
const SALT_BYTES: usize = 16;

/// Which claims of a credential are selectively disclosable, and where decoys hide their number.
///
/// A path makes the claim that it selects disclosable on its own. Naming a claim and its parent makes the disclosure
/// recursive. Paths that select nothing in the claims at hand have no effect, so that one frame serves credentials with
/// and without optional claims.
#[derive(Debug, Clone, Default)]
pub struct DisclosureFrame {
    root: Node,
}

#[derive(Debug, Clone, Default)]
struct Node {
    selective: bool,
    decoys: usize,
    members: BTreeMap<String, Node>,
    indexes: BTreeMap<usize, Node>,
    all: Option<Box<Node>>,
}

impl DisclosureFrame {
    /// A frame in which every claim is always visible.
    pub fn new() -> Self {
        Self::default()
    }

    /// The frame in which the claims at `paths` are selectively disclosable.
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p ClaimPath>) -> Self {
        paths.into_iter().fold(Self::new(), |frame, path| frame.selective(path))
    }

    /// Makes the claims at `path` selectively disclosable.
    #[must_use]
    pub fn selective(mut self, path: &ClaimPath) -> Self {
        self.root.at(path.elements()).selective = true;
        self
    }

    /// Adds `count` decoy digests to every object or array at `path`, or to the top level (RFC 9901 section 4.2.5).
    #[must_use]
    pub fn decoys(mut self, path: Option<&ClaimPath>, count: usize) -> Self {
        self.root.at(path.map_or(&[], ClaimPath::elements)).decoys = count;
        self
    }
}

impl Node {
    fn at(&mut self, path: &[PathElement]) -> &mut Self {
        path.iter().fold(self, |node, element| match element {
            PathElement::Name(name) => node.members.entry(name.clone()).or_default(),
            PathElement::Index(index) => node.indexes.entry(*index).or_default(),
            PathElement::All => node.all.get_or_insert_default(),
        })
    }
}

/// How verifiers find the issuer's key.
#[derive(Debug, Clone)]
pub enum IssuerKeyHeader {
    /// `x5c`: the certificates, leaf first, base64 DER, without the trust anchor.
    X5c(Vec<String>),
    /// `kid`: a DID URL, or the name of the key in the JWT VC Issuer Metadata.
    Kid(String),
    /// `trust_chain` and `kid`: the issuer's place in a federation (OpenID Federation 1.0 section 4.3), and the name of
    /// the key in its metadata as `openid_credential_issuer`.
    TrustChain {
        /// Entity statements, the issuer's own first.
        chain: Vec<String>,
        /// Name of the key.
        kid: String,
    },
}

impl IssuerKeyHeader {
    /// Adds the members to a header.
    pub fn add_to(self, header: &mut Map<String, Value>) {
        match self {
            Self::X5c(chain) => {
                header.insert("x5c".into(), chain.into());
            }
            Self::Kid(kid) => {
                header.insert("kid".into(), kid.into());
            }
            Self::TrustChain { chain, kid } => {
                header.insert("kid".into(), kid.into());
                header.insert("trust_chain".into(), chain.into());
            }
        }
    }
}

/// What goes into one credential.
#[derive(Clone)]
pub struct IssueInput<'a> {
    /// `vct`: the type, a collision-resistant name.
    pub vct: &'a str,
    /// `iss`; optional only with `x5c`.
    pub iss: Option<&'a str>,
    /// `iat`, `nbf`, `exp`.
    pub validity: Validity,
    /// The holder's key, for `cnf.jwk`.
    pub holder_key: Option<&'a PublicKey>,
    /// `status`.
    pub status: Option<&'a StatusReference>,
    /// `vct#integrity` of the type's metadata document.
    pub vct_integrity: Option<&'a str>,
    /// `aka_vcts`: further types that the credential is of.
    pub aka_vcts: &'a [String],
    /// The claims about the subject.
    pub claims: Map<String, Value>,
    /// Which of them are selectively disclosable.
    pub frame: &'a DisclosureFrame,
    /// How to find the issuer's key.
    pub key_header: IssuerKeyHeader,
    /// How disclosures are hashed.
    pub digest_algorithm: DigestAlgorithm,
}

/// A credential that lacks only the issuer's signature.
#[derive(Clone)]
pub struct IssueDraft {
    signing_input: String,
    disclosures: Vec<Disclosure>,
}

impl IssueDraft {
    /// Makes disclosures and payload; `algorithm` is that of the key that will sign.
    ///
    /// [`Error::Misuse`] `sd_jwt_vc_never_selective` when the frame would hide a claim that must stay visible,
    /// `sd_jwt_vc_registered_claim` when `claims` holds one that has its own field, `sd_jwt_reserved_name`,
    /// `sd_jwt_too_deep`, `sd_jwt_vc_iss` when there is neither `iss` nor `x5c`, `sd_jwt_vc_vct` when `vct` is empty or
    /// `aka_vcts` repeats it.
    pub fn new(input: IssueInput<'_>, algorithm: SignatureAlgorithm, random: &dyn Random) -> Result<Self> {
        input.check()?;
        let (hidden, disclosures) = conceal(input.claims, input.frame, input.digest_algorithm, random);
        let mut payload = Map::new();
        let mut set =
            |name: &str, value: Option<Value>| payload.extend(value.map(|value| (name.to_owned(), value)));
        set("iss", input.iss.map(Value::from));
        set("iat", input.validity.issued_at.map(|time| time.as_secs().into()));
        set("nbf", input.validity.not_before.map(|time| time.as_secs().into()));
        set("exp", input.validity.expires_at.map(|time| time.as_secs().into()));
        set("vct", Some(input.vct.into()));
        set("vct#integrity", input.vct_integrity.map(Value::from));
        set("aka_vcts", Some(input.aka_vcts).filter(|types| !types.is_empty()).map(Value::from));
        set("status", input.status.map(StatusReference::to_claim));
        set("cnf", input.holder_key.map(|key| serde_json::json!({"jwk": Jwk::from_key(key).to_value()})));
        // Without digests, `_sd_alg` would say nothing.
        let has_digests = !disclosures.is_empty() || hidden.contains_key(SD);
        set(SD_ALG, has_digests.then(|| input.digest_algorithm.as_str().into()));
        payload.extend(hidden);
        let mut header = Map::new();
        header.insert("alg".into(), algorithm.as_str().into());
        header.insert("typ".into(), TYP.into());
        input.key_header.add_to(&mut header);
        let signing_input = jws::signing_input(&header, Value::Object(payload).to_string().as_bytes())?;
        Ok(Self { signing_input, disclosures })
    }

    /// The bytes that the issuer's key signs.
    pub fn signing_input(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    /// The SD-JWT; `signature` as JOSE has it.
    pub fn assemble(self, signature: &[u8]) -> String {
        assemble(self.signing_input, &self.disclosures, signature)
    }
}

/// The SD-JWT of a signing input, its disclosures and the signature.
pub(in crate::format) fn assemble(input: String, disclosures: &[Disclosure], signature: &[u8]) -> String {
    let mut out = jws::assemble(input, signature);
    out.push('~');
    for disclosure in disclosures {
        out.push_str(disclosure.encoded());
        out.push('~');
    }
    out
}

/// Replaces what `frame` selects in `claims` by digests, in an SD-JWT of any type; `_sd_alg` is left to the caller.
pub(in crate::format) fn conceal(
    claims: Map<String, Value>,
    frame: &DisclosureFrame,
    algorithm: DigestAlgorithm,
    random: &dyn Random,
) -> (Map<String, Value>, Vec<Disclosure>) {
    let salts = Salts { random, drawn: Vec::new() };
    let mut maker = Maker { salts, algorithm, disclosures: Vec::new() };
    let hidden = maker.object(claims, &[&frame.root]);
    (hidden, maker.disclosures)
}

impl DisclosureFrame {
    /// Whether the frame reaches into or hides the top-level member `name`.
    pub(in crate::format) fn touches(&self, name: &str) -> bool {
        self.root.members.contains_key(name)
    }
}

impl fmt::Debug for IssueDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssueDraft").field("disclosures", &self.disclosures.len()).finish_non_exhaustive()
    }
}

/// Issues a credential: an SD-JWT with all its disclosures. Errors of [`IssueDraft::new`] and of the signer.
pub fn issue(input: IssueInput<'_>, signer: &dyn Signer, random: &dyn Random) -> Result<String> {
    let draft = IssueDraft::new(input, signer.public_key().algorithm(), random)?;
    let signature = signer.sign(draft.signing_input())?;
    Ok(draft.assemble(&signature))
}

impl IssueInput<'_> {
    fn check(&self) -> Result<()> {
        if self.vct.is_empty() || self.aka_vcts.iter().any(|other| other == self.vct) {
            return Err(Error::misuse("sd_jwt_vc_vct", "vct is empty, or aka_vcts repeats it"));
        }
        if self.iss.is_none() && !matches!(self.key_header, IssuerKeyHeader::X5c(_)) {
            return Err(Error::misuse("sd_jwt_vc_iss", "a credential without x5c needs iss"));
        }
        if NEVER_SELECTIVE.iter().any(|name| self.frame.root.members.contains_key(*name)) {
            return Err(Error::misuse(
                "sd_jwt_vc_never_selective",
                "the frame hides a claim that must stay visible",
            ));
        }
        if self.claims.keys().any(|name| name == "iat" || NEVER_SELECTIVE.contains(&name.as_str())) {
            return Err(Error::misuse(
                "sd_jwt_vc_registered_claim",
                "a registered claim has a field of its own",
            ));
        }
        // One level for the root and one for the array of a disclosure.
        let depth = Limits::DEFAULT.json_depth.saturating_sub(2);
        self.claims.iter().try_for_each(|(name, value)| check_claim(name, value, depth))
    }
}

pub(in crate::format) fn check_claim(name: &str, value: &Value, depth: usize) -> Result<()> {
    if is_reserved(name) {
        return Err(Error::misuse("sd_jwt_reserved_name", "a claim may not be called _sd, _sd_alg or ..."));
    }
    let deeper =
        || depth.checked_sub(1).ok_or_else(|| Error::misuse("sd_jwt_too_deep", "the claims nest too deeply"));
    match value {
        Value::Object(map) => {
            let depth = deeper()?;
            map.iter().try_for_each(|(name, value)| check_claim(name, value, depth))
        }
        Value::Array(items) => {
            let depth = deeper()?;
            items.iter().try_for_each(|value| check_claim("", value, depth))
        }
        _ => Ok(()),
    }
}

/// Random bytes, drawn for several salts at once: one draw costs as much as hashing a disclosure.
struct Salts<'r> {
    random: &'r dyn Random,
    drawn: Vec<u8>,
}

impl Salts<'_> {
    fn next(&mut self) -> String {
        if self.drawn.len() < SALT_BYTES {
            self.drawn = self.random.array::<{ 16 * SALT_BYTES }>().to_vec();
        }
        base64url::encode(&self.drawn.split_off(self.drawn.len().saturating_sub(SALT_BYTES)))
    }
}

struct Maker<'r> {
    salts: Salts<'r>,
    algorithm: DigestAlgorithm,
    disclosures: Vec<Disclosure>,
}

impl Maker<'_> {
    /// `nodes` are the parts of the frame that apply here: more than one where a path with an index and one with `null`
    /// meet.
    fn object(&mut self, map: Map<String, Value>, nodes: &[&Node]) -> Map<String, Value> {
        let mut out = Map::with_capacity(map.len());
        let mut digests = Vec::new();
        for (name, value) in map {
            let below: Vec<&Node> = nodes.iter().filter_map(|node| node.members.get(&name)).collect();
            let value = self.value(value, &below);
            if below.iter().any(|node| node.selective) {
                digests.push(self.hide(Some(&name), value));
            } else {
                out.insert(name, value);
            }
        }
        digests.extend((0..decoys(nodes)).map(|_| self.decoy()));
        if !digests.is_empty() {
            digests.sort_unstable(); // hides the order of the claims
            out.insert(SD.to_owned(), digests.into());
        }
        out
    }

    fn value(&mut self, value: Value, nodes: &[&Node]) -> Value {
        match value {
            _ if nodes.is_empty() => value,
            Value::Object(map) => Value::Object(self.object(map, nodes)),
            Value::Array(items) => Value::Array(self.array(items, nodes)),
            scalar => scalar,
        }
    }

    fn array(&mut self, items: Vec<Value>, nodes: &[&Node]) -> Vec<Value> {
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let below = nodes.iter().flat_map(|node| [node.all.as_deref(), node.indexes.get(&index)]);
            let below: Vec<&Node> = below.flatten().collect();
            let item = self.value(item, &below);
            match below.iter().any(|node| node.selective) {
                true => out.push(stand_in(self.hide(None, item))),
                false => out.push(item),
            }
        }
        for _ in 0..decoys(nodes) {
            let decoy = stand_in(self.decoy());
            // A decoy at the end would be told apart.
            let random = usize::try_from(u32::from_be_bytes(self.salts.random.array())).unwrap_or_default();
            out.insert(random % (out.len() + 1), decoy);
        }
        out
    }

    fn hide(&mut self, name: Option<&str>, value: Value) -> String {
        let disclosure = Disclosure::create(&self.salts.next(), name, value, self.algorithm);
        let digest = disclosure.digest().to_owned();
        self.disclosures.push(disclosure);
        digest
    }

    fn decoy(&self) -> String {
        self.algorithm.digest(&self.salts.random.token(32))
    }
}

fn decoys(nodes: &[&Node]) -> usize {
    nodes.iter().map(|node| node.decoys).sum()
}

fn stand_in(digest: String) -> Value {
    let mut map = Map::with_capacity(1);
    map.insert(ELEMENT.to_owned(), digest.into());
    Value::Object(map)
}
