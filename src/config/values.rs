//! Values that are written in more than one way: lists, and things that may be empty.

use std::{fmt, marker::PhantomData, net::SocketAddr, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
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

/// A list of addresses that must not be empty.
pub(super) fn addresses<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let urls: Vec<String> = list(d)?;
    if urls.is_empty() { Err(D::Error::custom("at least one URL is needed")) } else { Ok(urls) }
}

/// A URL. The type's own form shows what it could not read.
pub(super) fn url<'de, D: Deserializer<'de>>(d: D) -> Result<Url, D::Error> {
    String::deserialize(d)?.parse().map_err(D::Error::custom)
}

/// A URL, or an empty string.
pub(super) fn optional_url<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
}

/// An address, or an empty string for off.
pub(super) fn optional_address<'de, D: Deserializer<'de>>(d: D) -> Result<MetricsListen, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() {
        return Ok(MetricsListen::Off);
    }
    text.parse::<SocketAddr>().map(MetricsListen::At).map_err(D::Error::custom)
}
