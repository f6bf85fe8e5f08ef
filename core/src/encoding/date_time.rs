//! Points in time as text: XML Schema `dateTimeStamp` (W3C XSD 1.1 part 2, section 3.4.28), which RFC 3339 shares.

use crate::clock::UnixTime;
use crate::error::{Error, Result};

/// `YYYY-MM-DDThh:mm:ss`, a fraction (dropped) and `Z` or an offset, as the second it falls into.
///
/// [`Error::Malformed`] `date_time` for anything else: no offset, a day that the calendar does not have, lower-case
/// letters, leap seconds, years beyond four digits.
pub fn parse(text: &str) -> Result<UnixTime> {
    read(text).ok_or_else(|| Error::malformed("date_time", "not a dateTimeStamp with a time zone"))
}

fn read(text: &str) -> Option<UnixTime> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let bytes = text.as_bytes();
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if fixed.iter().any(|(at, expected)| bytes.get(*at) != Some(expected)) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let mut zone = text.get(19..)?;
    if let Some(fraction) = zone.strip_prefix('.') {
        zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if zone.len() == fraction.len() {
            return None;
        }
    }
    let offset = match zone.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let at = text.len() - 6;
            let (hours, minutes) = (number(at + 1..at + 3)?, number(at + 4..at + 6)?);
            if hours > 14 || minutes > 59 || hours == 14 && minutes > 0 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in(year, month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let days = days_from_civil(year, month, day);
    Some(UnixTime::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second - offset))
}

/// `time` in UTC, `2026-01-31T23:59:59Z`; times outside the years 0 to 9999 stop at their ends.
pub fn format(time: UnixTime) -> String {
    let secs = time.as_secs().clamp(-62_167_219_200, 253_402_300_799);
    let (days, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, whose year begins in March here.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (text, secs) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2023-02-24T23:36:38Z", 1_677_281_798),
            ("2000-02-29T23:59:59+14:00", 951_818_399),
            ("1969-12-31T19:00:00.123-05:00", 0),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(parse(text).unwrap().as_secs(), secs, "{text}");
        }
        for day in (-719_000..2_900_000).step_by(97) {
            let time = UnixTime::from_secs(day * 86_400 + 12_345);
            assert_eq!(parse(&format(time)).unwrap(), time);
        }
        assert_eq!(format(UnixTime::from_secs(1_677_281_798)), "2023-02-24T23:36:38Z");
    }

    #[test]
    fn refuses() {
        for bad in [
            "",
            "2023-02-24",
            "2023-02-24T23:36:38",
            "2023-02-24t23:36:38z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-01-00T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:60:00Z",
            "2023-01-01T00:00:60Z",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00:00+15:00",
            "2023-01-01T00:00:00+0100",
            "2023-01-01 00:00:00Z",
            "+023-01-01T00:00:00Z",
            "2023-01-01T00:00:00Zx",
            "02023-01-01T00:00:00Z",
            "2023-01-01T00:00:00é",
        ] {
            assert_eq!(parse(bad).unwrap_err().code(), "date_time", "{bad}");
        }
    }
}
