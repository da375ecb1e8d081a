//! `/v1/admin/users/{externalId}/export`: all that is kept of a user.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{TryStreamExt, stream};

use super::{super::extract::PathParam, Key, user_ref};
use crate::{
    admin::Act,
    domain::{ExternalId, Scope},
    export::Export,
    protocol::fault::ApiError,
    service::Service,
};

/// All that is kept of a user, as a tar of JSON and media; in the audit log before it is read
#[utoipa::path(get, path = "/v1/admin/users/{externalId}/export", tag = "admin",
    security(("apiKey" = [])),
    params(("externalId" = ExternalId, Path, description = "Or `id:` and the service's own id")),
    responses((status = 200, content_type = "application/x-tar")))]
pub(super) async fn export_user(
    State(service): State<Arc<Service>>,
    key: Key,
    PathParam(name): PathParam,
) -> Result<Response, ApiError> {
    let mut act = key.begin(&service, Scope::Users, "user.export", None).await?;
    let begun = async {
        let user = service.admin.user(&user_ref("externalId", &name)?).await?;
        act.is_about(format!("user:{user}"));
        Ok((user, service.exporter.begin(user).await?))
    };
    let (user, export) = match begun.await {
        Ok(begun) => begun,
        Err(fault) => return act.end(Err(fault)).await,
    };
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"user-{user}.tar\"")),
    ];
    Ok((headers, body(export, act)).into_response())
}

/// The archive, after whose last byte it is noted how the act ended.
fn body(export: Export, act: Act) -> Body {
    let chunks = Box::pin(export.into_stream());
    Body::from_stream(stream::try_unfold((chunks, act), |(mut chunks, act)| async {
        match chunks.try_next().await {
            Ok(Some(chunk)) => Ok(Some((chunk, (chunks, act)))),
            Ok(None) => {
                // What is read is read, even if this cannot be noted.
                let _ = act.end(Ok(())).await;
                Ok(None)
            }
            Err(error) => act.end(Err(error.into())).await,
        }
    }))
}
