//! Times for people: RFC 3339, UTC.

const DAY: i64 = 86_400;

/// A record's time (microseconds since 1970, UTC) as RFC 3339 with microseconds.
///
/// ```
/// assert_eq!(gridmill::folder::rfc3339(0), "1970-01-01T00:00:00.000000Z");
/// assert_eq!(gridmill::folder::rfc3339(951_782_400_000_001), "2000-02-29T00:00:00.000001Z");
/// ```
pub fn rfc3339(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

/// Year, month and day of a day since 1970. Years begin in March here, so that the leap day is the
/// last of its year, and eras of 400 years are all alike.
fn date(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, of_month)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn known_times() {
        let day = 86_400_000_000;
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(rfc3339(19_782 * day), "2024-02-29T00:00:00.000000Z");
        assert_eq!(rfc3339(19_783 * day - 1), "2024-02-29T23:59:59.999999Z");
        assert_eq!(rfc3339(47_541 * day), "2100-03-01T00:00:00.000000Z");
        assert_eq!(rfc3339(47_540 * day), "2100-02-28T00:00:00.000000Z");
    }

    #[test]
    fn days_follow_each_other() {
        let mut previous = rfc3339(-800 * 86_400_000_000);
        for day in -799..200_000 {
            let now = rfc3339(day * 86_400_000_000);
            assert!(previous < now, "{previous} comes before {now}");
            previous = now;
        }
    }
}
