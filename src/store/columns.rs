//! Domain values in columns, in every database: written as what they are made of, and checked when they are
//! read. A value that is not valid is a [`StoreError::Corrupt`](super::StoreError::Corrupt).

use sqlx::{
    Database, Decode, Encode, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgHasArrayType, PgTypeInfo},
};

use crate::{
    clock::Timestamp,
    domain::{
        ApiKeyId, ApiKeyName, AuditId, AvatarHash, AvatarUrl, ChatId, ChatKind, ChatState,
        ClientMsgId, ConnectionId, ConversationId, ConversationKind, Epoch, ExternalId, GroupTitle,
        HeldId, MediaId, Mentions, OutboxId, Payload, ReplicaId, ReportId, Role, Scopes, Seq,
        SessionId, UserId, UserName,
    },
};

macro_rules! decode {
    ($value:ty, $raw:ty, $parse:expr) => {
        impl<DB: Database> Type<DB> for $value
        where
            $raw: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <$raw>::type_info()
            }

            fn compatible(ty: &DB::TypeInfo) -> bool {
                <$raw>::compatible(ty)
            }
        }

        impl<'r, DB: Database> Decode<'r, DB> for $value
        where
            $raw: Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
                let raw = <$raw as Decode<'r, DB>>::decode(value)?;
                let parse: fn($raw) -> Result<Self, BoxDynError> = $parse;
                parse(raw)
            }
        }
    };
}

macro_rules! encode {
    ($value:ty, $raw:ty, $write:expr) => {
        impl<'q, DB: Database> Encode<'q, DB> for $value
        where
            $raw: Encode<'q, DB>,
        {
            fn encode_by_ref(
                &self,
                buffer: &mut DB::ArgumentBuffer,
            ) -> Result<IsNull, BoxDynError> {
                let write: fn(&Self) -> $raw = $write;
                write(self).encode(buffer)
            }
        }
    };
}

macro_rules! ids {
    ($($id:ty),*) => {$(
        decode!($id, i64, |id| {
            <$id>::try_from(id).map_err(|error| format!("an id {error}, not {id}").into())
        });
        encode!($id, i64, |id| id.get());

        impl PgHasArrayType for $id {
            fn array_type_info() -> PgTypeInfo {
                i64::array_type_info()
            }
        }
    )*};
}

ids!(
    ApiKeyId,
    AuditId,
    UserId,
    ChatId,
    ConversationId,
    ConnectionId,
    SessionId,
    ReplicaId,
    OutboxId,
    ReportId,
    HeldId,
    Seq
);
decode!(Timestamp, i64, |millis| Ok(Self::from_millis(millis)));
encode!(Timestamp, i64, |time| time.as_millis());
decode!(UserName, String, |name| Ok(Self::stored(name)));
encode!(UserName, String, |name| name.as_str().to_owned());

impl PgHasArrayType for UserName {
    fn array_type_info() -> PgTypeInfo {
        String::array_type_info()
    }

    fn array_compatible(ty: &PgTypeInfo) -> bool {
        String::array_compatible(ty)
    }
}

decode!(ApiKeyName, String, |name| Ok(Self::stored(name)));
encode!(ApiKeyName, String, |name| name.as_str().to_owned());
decode!(Scopes, String, |words| Ok(Self::stored(&words)));
encode!(Scopes, String, ToString::to_string);
decode!(ExternalId, String, |id| Ok(Self::stored(id)));
encode!(ExternalId, String, |id| id.as_str().to_owned());
decode!(ChatKind, String, |word| Ok(Self::from(word)));
decode!(ChatState, String, |word| Ok(Self::from(word)));
decode!(ConversationKind, String, |word| Ok(Self::from(word)));
decode!(GroupTitle, String, |title| Ok(Self::stored(title)));
encode!(GroupTitle, String, |title| title.as_str().to_owned());
decode!(Role, String, |word| Self::parse(&word)
    .ok_or_else(|| "the role of a member is none".into()));
encode!(Role, String, |role| role.as_str().to_owned());
decode!(Epoch, String, |text| Self::parse(&text).ok_or_else(|| "the epoch is no uuid".into()));
encode!(Epoch, String, ToString::to_string);
decode!(AvatarHash, String, |hash| {
    Self::parse(&hash).ok_or_else(|| "the name of a picture is no hash".into())
});
encode!(AvatarHash, String, |hash| hash.as_str().to_owned());
decode!(AvatarUrl, String, |url| Ok(Self::stored(url)));
decode!(MediaId, String, |id| Self::parse(&id).ok_or_else(|| "the id of media is none".into()));
encode!(MediaId, String, ToString::to_string);
decode!(ClientMsgId, String, |key| {
    Self::parse(&key).map_err(|error| format!("a client's key {error}").into())
});
encode!(ClientMsgId, String, |key| key.as_str().to_owned());
decode!(Payload, String, |json| {
    Self::parse(json).map_err(|error| format!("a payload {error}").into())
});
decode!(Mentions, String, |json| {
    Self::from_json(&json).ok_or_else(|| "the mentions of a chat are none".into())
});
