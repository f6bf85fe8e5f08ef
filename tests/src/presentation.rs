//! One credential with a second key, its holder, and a verifier that judges without a server: for benchmarks and for the
//! tests that take one check after the other.

use carekey_core::attestation::level::{AssuranceLevel, KeyProtection};
use carekey_core::binding::claim::{ClientKind, UvDemand, WEBAUTHN_BINDING, WebauthnBinding};
use carekey_core::binding::report::Report;
use carekey_core::binding::statement::PresentationStatement;
use carekey_core::binding::verify::{
    StepUpExpectation, StepUpInput, StepUpPolicy, VerifiedStepUp, WEBAUTHN_ASSERTION, WebauthnAssertion,
    verify_step_up,
};
use carekey_core::credential::claims::ClaimPath;
use carekey_core::credential::issuer_key::IssuerKey;
use carekey_core::credential::validity::Validity;
use carekey_core::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use carekey_core::format::sd_jwt_vc::issue::{DisclosureFrame, IssueInput, IssuerKeyHeader, issue};
use carekey_core::format::sd_jwt_vc::key_binding::{KeyBindingCheck, KeyBindingInput, TransactionDataHashes};
use carekey_core::format::sd_jwt_vc::verify::{Timing, UnverifiedSdJwtVc, VerifiedPresentation};
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::{PublicKey, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_core::status::reference::StatusReference;
use carekey_core::webauthn::assertion::{Assertion, AssertionExpectation};
use carekey_core::webauthn::{Bytes, UserVerification};
use carekey_core::{Result, UnixTime};
use serde_json::{Map, Value, json};

/// 2026-11-22T12:00:00Z
pub const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);
/// The issuer.
pub const ISS: &str = "https://hospital.example";
/// The type of the credential.
pub const VCT: &str = "https://hospital.example/vct/patient-identity";
/// The verifier.
pub const AUDIENCE: &str = "x509_san_dns:portal.example";
/// The verifier's nonce.
pub const NONCE: &str = "WYVxNuwz3RBEhnJKM4LvVh2tOdXI9WRUPYqA_qa0klM";
/// Where the second key lives.
pub const RP_ID: &str = "wallet.example";
/// The wallet's origin.
pub const ORIGIN: &str = "https://wallet.example";

/// The claims that the benchmarked presentation discloses, one disclosure each.
pub const DISCLOSED: [&str; 12] = [
    "given_name",
    "family_name",
    "birthdate",
    "gender",
    "phone_number",
    "email",
    "nationality",
    "place_of_birth",
    "street_address",
    "locality",
    "postal_code",
    "country",
];

/// Everyone in the story, with their keys.
pub struct Fixture {
    /// The issuer's key.
    pub issuer: SoftwareKey,
    /// HK: the key in `cnf`.
    pub holder: SoftwareKey,
    /// AK: the WebAuthn credential's key.
    pub authenticator: SoftwareKey,
    /// The credential with every disclosure.
    pub credential: String,
    /// The transaction data of the request, as sent.
    pub transaction_data: Vec<String>,
    /// The issuer's key as the verifier has it.
    pub issuer_key: IssuerKey,
}

fn key(byte: u8) -> SoftwareKey {
    SoftwareKey::from_p256_scalar(&[byte; 32]).expect("a scalar of the curve")
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture {
    /// Issues the credential.
    pub fn new() -> Self {
        let (issuer, holder, authenticator) = (key(1), key(2), key(3));
        let credential = issue_to(&issuer, holder.public_key(), authenticator.public_key());
        let issuer_key = IssuerKey::pinned(issuer.public_key().clone(), ISS);
        let transaction_data = vec!["eyJ0eXBlIjoidXJuOmNhcmVrZXk6YmlvbWV0cmljLXN0ZXAtdXA6MSJ9".to_owned()];
        Self { issuer, holder, authenticator, credential, transaction_data, issuer_key }
    }

    /// Issues the same credential again.
    pub fn issue(&self) -> String {
        issue_to(&self.issuer, self.holder.public_key(), self.authenticator.public_key())
    }

    /// A presentation of [`DISCLOSED`] with key binding.
    pub fn present(&self) -> String {
        self.present_with(false)
    }

    /// The same with the second key's claim and an assertion by it.
    pub fn present_step_up(&self) -> String {
        self.present_with(true)
    }

    fn present_with(&self, step_up: bool) -> String {
        let parsed = UnverifiedSdJwtVc::parse(&self.credential, &Limits::DEFAULT).expect("our credential");
        let mut paths: Vec<ClaimPath> = DISCLOSED.iter().map(|name| ClaimPath::member(name)).collect();
        if step_up {
            paths.push(ClaimPath::member(WEBAUTHN_BINDING));
        }
        let presentation = parsed.present(&paths).expect("claims of our credential");
        let hashes = self.hashes();
        let (iat, exp) = (NOW, NOW.plus(120));
        let mut extra = Map::new();
        if step_up {
            let statement = PresentationStatement {
                aud: AUDIENCE,
                content_hash: &presentation.sd_hash(),
                exp,
                hk_jkt: &Jwk::from_key(self.holder.public_key()).thumbprint(),
                iat,
                nonce: NONCE,
                txn: hashes.hashes(),
            };
            let assertion = self.assertion(&statement.challenge().expect("a statement of ours"));
            extra.insert(WEBAUTHN_ASSERTION.into(), serde_json::to_value(assertion).expect("plain data"));
        }
        let input = KeyBindingInput {
            audience: AUDIENCE,
            nonce: NONCE,
            issued_at: iat,
            expires_at: Some(exp),
            transaction_data: step_up.then_some(&hashes),
            extra,
        };
        let draft = presentation.bind(self.holder.public_key().algorithm(), input).expect("claims of ours");
        draft.sign(&self.holder).expect("a software key signs")
    }

    /// The hashes of the transaction data that was sent.
    pub fn hashes(&self) -> TransactionDataHashes {
        TransactionDataHashes::new(&self.transaction_data, DigestAlgorithm::Sha256)
    }

    /// What AK signs for `challenge`.
    pub fn assertion(&self, challenge: &[u8; 32]) -> WebauthnAssertion {
        use carekey_core::authenticator::embedded::{
            ClientDataMembers, assertion_data, challenge_text, signed_message,
        };
        use carekey_core::webauthn::authenticator_data::Flags;
        let client_data = ClientDataMembers {
            kind: "webauthn.get",
            challenge: &challenge_text(challenge),
            origin: ORIGIN,
            cross_origin: false,
            top_origin: None,
        };
        let client_data = client_data.to_json().expect("plain data");
        let data = assertion_data(RP_ID, Flags::from_byte(0x05), 0);
        let signature = self.authenticator.sign_der(&signed_message(&data, &client_data)).expect("it signs");
        WebauthnAssertion {
            id: Bytes(vec![7; 16]),
            authenticator_data: Bytes(data),
            client_data_json: Bytes(client_data),
            signature: Bytes(signature),
        }
    }

    /// Parses and judges a presentation without step-up.
    ///
    /// # Errors
    /// What the verifier finds.
    pub fn verify(&self, presentation: &str) -> Result<VerifiedPresentation> {
        self.verify_transaction(presentation, &[])
    }

    fn verify_transaction(
        &self,
        presentation: &str,
        transaction_data: &[String],
    ) -> Result<VerifiedPresentation> {
        let check = KeyBindingCheck {
            audience: AUDIENCE,
            nonce: NONCE,
            max_age: 120,
            transaction_data,
            transaction_data_algorithms: &[DigestAlgorithm::Sha256],
        };
        let parsed = UnverifiedSdJwtVc::parse(presentation, &Limits::DEFAULT)?;
        parsed.verify_presentation(&self.issuer_key, Timing { now: NOW, skew: 60 }, &check)
    }

    /// Parses and judges a presentation with step-up.
    ///
    /// # Errors
    /// What the verifier finds.
    pub fn verify_step_up(&self, presentation: &str) -> Result<VerifiedStepUp> {
        let verified = self.verify_transaction(presentation, &self.transaction_data)?;
        let holder = verified.credential().holder_key().expect("checked with the key binding");
        let hashes = self.hashes();
        let input = StepUpInput {
            kb_claims: verified.key_binding().claims(),
            binding: verified.credential().claims().get(WEBAUTHN_BINDING),
            hk_jkt: &Jwk::from_key(holder).thumbprint(),
            content_hash: &verified.credential().sd_hash(),
        };
        let expected = StepUpExpectation {
            audience: AUDIENCE,
            nonce: NONCE,
            transaction_data_hashes: hashes.hashes(),
            now: NOW,
            previous_sign_count: None,
        };
        let policy = StepUpPolicy::new(AssuranceLevel::Uv);
        verify_step_up(&input, &expected, &policy, &Limits::DEFAULT, &mut Report::default())
    }

    /// An assertion by AK alone, and what it is checked against.
    ///
    /// # Errors
    /// What the verifier finds.
    pub fn verify_assertion(&self, assertion: &WebauthnAssertion, challenge: &[u8; 32]) -> Result<()> {
        let expected = AssertionExpectation {
            challenge,
            origins: &[ORIGIN.to_owned()],
            rp_id: RP_ID,
            public_key: self.authenticator.public_key(),
            backup_eligible: false,
            user_verification: UserVerification::Required,
        };
        let presented = Assertion {
            client_data_json: &assertion.client_data_json.0,
            authenticator_data: &assertion.authenticator_data.0,
            signature: &assertion.signature.0,
        };
        carekey_core::webauthn::assertion::verify(presented, &expected, &Limits::DEFAULT).map(drop)
    }
}

fn issue_to(issuer: &SoftwareKey, holder: &PublicKey, authenticator: &PublicKey) -> String {
    let binding = WebauthnBinding {
        jwk: Jwk::from_key(authenticator),
        rp_id: RP_ID.to_owned(),
        origins: vec![ORIGIN.to_owned()],
        client: ClientKind::Browser,
        uv: UvDemand::Required,
        backup_eligible: false,
        level: AssuranceLevel::Uv,
        key_protection: KeyProtection::Unknown,
        modality: None,
        cert_level: None,
        evaluated_at: NOW,
        policy: "https://hospital.example/policy/binding/1".to_owned(),
    };
    let mut claims: Map<String, Value> =
        DISCLOSED.iter().map(|name| ((*name).to_owned(), json!(format!("value of {name}")))).collect();
    claims.insert(WEBAUTHN_BINDING.into(), binding.to_claim().expect("plain data"));
    let paths: Vec<ClaimPath> = claims.keys().map(|name| ClaimPath::member(name)).collect();
    let input = IssueInput {
        vct: VCT,
        iss: Some(ISS),
        validity: Validity { issued_at: Some(NOW), not_before: None, expires_at: Some(NOW.plus(7_776_000)) },
        holder_key: Some(holder),
        status: Some(&StatusReference { idx: 7, uri: "https://hospital.example/status/1".to_owned() }),
        vct_integrity: None,
        aka_vcts: &[],
        claims,
        frame: &DisclosureFrame::of(&paths),
        key_header: IssuerKeyHeader::Kid("key-1".to_owned()),
        digest_algorithm: DigestAlgorithm::Sha256,
    };
    issue(input, issuer, &SystemRandom).expect("a credential of ours")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixture_holds() {
        let fixture = Fixture::new();
        let plain = fixture.verify(&fixture.present()).unwrap();
        assert_eq!(plain.credential().sd_jwt_vc().disclosures().len(), 12);
        let step_up = fixture.verify_step_up(&fixture.present_step_up()).unwrap();
        assert_eq!(step_up.step_up.level, AssuranceLevel::Uv);
        assert_eq!(fixture.verify_step_up(&fixture.present()).unwrap_err().code(), "kb_jwt_transaction_data");
        let challenge = [9; 32];
        fixture.verify_assertion(&fixture.assertion(&challenge), &challenge).unwrap();
    }
}
