//! The VC-API's rules for credentials and presentations in envelopes (VC-JOSE-COSE).

use carekey_core::did::{Did, DidUrl, VerificationPurpose};
use carekey_core::format::data_integrity::Contexts;
use carekey_core::format::vc_jose::Content;
use carekey_core::format::vc_jose::envelope::Enveloped;
use carekey_core::format::vc_jose::verify::{UnverifiedEnvelope, VerifiedEnvelope};
use carekey_core::key::PublicKey;
use carekey_core::limits::Limits;
use carekey_core::{Error, Result};
use serde_json::{Value, json};

use super::App;
use super::vc_api::{Gathered, VcOptions};
use crate::config::IssuerBinding;

impl App {
    /// Verifies an EnvelopedVerifiableCredential.
    pub(super) async fn enveloped_credential(
        &self,
        contexts: &Contexts,
        value: &Value,
        options: &VcOptions,
        gathered: &mut Gathered,
    ) -> Result<Vec<&'static str>> {
        let verified = self.opened(value, Content::Credential, options, gathered).await?;
        let mut checks = vec!["data_model", "proof", "time"];
        if self.check_status(contexts, verified.document(), options, gathered).await? {
            checks.push("status");
        }
        Ok(checks)
    }

    /// Verifies an EnvelopedVerifiablePresentation with every credential in it.
    pub(super) async fn enveloped_presentation(
        &self,
        contexts: &Contexts,
        value: &Value,
        options: &VcOptions,
    ) -> Result<(Vec<&'static str>, Vec<Value>)> {
        let mut gathered = Gathered::default();
        let verified = self.opened(value, Content::Presentation, options, &mut gathered).await?;
        let within = options.within();
        let mut results = Vec::new();
        for credential in verified.credentials() {
            let credential = credential.to_value();
            let checks = self.enveloped_credential(contexts, &credential, &within, &mut gathered).await?;
            results.push(json!({"verified": true, "secured": true, "checks": checks}));
        }
        Ok((vec!["data_model", "proof", "time"], results))
    }

    /// Signature, receiver and time of what is in an envelope.
    async fn opened(
        &self,
        value: &Value,
        content: Content,
        options: &VcOptions,
        gathered: &mut Gathered,
    ) -> Result<VerifiedEnvelope> {
        let unverified = Enveloped::from_value(value, content)?.open(&Limits::DEFAULT)?;
        let key = self.envelope_key(&unverified, gathered).await?;
        let verified = unverified.verify(&key)?;
        verified.check_time(self.now(), self.skew())?;
        check_receiver(verified.document(), options)?;
        Ok(verified)
    }

    /// The key that `kid` names, which must be one of the issuer or holder (VC-JOSE-COSE section 4).
    async fn envelope_key(
        &self,
        unverified: &UnverifiedEnvelope,
        gathered: &mut Gathered,
    ) -> Result<PublicKey> {
        let purpose = match unverified.kind().content {
            Content::Credential => VerificationPurpose::AssertionMethod,
            Content::Presentation => VerificationPurpose::Authentication,
        };
        let party = unverified.signer().and_then(|party| Did::parse(party).ok());
        let method = match (unverified.key_id(), &party) {
            (Some(kid), Some(party)) => Some(DidUrl::parse_relative(kid, party)?),
            (Some(kid), None) => Some(DidUrl::parse(kid)?),
            (None, Some(_)) => None,
            (None, None) => return Err(unknown_key()),
        };
        let did = match (&method, &party) {
            (Some(method), Some(party)) if method.did() != party => {
                let detail = "the key is not one of the issuer or holder that the document names";
                return Err(Error::untrusted("proof_controller", detail));
            }
            (Some(method), _) => method.did(),
            (None, Some(party)) => party,
            (None, None) => return Err(unknown_key()),
        };
        let binding = self.config().vc_api.issuer_binding;
        if party.is_none() && unverified.signer().is_some() && binding == IssuerBinding::Required {
            let detail = "nothing ties the key to an issuer or holder that is no DID";
            return Err(Error::untrusted("proof_controller", detail));
        }
        let document = self.document(did, gathered).await?;
        match (method, document.verification_methods.as_slice()) {
            (Some(method), _) => document.verification_key(&method, purpose),
            (None, [only]) => document.verification_key(&only.id, purpose),
            (None, _) => Err(unknown_key()),
        }
    }
}

/// `aud` and `nonce` stand for the domain and challenge of a proof (RFC 7519 section 4.1.3).
fn check_receiver(document: &Value, options: &VcOptions) -> Result<()> {
    let audiences = match document.get("aud") {
        Some(Value::Array(many)) => many.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let names = |domain: &str| audiences.iter().any(|audience| audience.as_str() == Some(domain));
    if options.domain.as_deref().is_some_and(|domain| !names(domain)) {
        return Err(Error::untrusted("proof_domain", "the token was made for another audience"));
    }
    let nonce = document.get("nonce").and_then(Value::as_str);
    if options.challenge.is_some() && options.challenge.as_deref() != nonce {
        return Err(Error::untrusted("proof_challenge", "the token was made over another nonce"));
    }
    Ok(())
}

fn unknown_key() -> Error {
    Error::untrusted("proof_method_unknown", "nothing says by which key the token was signed")
}
