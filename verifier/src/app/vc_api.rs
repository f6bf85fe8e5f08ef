//! The VC-API's rules: what makes a W3C credential or presentation verified.
//!
//! Form first (the data model), then proofs, time, and status; what is in doubt is not verified.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use carekey_core::credential::data_model;
use carekey_core::did::{Did, DidDocument};
use carekey_core::encoding::json;
use carekey_core::format::data_integrity::{
    Contexts, ControllerPolicy, Evidence, Expectation, Presentation, ProofPurpose, derive,
    verification_methods, verify_base_proofs, verify_proofs,
};
use carekey_core::holder::HttpRequest;
use carekey_core::limits::Limits;
use carekey_core::status::bitstring_status_list::{StatusEntry, StatusList};
use carekey_core::{Error, Result};
use serde_json::{Value, json};
use url::Url;

use super::App;
use crate::config::{IssuerBinding, VcApiConfig};

/// DIDs that are resolved, and status lists that are fetched, for one request.
const MAX_FETCHES: usize = 32;
/// Names of checks: proofs that core verified, and proofs that `ssi` did.
const PROOF: &str = "proof";
const FOREIGN_PROOF: &str = "foreign_proof";
const LIST_TYPES: &str = "application/vc, application/ld+json, application/json";

/// What a caller asks of a verification.
#[derive(Debug, Clone, Default)]
pub struct VcOptions {
    /// For whom the proofs must be made.
    pub domain: Option<String>,
    /// The challenge that they must answer.
    pub challenge: Option<String>,
    /// Whether the status counts.
    pub status: bool,
}

impl VcOptions {
    /// Those for the credentials in a presentation: domain and challenge are the presentation's.
    pub(super) fn within(&self) -> Self {
        Self { domain: None, challenge: None, status: self.status }
    }
}

/// What one request has gathered.
#[derive(Default)]
pub(super) struct Gathered {
    documents: BTreeMap<Did, DidDocument>,
    fetches: usize,
}

impl Gathered {
    fn count(&mut self) -> Result<()> {
        self.fetches = self.fetches.saturating_add(1);
        if self.fetches > MAX_FETCHES {
            let detail = "the request names too many DIDs and status lists";
            return Err(Error::malformed("vc_too_many_fetches", detail));
        }
        Ok(())
    }
}

impl App {
    /// Verifies a credential; the answer for the caller.
    ///
    /// # Errors
    /// Why it is not verified: the codes of the data model, Data Integrity, VC-JOSE-COSE, DIDs and Bitstring Status List;
    /// `vc_revoked`, `vc_status_issuer`, `vc_too_many_fetches`.
    pub async fn verify_vc(&self, credential: &Value, options: &VcOptions) -> Result<Value> {
        let outcome = async {
            let api = self.vc_api()?;
            self.credential(api, credential, options, &mut Gathered::default()).await
        };
        let outcome = outcome.await;
        self.count_vc("credential", &outcome);
        Ok(json!({"verified": true, "checks": outcome?, "warnings": [], "errors": []}))
    }

    /// Verifies a presentation with every credential in it.
    ///
    /// # Errors
    /// As [`Self::verify_vc`]; `vc_unsecured` for what has no proof where such is not accepted.
    pub async fn verify_vp(&self, presentation: &Value, options: &VcOptions) -> Result<Value> {
        let outcome = async {
            let api = self.vc_api()?;
            self.presentation(api, presentation, options).await
        };
        let outcome = outcome.await;
        self.count_vc("presentation", &outcome);
        let (checks, credentials) = outcome?;
        Ok(json!({
            "verified": true, "checks": checks, "warnings": [], "errors": [], "credentialResults": credentials,
        }))
    }

    /// Derives what a holder shows from a base proof, which is verified first.
    ///
    /// # Errors
    /// As [`Self::verify_vc`], and those of [`derive()`].
    pub async fn derive_vc(&self, credential: &Value, pointers: &[String]) -> Result<Value> {
        let outcome = async {
            let contexts = self.vc_api()?;
            data_model::check_credential(credential)?;
            let mut expected = Expectation::credential(self.now());
            (expected.controller, expected.skew) = (self.controller(credential), self.skew());
            let evidence = self.evidence(credential, &mut Gathered::default()).await?;
            verify_base_proofs(credential, &evidence, &expected, contexts)?;
            derive(credential, pointers, &Presentation::new(&*self.random), contexts)
        };
        let outcome = outcome.await;
        self.metrics.count("vc_api_derive", if outcome.is_ok() { "derived" } else { "refused" });
        outcome
    }

    fn vc_api(&self) -> Result<&Contexts> {
        self.contexts.as_ref().ok_or_else(|| Error::misuse("vc_api_off", "the VC-API is turned off"))
    }

    fn count_vc<T>(&self, what: &'static str, outcome: &Result<T>) {
        let event = if what == "credential" { "vc_api_credential" } else { "vc_api_presentation" };
        self.metrics.count(event, if outcome.is_ok() { "verified" } else { "refused" });
    }

    async fn presentation(
        &self,
        contexts: &Contexts,
        presentation: &Value,
        options: &VcOptions,
    ) -> Result<(Vec<&'static str>, Vec<Value>)> {
        if data_model::is_enveloped(presentation) {
            return self.enveloped_presentation(contexts, presentation, options).await;
        }
        data_model::check_presentation(presentation)?;
        let mut gathered = Gathered::default();
        let mut checks = vec!["data_model"];
        if presentation.get("proof").is_some() {
            let expected = Expectation {
                purpose: ProofPurpose::Authentication,
                domain: options.domain.as_deref(),
                challenge: options.challenge.as_deref(),
                controller: ControllerPolicy::Named,
                now: self.now(),
                skew: self.skew(),
            };
            checks.push(self.proven(contexts, presentation, &expected, &mut gathered).await?);
        } else {
            self.unsecured()?;
        }
        let within = options.within();
        let mut results = Vec::new();
        let credentials = presentation.get("verifiableCredential");
        let many = credentials.and_then(Value::as_array).map(Vec::as_slice);
        for credential in many.unwrap_or_else(|| credentials.map(std::slice::from_ref).unwrap_or_default()) {
            let checks = if credential.get("proof").is_none() && !is_enveloped(credential) {
                self.unsecured()?;
                self.check_time(credential)?;
                vec!["data_model", "time"]
            } else {
                self.credential(contexts, credential, &within, &mut gathered).await?
            };
            let secured = checks.iter().any(|check| [PROOF, FOREIGN_PROOF].contains(check));
            results.push(json!({"verified": true, "secured": secured, "checks": checks}));
        }
        Ok((checks, results))
    }

    pub(super) async fn credential(
        &self,
        contexts: &Contexts,
        credential: &Value,
        options: &VcOptions,
        gathered: &mut Gathered,
    ) -> Result<Vec<&'static str>> {
        if is_enveloped(credential) {
            return self.enveloped_credential(contexts, credential, options, gathered).await;
        }
        data_model::check_credential(credential)?;
        let proof = self.proofs(contexts, credential, options, self.controller(credential), gathered).await?;
        self.check_time(credential)?;
        let mut checks = vec!["data_model", proof, "time"];
        if self.check_status(contexts, credential, options, gathered).await? {
            checks.push("status");
        }
        Ok(checks)
    }

    /// Whether there was a status to look at; if so, it does not speak against the credential.
    pub(super) async fn check_status(
        &self,
        contexts: &Contexts,
        credential: &Value,
        options: &VcOptions,
        gathered: &mut Gathered,
    ) -> Result<bool> {
        if !options.status || credential.get("credentialStatus").is_none() {
            return Ok(false);
        }
        for entry in StatusEntry::of_credential(credential)? {
            self.status(contexts, credential, &entry, gathered).await?;
        }
        Ok(true)
    }

    async fn proofs(
        &self,
        contexts: &Contexts,
        credential: &Value,
        options: &VcOptions,
        controller: ControllerPolicy,
        gathered: &mut Gathered,
    ) -> Result<&'static str> {
        let expected = Expectation {
            domain: options.domain.as_deref(),
            challenge: options.challenge.as_deref(),
            controller,
            skew: self.skew(),
            ..Expectation::credential(self.now())
        };
        self.proven(contexts, credential, &expected, gathered).await
    }

    /// Verifies the proofs of a credential or presentation; the name of that check.
    async fn proven(
        &self,
        contexts: &Contexts,
        document: &Value,
        expected: &Expectation<'_>,
        gathered: &mut Gathered,
    ) -> Result<&'static str> {
        #[cfg(feature = "foreign-suites")]
        if self.config.vc_api.foreign_suites && crate::foreign::is_foreign(document) {
            self.foreign(contexts, document, expected, gathered).await?;
            return Ok(FOREIGN_PROOF);
        }
        let evidence = self.evidence(document, gathered).await?;
        verify_proofs(document, &evidence, expected, contexts)?;
        Ok(PROOF)
    }

    /// Proofs from before Data Integrity 1.0, by `ssi`.
    #[cfg(feature = "foreign-suites")]
    async fn foreign(
        &self,
        contexts: &Contexts,
        document: &Value,
        expected: &Expectation<'_>,
        gathered: &mut Gathered,
    ) -> Result<crate::foreign::VerifiedForeign> {
        let unverified = crate::foreign::UnverifiedForeign::parse(document, contexts)?;
        expected.check(document, unverified.statements())?;
        let mut keys = Vec::new();
        for (place, proof) in unverified.wanted() {
            let method = &proof.verification_method;
            let controller = self.document(method.did(), gathered).await?;
            keys.push((place, controller.verification_key(method, expected.purpose.relationship())?));
        }
        unverified.verify(&keys).await
    }

    /// A credential's own issuer must have made a proof, unless the policy leaves issuers that are no DIDs alone.
    fn controller(&self, credential: &Value) -> ControllerPolicy {
        let is_did = issuer(credential).is_some_and(|issuer| issuer.starts_with("did:"));
        match self.config.vc_api.issuer_binding {
            IssuerBinding::DidsOnly if !is_did => ControllerPolicy::Any,
            _ => ControllerPolicy::Named,
        }
    }

    async fn evidence(&self, document: &Value, gathered: &mut Gathered) -> Result<Evidence> {
        let mut evidence = Evidence::new();
        let dids: BTreeSet<Did> =
            verification_methods(document)?.into_iter().map(|method| method.did().clone()).collect();
        for did in dids {
            evidence.add(self.document(&did, gathered).await?);
        }
        Ok(evidence)
    }

    /// The document of `did`, resolved once for one request.
    pub(super) async fn document<'g>(
        &self,
        did: &Did,
        gathered: &'g mut Gathered,
    ) -> Result<&'g DidDocument> {
        if !gathered.documents.contains_key(did) {
            gathered.count()?;
        }
        match gathered.documents.entry(did.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(self.dids.resolve(did).await?)),
        }
    }

    /// A list counts when its proof holds and the credential's own issuer made it.
    async fn status(
        &self,
        contexts: &Contexts,
        credential: &Value,
        entry: &StatusEntry,
        gathered: &mut Gathered,
    ) -> Result<()> {
        gathered.count()?;
        let url = Url::parse(&entry.list)
            .map_err(|_| Error::malformed("bitstring_entry", "statusListCredential is no URL"))?;
        let answer = self.http.send(HttpRequest::get(url, LIST_TYPES)).await?;
        if answer.status != 200 {
            return Err(Error::unavailable("fetch_status", "the status list could not be fetched"));
        }
        let list = json::parse(&answer.body, &Limits::DEFAULT)?;
        data_model::check_credential(&list)?;
        let (options, policy) = (VcOptions::default(), ControllerPolicy::Named);
        self.proofs(contexts, &list, &options, policy, gathered).await?;
        self.check_time(&list)?;
        if issuer(&list) != issuer(credential) {
            let detail = "the status list is by another issuer than the credential";
            return Err(Error::untrusted("vc_status_issuer", detail));
        }
        let list = StatusList::from_verified_credential(&list, &Limits::DEFAULT)?;
        if list.status(entry)?.forbids_acceptance() {
            return Err(Error::refused("vc_revoked", "the credential is revoked or suspended"));
        }
        Ok(())
    }

    fn check_time(&self, credential: &Value) -> Result<()> {
        data_model::check_time(credential, self.now(), self.skew())
    }

    pub(super) fn skew(&self) -> i64 {
        i64::from(self.config.policy.clock_skew_seconds)
    }

    fn unsecured(&self) -> Result<()> {
        let VcApiConfig { accept_unsecured, .. } = self.config.vc_api;
        if accept_unsecured {
            return Ok(());
        }
        Err(Error::untrusted("vc_unsecured", "a presentation or a credential in it has no proof"))
    }
}

/// In the object for it, or as a JWT that stands for itself (VCDM 1.1 section 6.3.1).
fn is_enveloped(credential: &Value) -> bool {
    let is_jwt = |text: &str| text.split('.').count() == 3;
    data_model::is_enveloped(credential) || credential.as_str().is_some_and(is_jwt)
}

fn issuer(credential: &Value) -> Option<&str> {
    let issuer = credential.get("issuer")?;
    issuer.as_str().or_else(|| issuer.get("id")?.as_str())
}
