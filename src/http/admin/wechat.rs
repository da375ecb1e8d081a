//! `/v1/admin/wechat/push`: what WeChat pushed to a company's own back end.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
};

use super::{
    super::extract::{self, Params},
    Key,
};
use crate::{domain::Scope, protocol::fault::ApiError, service::Service};

/// Take an event that WeChat pushed to the back end: the JSON object as WeChat sent it, decrypted. A repeat changes nothing
#[utoipa::path(post, path = "/v1/admin/wechat/push", tag = "admin", security(("apiKey" = [])),
    params(("appid" = Option<String>, Query, description = "The mini program; without it, the main one")),
    request_body(content = Object, content_type = "application/json"),
    responses((status = 204)))]
pub(super) async fn take_push(
    State(service): State<Arc<Service>>,
    key: Key,
    params: Params,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let done = async {
        let appid = params.get("appid").filter(|appid| !appid.is_empty());
        let programs = service.settings.wechat.mini_programs();
        if appid.is_some_and(|appid| programs.iter().all(|program| program.appid != appid)) {
            return Err(ApiError::invalid("`appid` is no mini program of this service"));
        }
        let body = extract::raw(request).await?;
        service.wechat_push.take_forwarded(appid, &body).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    key.act(&service, Scope::Moderation, "wechat.push", done).await
}
