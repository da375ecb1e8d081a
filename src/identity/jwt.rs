//! JWTs of a company's own back end.

use std::time::Duration;

use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;
use serde_json::{Number, Value};

use super::{
    Jwks, TokenError, Vouched,
    keys::{Algorithm, JwtKey},
    signatures,
};
use crate::{
    clock::{Clock, Timestamp},
    domain::{AvatarUrl, ExternalId, UserName},
};

/// By how much the issuer's clock may differ from this one.
pub(super) const LEEWAY: Duration = Duration::from_secs(30);

/// Whose tokens are taken.
#[derive(Clone, Debug)]
pub struct JwtRules {
    /// What `iss` must be.
    pub issuer: String,
    /// What must be in `aud`.
    pub audience: String,
    /// By which algorithms a token may be signed, whatever keys there are.
    pub algorithms: Vec<Algorithm>,
    /// Keys that are known from the start.
    pub keys: Vec<JwtKey>,
}

/// Checks JWTs.
#[derive(Clone, Debug)]
pub struct JwtVerifier {
    rules: JwtRules,
    jwks: Option<Jwks>,
    clock: Clock,
}

/// What is read of a token. The rest is the library's business, or nobody's.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: Number,
    nbf: Option<Number>,
    name: Option<Value>,
    picture: Option<Value>,
}

impl JwtVerifier {
    /// A verifier of tokens by these rules. Keys that the rules do not have are looked for in `jwks`.
    pub fn new(rules: JwtRules, jwks: Option<Jwks>, clock: Clock) -> Self {
        signatures::install();
        Self { rules, jwks, clock }
    }

    /// Whom the token names, if it is good.
    pub(super) async fn verify(&self, token: &str) -> Result<Vouched, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Invalid("it is no JWT"))?;
        // What must be understood is not.
        if header.crit.is_some() {
            return Err(TokenError::Invalid("its header has `crit`"));
        }
        let algorithm = Algorithm::of(header.alg)
            .filter(|algorithm| self.rules.algorithms.contains(algorithm))
            .ok_or(TokenError::Invalid("its `alg` is not among auth.jwt.algorithms"))?;
        let key = self.key(algorithm, header.kid.as_deref()).await?;
        let decoded = decode::<Claims>(token, &key, &self.validation(algorithm));
        let claims = decoded.map_err(|error| TokenError::Invalid(reason(error.kind())))?.claims;
        self.check_times(&claims)?;
        let external_id = ExternalId::parse(&claims.sub)
            .map_err(|_| TokenError::Invalid("its `sub` can be nobody's id"))?;
        let text = |claim: &Option<Value>| claim.as_ref()?.as_str().map(str::to_owned);
        let name = text(&claims.name).and_then(|name| UserName::parse(&name).ok());
        let avatar_url = text(&claims.picture).and_then(|url| AvatarUrl::parse(&url));
        Ok(Vouched { external_id, name, avatar_url })
    }

    async fn key(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<DecodingKey, TokenError> {
        match (JwtKey::pick(&self.rules.keys, algorithm, kid), &self.jwks) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some(jwks)) => jwks.key(algorithm, kid).await,
            (None, None) => Err(TokenError::Invalid("its key is not known")),
        }
    }

    /// What the library checks. It would take the time from the system's clock.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm.name());
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        validation
    }

    fn check_times(&self, claims: &Claims) -> Result<(), TokenError> {
        let now = self.clock.now();
        let expires = time(&claims.exp).ok_or(TokenError::Invalid("its `exp` is no time"))?;
        if now >= expires.after(LEEWAY) {
            return Err(TokenError::Expired);
        }
        let Some(begins) = &claims.nbf else { return Ok(()) };
        let begins = time(begins).ok_or(TokenError::Invalid("its `nbf` is no time"))?;
        if now.after(LEEWAY) < begins {
            return Err(TokenError::Invalid("it is not valid yet"));
        }
        Ok(())
    }
}

/// A number of seconds since 1970, which may have a fraction.
fn time(seconds: &Number) -> Option<Timestamp> {
    let since = match seconds.as_u64() {
        Some(whole) => Duration::from_secs(whole),
        None => Duration::try_from_secs_f64(seconds.as_f64()?).ok()?,
    };
    i64::try_from(since.as_millis()).ok().map(Timestamp::from_millis)
}

/// What is wrong, for whoever makes such tokens.
fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidIssuer => "its `iss` is not auth.jwt.issuer",
        ErrorKind::InvalidAudience => "its `aud` is not auth.jwt.audience",
        ErrorKind::MissingRequiredClaim(_) => "its `iss` or `aud` is missing",
        ErrorKind::Json(_) => "its `sub` or `exp` is missing, or a claim stands twice",
        _ => "it is no JWT",
    }
}
