//! `/v1/login/…`, `/v1/logout`.

use std::{net::IpAddr, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    extract::{Actor, JsonBody},
    peer::ClientAddress,
    views::{PublicUrl, UserView},
};
use crate::{
    auth::Login,
    clock::Timestamp,
    domain::User,
    protocol::{
        fault::{ApiError, ErrorCode},
        fields::{Words, missing},
    },
    service::Service,
};

/// A session has begun.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoginView {
    /// What the client proves itself with, as `Authorization: Bearer TOKEN`.
    token: String,
    /// When the session ends unless it is used.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    user: UserView,
}

impl LoginView {
    pub(super) fn of((user, login): (User, Login), url: &PublicUrl) -> Json<Self> {
        Json(Self {
            token: login.token.reveal(),
            expires_at: login.expires_at,
            user: UserView::whole(user, url),
        })
    }
}

/// A code of `wx.login`.
#[derive(Deserialize, ToSchema)]
pub(super) struct WechatLogin {
    #[schema(min_length = 1)]
    code: String,
    /// The mini program that it comes from; the first one of the settings where it is absent.
    appid: Option<String>,
}

/// Log in by WeChat
#[utoipa::path(post, path = "/v1/login/wechat", tag = "login", security(()), request_body = WechatLogin,
    responses((status = 200, body = LoginView)))]
pub(super) async fn wechat(
    State(service): State<Arc<Service>>,
    ClientAddress(address): ClientAddress,
    url: PublicUrl,
    body: JsonBody,
) -> Result<Json<LoginView>, ApiError> {
    let WechatLogin { code, appid } = body.fields()?.read()?;
    if code.is_empty() {
        return Err(missing("code"));
    }
    service.limits.may_try_login(address).await?;
    let login = service.accounts.log_in_wechat(&code, appid.as_deref()).await;
    Ok(LoginView::of(counted(&service, address, login).await?, &url))
}

/// Counts a login that was refused for what it came with.
async fn counted(
    service: &Service,
    address: IpAddr,
    login: Result<(User, Login), ApiError>,
) -> Result<(User, Login), ApiError> {
    use ErrorCode::{TokenExpired, TokenInvalid, WechatCodeInvalid, WechatUserBlocked};
    if let Err(ApiError {
        code: WechatCodeInvalid | WechatUserBlocked | TokenInvalid | TokenExpired,
        ..
    }) = login
    {
        service.limits.failed_login(address).await?;
    }
    login
}

/// A token of the company's own back end.
#[derive(Deserialize, ToSchema)]
pub(super) struct TokenLogin {
    /// A JWT, or a UserSig of Tencent's.
    #[schema(min_length = 1)]
    token: String,
}

/// Log in by a token of the company's own back end
#[utoipa::path(post, path = "/v1/login/token", tag = "login", security(()), request_body = TokenLogin,
    responses((status = 200, body = LoginView)))]
pub(super) async fn token(
    State(service): State<Arc<Service>>,
    ClientAddress(address): ClientAddress,
    url: PublicUrl,
    body: JsonBody,
) -> Result<Json<LoginView>, ApiError> {
    let TokenLogin { token } = body.fields()?.read()?;
    if token.is_empty() {
        return Err(missing("token"));
    }
    service.limits.may_try_login(address).await?;
    let login = service.accounts.log_in_token(&token).await;
    Ok(LoginView::of(counted(&service, address, login).await?, &url))
}

/// A name, which is enough where demo login is on.
#[derive(Deserialize, ToSchema)]
pub(super) struct DemoLogin {
    #[schema(value_type = String, min_length = 1, max_length = 32)]
    name: Words,
}

/// Log in by a name, where demo login is on
#[utoipa::path(post, path = "/v1/login/demo", tag = "login", security(()), request_body = DemoLogin,
    responses((status = 200, body = LoginView)))]
pub(super) async fn demo(
    State(service): State<Arc<Service>>,
    url: PublicUrl,
    body: JsonBody,
) -> Result<Json<LoginView>, ApiError> {
    let DemoLogin { name } = body.fields()?.read()?;
    let login = service.accounts.log_in_demo(&name.user_name("name")?).await?;
    Ok(LoginView::of(login, &url))
}

/// What to end.
#[derive(Deserialize, ToSchema)]
pub(super) struct Logout {
    /// Whether all of one's sessions end.
    everywhere: Option<bool>,
}

/// End this session, or all of mine, and close their sockets; no body is needed
#[utoipa::path(post, path = "/v1/logout", tag = "login", request_body = Option<Logout>,
    responses((status = 204)))]
pub(super) async fn logout(
    State(service): State<Arc<Service>>,
    actor: Actor,
    body: JsonBody,
) -> Result<StatusCode, ApiError> {
    service.limits.write(actor.user)?;
    let Logout { everywhere } = match body.fields() {
        Ok(_) => body.read_as(actor.user)?,
        Err(_) => Logout { everywhere: None },
    };
    if everywhere == Some(true) {
        if let Some(last) = service.accounts.log_out_everywhere(actor.user).await? {
            service.messaging.close_sessions(actor.user, last);
        }
    } else {
        service.accounts.log_out(&actor.session).await?;
        service.messaging.close_session(actor.user, actor.session.id);
    }
    Ok(StatusCode::NO_CONTENT)
}
