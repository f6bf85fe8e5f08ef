//! Errors that an app can show: what kind, whose fault, what the person can do.

use crate::error::Error;
use crate::vault::{PlatformError, StorageError};

/// Whose fault it is, or whose turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// The person at the device.
    Person,
    /// The device or its operating system.
    Device,
    /// The app around the wallet.
    App,
    /// The issuer.
    Issuer,
    /// The verifier.
    Verifier,
    /// The way between.
    Network,
}

/// What the person can do now; the app has the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Try the same thing again.
    TryAgain,
    /// Enter it again: the code is wrong or mistyped.
    EnterAgain,
    /// Unlock the wallet.
    Unlock,
    /// Unlock the sensor with the device's code, then try again.
    UnlockDevice,
    /// Enrol a finger or face in the device's settings.
    EnrolBiometry,
    /// Collect the credential again from its issuer.
    Reenrol,
    /// Unlock by another way: this one is gone.
    UseOtherEntry,
    /// Add another way to unlock.
    AddUnlockEntry,
    /// Ask the issuer, for example for a new offer.
    AskIssuer,
    /// Ask the verifier, for example for a new request; do not go on with this one.
    AskVerifier,
    /// Look at the connection, then try again.
    CheckConnection,
    /// Update the app, or report it.
    UpdateApp,
    /// Make room on the device, or restore a backup.
    CheckDevice,
}

/// Why the wallet did not do it. `code` is stable, `detail` is for developers and holds no secret and no claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// The person said no; nothing left the device.
    #[error("the person cancelled")]
    UserCancelled,
    /// The sensor is locked.
    #[error("the sensor is locked")]
    BiometryLockout,
    /// No finger or face is enrolled.
    #[error("no biometry is enrolled")]
    BiometryNotEnrolled,
    /// A key is gone for ever: collect these credentials again.
    #[error("the key was invalidated: {reason}")]
    ReenrolmentNeeded {
        /// For developers.
        reason: String,
    },
    /// The wallet is locked.
    #[error("the wallet is locked")]
    Locked,
    /// Nothing in the wallet answers the request.
    #[error("no credential fits")]
    NoMatchingCredential,
    /// The other party broke the protocol or refused.
    #[error("{party:?} ({code}): {detail}")]
    Protocol {
        /// Who.
        party: Party,
        /// Stable code.
        code: &'static str,
        /// For developers.
        detail: String,
    },
    /// The other party is not who it says, or is not trusted.
    #[error("untrusted {party:?} ({code}): {detail}")]
    Untrusted {
        /// Who.
        party: Party,
        /// Stable code.
        code: &'static str,
        /// For developers.
        detail: String,
    },
    /// No answer came.
    #[error("network ({code}): {detail}")]
    Network {
        /// Stable code.
        code: &'static str,
        /// For developers.
        detail: String,
    },
    /// The device's storage failed, or what is in it does not hold.
    #[error("storage ({code}): {detail}")]
    Storage {
        /// Stable code.
        code: &'static str,
        /// For developers.
        detail: String,
    },
    /// What was entered or chosen does not fit.
    #[error("input ({code}): {detail}")]
    InvalidInput {
        /// Stable code.
        code: &'static str,
        /// For developers.
        detail: String,
    },
    /// A mistake in the app or in this library.
    #[error("internal ({code}): {detail}")]
    Internal {
        /// Stable code.
        code: &'static str,
        /// For developers.
        detail: String,
    },
}

/// What people mistype or have to decide, by the code of the core error.
const INPUT: &[&str] = &[
    "tx_code_missing",
    "recovery_code_mistyped",
    "vault_wrong_key",
    "vault_entries_too_few",
    "vault_last_entries",
    "vault_entry_unknown",
    "vault_entry_removed",
    "vault_entry_lost",
    "backup_wrong_code",
    "backup_no_code",
    "backup_format",
    "backup_damaged",
    "backup_version",
    "offer_link",
    "request_link",
    "credentials_missing",
    "claim_absent",
    "selection_candidate",
    "selection_twice",
    "credential_unknown",
    "session_over",
];

impl WalletError {
    /// The wallet's error for an error of the engine that came up while dealing with `party`.
    pub fn of(party: Party, error: Error) -> Self {
        let (code, detail) = (error.code(), error.detail().to_owned());
        match code {
            "user_cancelled" => return Self::UserCancelled,
            "biometry_lockout" => return Self::BiometryLockout,
            "biometry_not_enrolled" => return Self::BiometryNotEnrolled,
            "key_invalidated" => return Self::ReenrolmentNeeded { reason: detail },
            "wallet_locked" => return Self::Locked,
            "no_matching_credential" => return Self::NoMatchingCredential,
            _ if INPUT.contains(&code) => return Self::InvalidInput { code, detail },
            _ if code.starts_with("vault_") || code.starts_with("backup_") => {
                return Self::Storage { code, detail };
            }
            _ if code.starts_with("platform_") => return Self::Internal { code, detail },
            _ => {}
        }
        match error {
            Error::Untrusted { .. } => Self::Untrusted { party, code, detail },
            Error::Unavailable { .. } => Self::Network { code, detail },
            Error::Misuse { .. } => Self::Internal { code, detail },
            _ => Self::Protocol { party, code, detail },
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UserCancelled => "user_cancelled",
            Self::BiometryLockout => "biometry_lockout",
            Self::BiometryNotEnrolled => "biometry_not_enrolled",
            Self::ReenrolmentNeeded { .. } => "reenrolment_needed",
            Self::Locked => "wallet_locked",
            Self::NoMatchingCredential => "no_matching_credential",
            Self::Protocol { code, .. }
            | Self::Untrusted { code, .. }
            | Self::Network { code, .. }
            | Self::Storage { code, .. }
            | Self::InvalidInput { code, .. }
            | Self::Internal { code, .. } => code,
        }
    }

    /// Whose fault it is, or whose turn.
    pub fn party(&self) -> Party {
        match self {
            Self::UserCancelled | Self::Locked | Self::NoMatchingCredential | Self::InvalidInput { .. } => {
                Party::Person
            }
            Self::BiometryLockout
            | Self::BiometryNotEnrolled
            | Self::ReenrolmentNeeded { .. }
            | Self::Storage { .. } => Party::Device,
            Self::Protocol { party, .. } | Self::Untrusted { party, .. } => *party,
            Self::Network { .. } => Party::Network,
            Self::Internal { .. } => Party::App,
        }
    }

    /// What the person can do.
    pub fn advice(&self) -> Advice {
        match self {
            Self::UserCancelled => Advice::TryAgain,
            Self::BiometryLockout => Advice::UnlockDevice,
            Self::BiometryNotEnrolled => Advice::EnrolBiometry,
            Self::ReenrolmentNeeded { .. } => Advice::Reenrol,
            Self::Locked => Advice::Unlock,
            Self::NoMatchingCredential => Advice::AskIssuer,
            Self::InvalidInput { code: "vault_entries_too_few" | "vault_last_entries", .. } => {
                Advice::AddUnlockEntry
            }
            Self::InvalidInput { code: "vault_entry_lost" | "vault_entry_removed", .. } => {
                Advice::UseOtherEntry
            }
            Self::Protocol { code: "issuance_invalid_grant", .. } | Self::InvalidInput { .. } => {
                Advice::EnterAgain
            }
            Self::Protocol { party: Party::Verifier, .. }
            | Self::Untrusted { party: Party::Verifier, .. } => Advice::AskVerifier,
            Self::Protocol { .. } | Self::Untrusted { .. } => Advice::AskIssuer,
            Self::Network { .. } => Advice::CheckConnection,
            Self::Storage { .. } => Advice::CheckDevice,
            Self::Internal { .. } => Advice::UpdateApp,
        }
    }
}

impl From<PlatformError> for WalletError {
    fn from(error: PlatformError) -> Self {
        Self::of(Party::Device, error.into())
    }
}

impl From<StorageError> for WalletError {
    fn from(error: StorageError) -> Self {
        Self::of(Party::Device, error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_error_has_its_own_message() {
        for (error, expected, advice) in [
            (PlatformError::UserCancelled, WalletError::UserCancelled, Advice::TryAgain),
            (PlatformError::BiometryLockout, WalletError::BiometryLockout, Advice::UnlockDevice),
            (PlatformError::BiometryNotEnrolled, WalletError::BiometryNotEnrolled, Advice::EnrolBiometry),
        ] {
            let error = WalletError::from(error);
            assert_eq!(error, expected);
            assert_eq!(error.advice(), advice);
        }
        let gone = WalletError::from(PlatformError::KeyInvalidated);
        assert_eq!((gone.code(), gone.advice()), ("reenrolment_needed", Advice::Reenrol));
        let failed = WalletError::from(PlatformError::Unexpected { reason: "x".into() });
        assert_eq!((failed.code(), failed.party()), ("platform_unexpected", Party::App));
    }

    #[test]
    fn whose_fault_follows_the_party_and_the_kind() {
        let of = |error| WalletError::of(Party::Verifier, error);
        let malformed = of(Error::malformed("request_object", "x"));
        assert_eq!(malformed.party(), Party::Verifier);
        assert_eq!(malformed.advice(), Advice::AskVerifier);
        assert!(matches!(of(Error::untrusted("verifier_untrusted", "x")), WalletError::Untrusted { .. }));
        assert_eq!(of(Error::unavailable("http", "x")).party(), Party::Network);
        assert_eq!(of(Error::unavailable("vault_storage", "x")).party(), Party::Device);
        assert_eq!(of(Error::refused("vault_wrong_key", "x")).advice(), Advice::EnterAgain);
        assert_eq!(of(Error::misuse("x", "x")).party(), Party::App);
    }
}
