//! Points in time: from RFC 3339 or `SOURCE_DATE_EPOCH`, to RFC 3339. The clock is never read.

use std::fmt;
use std::str::FromStr;

/// The last second of the year 9999, beyond which RFC 3339 has no notation.
const MAX_SECONDS: u64 = 253_402_300_799;
const DAY: u64 = 86_400;

/// Whole seconds since 1970 in UTC, up to the year 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

/// Why a string is no point in time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("time {0:?} is invalid: expected RFC 3339 such as 2026-11-21T02:00:00Z, or seconds since 1970")]
pub struct TimestampError(String);

impl Timestamp {
    /// Seconds since 1970, as tar headers have them.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let seconds = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().ok()
        } else {
            rfc3339(text.as_bytes())
        };
        seconds
            .filter(|seconds| *seconds <= MAX_SECONDS)
            .map(Self)
            .ok_or_else(|| TimestampError(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0 / DAY);
        let second = self.0 % DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// `YYYY-MM-DDThh:mm:ss[.fff](Z|±hh:mm)`; fractions are cut off.
fn rfc3339(text: &[u8]) -> Option<u64> {
    let (fixed, zone) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, separator)| fixed[*at] != *separator) {
        return None;
    }
    let year = number(&fixed[..4]).filter(|year| *year >= 1970)?;
    let month = number(&fixed[5..7]).filter(|month| (1..=12).contains(month))?;
    let day = number(&fixed[8..10]).filter(|day| (1..=days_in(year, month)).contains(day))?;
    let hour = number(&fixed[11..13]).filter(|hour| *hour < 24)?;
    let minute = number(&fixed[14..16]).filter(|minute| *minute < 60)?;
    // A leap second is the next minute's first.
    let second = number(&fixed[17..19]).filter(|second| *second <= 60)?;
    let days = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum::<u64>()
        + (1..month).map(|month| days_in(year, month)).sum::<u64>()
        + day
        - 1;
    let local = days * DAY + hour * 3600 + minute * 60 + second;
    let zone = match zone.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            rest.get(digits..).filter(|_| digits > 0)?
        }
        None => zone,
    };
    match zone {
        b"Z" => Some(local),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = number(&[*h1, *h2]).filter(|hours| *hours < 24)?;
            let minutes = number(&[*m1, *m2]).filter(|minutes| *minutes < 60)?;
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'+' { local.checked_sub(offset) } else { Some(local + offset) }
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of the given day since 1970.
fn date_of(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let mut month = 1;
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, normal) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
            ("2000-03-01T00:30:00+01:00", "2000-02-29T23:30:00Z"),
            ("2026-11-21T02:00:00.123-00:30", "2026-11-21T02:30:00Z"),
            ("253402300799", "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), normal);
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "-1",
            "253402300800",
            "99999999999999999999999",
            "yesterday",
            "2023-02-29T00:00:00Z",
            "2023-01-01T00:00:00",
            "2023-01-01 00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:00.Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "2023-01-01T00:00:00+1:00",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
