//! Reads JSON objects that clients send into structs, so that a fault names its field.
//!
//! An object is first split into its keys and undecoded values. So an unknown key may hold anything, however
//! deeply nested, and a lone surrogate in one string is a fault of that field, not of the whole frame.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, value::MapDeserializer},
};
use serde_json::{Error, value::RawValue};

use super::fault::{ApiError, ErrorCode};
use crate::domain::{Content, GroupTitle, TextError, UserId, UserName};

/// Bytes that are no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a JSON object")]
pub struct NotAnObject;

/// The fields of one object, undecoded. Where a key stands twice, the last one counts; `null` is absent.
#[derive(Debug, Deserialize)]
pub struct Fields<'a>(#[serde(borrow)] BTreeMap<Key, &'a RawValue>);

/// `None`: it has a lone surrogate, so it is no key that anybody knows.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Option<String>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(json.get()).ok()))
    }
}

impl<'a> Fields<'a> {
    /// Splits an object.
    pub fn parse(json: &'a [u8]) -> Result<Self, NotAnObject> {
        serde_json::from_slice(json).map_err(|_| NotAnObject)
    }

    /// The keys that a client may know, and their values.
    fn known(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        let fields = self.0.iter().filter(|(_, json)| json.get() != "null");
        fields.filter_map(|(key, json)| Some((key.0.as_deref()?, *json)))
    }

    /// Reads all fields that `T` has. The fault names the first one that is wrong or missing.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_path_to_error::deserialize(MapDeserializer::new(self.known())).map_err(|error| {
            let (path, wrong) = (error.path(), problem(error.inner()));
            let is_missing = path.iter().next().is_none();
            ApiError::invalid(if is_missing { wrong } else { format!("`{path}` {wrong}") })
        })
    }

    /// Reads one field, if it is there.
    pub fn optional<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ApiError> {
        let field = self.known().find(|(name, _)| *name == key);
        let value = field.map(|(_, json)| serde_json::from_str(json.get())).transpose();
        value.map_err(|error| ApiError::invalid(format!("`{key}` {}", problem(&error))))
    }

    /// Reads one field, which must be there.
    pub fn required<T: DeserializeOwned>(&self, key: &str) -> Result<T, ApiError> {
        self.optional(key)?.ok_or_else(|| missing(key))
    }

    /// Whether a field is there and is `null`, where that says something else than its absence.
    pub fn is_null(&self, key: &str) -> bool {
        let mut fields = self.0.iter();
        fields.any(|(name, json)| name.0.as_deref() == Some(key) && json.get() == "null")
    }

    /// Refuses a `userId` that names somebody else than the actor.
    pub fn check_user(&self, actor: UserId) -> Result<(), ApiError> {
        match self.optional::<UserId>("userId")? {
            Some(named) if named != actor => Err(ApiError::foreign_user()),
            _ => Ok(()),
        }
    }
}

/// Reads the value of the field `key`, an object. The fault names what is wrong or missing in it.
pub fn nested<T: DeserializeOwned>(key: &str, json: &RawValue) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_str(json.get());
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, wrong) = (error.path(), problem(error.inner()));
        let dot = if path.iter().next().is_none() { "" } else { "." };
        let path = if dot.is_empty() { String::new() } else { path.to_string() };
        ApiError::invalid(format!("`{key}{dot}{path}` {wrong}"))
    })
}

/// Says what a value must be, and not what it is.
fn problem(error: &Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    match (text.rsplit_once(", expected "), text.strip_prefix("missing field ")) {
        _ if text == "number out of range" => "is out of range".to_owned(),
        // The value is well-formed JSON, so nothing else can be wrong with its syntax.
        _ if error.is_syntax() => "must not contain lone surrogates".to_owned(),
        (Some((_, expected)), _) => format!("must be {expected}"),
        (None, Some(field)) => format!("{field} is missing"),
        (None, None) => text.to_owned(),
    }
}

/// The fault of a required key that is not there.
pub fn missing(key: &str) -> ApiError {
    ApiError::invalid(format!("`{key}` is missing"))
}

/// What people read: the body of a chat, or a name. Decoded later than the other fields, because what is
/// wrong with it has a code of its own.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Words(Box<RawValue>);

/// It never reaches a log.
impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({} bytes)", self.0.get().len())
    }
}

impl Words {
    /// The text. The error says that this is no string, or that it has lone surrogates.
    pub fn decode(&self) -> Result<String, Error> {
        serde_json::from_str(self.0.get())
    }

    fn text(&self, key: &str, code: ErrorCode) -> Result<String, ApiError> {
        self.decode().map_err(|error| {
            let code = if error.is_syntax() { code } else { ErrorCode::InvalidRequest };
            ApiError::new(code, format!("`{key}` {}", problem(&error)))
        })
    }

    /// The field `content`, checked against the limit of Unicode scalar values.
    pub fn content(&self, max_chars: usize) -> Result<Content, ApiError> {
        let text = self.text("content", ErrorCode::InvalidContent)?;
        Content::parse(&text, max_chars)
            .map_err(|error| ApiError::new(ErrorCode::InvalidContent, format!("`content` {error}")))
    }

    /// The field `key` as something that people read, of 1 to `max_chars` characters.
    pub fn remark(&self, key: &str, max_chars: usize) -> Result<String, ApiError> {
        let text = self.text(key, ErrorCode::InvalidRequest)?;
        if text.is_empty() || text.contains('\0') || text.chars().count() > max_chars {
            let detail = format!("`{key}` must be 1 to {max_chars} characters, without U+0000");
            return Err(ApiError::invalid(detail));
        }
        Ok(text)
    }

    /// The field `key` as the title of a group.
    pub fn group_title(&self, key: &str) -> Result<GroupTitle, ApiError> {
        GroupTitle::parse(&self.text(key, ErrorCode::InvalidName)?)
            .map_err(|error| invalid_name(key, &error))
    }

    /// The field `key` as a user's name.
    pub fn user_name(&self, key: &str) -> Result<UserName, ApiError> {
        UserName::parse(&self.text(key, ErrorCode::InvalidName)?)
            .map_err(|error| invalid_name(key, &error))
    }
}

fn invalid_name(key: &str, error: &TextError) -> ApiError {
    let code = match error {
        TextError::Empty | TextError::TooLong { .. } => ErrorCode::InvalidRequest,
        _ => ErrorCode::InvalidName,
    };
    ApiError::new(code, format!("`{key}` {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ClientMsgId, DeviceId},
        protocol::client::SendChat,
    };

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Object {
        user_id: Option<UserId>,
        content: Option<Words>,
        client_msg_id: Option<ClientMsgId>,
        device_id: Option<DeviceId>,
        everywhere: Option<bool>,
        user_ids: Vec<UserId>,
        code: Option<String>,
    }

    fn read(json: &str) -> Result<Object, ApiError> {
        Fields::parse(json.as_bytes()).unwrap().read()
    }

    #[test]
    fn a_lone_surrogate_is_a_fault_of_its_field() {
        let object = read(r#"{"content":"a\ud800b"}"#).unwrap();
        let fault = object.content.unwrap().content(10).unwrap_err();
        assert_eq!(fault.code, ErrorCode::InvalidContent);
        assert_eq!(fault.detail, "`content` must not contain lone surrogates");
        let fault = read(r#"{"content":"\ud800","deviceId":"\udc00"}"#).unwrap_err();
        assert_eq!(fault.detail, "`deviceId` must not contain lone surrogates");
        assert_eq!(fault.code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn a_key_that_is_no_text_is_unknown() {
        let object = read(r#"{"\ud800":1,"\u0063ode":"a","\ud800":2,"code":"b"}"#).unwrap();
        assert_eq!(object.code.as_deref(), Some("b"));
        assert!(Fields::parse(b"{\"a\xff\":1}").is_err());
        assert!(Fields::parse(b"{\"a\n\":1}").is_err());
    }

    #[test]
    fn unknown_keys_may_be_as_deep_as_they_like() {
        let deep = format!(r#"{{"x":{}{},"userId":3}}"#, "[".repeat(20_000), "]".repeat(20_000));
        assert_eq!(read(&deep).unwrap().user_id.unwrap().get(), 3);
        assert!(Fields::parse("[".repeat(20_000).as_bytes()).is_err());
    }

    #[test]
    fn a_fault_says_what_its_field_must_be_and_not_what_it_is() {
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        for (key, value, wrong) in [
            ("code", "7", "must be a string"),
            ("code", &deep, "must be a string"),
            ("everywhere", r#"", expected x at line 1""#, "must be a boolean"),
            ("clientMsgId", r#""""#, "must not be empty"),
            ("clientMsgId", r#""é""#, "must not contain anything but printable ASCII characters"),
            ("userIds", "{}", "must be a sequence"),
        ] {
            let fault = read(&format!(r#"{{"{key}":{value}}}"#)).unwrap_err();
            assert_eq!(fault, ApiError::invalid(format!("`{key}` {wrong}")));
        }
        let fault = read(r#"{"userIds":[1,0]}"#).unwrap_err();
        let range = "must be an integer from 1 to 9007199254740991";
        assert_eq!(fault.detail, format!("`userIds[1]` {range}"));
        let id = |json: &str| Fields::parse(json.as_bytes()).unwrap().read::<SendChat>();
        for wrong in ["0", "-1", "9007199254740992", "9223372036854775808", "1.5", "1e3", "\"1\""] {
            let fault = id(&format!(r#"{{"targetUserId":{wrong}}}"#)).unwrap_err();
            assert_eq!(fault.detail, format!("`targetUserId` {range}"), "{wrong}");
        }
        let fault = id(r#"{"targetUserId":1e400}"#).unwrap_err();
        assert_eq!(fault.detail, "`targetUserId` is out of range");
        let chat = id(r#"{"clientMsgId":"k","targetUserId":null,"content":"x"}"#).unwrap();
        assert_eq!(chat.check(1).unwrap_err(), missing("targetUserId"));
        assert!(id(r#"{"clientMsgId":"k","targetUserId":9007199254740991,"content":7}"#).is_ok());
    }
}
