//! FHIR R4 `date` and `dateTime`: partial dates stay partial (section 2.24.0.1).

use crate::clock::UnixTime;
use crate::error::{Error, Result};

const DAY: i64 = 86_400;

/// A FHIR `date` or `dateTime`: the span of time that the text can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FhirDate {
    first: i64,
    last: i64,
    precision: Precision,
}

/// How exact a [`FhirDate`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `YYYY`
    Year,
    /// `YYYY-MM`
    Month,
    /// `YYYY-MM-DD`
    Day,
    /// With a time and its offset.
    Instant,
}

impl FhirDate {
    /// A `dateTime`: `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a full timestamp with offset. Days without an offset are read in
    /// UTC.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_date_invalid`: another form, or a day that the calendar does not have.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| Error::malformed("fhir_date_invalid", "not a FHIR date or dateTime"))
    }

    /// How exact it is.
    pub const fn precision(self) -> Precision {
        self.precision
    }

    /// The first second that it can mean.
    pub const fn first(self) -> UnixTime {
        UnixTime::from_secs(self.first)
    }

    /// The last second that it can mean.
    pub const fn last(self) -> UnixTime {
        UnixTime::from_secs(self.last)
    }

    fn read(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut parts = date.split('-');
        let year = digits(parts.next()?, 4)?;
        let month = parts.next().map(|part| digits(part, 2)).map_or(Some(None), |month| month.map(Some))?;
        let day = parts.next().map(|part| digits(part, 2)).map_or(Some(None), |day| day.map(Some))?;
        if parts.next().is_some() || year == 0 {
            return None;
        }
        if month.is_some_and(|month| !(1..=12).contains(&month)) {
            return None;
        }
        let span =
            |first: i64, end: i64, precision| Self { first: first * DAY, last: end * DAY - 1, precision };
        match (month, day, time) {
            (None, None, None) => {
                Some(span(days_from_civil(year, 1, 1), days_from_civil(year + 1, 1, 1), Precision::Year))
            }
            (Some(month), None, None) => {
                let first = days_from_civil(year, month, 1);
                Some(span(first, first + days_in_month(year, month), Precision::Month))
            }
            (Some(month), Some(day), time) => {
                if !(1..=days_in_month(year, month)).contains(&day) {
                    return None;
                }
                let first = days_from_civil(year, month, day);
                match time {
                    None => Some(span(first, first + 1, Precision::Day)),
                    Some(time) => {
                        let at = first * DAY + second_of_day(time)?;
                        Some(Self { first: at, last: at, precision: Precision::Instant })
                    }
                }
            }
            _ => None,
        }
    }
}

/// `hh:mm:ss[.fff](Z|±hh:mm)` as seconds after midnight UTC; `60` is taken as a leap second.
fn second_of_day(time: &str) -> Option<i64> {
    let (clock, offset) = match time.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let (clock, offset) = time.split_at_checked(at)?;
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            if hours > 14 || minutes > 59 {
                return None;
            }
            (clock, sign * (hours * 3600 + minutes * 60))
        }
    };
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (clock, None),
    };
    if fraction.is_some_and(|f| f.is_empty() || f.len() > 9 || !f.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let mut parts = clock.split(':');
    let (hour, minute, second) =
        (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(hour * 3600 + minute * 60 + second - offset)
}

fn digits(text: &str, length: usize) -> Option<i64> {
    if text.len() != length || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to that day of the proleptic Gregorian calendar.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, first, last, precision) in [
            ("1970", 0, 365 * DAY - 1, Precision::Year),
            ("1970-02", 31 * DAY, 59 * DAY - 1, Precision::Month),
            ("2000-02-29", 951_782_400, 951_782_400 + DAY - 1, Precision::Day),
            ("2020-05-17T14:00:00Z", 1_589_724_000, 1_589_724_000, Precision::Instant),
            ("2020-05-17T14:00:00.125+02:00", 1_589_716_800, 1_589_716_800, Precision::Instant),
            ("2016-12-31T23:59:60Z", 1_483_228_800, 1_483_228_800, Precision::Instant),
            ("1969-12-31", -DAY, -1, Precision::Day),
        ] {
            let date = FhirDate::parse(text).unwrap();
            let found = (date.first().as_secs(), date.last().as_secs(), date.precision());
            assert_eq!(found, (first, last, precision), "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "70",
            "0000",
            "19700",
            "1970-",
            "1970-1",
            "1970-13",
            "1970-00",
            "1970-02-30",
            "1900-02-29",
            "2001-02-29",
            "1970-01-01-01",
            "1970-01-01T",
            "1970-01-01T10:00Z",
            "1970-01-01T10:00:00",
            "1970-01-01T24:00:00Z",
            "1970-01-01T10:60:00Z",
            "1970-01-01T10:00:61Z",
            "1970-01-01T10:00:00.Z",
            "1970-01-01T10:00:00+15:00",
            "1970T10:00:00Z",
            "1970-01T10:00:00Z",
            " 1970",
            "1970-01-01 ",
            "+970",
            "１９７０",
            "1970-01-01T10:00:00+ä0:00",
        ] {
            assert_eq!(FhirDate::parse(text).unwrap_err().code(), "fhir_date_invalid", "{text}");
        }
    }
}
