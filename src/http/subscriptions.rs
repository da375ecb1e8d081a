//! `/v1/wechat/subscriptions`: what a user lets WeChat tell.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{Actor, JsonBody};
use crate::{protocol::fault::ApiError, service::Service};

/// The most ids of a list: a client asks for 5 at once, and may have kept some answers.
const MAX_IDS: usize = 20;

/// What `wx.requestSubscribeMessage` was answered.
#[derive(Deserialize, ToSchema)]
pub(super) struct Subscribed {
    /// The templates that were accepted, each as often as it was: one grant each.
    #[serde(default)]
    #[schema(min_items = 0, max_items = 20)]
    accepted: Vec<String>,
    /// Those that were rejected, of which no grant is left.
    #[serde(default)]
    #[schema(min_items = 0, max_items = 20)]
    rejected: Vec<String>,
}

/// Tell what I let WeChat send me
#[utoipa::path(post, path = "/v1/wechat/subscriptions", tag = "me", request_body = Subscribed,
    responses((status = 204)))]
pub(super) async fn report_answers(
    State(service): State<Arc<Service>>,
    actor: Actor,
    body: JsonBody,
) -> Result<StatusCode, ApiError> {
    service.limits.write(actor.user)?;
    let Subscribed { accepted, rejected } = body.read_as(actor.user)?;
    let asked = service.subscriptions.as_ref();
    let template = asked.map(|subscriptions| subscriptions.template().as_str());
    for (key, ids) in [("accepted", &accepted), ("rejected", &rejected)] {
        if ids.len() > MAX_IDS {
            return Err(ApiError::invalid(format!("`{key}` must have at most {MAX_IDS} ids")));
        }
        if ids.iter().any(|id| Some(id.as_str()) != template) {
            let detail = format!("`{key}` names a template that this service does not ask for");
            return Err(ApiError::invalid(detail));
        }
    }
    if !accepted.is_empty() && !rejected.is_empty() {
        return Err(ApiError::invalid("`accepted` and `rejected` name the same template"));
    }
    if let Some(subscriptions) = asked {
        let count = u32::try_from(accepted.len()).expect("a list is short");
        subscriptions.report(actor.user, count, !rejected.is_empty()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
