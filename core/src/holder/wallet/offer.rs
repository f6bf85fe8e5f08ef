//! What an offer contains, in words for a person.

use super::words;
use crate::binding::transaction::visible;
use crate::holder::issuance::{OfferReview, OfferedCredential};
use crate::protocol::openid4vci::offer::InputMode;

/// What is offered, for a person. All texts are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferDetails {
    /// Credential issuer identifier.
    pub credential_issuer: String,
    /// Its host: what the person should compare with where they are.
    pub issuer_host: String,
    /// The name that the issuer gives itself; nobody has verified it.
    pub issuer_name: String,
    /// What can be collected.
    pub credentials: Vec<OfferedDetails>,
    /// Names of what the offer has besides, which this wallet cannot hold.
    pub unsupported: Vec<String>,
    /// Whether the person must enter a transaction code.
    pub tx_code: Option<TxCodeDetails>,
    /// Whether the person has to sign in with the issuer, in the system's browser: [`IssuanceSession::sign_in`](super::IssuanceSession::sign_in).
    pub signs_in: bool,
}

/// The transaction code that the issuer gave the person by another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxCodeDetails {
    /// Whether it is made of digits only.
    pub digits_only: bool,
    /// How long it is, if the issuer says.
    pub length: Option<u32>,
    /// Where it comes from, in the issuer's words.
    pub description: Option<String>,
}

/// One credential of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedDetails {
    /// Credential configuration.
    pub configuration_id: String,
    /// Credential type: `vct`, or the term of a W3C type.
    pub kind: String,
    /// Format identifier, as in `dc+sd-jwt`.
    pub format: String,
    /// Name of the kind of credential.
    pub name: String,
    /// One sentence about it.
    pub description: Option<String>,
    /// Names of the claims that it can hold.
    pub claims: Vec<String>,
    /// Whether a key is bound that needs the person's own confirmation for every use.
    pub binds_second_key: bool,
    /// The assurance level without which the issuer does not issue it.
    pub required_level: Option<String>,
}

impl OfferDetails {
    pub(super) fn new(review: &OfferReview) -> Self {
        let offered = |one: &OfferedCredential| OfferedDetails {
            configuration_id: one.configuration_id.clone(),
            kind: one.types.last().cloned().unwrap_or_default(),
            format: one.format.as_str().to_owned(),
            name: visible(&one.display.name),
            description: one.display.description.as_deref().map(visible),
            claims: words::offered(&one.display),
            binds_second_key: one.binds_webauthn,
            required_level: one.required_level.clone(),
        };
        Self {
            credential_issuer: review.credential_issuer.clone(),
            issuer_host: visible(&review.issuer_host),
            issuer_name: visible(&review.issuer_name),
            credentials: review.credentials.iter().map(offered).collect(),
            unsupported: review.unsupported.iter().map(|name| visible(name)).collect(),
            tx_code: review.tx_code.as_ref().map(|code| TxCodeDetails {
                digits_only: code.input_mode != Some(InputMode::Text),
                length: code.length,
                description: code.description.as_deref().map(visible),
            }),
            signs_in: review.signs_in(),
        }
    }
}
