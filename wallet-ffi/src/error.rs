//! Errors that an app can show: what kind, whose fault, what the person can do.

use carekey_core::holder::wallet::WalletError as CoreError;
use carekey_core::holder::wallet::{Advice, Party};

/// Whose fault it is, or whose turn.
#[uniffi::remote(Enum)]
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
#[uniffi::remote(Enum)]
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
    /// Unlock in another way: this one is gone.
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

/// The facts of an error.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ErrorFacts {
    /// Stable, snake_case; programs may compare it.
    pub code: String,
    /// Whose fault it is, or whose turn.
    pub party: Party,
    /// What the person can do.
    pub advice: Advice,
    /// For developers, in English; no secret, no claim.
    pub detail: String,
}

/// Why the wallet did not do it. The variant is for the program's course, the facts are for the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum WalletError {
    /// The person said no; nothing left the device.
    #[error("{}", facts.detail)]
    UserCancelled {
        /// The facts.
        facts: ErrorFacts,
    },
    /// The sensor is locked.
    #[error("{}", facts.detail)]
    BiometryLockout {
        /// The facts.
        facts: ErrorFacts,
    },
    /// No finger or face is enrolled.
    #[error("{}", facts.detail)]
    BiometryNotEnrolled {
        /// The facts.
        facts: ErrorFacts,
    },
    /// A key is gone for ever: collect the credentials again.
    #[error("{}", facts.detail)]
    ReenrolmentNeeded {
        /// The facts.
        facts: ErrorFacts,
    },
    /// The wallet is locked.
    #[error("{}", facts.detail)]
    Locked {
        /// The facts.
        facts: ErrorFacts,
    },
    /// Nothing in the wallet answers the request.
    #[error("{}", facts.detail)]
    NoMatchingCredential {
        /// The facts.
        facts: ErrorFacts,
    },
    /// The other party broke the protocol or refused.
    #[error("{}", facts.detail)]
    Protocol {
        /// The facts.
        facts: ErrorFacts,
    },
    /// The other party is not who it says, or is not trusted.
    #[error("{}", facts.detail)]
    Untrusted {
        /// The facts.
        facts: ErrorFacts,
    },
    /// No answer came.
    #[error("{}", facts.detail)]
    Network {
        /// The facts.
        facts: ErrorFacts,
    },
    /// The device's storage failed, or what is in it does not hold.
    #[error("{}", facts.detail)]
    Storage {
        /// The facts.
        facts: ErrorFacts,
    },
    /// What was entered or chosen does not fit.
    #[error("{}", facts.detail)]
    InvalidInput {
        /// The facts.
        facts: ErrorFacts,
    },
    /// A mistake in the app or in this library.
    #[error("{}", facts.detail)]
    Internal {
        /// The facts.
        facts: ErrorFacts,
    },
}

#[uniffi::export]
impl WalletError {
    /// The facts, whatever the kind.
    pub fn explain(&self) -> ErrorFacts {
        match self {
            Self::UserCancelled { facts }
            | Self::BiometryLockout { facts }
            | Self::BiometryNotEnrolled { facts }
            | Self::ReenrolmentNeeded { facts }
            | Self::Locked { facts }
            | Self::NoMatchingCredential { facts }
            | Self::Protocol { facts }
            | Self::Untrusted { facts }
            | Self::Network { facts }
            | Self::Storage { facts }
            | Self::InvalidInput { facts }
            | Self::Internal { facts } => facts.clone(),
        }
    }
}

impl From<CoreError> for WalletError {
    fn from(error: CoreError) -> Self {
        let facts = ErrorFacts {
            code: error.code().to_owned(),
            party: error.party(),
            advice: error.advice(),
            detail: error.to_string(),
        };
        match error {
            CoreError::UserCancelled => Self::UserCancelled { facts },
            CoreError::BiometryLockout => Self::BiometryLockout { facts },
            CoreError::BiometryNotEnrolled => Self::BiometryNotEnrolled { facts },
            CoreError::ReenrolmentNeeded { .. } => Self::ReenrolmentNeeded { facts },
            CoreError::Locked => Self::Locked { facts },
            CoreError::NoMatchingCredential => Self::NoMatchingCredential { facts },
            CoreError::Protocol { .. } => Self::Protocol { facts },
            CoreError::Untrusted { .. } => Self::Untrusted { facts },
            CoreError::Network { .. } => Self::Network { facts },
            CoreError::Storage { .. } => Self::Storage { facts },
            CoreError::InvalidInput { .. } => Self::InvalidInput { facts },
            CoreError::Internal { .. } => Self::Internal { facts },
        }
    }
}
