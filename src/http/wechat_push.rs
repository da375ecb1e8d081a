//! `/wechat/push`: where WeChat tells a mini program's back end what happens. Its query names a user, so nothing here
//! logs it.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header,
    response::IntoResponse,
};

use super::extract::{self, Params};
use crate::{protocol::fault::ApiError, service::Service, wechat::push::PushQuery};

/// What WeChat takes for an answer. Anything else has it send the push again.
const SUCCESS: &str = "success";

fn query(params: &Params) -> PushQuery {
    let of = |key| params.get(key).unwrap_or_default().to_owned();
    PushQuery {
        signature: of("signature"),
        msg_signature: of("msg_signature"),
        timestamp: of("timestamp"),
        nonce: of("nonce"),
    }
}

fn plain(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text)
}

/// Show WeChat that the service knows the token
#[utoipa::path(get, path = "/wechat/push", tag = "wechat", security(()),
    params(
        ("signature" = String, Query, description = "SHA-1 of the token, the timestamp and the nonce, sorted"),
        ("timestamp" = String, Query),
        ("nonce" = String, Query),
        ("echostr" = String, Query, max_length = 256),
    ),
    responses((status = 200, content_type = "text/plain", body = String, description = "The echostr")))]
pub(super) async fn echo(
    State(service): State<Arc<Service>>,
    params: Params,
) -> Result<impl IntoResponse, ApiError> {
    let echo = params.get("echostr").unwrap_or_default();
    let echo = service.wechat_push.echo(&query(&params), echo)?;
    Ok(plain(echo.to_owned()))
}

/// Take what WeChat pushes: JSON, plain or encrypted. It is kept before it is answered, and a repeat changes nothing
#[utoipa::path(post, path = "/wechat/push", tag = "wechat", security(()),
    params(
        ("signature" = Option<String>, Query, description = "Of a plain push: SHA-1 of the token, the timestamp and the nonce, sorted"),
        ("msg_signature" = Option<String>, Query, description = "Of an encrypted push: SHA-1 of these and `Encrypt`, sorted"),
        ("timestamp" = String, Query),
        ("nonce" = String, Query),
    ),
    request_body(content = Object, content_type = "application/json"),
    responses((status = 200, content_type = "text/plain", body = String, description = "`success`")))]
pub(super) async fn push(
    State(service): State<Arc<Service>>,
    params: Params,
    request: Request,
) -> Result<impl IntoResponse, ApiError> {
    let body = extract::raw(request).await?;
    service.wechat_push.take(&query(&params), &body).await?;
    Ok(plain(SUCCESS.to_owned()))
}
