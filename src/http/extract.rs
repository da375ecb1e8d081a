//! What handlers take from a request: who acts, parameters, bodies.

use std::{str::FromStr, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::{
    auth::token::Token,
    domain::{MAX_ID, OutOfRange, UserId},
    protocol::{
        MAX_AVATAR_BYTES, MAX_MESSAGE_BYTES, MAX_USER_LIST_BYTES,
        fault::{ApiError, ErrorCode},
        fields::{Fields, missing},
    },
    service::Service,
    store::Session,
};

/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(15);

/// Lists have this many entries where nothing else is asked for.
const DEFAULT_LIMIT: u32 = 50;

/// And never more than this.
const MAX_LIMIT: u32 = 100;

/// The user whose token came with the request, in the `Authorization` header.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// Who acts.
    pub user: UserId,
    /// The session of the token.
    pub session: Session,
}

impl FromRequestParts<Arc<Service>> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or_else(unauthorized)?;
        let actor = Self::of_token(service, token).await?;
        Params::of(parts).check_user(actor.user)?;
        Ok(actor)
    }
}

impl Actor {
    /// The user with this token.
    pub async fn of_token(service: &Service, token: &str) -> Result<Self, ApiError> {
        let token = Token::parse(token).ok_or_else(unauthorized)?;
        let session = service.accounts.authenticate(&token).await?.ok_or_else(unauthorized)?;
        // So every line of the log about this request names its user.
        tracing::Span::current().record("user", session.user.get());
        Ok(Self { user: session.user, session })
    }
}

/// Who acts on one of the legacy routes.
#[derive(Clone, Copy, Debug)]
pub enum Caller {
    /// The user of a token.
    User(Actor),
    /// Whoever the request says, since it comes from this machine and the service allows it.
    Anonymous,
}

impl Caller {
    /// Decides by the token, if there is one, and otherwise by where the request comes from.
    pub async fn of(
        service: &Service,
        headers: &HeaderMap,
        token: Option<&str>,
    ) -> Result<Self, ApiError> {
        if let Some(token) = token {
            return Ok(Self::User(Actor::of_token(service, token).await?));
        }
        if !service.settings.auth.anonymous {
            return Err(unauthorized());
        }
        if !service.origins.is_local(headers) {
            return Err(ApiError::new(
                ErrorCode::AnonymousNotLocal,
                "without a token only programs and pages of this machine are served",
            ));
        }
        Ok(Self::Anonymous)
    }

    /// Refuses to act as somebody else.
    pub fn act_as(&self, user: UserId) -> Result<(), ApiError> {
        match self {
            Self::User(actor) if actor.user != user => Err(ApiError::foreign_user()),
            _ => Ok(()),
        }
    }

    /// The user of the token, if there is one.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::User(actor) => Some(actor.user),
            Self::Anonymous => None,
        }
    }
}

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers);
        // A header that is there and is no bearer token is a wrong token, not none.
        if token.is_none() && parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(unauthorized());
        }
        let caller = Self::of(service, &parts.headers, token).await?;
        if let Self::User(actor) = &caller {
            Params::of(parts).check_user(actor.user)?;
        }
        Ok(caller)
    }
}

/// The bearer token of the `Authorization` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The subprotocols that a client offers, in order.
pub fn offered(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|offer| !offer.is_empty())
        .collect()
}

/// The fault of a request without a valid token.
pub fn unauthorized() -> ApiError {
    ApiError::new(
        ErrorCode::Unauthorized,
        "a valid session token is needed: Authorization: Bearer TOKEN",
    )
}

/// The parameters of a query string. Where a key stands twice, the first one counts.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}

impl Params {
    fn of(parts: &Parts) -> Self {
        Self::parse(parts.uri.query().unwrap_or(""))
    }

    /// Reads a query string.
    pub fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The value of a key that must be there.
    pub fn required(&self, key: &str) -> Result<&str, ApiError> {
        self.get(key).filter(|value| !value.is_empty()).ok_or_else(|| missing(key))
    }

    /// An id or a sequence number.
    pub fn integer<T: FromStr<Err = OutOfRange>>(&self, key: &str) -> Result<Option<T>, ApiError> {
        self.get(key).map(|text| integer(key, text)).transpose()
    }

    /// `after`, as a [`Params::bound`].
    pub fn after<T: FromStr>(&self) -> Result<Option<After<T>>, ApiError> {
        self.bound("after")
    }

    /// The entry after which a list is to begin; `None`: at its beginning.
    pub fn after_entry<T: FromStr>(&self) -> Result<Option<T>, ApiError> {
        Ok(match self.after()? {
            Some(After::Entry(entry)) => Some(entry),
            Some(After::Beginning) | None => None,
        })
    }

    /// Where a list is to begin: after this entry, exclusive, or at its beginning, which is 0.
    pub fn bound<T: FromStr>(&self, key: &str) -> Result<Option<After<T>>, ApiError> {
        let Some(text) = self.get(key) else { return Ok(None) };
        match text.parse() {
            Ok(entry) => Ok(Some(After::Entry(entry))),
            Err(_) if text.bytes().all(|digit| digit == b'0') && !text.is_empty() => {
                Ok(Some(After::Beginning))
            }
            Err(_) => {
                Err(ApiError::invalid(format!("`{key}` must be an integer from 0 to {MAX_ID}")))
            }
        }
    }

    /// How many entries are wanted: clamped, and refused where it is no positive number.
    pub fn limit(&self) -> Result<u32, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(DEFAULT_LIMIT) };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ApiError::invalid("`limit` must be a positive integer"));
        }
        match text.parse::<u32>() {
            Ok(0) => Err(ApiError::invalid("`limit` must be at least 1")),
            Ok(limit) => Ok(limit.min(MAX_LIMIT)),
            // All digits: what does not fit is a large number.
            Err(_) => Ok(MAX_LIMIT),
        }
    }

    /// `userId`, a known key of everything: one that names somebody else is forbidden.
    fn check_user(&self, actor: UserId) -> Result<(), ApiError> {
        for (_, text) in self.0.iter().filter(|(key, _)| key == "userId") {
            if integer::<UserId>("userId", text)? != actor {
                return Err(ApiError::foreign_user());
            }
        }
        Ok(())
    }
}

/// Where a list is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After<T> {
    /// At its beginning.
    Beginning,
    /// After this entry.
    Entry(T),
}

/// The parameter of a path, or its parameters.
#[derive(Debug)]
pub struct PathParam<T = String>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParam<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // The framework's own answer is no problem document.
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(params)| Self(params))
            .map_err(|_| ApiError::invalid("the path is not UTF-8"))
    }
}

/// Reads an integer that stands in a path or a query.
pub fn integer<T: FromStr<Err = OutOfRange>>(key: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error| ApiError::invalid(format!("`{key}` {error}")))
}

/// The body of a request that is a JSON object, of at most 64 KiB where nothing else is said.
#[derive(Debug)]
pub struct JsonBody<const MAX: usize = MAX_MESSAGE_BYTES>(Bytes);

impl<const MAX: usize> JsonBody<MAX> {
    /// The object's fields.
    pub fn fields(&self) -> Result<Fields<'_>, ApiError> {
        Fields::parse(&self.0).map_err(|error| ApiError::invalid(format!("the body {error}")))
    }

    /// Reads the object's fields, of which `userId` must not name anybody but the actor.
    pub fn read_as<T: DeserializeOwned>(&self, actor: UserId) -> Result<T, ApiError> {
        let fields = self.fields()?;
        fields.check_user(actor)?;
        fields.read()
    }
}

impl<S: Sync, const MAX: usize> FromRequest<S> for JsonBody<MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        read(request, MAX).await.map(Self)
    }
}

/// Reads a list of users of at most 4 MiB.
pub async fn user_list(request: Request) -> Result<Bytes, ApiError> {
    read(request, MAX_USER_LIST_BYTES).await
}

/// Reads a body of at most 64 KiB, whatever it is.
pub async fn raw(request: Request) -> Result<Bytes, ApiError> {
    read(request, MAX_MESSAGE_BYTES).await
}

/// Reads a picture of at most 256 KiB.
pub async fn picture(request: Request) -> Result<Bytes, ApiError> {
    read(request, MAX_AVATAR_BYTES).await
}

/// Reads a body whole. What is left of one that is refused, the connection reads away.
async fn read(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let body = request.into_body();
    let too_large = || {
        ApiError::new(ErrorCode::PayloadTooLarge, format!("at most {} KiB are taken", limit / 1024))
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_WAIT, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::invalid("the body did not arrive")),
        Err(_) => Err(ApiError::invalid("the body did not arrive in time")),
    }
}
