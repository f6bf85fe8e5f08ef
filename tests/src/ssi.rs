//! The same presentation judged by `ssi` 0.16 (its crate `ssi-sd-jwt`), as far as that library goes: the issuer's
//! signature, the disclosures, the times, and the key-binding JWT with audience, nonce and hash. It knows no trust rules,
//! status lists or queries.

pub mod securing;

use carekey_core::jose::jwk::Jwk;
use carekey_core::key::PublicKey;
use carekey_core::verifier::PresentationRequest;
use ssi_claims_core::VerificationParameters;
use ssi_jwk::JWK;
use ssi_sd_jwt::SdJwt;

use crate::story::NOW;

fn jwk(key: &PublicKey) -> JWK {
    serde_json::from_value(Jwk::from_key(key).to_value()).expect("a JWK is a JWK")
}

/// What `ssi` needs to know.
pub struct Ssi {
    issuer: JWK,
    holder: JWK,
    now: chrono::DateTime<chrono::Utc>,
}

impl Ssi {
    /// A verifier that knows the issuer's key and the holder's.
    pub fn new(issuer: &PublicKey, holder: &PublicKey) -> Self {
        let now = chrono::DateTime::from_timestamp(NOW.as_secs(), 0).expect("a time of this century");
        Self { issuer: jwk(issuer), holder: jwk(holder), now }
    }

    /// Whether `ssi` accepts the presentation.
    pub async fn verify(&self, presentation: &str, request: &PresentationRequest) -> bool {
        let Ok(sd_jwt) = SdJwt::new(presentation) else { return false };
        let parameters = VerificationParameters::from_resolver(&self.issuer).with_date_time(self.now);
        let Ok((revealed, Ok(()))) = sd_jwt.decode_reveal_verify_any(&parameters).await else { return false };
        let Ok(Some(kb)) = sd_jwt.decode_kb() else { return false };
        let claims = &kb.signing_bytes.payload;
        let bound = claims.aud == request.client_id.as_str()
            && claims.nonce.0 == request.nonce
            && claims.sd_hash.verify(revealed.sd_alg, sd_jwt);
        let parameters = VerificationParameters::from_resolver(&self.holder).with_date_time(self.now);
        bound && matches!(kb.verify(&parameters).await, Ok(Ok(())))
    }
}
