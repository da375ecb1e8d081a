//! How values are read: numbers within bounds, lists, and texts that may be empty.

use std::{fmt, marker::PhantomData, net::SocketAddr, str::FromStr, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IntoDeserializer, SeqAccess, Visitor},
};
use url::Url;

use super::MetricsListen;

/// A list, or one string with commas, as the environment has it.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    struct List<T>(PhantomData<T>);

    impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list, or a string with commas")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(|item| item.parse().map_err(E::custom)).collect()
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element::<String>()? {
                items.push(item.parse().map_err(A::Error::custom)?);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_any(List(PhantomData))
}

/// A number from `MIN` to `MAX`.
pub(super) fn within<'de, const MIN: u64, const MAX: u64, T, D>(d: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64, Error: fmt::Display>,
{
    let number = u64::deserialize(d)?;
    if !(MIN..=MAX).contains(&number) {
        return Err(D::Error::custom(format!("{number} is not within {MIN} to {MAX}")));
    }
    T::try_from(number).map_err(D::Error::custom)
}

/// A number of seconds from `MIN` to `MAX`.
pub(super) fn secs<'de, const MIN: u64, const MAX: u64, D>(d: D) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    within::<MIN, MAX, _, _>(d).map(Duration::from_secs)
}

/// A number of milliseconds from `MIN` to `MAX`.
pub(super) fn millis<'de, const MIN: u64, const MAX: u64, D>(d: D) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    within::<MIN, MAX, _, _>(d).map(Duration::from_millis)
}

/// A number of days from `MIN` to `MAX`.
pub(super) fn days<'de, const MIN: u64, const MAX: u64, D>(d: D) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    within::<MIN, MAX, u32, _>(d).map(|days| Duration::from_hours(24) * days)
}

/// A URL that a client can ask. The type's own form shows what it could not read.
pub(super) fn http_url<'de, D: Deserializer<'de>>(d: D) -> Result<Url, D::Error> {
    let url: Url = String::deserialize(d)?.parse().map_err(D::Error::custom)?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(D::Error::custom("must be an http or https URL"))
    }
}

/// A URL that a client can ask, or an empty string.
pub(super) fn optional_http_url<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() { Ok(None) } else { http_url(text.into_deserializer()).map(Some) }
}

/// A whole number, or an empty string.
pub(super) fn optional_number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| D::Error::custom("must be a whole number, or empty"))
}

/// The prefix of channels and keys.
pub(super) fn namespace<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let text = String::deserialize(d)?;
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    if text.is_empty() || !text.bytes().all(is_fit) {
        let wrong = "must be letters, digits, `-`, `_`, `.` or `:`, and not empty";
        return Err(D::Error::custom(wrong));
    }
    Ok(text)
}

/// A list of origins. They are compared to the letter, so each must be written as browsers send it. One that
/// is not is not shown: it may be a URL with a password.
pub(super) fn origins<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let origins: Vec<String> = list(d)?;
    for origin in &origins {
        let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let canonical = url.map(|url| url.origin().ascii_serialization()).ok_or_else(|| {
            D::Error::custom("an entry is no origin; write one like `https://chat.example.com`")
        })?;
        if canonical != *origin {
            return Err(D::Error::custom(format!(
                "an origin is not written as browsers send it; write `{canonical}`"
            )));
        }
    }
    Ok(origins)
}

/// An address, or an empty string for none.
pub(super) fn optional_address<'de, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(D::Error::custom)
}

/// An address, or an empty string for off.
pub(super) fn metrics_listen<'de, D: Deserializer<'de>>(d: D) -> Result<MetricsListen, D::Error> {
    Ok(optional_address(d)?.map_or(MetricsListen::Off, MetricsListen::At))
}
