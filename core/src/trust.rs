//! Whom a party trusts from the start: issuers by credential type, for verifiers; verifiers, for
//! wallets; wallet providers, for issuers.
//!
//! | source | loaded as | trusted after |
//! | --- | --- | --- |
//! | X.509 anchors, DIDs, https issuers | configuration | at once: the operator named them |
//! | lists of trusted entities | [`trusted_list::UnverifiedTrustedList`] | [`trusted_list::UnverifiedTrustedList::verify`] under the operator's certificate |
//! | registration certificates of verifiers | [`registration::UnverifiedRegistration`] | [`registration::UnverifiedRegistration::verify`] under a registrar's certificate |
//! | OpenID Federation | [`federation::UnverifiedTrustChain`] | [`federation::UnverifiedTrustChain::verify`] under an anchor's keys |
//!
//! Every judgement is a pure function of what is held and the time; nothing is fetched here.

pub mod authorities;
pub mod federation;
pub mod issuers;
pub mod registration;
pub mod trusted_list;
pub mod verifiers;
pub mod wallet_providers;

pub use authorities::KnownAuthorities;
pub use issuers::{IssuerRule, IssuerTrust, ListedAnchor, TrustBasis, TrustedBy, TrustedIssuer};
pub use verifiers::{Attester, VerifierTrust};
pub use wallet_providers::{WalletProviderRule, WalletProviderTrust};
