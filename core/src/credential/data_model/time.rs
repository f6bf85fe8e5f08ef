//! When a credential counts: `validFrom` and `validUntil` (VCDM 2.0 section 4.9), `issuanceDate` and `expirationDate`
//! (VCDM 1.1 sections 4.6 and 4.7).

use serde_json::{Map, Value};

use super::members::{Path, object, property};
use super::{Version, read_version};
use crate::clock::UnixTime;
use crate::credential::validity::Validity;
use crate::encoding::date_time;
use crate::error::{Error, Result};

/// The period that a credential states.
///
/// [`Error::Malformed`] `vc_time` when a time is not a `dateTimeStamp`, or the end lies before the beginning; `vc_shape`,
/// `vc_context`.
pub fn validity(credential: &Value) -> Result<Validity> {
    let members = object(credential, &Path::Root)?;
    period(members, read_version(members, &Path::Root)?, &Path::Root)
}

/// Checks that the credential counts at `now`, give or take `skew` seconds.
///
/// [`Error::NotCurrent`] `credential_expired`, `credential_not_yet_valid`; errors of [`validity`].
pub fn check_time(credential: &Value, now: UnixTime, skew: i64) -> Result<()> {
    validity(credential)?.check(now, skew)
}

pub(super) fn check_order(members: &Map<String, Value>, version: Version, at: &Path<'_>) -> Result<()> {
    period(members, version, at).map(|_| ())
}

fn period(members: &Map<String, Value>, version: Version, at: &Path<'_>) -> Result<Validity> {
    let (from, until) = match version {
        Version::V2 => ("validFrom", "validUntil"),
        Version::V1 => ("issuanceDate", "expirationDate"),
    };
    if version == Version::V1 && !members.contains_key(from) {
        return Err(wrong_time(&at.member(from), "is missing"));
    }
    let not_before = time(members, version, at, from)?;
    let expires_at = time(members, version, at, until)?;
    if let (Some(from), Some(end)) = (not_before, expires_at)
        && end < from
    {
        return Err(wrong_time(&at.member(until), "must not lie before the beginning"));
    }
    Ok(Validity { issued_at: None, not_before, expires_at })
}

fn time(
    members: &Map<String, Value>,
    version: Version,
    at: &Path<'_>,
    name: &str,
) -> Result<Option<UnixTime>> {
    let Some(text) = property(members, at, name)? else { return Ok(None) };
    let read = date_time::parse(text);
    // The `dateTime` of 1.1 may leave its time zone out.
    let read = match (read, version) {
        (Err(_), Version::V1) => date_time::parse(&format!("{text}Z")),
        (read, _) => read,
    };
    read.map(Some).map_err(|_| wrong_time(&at.member(name), "must be a dateTimeStamp, with its time zone"))
}

fn wrong_time(path: &Path<'_>, demand: &str) -> Error {
    Error::malformed("vc_time", format!("{path}: {demand}"))
}
