//! Presenting: from claim paths to exactly the disclosures that they need (RFC 9901 section 7.2).

use std::fmt;

use serde_json::{Map, Value};

use super::NEVER_SELECTIVE;
use super::disclosure::DigestAlgorithm;
use super::key_binding::{KeyBindingDraft, KeyBindingInput};
use super::verify::{Chosen, UnverifiedSdJwtVc};
use crate::credential::claims::ClaimPath;
use crate::error::{Error, Result};
use crate::key::SignatureAlgorithm;

/// An SD-JWT with the disclosures that will leave, and nothing else. `Debug` shows no claims.
#[derive(Clone)]
pub struct Presentation {
    sd_jwt: String,
    algorithm: DigestAlgorithm,
    claims: Map<String, Value>,
}

impl UnverifiedSdJwtVc {
    /// Selects the claims at `paths` (OpenID4VP 1.0 section 7) for a presentation. A selected object or array comes
    /// whole, with everything in it; a claim inside a hidden one brings the disclosures of its parents. No path means
    /// no selectively disclosable claim.
    ///
    /// [`Error::Refused`] `claim_absent` when a path selects nothing; [`Error::Malformed`] `claim_path_type`.
    pub fn present(&self, paths: &[ClaimPath]) -> Result<Presentation> {
        let tree = self.tree()?;
        let mut chosen = Chosen::new();
        for path in paths {
            let selected = tree.select(path, false)?;
            if selected.is_empty() {
                return Err(Error::refused("claim_absent", format!("the credential has no claim {path}")));
            }
            for claim in selected {
                chosen.extend(claim.via);
                if let Some(value) = claim.value {
                    // Apart from what other paths chose: that may hold less than everything inside.
                    let mut whole = Chosen::new();
                    tree.inside(value, &mut whole);
                    chosen.extend(whole);
                }
            }
        }
        self.presentation_of(&chosen)
    }

    /// The presentation of the disclosures at these positions.
    pub(super) fn presentation_of(&self, chosen: &Chosen) -> Result<Presentation> {
        let disclosures = self.disclosures().iter().enumerate();
        let kept: Vec<_> = disclosures
            .filter(|(position, _)| chosen.contains(position))
            .map(|(_, kept)| kept.clone())
            .collect();
        let mut sd_jwt = format!("{}~", self.issuer_jwt());
        for disclosure in &kept {
            sd_jwt.push_str(disclosure.encoded());
            sd_jwt.push('~');
        }
        // What the verifier will see; it also shows that every chosen disclosure is connected (step 2).
        let claims = self.tree_of(&kept)?.processed(&NEVER_SELECTIVE, self.max_depth())?;
        Ok(Presentation { sd_jwt, algorithm: self.digest_algorithm(), claims })
    }
}

impl Presentation {
    /// The SD-JWT, ending in `~`: a whole presentation where no key binding is wanted.
    pub fn sd_jwt(&self) -> &str {
        &self.sd_jwt
    }

    /// The claims that leave, always visible ones included: what to show before the person agrees.
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Base64url digest that binds a Key Binding JWT (and a WebAuthn assertion) to exactly these disclosures (RFC 9901
    /// section 4.3.1).
    pub fn sd_hash(&self) -> String {
        self.algorithm.digest(&self.sd_jwt)
    }

    /// The draft of the SD-JWT+KB for a holder key of this algorithm: sign [`KeyBindingDraft::signing_input`], then
    /// [`KeyBindingDraft::assemble`].
    ///
    /// [`Error::Misuse`] `kb_jwt_extra_claim` when an extra claim repeats a standard one.
    pub fn bind(
        self,
        key_algorithm: SignatureAlgorithm,
        input: KeyBindingInput<'_>,
    ) -> Result<KeyBindingDraft> {
        KeyBindingDraft::new(self.sd_jwt, self.algorithm, key_algorithm, input)
    }
}

impl fmt::Debug for Presentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presentation").field("sd_hash", &self.sd_hash()).finish_non_exhaustive()
    }
}
