//! The VC-API's rules for credentials and presentations in envelopes: VC-JOSE-COSE, and the JWTs of VCDM 1.1.

use carekey_core::did::{Did, DidUrl, VerificationPurpose};
use carekey_core::format::data_integrity::Contexts;
use carekey_core::format::vc_jose::Content;
use carekey_core::format::vc_jose::envelope::Enveloped;
use carekey_core::format::vc_jwt::UnverifiedVcJwt;
use carekey_core::key::PublicKey;
use carekey_core::limits::Limits;
use carekey_core::{Error, Result};
use serde_json::{Value, json};

use super::App;
use super::vc_api::{Gathered, VcOptions};
use crate::config::IssuerBinding;

/// What was in an envelope, its signature, receiver and time checked.
struct Opened {
    document: Value,
    /// The credentials of a presentation, not verified.
    credentials: Vec<Value>,
}

/// Who signed by which key, as claimed.
#[derive(Clone, Copy)]
struct Claimed<'a> {
    content: Content,
    party: Option<&'a str>,
    key_id: Option<&'a str>,
}

impl App {
    /// Verifies an EnvelopedVerifiableCredential, or a JWT that stands for itself.
    pub(super) async fn enveloped_credential(
        &self,
        contexts: &Contexts,
        value: &Value,
        options: &VcOptions,
        gathered: &mut Gathered,
    ) -> Result<Vec<&'static str>> {
        let opened = self.opened(value, Content::Credential, options, gathered).await?;
        let mut checks = vec!["data_model", "proof", "time"];
        if self.check_status(contexts, &opened.document, options, gathered).await? {
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
        let opened = self.opened(value, Content::Presentation, options, &mut gathered).await?;
        let within = options.within();
        let mut results = Vec::new();
        for credential in &opened.credentials {
            let checks = self.credential(contexts, credential, &within, &mut gathered).await?;
            results.push(json!({"verified": true, "secured": true, "checks": checks}));
        }
        Ok((vec!["data_model", "proof", "time"], results))
    }

    async fn opened(
        &self,
        value: &Value,
        content: Content,
        options: &VcOptions,
        gathered: &mut Gathered,
    ) -> Result<Opened> {
        let (limits, now, skew) = (&Limits::DEFAULT, self.now(), self.skew());
        let jwt = match value {
            Value::String(compact) => Some(UnverifiedVcJwt::parse(content, compact, limits)?),
            _ => UnverifiedVcJwt::from_enveloped(content, value, limits)?,
        };
        if let Some(jwt) = jwt {
            let claimed = Claimed { content, party: jwt.signer(), key_id: jwt.key_id() };
            let key = self.envelope_key(claimed, gathered).await?;
            let verified = jwt.verify(&key)?;
            verified.check_time(now, skew)?;
            check_receiver(|name| verified.claims().get(name), options)?;
            let document = verified.document().clone();
            let credentials = match document.get("verifiableCredential") {
                None => Vec::new(),
                Some(Value::Array(many)) => many.clone(),
                Some(one) => vec![one.clone()],
            };
            return Ok(Opened { document, credentials });
        }
        let unverified = Enveloped::from_value(value, content)?.open(limits)?;
        let claimed = Claimed { content, party: unverified.signer(), key_id: unverified.key_id() };
        let key = self.envelope_key(claimed, gathered).await?;
        let verified = unverified.verify(&key)?;
        verified.check_time(now, skew)?;
        check_receiver(|name| verified.document().get(name), options)?;
        let credentials = verified.credentials().iter().map(Enveloped::to_value).collect();
        Ok(Opened { document: verified.document().clone(), credentials })
    }

    /// The key that `kid` names, which must be one of the issuer or holder (VC-JOSE-COSE section 4).
    async fn envelope_key(&self, claimed: Claimed<'_>, gathered: &mut Gathered) -> Result<PublicKey> {
        let purpose = match claimed.content {
            Content::Credential => VerificationPurpose::AssertionMethod,
            Content::Presentation => VerificationPurpose::Authentication,
        };
        let party = claimed.party.and_then(|party| Did::parse(party).ok());
        let method = match (claimed.key_id, &party) {
            (Some(kid), Some(party)) => Some(DidUrl::parse_relative(kid, party)?),
            (Some(kid), None) => Some(DidUrl::parse(kid)?),
            (None, _) => None,
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
        if party.is_none() && claimed.party.is_some() && binding == IssuerBinding::Required {
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
fn check_receiver<'a>(claim: impl Fn(&str) -> Option<&'a Value>, options: &VcOptions) -> Result<()> {
    let audiences = match claim("aud") {
        Some(Value::Array(many)) => many.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let names = |domain: &str| audiences.iter().any(|audience| audience.as_str() == Some(domain));
    if options.domain.as_deref().is_some_and(|domain| !names(domain)) {
        return Err(Error::untrusted("proof_domain", "the token was made for another audience"));
    }
    let nonce = claim("nonce").and_then(Value::as_str);
    if options.challenge.is_some() && options.challenge.as_deref() != nonce {
        return Err(Error::untrusted("proof_challenge", "the token was made over another nonce"));
    }
    Ok(())
}

fn unknown_key() -> Error {
    Error::untrusted("proof_method_unknown", "nothing says by which key the token was signed")
}
