//! `KeyDescription`: what an Android phone's key store wrote into the certificate of a key
//! (<https://source.android.com/docs/security/features/keystore/attestation#schema>).

use crate::encoding::der::{Class, Reader};
use crate::error::{Error, Result};

/// Object identifier of the extension.
pub const EXTENSION: &str = "1.3.6.1.4.1.11129.2.1.17";

/// Elements that one list or set may have; phones write about thirty.
const MAX_ELEMENTS: usize = 64;

/// Where a statement was made or a key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityLevel {
    /// The operating system.
    Software,
    /// A trusted execution environment.
    TrustedEnvironment,
    /// A chip of its own.
    StrongBox,
}

/// `VerifiedBootState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootState {
    /// The maker's system.
    Verified,
    /// A system signed by the owner's key.
    SelfSigned,
    /// Not verified.
    Unverified,
    /// Verification failed.
    Failed,
}

/// `RootOfTrust` (tag 704), as far as it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootOfTrust {
    /// Whether the boot loader is locked.
    pub device_locked: bool,
    /// What was booted.
    pub boot_state: BootState,
}

/// `AttestationApplicationId` (tag 709): who made the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplicationId {
    /// Names of the packages that share the user id.
    pub packages: Vec<String>,
    /// SHA-256 of the certificates that signed them.
    pub signing_digests: Vec<Vec<u8>>,
}

/// An `AuthorizationList`, as far as it is judged. Other tags are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthorizationList {
    /// 1: what the key may do; 2 is signing.
    pub purposes: Vec<u64>,
    /// 503: no authentication of the user is needed.
    pub no_auth_required: bool,
    /// 504: bit 0 password or PIN, bit 1 biometric of class 3.
    pub user_auth_type: Option<u64>,
    /// 505: seconds for which one authentication opens the key; absent: every use needs one.
    pub auth_timeout: Option<u64>,
    /// 600: every app may use the key.
    pub all_applications: bool,
    /// 702: 0 is generated in the key store.
    pub origin: Option<u64>,
    /// 704.
    pub root_of_trust: Option<RootOfTrust>,
    /// 706: month of the system's security patches, `YYYYMM`.
    pub os_patch_level: Option<u64>,
    /// 709.
    pub application_id: Option<ApplicationId>,
    /// 718: day of the vendor's patches, `YYYYMMDD`.
    pub vendor_patch_level: Option<u64>,
    /// 719: day of the boot image's patches, `YYYYMMDD`.
    pub boot_patch_level: Option<u64>,
}

/// The content of the extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDescription {
    /// Where the attestation was made.
    pub attestation_level: SecurityLevel,
    /// Where the key lives.
    pub key_level: SecurityLevel,
    /// What the app asked to be attested.
    pub challenge: Vec<u8>,
    /// What the operating system stands for.
    pub software_enforced: AuthorizationList,
    /// What the secure hardware stands for.
    pub hardware_enforced: AuthorizationList,
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("android_key_description", detail)
}

impl KeyDescription {
    /// Reads the value of the extension.
    ///
    /// # Errors
    /// `android_key_description` for anything but strict DER of the schema, with tags in ascending order and once each.
    pub fn parse(der: &[u8]) -> Result<Self> {
        Self::read(der).map_err(|error| {
            Error::malformed("android_key_description", format!("the key description: {}", error.detail()))
        })
    }

    fn read(der: &[u8]) -> Result<Self> {
        let mut outer = Reader::new(der);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        fields.unsigned()?; // attestationVersion: the fields that are judged are the same in all
        let attestation_level = security_level(&mut fields)?;
        fields.unsigned()?; // keyMintVersion
        let key_level = security_level(&mut fields)?;
        let challenge = fields.octets()?.to_vec();
        fields.octets()?; // uniqueId
        let software_enforced = AuthorizationList::read(fields.sequence()?)?;
        let hardware_enforced = AuthorizationList::read(fields.sequence()?)?;
        fields.finish()?;
        Ok(Self { attestation_level, key_level, challenge, software_enforced, hardware_enforced })
    }
}

fn security_level(fields: &mut Reader<'_>) -> Result<SecurityLevel> {
    match fields.enumerated()? {
        0 => Ok(SecurityLevel::Software),
        1 => Ok(SecurityLevel::TrustedEnvironment),
        2 => Ok(SecurityLevel::StrongBox),
        _ => Err(malformed("an unknown security level")),
    }
}

impl AuthorizationList {
    fn read(mut fields: Reader<'_>) -> Result<Self> {
        let mut list = Self::default();
        let mut last = 0;
        for _ in 0..MAX_ELEMENTS {
            if fields.is_empty() {
                return Ok(list);
            }
            let (tag, mut value) = fields.tagged()?;
            // DER: ascending order, and so every tag at most once.
            if tag <= last {
                return Err(malformed("tags that are repeated or out of order"));
            }
            last = tag;
            match tag {
                1 => list.purposes = numbers(value.set()?)?,
                503 => list.no_auth_required = null(&mut value)?,
                504 => list.user_auth_type = Some(value.unsigned()?),
                505 => list.auth_timeout = Some(value.unsigned()?),
                600 => list.all_applications = null(&mut value)?,
                702 => list.origin = Some(value.unsigned()?),
                704 => list.root_of_trust = Some(root_of_trust(value.sequence()?)?),
                706 => list.os_patch_level = Some(value.unsigned()?),
                709 => list.application_id = Some(ApplicationId::read(value.octets()?)?),
                718 => list.vendor_patch_level = Some(value.unsigned()?),
                719 => list.boot_patch_level = Some(value.unsigned()?),
                _ => drop(value.element()?),
            }
            value.finish()?;
        }
        Err(malformed("an authorization list that is too long"))
    }
}

fn numbers(mut set: Reader<'_>) -> Result<Vec<u64>> {
    let mut all = Vec::new();
    while !set.is_empty() && all.len() < MAX_ELEMENTS {
        all.push(set.unsigned()?);
    }
    set.finish()?;
    Ok(all)
}

/// A flag: present as `NULL`.
fn null(value: &mut Reader<'_>) -> Result<bool> {
    let element = value.element()?;
    if element.class == Class::Universal && element.number == 5 && element.content.is_empty() {
        Ok(true)
    } else {
        Err(malformed("a flag that is not NULL"))
    }
}

fn root_of_trust(mut fields: Reader<'_>) -> Result<RootOfTrust> {
    fields.octets()?; // verifiedBootKey
    let device_locked = fields.boolean()?;
    let boot_state = match fields.enumerated()? {
        0 => BootState::Verified,
        1 => BootState::SelfSigned,
        2 => BootState::Unverified,
        3 => BootState::Failed,
        _ => return Err(malformed("an unknown boot state")),
    };
    if !fields.is_empty() {
        fields.octets()?; // verifiedBootHash, since version 3
    }
    fields.finish()?;
    Ok(RootOfTrust { device_locked, boot_state })
}

impl ApplicationId {
    /// The schema is wrapped into an octet string.
    fn read(der: &[u8]) -> Result<Self> {
        let mut outer = Reader::new(der);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let (mut packages, mut digests) = (fields.set()?, fields.set()?);
        fields.finish()?;
        let mut id = Self::default();
        while !packages.is_empty() && id.packages.len() < MAX_ELEMENTS {
            let mut package = packages.sequence()?;
            let name = core::str::from_utf8(package.octets()?);
            id.packages.push(name.map_err(|_| malformed("a package name that is not UTF-8"))?.to_owned());
            package.element()?; // version: a negative one may occur
            package.finish()?;
        }
        while !digests.is_empty() && id.signing_digests.len() < MAX_ELEMENTS {
            id.signing_digests.push(digests.octets()?.to_vec());
        }
        packages.finish()?;
        digests.finish()?;
        Ok(id)
    }
}
