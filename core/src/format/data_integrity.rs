//! Data Integrity proofs (W3C Verifiable Credential Data Integrity 1.0) with the cryptosuites that sign whole documents,
//! `eddsa-rdfc-2022`, `eddsa-jcs-2022`, `ecdsa-rdfc-2019` and `ecdsa-jcs-2019` (P-256 and P-384), and with
//! `ecdsa-sd-2023` and `bbs-2023`, which let a holder disclose a part.
//!
//! Beneath them stand JSON-LD, RDF datasets and their canonical form, each of use without the others.

pub mod bbs;
pub mod contexts;
pub mod cryptosuite;
pub mod derive;
pub mod ecdsa_sd;
pub mod issue;
pub mod jsonld;
pub mod proof;
pub mod rdf;
pub mod rdfc;
pub mod selective;
pub mod verify;

pub use self::contexts::Contexts;
pub use self::cryptosuite::{Cryptosuite, HashData};
pub use self::derive::{Presentation, derive};
pub use self::issue::{ProofDraft, ProofOptions, add_proof, create_proof, draft_proof};
pub use self::proof::{ProofPurpose, UnverifiedProof};
pub use self::verify::{
    ControllerPolicy, Evidence, Expectation, VerifiedDocument, verification_methods, verify_base_proofs,
    verify_proofs,
};
