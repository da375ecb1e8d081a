//! JSON that passes through: what a version writes that this one does not know.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

/// A JSON object, kept to the letter: the order of its keys, its numbers and its spaces. Clones share it.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Payload(Arc<RawValue>);

/// A text that is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no JSON object")]
pub struct NoObject;

impl Payload {
    /// Takes a JSON object, of any size.
    pub fn parse(json: String) -> Result<Self, NoObject> {
        let json = RawValue::from_string(json).map_err(|_| NoObject)?;
        if json.get().starts_with('{') { Ok(Self(json.into())) } else { Err(NoObject) }
    }

    /// The object as it was written.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// What stands between the braces; empty if nothing does.
    pub fn members(&self) -> &str {
        let json = self.as_str();
        json[1..json.len() - 1].trim()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Payload {}

/// It may hold what somebody wrote, which never reaches a log.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.as_str().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_kept_to_the_letter() {
        for json in [r#"{"b":1.50,"a":[ {} ],"b":"\u4f60"}"#, "{}", "{ }"] {
            let payload = Payload::parse(json.to_owned()).unwrap();
            assert_eq!(serde_json::to_string(&payload).unwrap(), json);
        }
        assert_eq!(Payload::parse("{ }".to_owned()).unwrap().members(), "");
        assert_eq!(Payload::parse(r#"{ "a":1 }"#.to_owned()).unwrap().members(), r#""a":1"#);
    }

    #[test]
    fn anything_else_is_refused() {
        for json in ["", "null", "[]", r#""{}""#, "{", "{}x"] {
            assert_eq!(Payload::parse(json.to_owned()), Err(NoObject), "{json}");
        }
    }
}
