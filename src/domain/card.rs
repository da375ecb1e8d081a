//! Cards: a title with a page of the mini program, or an address, behind it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;
use utoipa::ToSchema;

use super::{Payload, characters::is_visible};

/// The most bytes of a card as JSON, and of what it carries for programs.
const MAX_BYTES: usize = 16_384;
const MAX_DATA_BYTES: usize = 4_096;
/// The most Unicode scalar values of a title, of a description, and of a page or an address.
const MAX_TITLE_CHARS: usize = 60;
const MAX_DESCRIPTION_CHARS: usize = 500;
const MAX_LINK_CHARS: usize = 1_024;

/// What a sender says of a card.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// What it is called: 1 to 60 characters.
    title: String,
    /// More about it: at most 500 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Its picture: an https address.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<String>,
    /// A page of the mini program; not together with `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// An https address; not together with `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Any JSON of at most 4 KiB, which passes through.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
}

/// What is wrong with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The title.
    #[error("`body.title` must have 1 to 60 characters, one of them visible")]
    Title,
    /// The description.
    #[error("`body.description` must have at most 500 characters")]
    Description,
    /// A link that is none.
    #[error("`body.{0}` must be an https address of at most 1024 characters")]
    Link(&'static str),
    /// The page.
    #[error("`body.path` must be a page of 1 to 1024 characters")]
    Path,
    /// Two places to go to.
    #[error("`body.path` and `body.url` exclude each other")]
    PathAndUrl,
    /// What it carries.
    #[error(
        "`body.data` must be at most 4 KiB, nested at most 100 deep, with numbers in range and without \
         lone surrogates"
    )]
    Data,
    /// All of it.
    #[error("`body` must be at most 16 KiB")]
    Size,
}

impl Card {
    /// Reads a card as a chat holds it.
    pub fn read(body: &Payload) -> Option<Self> {
        serde_json::from_str(body.as_str()).ok()
    }

    /// More about it than its title.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The card with another title, and with another description if there is one. Neither is longer than before.
    pub fn reworded(&self, title: &str, description: Option<String>) -> Payload {
        let Self { description: before, image_url, path, url, data, .. } = self;
        let description = description.or_else(|| before.clone());
        let (image_url, path, url) = (image_url.clone(), path.clone(), url.clone());
        let card =
            Self { title: title.to_owned(), description, image_url, path, url, data: data.clone() };
        let json = serde_json::to_string(&card).expect("a card can be encoded");
        Payload::parse(json).expect("a card is an object")
    }

    /// Checks it. Its title is what it says in plain text.
    pub fn check(self) -> Result<(String, Payload), CardError> {
        if !has_chars(&self.title, MAX_TITLE_CHARS) || !self.title.chars().any(is_visible) {
            return Err(CardError::Title);
        }
        if self.description.as_ref().is_some_and(|it| it.chars().count() > MAX_DESCRIPTION_CHARS) {
            return Err(CardError::Description);
        }
        for (name, link) in [("imageUrl", &self.image_url), ("url", &self.url)] {
            if link.as_ref().is_some_and(|link| !is_https(link)) {
                return Err(CardError::Link(name));
            }
        }
        if self.path.as_ref().is_some_and(|path| !has_chars(path, MAX_LINK_CHARS)) {
            return Err(CardError::Path);
        }
        if self.path.is_some() && self.url.is_some() {
            return Err(CardError::PathAndUrl);
        }
        if self.data.as_ref().is_some_and(|data| !is_for_all(data.get())) {
            return Err(CardError::Data);
        }
        let json = serde_json::to_string(&self).expect("a card can be encoded");
        // Characters that JSON escapes take up to six bytes.
        if json.len() > MAX_BYTES {
            return Err(CardError::Size);
        }
        Ok((self.title, Payload::parse(json).expect("a card is an object")))
    }
}

/// Whether any client can read this JSON: one that cannot would not read the page either that has it.
fn is_for_all(json: &str) -> bool {
    json.len() <= MAX_DATA_BYTES && serde_json::from_str::<serde_json::Value>(json).is_ok()
}

fn has_chars(text: &str, max: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max && !text.contains('\0')
}

pub(super) fn is_https(link: &str) -> bool {
    has_chars(link, MAX_LINK_CHARS) && Url::parse(link).is_ok_and(|url| url.scheme() == "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<(String, Payload), String> {
        let card: Card = serde_json::from_str(json).map_err(|error| error.to_string())?;
        card.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_card_passes_through_as_it_was_sent() {
        let json = r#"{"title":"订单 4711","description":"已发货","imageUrl":"https://a.b/c.png","path":"pages/order?id=4711","data":{"n": 1.50}}"#;
        let (title, body) = checked(json).unwrap();
        assert_eq!((title.as_str(), body.as_str()), ("订单 4711", json));
        let (_, body) = checked(r#"{"title":"a","unknown":1}"#).unwrap();
        assert_eq!(body.as_str(), r#"{"title":"a"}"#);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = |count| "x".repeat(count);
        for (json, wrong) in [
            (r#"{"title":""}"#.to_owned(), "title"),
            (r#"{"title":"\u200b"}"#.to_owned(), "title"),
            (format!(r#"{{"title":"{}"}}"#, long(61)), "title"),
            (format!(r#"{{"title":"a","description":"{}"}}"#, long(501)), "description"),
            (r#"{"title":"a","imageUrl":"http://a.b"}"#.to_owned(), "imageUrl"),
            (r#"{"title":"a","url":"javascript:1"}"#.to_owned(), "url"),
            (r#"{"title":"a","url":"https://a.b","path":"p"}"#.to_owned(), "exclude"),
            (r#"{"title":"a","path":""}"#.to_owned(), "path"),
            (format!(r#"{{"title":"a","data":"{}"}}"#, long(4_095)), "data"),
            // What some client could not read.
            (r#"{"title":"a","data":["\ud800"]}"#.to_owned(), "data"),
            (r#"{"title":"a","data":1e400}"#.to_owned(), "data"),
            (format!(r#"{{"title":"a","data":{}{}}}"#, "[".repeat(200), "]".repeat(200)), "data"),
            // Each part is as long as it may be, and takes six bytes a character.
            (
                format!(
                    r#"{{"title":"a","description":"{}","path":"{}","imageUrl":"https://a/{}","data":"{}"}}"#,
                    "\\u0001".repeat(500),
                    "\\u0001".repeat(1_024),
                    "\\u0001".repeat(1_014),
                    long(4_094),
                ),
                "16 KiB",
            ),
            (r#"{"description":"a"}"#.to_owned(), "title"),
        ] {
            let error = checked(&json).unwrap_err();
            assert!(error.contains(wrong), "{error} {json}");
        }
    }
}
