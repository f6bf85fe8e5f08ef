//! Which wallet providers an issuer believes about wallets and their keys: named by configuration, or by trusted lists
//! (ETSI TS 119 602; the EU publishes one of wallet providers).

use crate::attestation::wallet_provider::WalletProvider;
use crate::jose::jwk::Jwk;
use crate::trust::ListedAnchor;
use crate::x509::TrustAnchor;

/// One rule. All lists empty trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct WalletProviderRule {
    /// What verdicts call a provider that the rule itself names.
    pub name: String,
    /// Anchors of that provider's certificates.
    pub anchors: Vec<TrustAnchor>,
    /// That provider's pinned keys, found by `kid` where that is present.
    pub keys: Vec<Jwk>,
    /// Anchors that trusted lists name: each entity is a provider of its own.
    pub listed: Vec<ListedAnchor>,
}

/// The providers whose word counts, of all rules. The default trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct WalletProviderTrust {
    providers: Vec<WalletProvider>,
}

impl WalletProviderTrust {
    /// These rules; the first provider that fits counts, those of the configuration before those of lists.
    pub fn new(rules: Vec<WalletProviderRule>) -> Self {
        let mut providers = Vec::new();
        let mut on_lists: Vec<WalletProvider> = Vec::new();
        for rule in rules {
            if !rule.anchors.is_empty() || !rule.keys.is_empty() {
                providers.push(WalletProvider {
                    name: rule.name,
                    anchors: rule.anchors,
                    keys: rule.keys,
                    list: None,
                });
            }
            for listed in rule.listed {
                let same = |provider: &&mut WalletProvider| {
                    provider.name == listed.entity && provider.list.as_ref() == Some(&listed.list)
                };
                match on_lists.iter_mut().find(same) {
                    Some(provider) => provider.anchors.push(listed.anchor),
                    None => on_lists.push(WalletProvider {
                        name: listed.entity,
                        anchors: vec![listed.anchor],
                        keys: Vec::new(),
                        list: Some(listed.list),
                    }),
                }
            }
        }
        providers.append(&mut on_lists);
        Self { providers }
    }

    /// The providers, for [`crate::attestation::wallet_attestation::verify`] and
    /// [`crate::attestation::key_attestation::verify`].
    pub fn providers(&self) -> &[WalletProvider] {
        &self.providers
    }

    /// Whether nobody is trusted: then no attestation can count.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::attestation::wallet_attestation::{self, WalletAttestationExpectation};
    use crate::clock::UnixTime;
    use crate::encoding::base64;
    use crate::key::{SignatureAlgorithm, Signer as _, SoftwareKey};
    use crate::limits::Limits;

    const NOW: UnixTime = UnixTime::from_secs(1_796_000_000);

    /// A provider's anchor, and an attestation with its proof under it.
    fn provider(name: &str) -> (TrustAnchor, String, String) {
        let (root, leaf) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let anchor = TrustAnchor::from_der(params.self_signed(&root).unwrap().der()).unwrap();
        let signed =
            CertificateParams::default().signed_by(&leaf, &Issuer::from_params(&params, &root)).unwrap();
        let header = serde_json::json!({ "x5c": [base64::encode(signed.der())] });
        let instance = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let attestation = wallet_attestation::WalletAttestation {
            issuer: "https://provider.example",
            client_id: "wallet",
            key: instance.public_key(),
            wallet_name: None,
            issued_at: NOW,
            expires_at: NOW.plus(600),
            status: None,
        };
        let signer = SoftwareKey::from_pkcs8(&leaf.serialize_der()).unwrap();
        let attestation =
            wallet_attestation::sign(&attestation, header.as_object().unwrap().clone(), &signer).unwrap();
        let proof = wallet_attestation::PossessionProof {
            client_id: "wallet",
            audience: "https://issuer.example",
            jti: "1",
            challenge: None,
            now: NOW,
        };
        (anchor, attestation, wallet_attestation::sign_pop(&proof, &instance).unwrap())
    }

    fn judge(trust: &WalletProviderTrust, (_, attestation, pop): &(TrustAnchor, String, String)) -> String {
        let expected = WalletAttestationExpectation {
            providers: trust.providers(),
            algorithms: &[SignatureAlgorithm::Es256],
            audience: "https://issuer.example",
            client_id: None,
            max_age: 300,
            skew: 60,
            now: NOW,
        };
        match wallet_attestation::verify(attestation, pop, &expected, &Limits::DEFAULT) {
            Ok(wallet) => {
                let list = wallet.basis.list.as_deref().unwrap_or("configured");
                assert_eq!(wallet.basis.sha256.as_ref().map(String::len), Some(64));
                format!("{} ({list}): {}", wallet.provider, wallet.basis.anchor)
            }
            Err(error) => error.code().to_owned(),
        }
    }

    #[test]
    fn providers_of_the_configuration_and_of_lists() {
        let (own, listed, stranger) = (provider("Own"), provider("Listed"), provider("Stranger"));
        let entry = |anchor: &TrustAnchor| ListedAnchor {
            anchor: anchor.clone(),
            entity: "Wallet Ltd".into(),
            list: "Office, list 7".into(),
        };
        let rule = WalletProviderRule {
            name: "our wallet".into(),
            anchors: vec![own.0.clone()],
            // Two certificates of one entity are one provider.
            listed: vec![entry(&provider("Older").0), entry(&listed.0)],
            ..WalletProviderRule::default()
        };
        let trust = WalletProviderTrust::new(vec![rule]);
        assert_eq!(trust.providers().len(), 2);
        assert!(!trust.is_empty() && WalletProviderTrust::default().is_empty());
        assert!(judge(&trust, &own).starts_with("our wallet (configured): "), "{}", judge(&trust, &own));
        assert!(judge(&trust, &own).contains("Own"));
        assert!(judge(&trust, &listed).starts_with("Wallet Ltd (Office, list 7): "));
        assert_eq!(judge(&trust, &stranger), "wallet_provider_unknown");
        assert_eq!(judge(&WalletProviderTrust::default(), &own), "wallet_provider_unknown");
    }
}
