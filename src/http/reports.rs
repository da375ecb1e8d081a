//! `/v1/reports`: what people report to whoever keeps order.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Actor, JsonBody};
use crate::{
    domain::{ChatId, ReportId, ReportReason, UserId},
    protocol::{
        fault::ApiError,
        fields::{Words, missing},
    },
    service::Service,
    store::{NewReport, ReportAbout},
};

/// The most Unicode scalar values of what a reporter adds.
const MAX_DETAIL_CHARS: usize = 500;

/// A report about exactly one of `chatId` and `reportedUserId`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MakeReport {
    /// A chat that one can read, of which a copy is kept.
    chat_id: Option<ChatId>,
    reported_user_id: Option<UserId>,
    reason: ReportReason,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    detail: Option<Words>,
}

/// A report that was noted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportMade {
    id: ReportId,
}

/// Report a chat or a user
#[utoipa::path(post, path = "/v1/reports", tag = "people", request_body = MakeReport,
    responses((status = 201, body = ReportMade)))]
pub(super) async fn report(
    State(service): State<Arc<Service>>,
    actor: Actor,
    body: JsonBody,
) -> Result<(StatusCode, Json<ReportMade>), ApiError> {
    service.limits.write(actor.user)?;
    let MakeReport { chat_id, reported_user_id, reason, detail } = body.read_as(actor.user)?;
    let about = match (chat_id, reported_user_id) {
        (Some(chat), None) => ReportAbout::Chat(chat),
        (None, Some(user)) => ReportAbout::User(user),
        (None, None) => return Err(missing("chatId")),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("`chatId` and `reportedUserId` exclude each other"));
        }
    };
    let detail = detail.map(|detail| detail.remark("detail", MAX_DETAIL_CHARS)).transpose()?;
    let new = NewReport { reporter: actor.user, about, reason, detail };
    let id = service.messaging.report(&new).await?;
    Ok((StatusCode::CREATED, Json(ReportMade { id })))
}
