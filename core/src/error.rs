//! One error type, grouped by whose fault it is.
//!
//! Every error has a stable `code` (snake_case, listed in the manual) and a `detail` for people. A detail never holds a
//! secret, a claim value or any other health data: name the member, not its content.

use std::borrow::Cow;

use crate::clock::UnixTime;

/// The result of every fallible operation in this crate.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// What went wrong, grouped by whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is not what its format demands: the sender's fault.
    #[error("malformed input ({code}): {detail}")]
    Malformed {
        /// Stable code of this error.
        code: &'static str,
        /// Explanation for a person.
        detail: Cow<'static, str>,
    },
    /// The input is well formed, but a signature, binding or trust anchor does not hold.
    #[error("untrusted ({code}): {detail}")]
    Untrusted {
        /// Stable code of this error.
        code: &'static str,
        /// Explanation for a person.
        detail: Cow<'static, str>,
    },
    /// Authentic, but outside its time: expired, not yet valid, stale or issued in the future.
    #[error("not current ({code}): {detail} (now {now}, limit {limit})")]
    NotCurrent {
        /// Stable code of this error.
        code: &'static str,
        /// Explanation for a person.
        detail: Cow<'static, str>,
        /// The time of the check.
        now: UnixTime,
        /// The time that was crossed.
        limit: UnixTime,
    },
    /// Authentic and current, but the policy of this party says no (revoked, too low a level, already used).
    #[error("refused ({code}): {detail}")]
    Refused {
        /// Stable code of this error.
        code: &'static str,
        /// Explanation for a person.
        detail: Cow<'static, str>,
    },
    /// The format or algorithm exists, but this build does not carry it.
    #[error("unsupported ({code}): {detail}")]
    Unsupported {
        /// Stable code of this error.
        code: &'static str,
        /// Explanation for a person.
        detail: Cow<'static, str>,
    },
    /// Something outside did not answer or not as agreed: disk, network, another service. Trying again may help.
    #[error("unavailable ({code}): {detail}")]
    Unavailable {
        /// Stable code of this error.
        code: &'static str,
        /// Explanation for a person.
        detail: Cow<'static, str>,
    },
    /// The caller of this library made a mistake; never caused by remote input.
    #[error("misuse ({code}): {detail}")]
    Misuse {
        /// Stable code of this error.
        code: &'static str,
        /// Explanation for a person.
        detail: Cow<'static, str>,
    },
}

impl Error {
    /// [`Error::Malformed`].
    pub fn malformed(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed { code, detail: detail.into() }
    }

    /// [`Error::Untrusted`].
    pub fn untrusted(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Untrusted { code, detail: detail.into() }
    }

    /// [`Error::NotCurrent`].
    pub fn not_current(
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
        now: UnixTime,
        limit: UnixTime,
    ) -> Self {
        Self::NotCurrent { code, detail: detail.into(), now, limit }
    }

    /// [`Error::Refused`].
    pub fn refused(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused { code, detail: detail.into() }
    }

    /// [`Error::Unsupported`].
    pub fn unsupported(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Unsupported { code, detail: detail.into() }
    }

    /// [`Error::Unavailable`].
    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Unavailable { code, detail: detail.into() }
    }

    /// [`Error::Misuse`].
    pub fn misuse(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Misuse { code, detail: detail.into() }
    }

    /// The stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { code, .. }
            | Self::Untrusted { code, .. }
            | Self::NotCurrent { code, .. }
            | Self::Refused { code, .. }
            | Self::Unsupported { code, .. }
            | Self::Unavailable { code, .. }
            | Self::Misuse { code, .. } => code,
        }
    }

    /// The explanation, for people.
    pub fn detail(&self) -> &str {
        match self {
            Self::Malformed { detail, .. }
            | Self::Untrusted { detail, .. }
            | Self::NotCurrent { detail, .. }
            | Self::Refused { detail, .. }
            | Self::Unsupported { detail, .. }
            | Self::Unavailable { detail, .. }
            | Self::Misuse { detail, .. } => detail,
        }
    }
}
