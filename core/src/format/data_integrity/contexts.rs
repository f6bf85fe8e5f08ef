//! The bundled JSON-LD contexts: byte for byte the published files, and CareKey's own. No other context is ever known,
//! none is fetched.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

use serde_json::Value;

use super::jsonld::context::{Active, Kind, Scoped};
use crate::encoding::json;
use crate::error::Result;
use crate::limits::Limits;

/// VCDM 2.0.
pub const CREDENTIALS_V2: &str = "https://www.w3.org/ns/credentials/v2";
/// VCDM 1.1.
pub const CREDENTIALS_V1: &str = "https://www.w3.org/2018/credentials/v1";
/// Data Integrity 1.0, for documents whose own contexts do not define proofs.
pub const DATA_INTEGRITY_V2: &str = "https://w3id.org/security/data-integrity/v2";
/// JSON Web Keys as verification methods.
pub const JWK_V1: &str = "https://w3id.org/security/jwk/v1";
/// CareKey's own terms: claims of its credentials, the biometric binding, the assertion in a presentation. The name is
/// a URN, so that it stands for these bytes whoever serves them; a change needs a new name.
pub const CAREKEY_HEALTH_V1: &str = "urn:carekey:context:health:1";

const BUNDLED: &[(&str, &[u8])] = &[
    (CREDENTIALS_V2, include_bytes!("contexts/credentials-v2.jsonld")),
    (CREDENTIALS_V1, include_bytes!("contexts/credentials-v1.jsonld")),
    (
        "https://www.w3.org/ns/credentials/examples/v2",
        include_bytes!("contexts/credentials-examples-v2.jsonld"),
    ),
    (
        "https://www.w3.org/ns/credentials/undefined-terms/v2",
        include_bytes!("contexts/credentials-undefined-terms-v2.jsonld"),
    ),
    ("https://w3id.org/security/data-integrity/v1", include_bytes!("contexts/data-integrity-v1.jsonld")),
    (DATA_INTEGRITY_V2, include_bytes!("contexts/data-integrity-v2.jsonld")),
    ("https://w3id.org/security/multikey/v1", include_bytes!("contexts/multikey-v1.jsonld")),
    (JWK_V1, include_bytes!("contexts/jwk-v1.jsonld")),
    // Of proofs from before Data Integrity 1.0, which only `foreign-suites` of the verifier verifies.
    ("https://w3id.org/security/suites/ed25519-2020/v1", include_bytes!("contexts/ed25519-2020-v1.jsonld")),
    ("https://w3id.org/security/suites/jws-2020/v1", include_bytes!("contexts/jws-2020-v1.jsonld")),
    (
        "https://w3id.org/security/suites/secp256k1recovery-2020/v2",
        include_bytes!("contexts/secp256k1recovery-2020-v2.jsonld"),
    ),
    ("https://www.w3.org/ns/did/v1", include_bytes!("contexts/did-v1.jsonld")),
    ("https://w3id.org/vdl/v1", include_bytes!("contexts/vdl-v1.jsonld")),
    ("https://w3id.org/vdl/aamva/v1", include_bytes!("contexts/vdl-aamva-v1.jsonld")),
    ("https://w3id.org/citizenship/v4rc1", include_bytes!("contexts/citizenship-v4rc1.jsonld")),
    (CAREKEY_HEALTH_V1, include_bytes!("contexts/carekey-health-v1.jsonld")),
];

/// The revision of [`CREDENTIALS_V2`] that was served from July 2024 to February 2025. It is not processed (the
/// Recommendation's is), but credentials of that time name its digests in `relatedResource`.
const CREDENTIALS_V2_2024: &[u8] = include_bytes!("contexts/credentials-v2-2024-07.jsonld");

/// The published files of a context, the one that is processed first; empty when it is not bundled.
pub fn published(url: &str) -> Vec<&'static [u8]> {
    let mut files: Vec<&'static [u8]> =
        BUNDLED.iter().filter(|(known, _)| *known == url).map(|(_, bytes)| *bytes).collect();
    if url == CREDENTIALS_V2 {
        files.push(CREDENTIALS_V2_2024);
    }
    files
}

/// The URLs of the bundled contexts.
pub fn urls() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().map(|(url, _)| *url)
}

/// When so many are compiled, they are dropped and compiled anew: lists of URLs can be combined without end.
const MAX_COMPILED: usize = 512;

/// A scoped context applied to an active context, which decides the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    pub(crate) active: u64,
    pub(crate) scoped: u64,
    pub(crate) kind: Kind,
}

/// The bundled contexts, parsed once, and the term tables that were compiled from them so far; share one per process.
pub struct Contexts {
    parsed: HashMap<&'static str, Arc<Scoped>>,
    ids: AtomicU64,
    initial: Arc<Active>,
    compiled: RwLock<HashMap<Step, Arc<Active>>>,
}

impl Contexts {
    /// Parses the bundled contexts; term tables are compiled when first needed.
    ///
    /// Fails only when a bundled file is not JSON, which a test rules out.
    pub fn bundled() -> Result<Self> {
        let ids = AtomicU64::new(1);
        let next = || ids.fetch_add(1, Ordering::Relaxed);
        let mut parsed = HashMap::new();
        for (url, bytes) in BUNDLED {
            let mut value = json::parse(bytes, &Limits::DEFAULT)?;
            let context = value.get_mut("@context").map(Value::take).unwrap_or_default();
            parsed.insert(*url, Arc::new(Scoped { id: next(), bundled: true, value: context }));
        }
        let initial = Arc::new(Active::initial(next(), true));
        Ok(Self { parsed, ids, initial, compiled: RwLock::default() })
    }

    /// The same, parsed once per process.
    ///
    /// Errors as [`Self::bundled`].
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Contexts> = OnceLock::new();
        match SHARED.get() {
            Some(contexts) => Ok(contexts),
            None => {
                let contexts = Self::bundled()?;
                Ok(SHARED.get_or_init(|| contexts))
            }
        }
    }

    pub(crate) fn get(&self, url: &str) -> Option<&Arc<Scoped>> {
        self.parsed.get(url)
    }

    pub(crate) fn initial(&self) -> &Arc<Active> {
        &self.initial
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn compiled(&self, step: Step) -> Option<Arc<Active>> {
        self.compiled.read().ok()?.get(&step).cloned()
    }

    pub(crate) fn keep(&self, step: Step, active: &Arc<Active>) {
        if let Ok(mut compiled) = self.compiled.write() {
            if compiled.len() >= MAX_COMPILED {
                compiled.clear();
            }
            compiled.insert(step, Arc::clone(active));
        }
    }
}

impl std::fmt::Debug for Contexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contexts").field("bundled", &self.parsed.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{base64, multibase, sha256, sha384};

    #[test]
    fn published_digests() {
        // Verifiable Credentials Data Model 2.0 appendix B.1 (1.1: B.1), Data Integrity 1.0 section 2.4, as sha256.
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(&sha256(bytes));
        for (url, digest) in [
            (CREDENTIALS_V2, "59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734"),
            (CREDENTIALS_V1, "ab4ddd9a531758807a79a5b450510d61ae8d147eab966cc9a200c07095b0cdcc"),
            (DATA_INTEGRITY_V2, "67f21e6e33a6c14e5ccfd2fc7865f7474fb71a04af7e94136cb399dfac8ae8f4"),
            (
                "https://w3id.org/security/multikey/v1",
                "ba2c182de2d92f7e47184bcca8fcf0beaee6d3986c527bf664c195bbc7c58597",
            ),
        ] {
            assert_eq!(hex(published(url)[0]), digest, "{url}");
        }
        // The two digests that the W3C test suite names for credentials/v2, of the revision before.
        let earlier = published(CREDENTIALS_V2)[1];
        let sri = "NSOcNpmdIVUxIJGvGUoe22FjTWrXiaXlsZ8q6912LdnR3KraQO2n75Ica4wK4Qeg";
        assert_eq!(base64::decode(sri).unwrap(), sha384(earlier));
        let multibase = multibase::decode("uJKGMkOmFbVJhEfKTduMC2XCyvRAYLjOVmZWwIH1wQ7k", 64).unwrap();
        assert_eq!(multibase, sha256(earlier));
        assert!(published("https://a.example/").is_empty());
    }

    #[test]
    fn every_file_parses() {
        assert_eq!(Contexts::bundled().unwrap().parsed.len(), urls().count());
    }
}
