//! Whom a chat calls by name.

use std::{collections::BTreeSet, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};

use super::UserId;

/// The most users whom a chat calls by name.
const MAX_MENTIONS: usize = 500;

/// Whom a chat calls by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mentions {
    /// These members.
    Users(Arc<[UserId]>),
    /// Every member.
    All,
}

impl Mentions {
    /// Reads what [`Mentions::to_json`] wrote; `None` if it is anything else.
    pub fn from_json(json: &str) -> Option<Self> {
        let (users, all) = (serde_json::from_str::<Vec<UserId>>(json), serde_json::from_str(json));
        match (users, all) {
            (Ok(users), _) => Some(Self::Users(users.into())),
            (Err(_), Ok("all")) => Some(Self::All),
            _ => None,
        }
    }

    /// A list of ids, or `"all"`.
    pub fn to_json(&self) -> String {
        match self {
            Self::Users(users) => {
                let ids: Vec<_> = users.iter().map(ToString::to_string).collect();
                format!("[{}]", ids.join(","))
            }
            Self::All => r#""all""#.to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Mentions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;

        impl<'de> Visitor<'de> for Named {
            type Value = Mentions;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of 1 to {MAX_MENTIONS} ids of users, or \"all\"")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Mentions, E> {
                if word == "all" {
                    Ok(Mentions::All)
                } else {
                    Err(E::invalid_value(de::Unexpected::Other("another text"), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Mentions, A::Error> {
                let (mut users, mut count) = (BTreeSet::new(), 0);
                while let Some(user) = list.next_element()? {
                    users.insert(user);
                    count += 1;
                }
                if count == 0 || count > MAX_MENTIONS {
                    return Err(de::Error::invalid_length(count, &self));
                }
                Ok(Mentions::Users(users.into_iter().collect()))
            }
        }

        deserializer.deserialize_any(Named)
    }
}

impl Serialize for Mentions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Users(users) => users.serialize(serializer),
            Self::All => serializer.serialize_str("all"),
        }
    }
}
