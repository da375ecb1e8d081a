//! The one place that makes HTTP of what went wrong: RFC 9457 problem documents.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::protocol::fault::{ApiError, DenialReason, ErrorCode};

/// A problem document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Names the code as a URI.
    #[serde(rename = "type")]
    #[schema(example = "urn:imserver:problem:invalid_request")]
    kind: String,
    /// A title, the same for every occurrence of the code.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The stable word.
    #[schema(example = "invalid_request")]
    code: &'static str,
    /// What is wrong this time.
    detail: String,
    /// With `not_allowed`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "blocked")]
    reason: Option<&'static str>,
}

impl From<&ApiError> for Problem {
    fn from(fault: &ApiError) -> Self {
        Self {
            kind: format!("urn:imserver:problem:{}", fault.code.as_str()),
            title: fault.code.title(),
            status: fault.code.status(),
            code: fault.code.as_str(),
            detail: fault.detail.clone().into_owned(),
            reason: fault.reason.map(DenialReason::as_str),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(Problem::from(&self))).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        match self.code {
            ErrorCode::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ErrorCode::UpgradeRequired => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            }
            _ => {}
        }
        response
    }
}
