//! `/v1/media`: uploads, as forms that are read part by part.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde::Serialize;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;

use super::extract::{Actor, integer};
use crate::{
    domain::{Media, MediaKind, MediaShape, UserId, media::millis},
    media::{MAX_FORM_BYTES, MediaLinks, Upload, Variant, max_bytes, too_large},
    protocol::{fault::ApiError, fields::missing},
    service::Service,
};

/// How long a form may take to arrive, and how long nothing of it may come.
const FORM_WAIT: Duration = Duration::from_mins(2);
const PART_WAIT: Duration = Duration::from_secs(15);

/// The most parts of a form.
const MAX_PARTS: usize = 16;

/// The most bytes of a part that is no file.
const MAX_WORD: usize = 64;

/// An upload.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the form is read part by part")]
pub(super) struct UploadForm {
    /// Its bytes: a picture of at most 10 MiB, a voice message of at most 2 MiB, or a file of at most 20 MiB.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What it is.
    kind: MediaKind,
    /// How long a voice message lasts. What counts is what its data says.
    #[serde(rename = "durationMs")]
    #[schema(minimum = 0, nullable = false)]
    duration_ms: Option<u32>,
}

/// An upload that is kept: what a chat with it shows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MediaView {
    #[schema(pattern = "^[0-9a-f]{32}$")]
    media_id: String,
    #[schema(value_type = MediaKind)]
    kind: &'static str,
    /// Good without a token, for a day at least.
    url: String,
    /// Of a picture: the URL of one of at most 320 pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    thumb_url: Option<String>,
    /// Of a picture, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    width: Option<u32>,
    /// Of a picture, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    height: Option<u32>,
    /// Of a voice message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    duration_ms: Option<u32>,
    /// Of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// In bytes.
    size: u64,
    #[schema(example = "image/jpeg")]
    content_type: String,
}

impl MediaView {
    fn of(media: Media, links: &MediaLinks) -> Self {
        let url = |variant| links.url(media.id, variant);
        let mut view = Self {
            media_id: media.id.to_string(),
            kind: media.kind().as_str(),
            url: url(Variant::Original),
            thumb_url: None,
            width: None,
            height: None,
            duration_ms: None,
            name: None,
            size: media.size,
            content_type: media.content_type,
        };
        match &media.shape {
            MediaShape::Image { width, height, .. } => {
                (view.width, view.height) = (Some(*width), Some(*height));
                view.thumb_url = Some(url(Variant::Thumb));
            }
            MediaShape::Voice { duration } => view.duration_ms = Some(millis(*duration)),
            MediaShape::File { name } => view.name = Some(name.as_str().to_owned()),
        }
        view
    }
}

/// Upload a picture, a voice message or a file, to be sent by its id
#[utoipa::path(post, path = "/v1/media", tag = "media",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, body = MediaView)))]
pub(super) async fn upload(
    State(service): State<Arc<Service>>,
    actor: Actor,
    request: Request,
) -> Result<(StatusCode, Json<MediaView>), ApiError> {
    service.limits.write(actor.user)?;
    let (parts, body) = request.into_parts();
    let boundary = boundary(&parts)?;
    // Before the form is read: what waits in memory is bounded.
    let length = content_length(&parts.headers);
    let place = service.media.place(actor.user, length).await?;
    let limit = SizeLimit::new().whole_stream(MAX_FORM_BYTES);
    let constraints = Constraints::new().size_limit(limit);
    let form = Multipart::with_constraints(body.into_data_stream(), boundary, constraints);
    let (upload, received) = read_form(form, actor.user, length).await?;
    let media = service.media.keep(actor.user, upload, received, place).await?;
    tracing::info!(media = %media.id, kind = media.kind().as_str(), size = media.size, "uploaded");
    Ok((StatusCode::CREATED, Json(MediaView::of(media, service.media.links()))))
}

fn boundary(parts: &Parts) -> Result<String, ApiError> {
    let content_type =
        parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|text| multer::parse_boundary(text).ok());
    boundary.ok_or_else(|| ApiError::invalid("the body must be multipart/form-data"))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a form; says also how many bytes of files it had.
async fn read_form(
    mut form: Multipart<'_>,
    user: UserId,
    length: Option<u64>,
) -> Result<(Upload, u64), ApiError> {
    let deadline = Instant::now() + FORM_WAIT;
    let (mut kind, mut file) = (None, None);
    for _ in 0..MAX_PARTS {
        let Some(mut part) = in_time(deadline, form.next_field()).await? else {
            return complete(kind, file);
        };
        match part.name() {
            Some("file") if file.is_some() => {
                return Err(ApiError::invalid("`file` stands twice"));
            }
            Some("file") => {
                let name = part.file_name().map(str::to_owned);
                let content_type = part.content_type().map(|told| told.essence_str().to_owned());
                let most = kind.unwrap_or(MediaKind::File);
                let bytes = read_file(&mut part, most, length, deadline).await?;
                file = Some((name, content_type, bytes));
            }
            Some("kind") => {
                let word = read_word(&mut part, "kind", deadline).await?;
                let known = MediaKind::parse(&word);
                let unknown = || ApiError::invalid("`kind` must be `image`, `voice` or `file`");
                kind = Some(known.ok_or_else(unknown)?);
            }
            Some("durationMs") => {
                let word = read_word(&mut part, "durationMs", deadline).await?;
                let is_number = word.parse::<u32>().is_ok();
                if !is_number {
                    return Err(ApiError::invalid("`durationMs` must be a positive integer"));
                }
            }
            Some("userId") => {
                let named = read_word(&mut part, "userId", deadline).await?;
                if integer::<UserId>("userId", &named)? != user {
                    return Err(ApiError::foreign_user());
                }
            }
            // A field of a newer client, which is read away.
            _ => while in_time(deadline, part.chunk()).await?.is_some() {},
        }
    }
    Err(ApiError::invalid(format!("a form has at most {MAX_PARTS} parts")))
}

type File = (Option<String>, Option<String>, Vec<u8>);

fn complete(kind: Option<MediaKind>, file: Option<File>) -> Result<(Upload, u64), ApiError> {
    let kind = kind.ok_or_else(|| missing("kind"))?;
    let (name, content_type, bytes) = file.ok_or_else(|| missing("file"))?;
    let received = bytes.len() as u64;
    Ok((Upload { kind, name, content_type, bytes: bytes.into() }, received))
}

async fn read_file(
    part: &mut Field<'_>,
    kind: MediaKind,
    length: Option<u64>,
    deadline: Instant,
) -> Result<Vec<u8>, ApiError> {
    let most = usize::try_from(max_bytes(kind)).unwrap_or(usize::MAX);
    // As much as is to come, so that it is not moved while it grows.
    let expected = length.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(expected.min(most));
    while let Some(chunk) = in_time(deadline, part.chunk()).await? {
        if bytes.len() + chunk.len() > most {
            return Err(too_large(kind));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn read_word(part: &mut Field<'_>, key: &str, deadline: Instant) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(deadline, part.chunk()).await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_WORD {
            return Err(ApiError::invalid(format!("`{key}` is too long")));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::invalid(format!("`{key}` is not UTF-8")))
}

/// Waits for the next piece of a form.
async fn in_time<T>(
    deadline: Instant,
    piece: impl Future<Output = Result<T, multer::Error>>,
) -> Result<T, ApiError> {
    let piece = timeout_at(deadline, timeout(PART_WAIT, piece)).await;
    match piece {
        Ok(Ok(Ok(piece))) => Ok(piece),
        Ok(Ok(Err(multer::Error::StreamSizeExceeded { .. }))) => Err(too_large(MediaKind::File)),
        Ok(Ok(Err(multer::Error::StreamReadFailed(_)))) => {
            Err(ApiError::invalid("the body did not arrive"))
        }
        Ok(Ok(Err(_))) => Err(ApiError::invalid("the body is no form that can be read")),
        Ok(Err(_)) | Err(_) => Err(ApiError::invalid("the body did not arrive in time")),
    }
}
