//! What a company's own back end calls users and conversations.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Visitor},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::{AvatarUrl, ConversationId, Payload, TextError, UserId, UserName};

/// What stands before an id of the service where an external id could stand as well.
const OWN_ID: &str = "id:";

/// What stands before an external id where an id of the service could stand as well.
const EXTERNAL: &str = "external:";

/// A back end's own id: 1 to 128 characters, none of them control or white space. Not `system`, which is the
/// service itself, not `.` or `..`, which no path can hold, and not with `id:` before it. Clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 128, example = "u-4711")]
pub struct ExternalId(Arc<str>);

impl ExternalId {
    /// The most Unicode scalar values of an id.
    const MAX_CHARS: usize = 128;

    /// Checks an id.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(TextError::TooLong { max: Self::MAX_CHARS });
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(TextError::Forbidden { what: "control characters or white space" });
        }
        if matches!(text, SYSTEM | "." | "..") || text.starts_with(OWN_ID) {
            return Err(TextError::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// An id as the database has it.
    pub fn stored(text: String) -> Self {
        Self(text.into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ExternalId {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

/// It may be a telephone number, and never reaches a log.
impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalId")
    }
}

/// In whose name the service itself speaks.
pub const SYSTEM: &str = "system";

/// A user, as a back end names one: by its own id or by the service's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserRef {
    /// By the back end's id.
    External(ExternalId),
    /// By the service's id.
    Id(UserId),
}

/// Reads an external id, or `id:42`.
impl FromStr for UserRef {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        match text.strip_prefix(OWN_ID) {
            Some(id) => {
                let what = "anything but an id behind `id:`";
                id.parse().map(Self::Id).map_err(|_| TextError::Forbidden { what })
            }
            None => ExternalId::parse(text).map(Self::External),
        }
    }
}

/// Reads a text as in a path, or the service's id as a number.
impl<'de> Deserialize<'de> for UserRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;

        impl Visitor<'_> for Named {
            type Value = UserRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an external id, or the id of a user")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<UserRef, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, id: i64) -> Result<UserRef, E> {
                UserId::new(id).map(UserRef::Id).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, id: u64) -> Result<UserRef, E> {
                self.visit_i64(i64::try_from(id).unwrap_or(i64::MAX))
            }
        }

        deserializer.deserialize_any(Named)
    }
}

impl PartialSchema for UserRef {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let text = text.min_length(Some(1)).max_length(Some(ExternalId::MAX_CHARS));
        text.description(Some("An external id, or `id:` and the service's own id")).into()
    }
}

impl ToSchema for UserRef {}

/// A conversation, as a back end names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConversationRef {
    /// By the service's id.
    Id(ConversationId),
    /// By the back end's id.
    External(ExternalId),
}

/// Reads an id, or `external:` with an external id.
impl FromStr for ConversationRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(EXTERNAL) {
            Some(id) => {
                ExternalId::parse(id).map(Self::External).map_err(|error| error.to_string())
            }
            None => text.parse().map(Self::Id).map_err(|error| format!("{error}, or `external:…`")),
        }
    }
}

/// What a back end says of a user. What is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFacts {
    /// What the user is called.
    pub name: Option<UserName>,
    /// A picture elsewhere; `Some(None)`: none any more.
    pub avatar_url: Option<Option<AvatarUrl>>,
    /// All of the profile.
    pub profile: Option<Profile>,
}

/// What a back end keeps with a user: JSON objects of at most 4 KiB together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// What everybody sees.
    pub public: Option<Payload>,
    /// What nobody sees but the back end.
    pub hidden: Option<Payload>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_is_a_word() {
        for good in ["u1", "4711", "张三", "a/b?c#d", "ID:7", "...", &"字".repeat(128)] {
            assert_eq!(ExternalId::parse(good).unwrap().as_str(), good);
        }
        for wrong in
            ["", " ", "a b", "a\u{3000}b", "a\0", "\u{85}", "system", "id:7", "id:x", ".", ".."]
        {
            assert!(ExternalId::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(ExternalId::parse(&"x".repeat(129)).is_err());
        assert_eq!(format!("{:?}", ExternalId::parse("13800138000").unwrap()), "ExternalId");
    }

    #[test]
    fn a_user_is_named_by_either_id() {
        let external = |id| UserRef::External(ExternalId::parse(id).unwrap());
        let own = |id| UserRef::Id(UserId::new(id).unwrap());
        for (text, named) in [("u1", external("u1")), ("42", external("42")), ("id:42", own(42))] {
            assert_eq!(text.parse(), Ok(named.clone()), "{text}");
            let json = serde_json::Value::from(text).to_string();
            assert_eq!(serde_json::from_str::<UserRef>(&json).unwrap(), named, "{text}");
        }
        assert_eq!(serde_json::from_str::<UserRef>("42").unwrap(), own(42));
        for wrong in ["id:", "id:0", "id:-1", "id:x", "system", ""] {
            assert!(wrong.parse::<UserRef>().is_err(), "{wrong}");
        }
        for wrong in ["0", "-1", "1.5", "9007199254740992", "null", "[]", "\"\""] {
            assert!(serde_json::from_str::<UserRef>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_conversation_is_named_by_either_id() {
        let own = ConversationRef::Id(ConversationId::new(3).unwrap());
        assert_eq!("3".parse(), Ok(own));
        let external = ConversationRef::External(ExternalId::parse("4711").unwrap());
        assert_eq!("external:4711".parse(), Ok(external));
        for wrong in ["", "0", "x", "external:", "external:id:3"] {
            assert!(wrong.parse::<ConversationRef>().is_err(), "{wrong}");
        }
    }
}
