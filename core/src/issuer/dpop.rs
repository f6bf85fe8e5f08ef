//! DPoP (RFC 9449) at the issuer: its nonces, and each proof once.
//!
//! The `jti` of a proof is written down in the same commit as what the request changes, and forgotten when the proof
//! would be too old anyway: a refused request leaves nothing, and the table holds no more than the successful requests
//! of a few minutes.

use super::records::DPOP_PROOFS;
use super::{Caller, Issuer, catalogue, hashed};
use crate::error::{Error, Result};
use crate::protocol::oauth::dpop::{self, DpopExpectation};
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::store::{CommitError, Expect, Write};

const LABEL: &str = "carekey dpop_nonce v1";

/// A proof that holds: the key, and the write that uses the proof up.
pub(super) struct UsedProof {
    /// Thumbprint of the key.
    pub(super) jkt: String,
    pub(super) write: Write,
}

impl Issuer {
    /// A fresh nonce for DPoP proofs (section 8).
    pub fn dpop_nonce(&self) -> String {
        self.timed_nonce(LABEL, self.settings.dpop_max_age)
    }

    /// Verifies the caller's proof for `path`, if there is one.
    ///
    /// # Errors
    /// `invalid_dpop_proof` (the codes of [`dpop::verify`], `dpop_jti_seen`), `use_dpop_nonce` (`dpop_nonce`).
    pub(super) async fn dpop_proof(
        &self,
        caller: &Caller<'_>,
        path: &str,
        access_token: Option<&str>,
    ) -> Result<Option<UsedProof>, Refusal> {
        let Some(compact) = caller.dpop else { return Ok(None) };
        let invalid = ErrorCode::InvalidDpopProof.refuse();
        let now = self.now();
        let expectation = DpopExpectation {
            htm: "POST",
            htu: &self.settings.url(path).map_err(ErrorCode::ServerError.refuse())?,
            access_token,
            algorithms: &catalogue::PROOF_ALGORITHMS,
            max_age: self.settings.dpop_max_age,
            skew: self.settings.skew,
            now,
        };
        let proof = dpop::verify(compact, &expectation, &self.limits).map_err(&invalid)?;
        let nonce = proof.nonce().map(|nonce| self.known_timed_nonce(LABEL, nonce));
        if nonce.is_none_or(|known| known.is_err()) {
            let error = Error::refused("dpop_nonce", "the proof has no current nonce of this server");
            return Err(ErrorCode::UseDpopNonce.refuse()(error));
        }
        let key = hashed(&format!("{}\n{}", proof.jkt(), proof.jti()));
        if self.store.read(DPOP_PROOFS, &key).await.map_err(ErrorCode::ServerError.refuse())?.is_some() {
            return Err(invalid(seen()));
        }
        // Its nonce, and so the proof itself, is refused from then on.
        let end = now.plus(self.settings.dpop_max_age);
        let write = Write::put(DPOP_PROOFS, key, Expect::Absent, Vec::new(), Some(end));
        Ok(Some(UsedProof { jkt: proof.jkt().to_owned(), write }))
    }

    /// Uses up a proof where nothing else is committed.
    ///
    /// # Errors
    /// `invalid_dpop_proof` (`dpop_jti_seen`) when somebody was faster.
    pub(super) async fn use_proof(&self, proof: Option<Write>) -> Result<(), Refusal> {
        let Some(write) = proof else { return Ok(()) };
        match self.store.commit(vec![write]).await {
            Ok(()) => Ok(()),
            Err(CommitError::Conflict { .. }) => Err(replayed()),
            Err(CommitError::Failed(error)) => Err(ErrorCode::ServerError.refuse()(error)),
        }
    }
}

/// The refusal of a proof that another request used first.
pub(super) fn replayed() -> Refusal {
    ErrorCode::InvalidDpopProof.refuse()(seen())
}

fn seen() -> Error {
    Error::refused("dpop_jti_seen", "this proof was used already")
}
