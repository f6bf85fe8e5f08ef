//! Token Status List (draft-ietf-oauth-status-list): the packed list, and the signed token that carries it, in its JWT
//! form.
//!
//! Not here: the CWT form, fetching, and which key may sign for which credential's issuer (the caller resolves it).

use serde_json::{Map, Value, json};

use crate::clock::UnixTime;
use crate::encoding::{base64url, deflate};
use crate::error::{Error, Result};
use crate::jose::{jws, jwt};
use crate::key::{PublicKey, Signer};
use crate::limits::Limits;

/// `typ` of a Status List Token.
pub const TYP: &str = "statuslist+jwt";
/// Media type of a published Status List Token.
pub const MEDIA_TYPE: &str = "application/statuslist+jwt";

/// What a list says about one credential ("Status Types Values").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 0x00 `VALID`.
    Valid,
    /// 0x01 `INVALID`: taken back for good.
    Revoked,
    /// 0x02 `SUSPENDED`: may become valid again.
    Suspended,
    /// Any other value: application specific or reserved. Never to be taken for valid.
    Other(u8),
}

impl Status {
    /// The number in the list.
    pub const fn value(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Revoked => 1,
            Self::Suspended => 2,
            Self::Other(value) => value,
        }
    }
}

impl From<u8> for Status {
    fn from(value: u8) -> Self {
        match value {
            0 => Self::Valid,
            1 => Self::Revoked,
            2 => Self::Suspended,
            other => Self::Other(other),
        }
    }
}

/// Bits of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryBits {
    /// Two values: valid, revoked.
    One,
    /// Four values; the smallest that can suspend.
    Two,
    /// 16 values.
    Four,
    /// 256 values.
    Eight,
}

impl EntryBits {
    /// 1, 2, 4 or 8.
    pub const fn get(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// [`Error::Malformed`] `status_list_bits` for any other number.
    pub fn new(bits: u64) -> Result<Self> {
        match bits {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            4 => Ok(Self::Four),
            8 => Ok(Self::Eight),
            _ => Err(Error::malformed("status_list_bits", "bits of a status list must be 1, 2, 4 or 8")),
        }
    }

    const fn mask(self) -> u8 {
        match self {
            Self::One => 0b1,
            Self::Two => 0b11,
            Self::Four => 0b1111,
            Self::Eight => 0xff,
        }
    }
}

/// The statuses of many credentials, packed from the least significant bit ("Compressed Byte Array").
#[derive(Clone, PartialEq, Eq)]
pub struct StatusList {
    bits: EntryBits,
    bytes: Vec<u8>,
}

impl StatusList {
    /// A list of at least `entries` entries (rounded up to whole bytes), all valid.
    pub fn new(bits: EntryBits, entries: usize) -> Self {
        let per_byte = usize::from(8 / bits.get());
        Self { bits, bytes: vec![0; entries.div_ceil(per_byte)] }
    }

    /// The list whose packed bytes these are.
    pub const fn from_bytes(bits: EntryBits, bytes: Vec<u8>) -> Self {
        Self { bits, bytes }
    }

    /// The list in a `lst` member; errors of [`base64url::decode`] and [`deflate::zlib_inflate`].
    pub fn from_lst(bits: EntryBits, lst: &str, limits: &Limits) -> Result<Self> {
        let packed = base64url::decode(lst)?;
        Ok(Self { bits, bytes: deflate::zlib_inflate(&packed, limits.inflated_bytes)? })
    }

    /// The `lst` member: zlib, then base64url.
    pub fn to_lst(&self) -> String {
        base64url::encode(&deflate::zlib_compress(&self.bytes))
    }

    /// Bits of one entry.
    pub const fn bits(&self) -> EntryBits {
        self.bits
    }

    /// The packed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.bytes.len().saturating_mul(usize::from(8 / self.bits.get()))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The status at `idx`; [`Error::Untrusted`] `status_index_out_of_range` when the list has no such entry: then no
    /// statement is possible and the credential must be refused ("Validation Rules" step 6).
    pub fn get(&self, idx: u64) -> Result<Status> {
        let (position, shift) = self.place(idx).ok_or_else(out_of_range)?;
        let byte = self.bytes.get(position).ok_or_else(out_of_range)?;
        Ok(Status::from((byte >> shift) & self.bits.mask()))
    }

    /// Sets the status at `idx`.
    ///
    /// Errors: `status_index_out_of_range`, and [`Error::Misuse`] `status_too_large` when the value needs more bits.
    pub fn set(&mut self, idx: u64, status: Status) -> Result<()> {
        let mask = self.bits.mask();
        if status.value() & !mask != 0 {
            return Err(Error::misuse("status_too_large", "the list has too few bits for this status"));
        }
        let (position, shift) = self.place(idx).ok_or_else(out_of_range)?;
        let byte = self.bytes.get_mut(position).ok_or_else(out_of_range)?;
        *byte = (*byte & !(mask << shift)) | (status.value() << shift);
        Ok(())
    }

    fn place(&self, idx: u64) -> Option<(usize, u32)> {
        let idx = usize::try_from(idx).ok()?;
        let per_byte = usize::from(8 / self.bits.get());
        let shift = u32::try_from(idx % per_byte).ok()? * u32::from(self.bits.get());
        Some((idx / per_byte, shift))
    }
}

impl std::fmt::Debug for StatusList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusList").field("bits", &self.bits.get()).field("len", &self.len()).finish()
    }
}

fn out_of_range() -> Error {
    Error::untrusted("status_index_out_of_range", "the status list has no entry of this index")
}

/// What a Status List Token says besides the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusListTokenInput<'a> {
    /// `sub`: the URI at which the token is published, equal to `uri` in the credentials.
    pub uri: &'a str,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`: when the token must no longer be used.
    pub expires_at: Option<UnixTime>,
    /// `ttl`: seconds after which a reader should fetch again.
    pub ttl: Option<u64>,
    /// `iss`, where the status issuer is to be named.
    pub issuer: Option<&'a str>,
    /// Where to find the list of all lists.
    pub aggregation_uri: Option<&'a str>,
}

/// Signs `list` as a Status List Token ("Status List Token in JWT Format"). `header` holds what readers need to find
/// the key (`kid` or `x5c`).
///
/// Errors of the signer; [`Error::Misuse`] `status_list_ttl` for a `ttl` of zero.
pub fn sign(
    list: &StatusList,
    input: &StatusListTokenInput<'_>,
    header: Map<String, Value>,
    signer: &dyn Signer,
) -> Result<String> {
    if input.ttl == Some(0) {
        return Err(Error::misuse("status_list_ttl", "ttl must be positive"));
    }
    let mut status_list = Map::new();
    status_list.insert("bits".into(), list.bits.get().into());
    status_list.insert("lst".into(), list.to_lst().into());
    let mut claims = Map::new();
    claims.insert("sub".into(), input.uri.into());
    claims.insert("iat".into(), input.issued_at.as_secs().into());
    for (name, value) in [
        ("exp", input.expires_at.map(|time| Value::from(time.as_secs()))),
        ("ttl", input.ttl.map(Value::from)),
        ("iss", input.issuer.map(Value::from)),
    ] {
        claims.extend(value.map(|value| (name.to_owned(), value)));
    }
    status_list.extend(input.aggregation_uri.map(|uri| ("aggregation_uri".to_owned(), json!(uri))));
    claims.insert("status_list".into(), status_list.into());
    jwt::sign(TYP, header, &claims, signer)
}

/// A Status List Token that was read but not verified.
#[derive(Debug, Clone)]
pub struct UnverifiedStatusListToken {
    jwt: jwt::UnverifiedJwt,
    uri: String,
    issued_at: UnixTime,
    expires_at: Option<UnixTime>,
    ttl: Option<u64>,
    bits: EntryBits,
}

impl UnverifiedStatusListToken {
    /// Reads a token; the list itself is unpacked only after its signature was verified.
    ///
    /// [`Error::Malformed`] `status_list_typ`, `status_list_claims`, `status_list_bits`, `jwt_claim`, or the errors
    /// of [`jwt::UnverifiedJwt::parse`].
    pub fn parse(token: &str, limits: &Limits) -> Result<Self> {
        let jwt = jwt::UnverifiedJwt::parse(token.trim_ascii_end(), limits)?;
        if !jwt.header().has_typ(TYP) {
            return Err(Error::malformed("status_list_typ", "typ is not statuslist+jwt"));
        }
        let claims = jwt.claims();
        let uri =
            claims.get("sub").and_then(Value::as_str).ok_or_else(|| bad_claims("sub is missing"))?.to_owned();
        let issued_at = jwt::time(claims, "iat")?.ok_or_else(|| bad_claims("iat is missing"))?;
        let expires_at = jwt::time(claims, "exp")?;
        let ttl = match jwt::time(claims, "ttl")?.map(|ttl| u64::try_from(ttl.as_secs())) {
            None => None,
            Some(Ok(ttl)) if ttl > 0 => Some(ttl),
            _ => return Err(bad_claims("ttl is not a positive number")),
        };
        let list = claims.get("status_list").and_then(Value::as_object);
        let list = list.ok_or_else(|| bad_claims("status_list is missing"))?;
        let bits = list.get("bits").and_then(Value::as_u64).ok_or_else(|| bad_claims("bits is missing"))?;
        if !list.get("lst").is_some_and(Value::is_string) {
            return Err(bad_claims("lst is missing"));
        }
        Ok(Self { bits: EntryBits::new(bits)?, uri, issued_at, expires_at, ttl, jwt })
    }

    /// The protected header, in which `kid` or `x5c` tell whose key signed.
    pub fn header(&self) -> &jws::Header {
        self.jwt.header()
    }

    /// `iss`, when the token names its issuer.
    pub fn issuer(&self) -> Option<&str> {
        self.jwt.claims().get("iss").and_then(Value::as_str)
    }

    /// `sub`: where the token says that it is published.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Verifies the token for the credential whose status reference names `expected_uri` ("Validation Rules" steps 3
    /// to 5), at the time `now` with `skew` seconds of clock difference, and unpacks the list.
    ///
    /// [`Error::Untrusted`] `status_list_signature_invalid`, `alg_mismatch`, `status_list_subject`; [`Error::NotCurrent`]
    /// `status_list_expired`, `status_list_issued_in_future`; of [`StatusList::from_lst`].
    pub fn verify(
        &self,
        key: &PublicKey,
        expected_uri: &str,
        now: UnixTime,
        skew: i64,
        limits: &Limits,
    ) -> Result<VerifiedStatusList> {
        self.jwt.check(key).map_err(|error| match error {
            Error::Untrusted { code: "signature_invalid", detail } => {
                Error::Untrusted { code: "status_list_signature_invalid", detail }
            }
            other => other,
        })?;
        if self.uri != expected_uri {
            return Err(Error::untrusted(
                "status_list_subject",
                "the status list was made for another address",
            ));
        }
        check_current(self.issued_at, self.expires_at, now, skew)?;
        let lst =
            self.jwt.claims().get("status_list").and_then(|list| list.get("lst")).and_then(Value::as_str);
        let list = StatusList::from_lst(self.bits, lst.unwrap_or_default(), limits)?;
        Ok(VerifiedStatusList {
            list,
            uri: self.uri.clone(),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            ttl: self.ttl,
        })
    }
}

fn bad_claims(detail: &'static str) -> Error {
    Error::malformed("status_list_claims", detail)
}

fn check_current(issued_at: UnixTime, expires_at: Option<UnixTime>, now: UnixTime, skew: i64) -> Result<()> {
    if let Some(limit) = expires_at.filter(|limit| now >= *limit) {
        return Err(Error::not_current("status_list_expired", "the status list has expired", now, limit));
    }
    match now < issued_at.plus(-skew) {
        true => Err(Error::not_current(
            "status_list_issued_in_future",
            "the status list claims to be issued in the future",
            now,
            issued_at,
        )),
        false => Ok(()),
    }
}

/// An authentic Status List Token.
#[derive(Debug, Clone)]
pub struct VerifiedStatusList {
    list: StatusList,
    uri: String,
    issued_at: UnixTime,
    expires_at: Option<UnixTime>,
    ttl: Option<u64>,
}

impl VerifiedStatusList {
    /// The status of the credential whose reference is `idx`; errors as [`StatusList::get`].
    pub fn status_at(&self, idx: u64) -> Result<Status> {
        self.list.get(idx)
    }

    /// The list.
    pub const fn list(&self) -> &StatusList {
        &self.list
    }

    /// Where it is published.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// When it was issued.
    pub const fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// When it must no longer be used.
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// Until when (exclusively) a copy that was fetched at `fetched_at` may be used: never beyond `exp`, never longer
    /// than `ttl`, never longer than `max_age` seconds, the reader's own bound.
    pub fn cache_until(&self, fetched_at: UnixTime, max_age: u64) -> UnixTime {
        let lifetime = self.ttl.map_or(max_age, |ttl| ttl.min(max_age));
        let until = fetched_at.plus(i64::try_from(lifetime).unwrap_or(i64::MAX));
        self.expires_at.map_or(until, |exp| exp.min(until))
    }

    /// Refuses a copy that was fetched at `fetched_at` when it may no longer be used at `now`: [`Error::NotCurrent`]
    /// `status_list_stale`.
    pub fn check_fresh(&self, fetched_at: UnixTime, max_age: u64, now: UnixTime) -> Result<()> {
        let limit = self.cache_until(fetched_at, max_age);
        match now < limit {
            true => Ok(()),
            false => Err(Error::not_current(
                "status_list_stale",
                "the copy of the status list is too old",
                now,
                limit,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(bits: EntryBits, values: &[(u64, u8)], entries: usize) -> StatusList {
        let mut list = StatusList::new(bits, entries);
        for (idx, value) in values {
            list.set(*idx, Status::from(*value)).unwrap();
        }
        list
    }

    /// draft-ietf-oauth-status-list, "Compressed Byte Array": 16 entries of one bit.
    #[test]
    fn example_one_bit() {
        let values = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
        let values: Vec<_> = (0..).zip(values).collect();
        let made = list(EntryBits::One, &values, 16);
        assert_eq!(made.as_bytes(), [0xb9, 0xa3]);
        let read = StatusList::from_lst(EntryBits::One, "eNrbuRgAAhcBXQ", &Limits::DEFAULT).unwrap();
        assert_eq!(read, made);
        assert_eq!(read.len(), 16);
        for (idx, value) in values {
            assert_eq!(read.get(idx).unwrap().value(), value);
        }
    }

    /// The same section: 12 entries of two bits.
    #[test]
    fn example_two_bits() {
        let values = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3];
        let values: Vec<_> = (0..).zip(values).collect();
        let made = list(EntryBits::Two, &values, 12);
        assert_eq!(made.as_bytes(), [0xc9, 0x44, 0xf9]);
        assert_eq!(StatusList::from_lst(EntryBits::Two, "eNo76fITAAPfAgc", &Limits::DEFAULT).unwrap(), made);
        assert_eq!(made.get(1).unwrap(), Status::Suspended);
        assert_eq!(made.get(3).unwrap(), Status::Other(3));
    }

    #[test]
    fn set_touches_one_entry() {
        for bits in [EntryBits::One, EntryBits::Two, EntryBits::Four, EntryBits::Eight] {
            let mut list = StatusList::new(bits, 19);
            let high = Status::from(bits.mask());
            for idx in 0..19 {
                list.set(idx, high).unwrap();
            }
            list.set(7, Status::Valid).unwrap();
            for idx in 0..19 {
                assert_eq!(list.get(idx).unwrap(), if idx == 7 { Status::Valid } else { high });
            }
            let beyond = u64::try_from(list.len()).unwrap();
            for idx in [beyond, beyond + 1, u64::MAX] {
                assert_eq!(list.get(idx).unwrap_err().code(), "status_index_out_of_range");
                assert_eq!(list.set(idx, Status::Valid).unwrap_err().code(), "status_index_out_of_range");
            }
            assert_eq!(StatusList::from_lst(bits, &list.to_lst(), &Limits::DEFAULT).unwrap(), list);
        }
        let mut narrow = StatusList::new(EntryBits::One, 8);
        assert_eq!(narrow.set(0, Status::Suspended).unwrap_err().code(), "status_too_large");
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let limits = Limits { inflated_bytes: 1000, ..Limits::DEFAULT };
        let bomb = StatusList::new(EntryBits::Eight, 1001).to_lst();
        assert_eq!(
            StatusList::from_lst(EntryBits::Eight, &bomb, &limits).unwrap_err().code(),
            "deflate_too_large"
        );
        for bits in [0, 3, 5, 16, u64::MAX] {
            assert_eq!(EntryBits::new(bits).unwrap_err().code(), "status_list_bits");
        }
    }
}
