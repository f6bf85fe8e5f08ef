//! The assurance ladder: what an issuer established about the second key, and what satisfies what.

use serde::{Deserialize, Serialize};

/// How sure the issuer is that every use of the key needs its user. Deliberately without an order of its own:
/// compare only with [`AssuranceLevel::satisfies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssuranceLevel {
    /// No second key.
    #[default]
    None,
    /// Some user verification at each use: may be a PIN, the key may be synced.
    Uv,
    /// The authenticator has a biometric alternative; a PIN stays possible.
    BiometricCapable,
    /// A genuine app on a genuine device says that it made a biometric-only key; the rule itself is not attested.
    BiometricAppAsserted,
    /// The hardware says that every use needs a biometric.
    BiometricAttested,
}

impl AssuranceLevel {
    /// Every level, lowest first.
    pub const ALL: [Self; 5] =
        [Self::None, Self::Uv, Self::BiometricCapable, Self::BiometricAppAsserted, Self::BiometricAttested];

    /// The name in credentials and requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Uv => "uv",
            Self::BiometricCapable => "biometric_capable",
            Self::BiometricAppAsserted => "biometric_app_asserted",
            Self::BiometricAttested => "biometric_attested",
        }
    }

    /// Whether a key of this level is good enough where `required` is asked for: an explicit table.
    pub const fn satisfies(self, required: Self) -> bool {
        use AssuranceLevel as L;
        match (self, required) {
            (_, L::None) => true,
            (L::Uv | L::BiometricCapable | L::BiometricAppAsserted | L::BiometricAttested, L::Uv) => true,
            (L::BiometricCapable | L::BiometricAppAsserted | L::BiometricAttested, L::BiometricCapable) => {
                true
            }
            (L::BiometricAppAsserted | L::BiometricAttested, L::BiometricAppAsserted) => true,
            (L::BiometricAttested, L::BiometricAttested) => true,
            (L::None, L::Uv | L::BiometricCapable | L::BiometricAppAsserted | L::BiometricAttested)
            | (L::Uv, L::BiometricCapable | L::BiometricAppAsserted | L::BiometricAttested)
            | (L::BiometricCapable, L::BiometricAppAsserted | L::BiometricAttested)
            | (L::BiometricAppAsserted, L::BiometricAttested) => false,
        }
    }

    /// Whether the level says more than "some user verification": such keys must not be backup eligible.
    pub const fn above_uv(self) -> bool {
        self.satisfies(Self::BiometricCapable)
    }
}

/// Where the key lives, as far as evidence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyProtection {
    /// Android StrongBox.
    Strongbox,
    /// A trusted execution environment.
    Tee,
    /// Apple's Secure Enclave.
    SecureEnclave,
    /// The hardware of a FIDO authenticator.
    FidoHardware,
    /// Software.
    Software,
    /// No evidence.
    #[default]
    Unknown,
}

impl KeyProtection {
    /// Whether this protection is good enough where `required` is asked for: a partial order as an explicit table.
    /// The named hardware kinds (StrongBox, Secure Enclave, FIDO hardware) do not stand in for each other; each of them
    /// stands in for a TEE, and all of these for software. `Unknown` as a requirement asks for nothing.
    pub const fn satisfies(self, required: Self) -> bool {
        use KeyProtection as P;
        match required {
            P::Unknown => true,
            P::Software => !matches!(self, P::Unknown),
            P::Tee => matches!(self, P::Tee | P::Strongbox | P::SecureEnclave | P::FidoHardware),
            P::Strongbox => matches!(self, P::Strongbox),
            P::SecureEnclave => matches!(self, P::SecureEnclave),
            P::FidoHardware => matches!(self, P::FidoHardware),
        }
    }
}

/// Which trait the authenticator reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// A finger.
    Fingerprint,
    /// A face.
    Face,
    /// An eye.
    Eye,
    /// A hand.
    Hand,
    /// A voice.
    Voice,
}

impl Modality {
    /// The modality of a FIDO user verification method (FIDO Registry of Predefined Values §3.1), if it is a biometric.
    pub fn from_fido_method(method: &str) -> Option<Self> {
        match method {
            "fingerprint_internal" => Some(Self::Fingerprint),
            "faceprint_internal" => Some(Self::Face),
            "eyeprint_internal" => Some(Self::Eye),
            "handprint_internal" => Some(Self::Hand),
            "voiceprint_internal" => Some(Self::Voice),
            _ => None,
        }
    }

    /// The authentication method reference (RFC 8176), where there is one.
    pub const fn amr(self) -> Option<&'static str> {
        match self {
            Self::Fingerprint => Some("fpt"),
            Self::Face => Some("face"),
            Self::Voice => Some("vbm"),
            Self::Eye | Self::Hand => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladder_table() {
        for (i, offered) in AssuranceLevel::ALL.into_iter().enumerate() {
            for (j, required) in AssuranceLevel::ALL.into_iter().enumerate() {
                assert_eq!(offered.satisfies(required), i >= j, "{offered:?} for {required:?}");
            }
            assert_eq!(serde_json::to_value(offered).unwrap(), offered.as_str());
        }
        assert!(!AssuranceLevel::Uv.above_uv() && AssuranceLevel::BiometricCapable.above_uv());
    }

    #[test]
    fn key_protection_is_partial() {
        use KeyProtection::*;
        assert!(Strongbox.satisfies(Tee) && FidoHardware.satisfies(Software) && Unknown.satisfies(Unknown));
        assert!(
            !Strongbox.satisfies(SecureEnclave) && !Tee.satisfies(Strongbox) && !Unknown.satisfies(Software)
        );
        assert!(!Software.satisfies(Tee) && !SecureEnclave.satisfies(FidoHardware));
    }
}
