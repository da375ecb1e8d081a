//! `/v1/media`: uploads, and what their signed URLs lead to.

use std::{ops::Range, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde::Serialize;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;

use super::extract::{Actor, Params, integer};
use crate::{
    domain::{Media, MediaKind, MediaShape, UserId, media::millis},
    media::{MAX_FORM_BYTES, MediaLinks, Pass, Served, Upload, Variant, max_bytes, too_large},
    protocol::{
        fault::{ApiError, ErrorCode},
        fields::missing,
    },
    service::Service,
};

/// How long a form may take to arrive, and how long nothing of it may come.
const FORM_WAIT: Duration = Duration::from_mins(2);
const PART_WAIT: Duration = Duration::from_secs(15);

/// The most parts of a form.
const MAX_PARTS: usize = 16;

/// The most bytes of a part that is no file.
const MAX_WORD: usize = 64;

/// As long as one likes: what is under a URL never changes. Not in caches that others share.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

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

/// A picture, a voice message or a file, by a signed URL, which needs no token
#[utoipa::path(get, path = "/v1/media/{id}/{variant}", tag = "media", security(()),
    params(
        ("id" = String, Path, pattern = "^[0-9a-f]{32}$"),
        ("variant" = String, Path, pattern = "^(original|thumb)$"),
        ("e" = i64, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "When the URL ends, in seconds since 1970"),
        ("k" = i64, Query, minimum = 0, maximum = 9_007_199_254_740_991_i64, description = "The key that has signed it"),
        ("s" = String, Query, description = "The signature")),
    responses((status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream"), (status = 304)))]
pub(super) async fn serve(
    State(service): State<Arc<Service>>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let none = || ApiError::new(ErrorCode::NotFound, "there is no such thing, or not any more");
    let Path((id, variant)) = path.map_err(|_| none())?;
    let (id, variant) =
        crate::domain::MediaId::parse(&id).zip(Variant::parse(&variant)).ok_or_else(none)?;
    let number = |key| params.get(key).and_then(|text| text.parse().ok()).unwrap_or_default();
    let signature = params.get("s").unwrap_or_default();
    let pass = Pass { expiry: number("e"), key: number("k"), signature };
    let served = service.media.serve(id, variant, pass).await?.ok_or_else(none)?;

    let etag = format!("\"{id}.{}\"", variant.as_str());
    let mut answer = Response::new(Body::empty());
    describe(answer.headers_mut(), &served, &etag);
    if is_known(&headers, &etag) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(answer);
    }
    let range = match wanted(&headers, &etag, served.size) {
        Wanted::All => 0..served.size,
        Wanted::Part(range) => {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            let told = format!("bytes {}-{}/{}", range.start, range.end - 1, served.size);
            answer.headers_mut().insert(header::CONTENT_RANGE, ascii(&told));
            range
        }
        Wanted::Nothing => {
            let detail = "the range begins behind the end";
            let mut refusal = ApiError::new(ErrorCode::RangeNotSatisfiable, detail).into_response();
            let told = ascii(&format!("bytes */{}", served.size));
            refusal.headers_mut().insert(header::CONTENT_RANGE, told);
            return Ok(refusal);
        }
    };
    answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    let bytes = service.media.read(id, variant, range).await?.ok_or_else(none)?;
    let bytes = bytes.inspect_err(|error| tracing::warn!(%error, "an answer is cut off"));
    *answer.body_mut() = Body::from_stream(bytes);
    Ok(answer)
}

/// The headers of what is served, whatever part of it.
fn describe(headers: &mut HeaderMap, Served { media, .. }: &Served, etag: &str) {
    // A file is never more than bytes to a browser, whatever its sender says.
    let (content_type, disposition) = match &media.shape {
        MediaShape::File { name } => ("application/octet-stream", attachment(name.as_str())),
        _ => (media.content_type.as_str(), "inline".to_owned()),
    };
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_DISPOSITION, &disposition),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::CACHE_CONTROL, FOR_EVER),
        (header::ACCEPT_RANGES, "bytes"),
        (header::ETAG, etag),
    ] {
        headers.insert(name, ascii(value));
    }
}

/// What is made here of ASCII alone.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("nothing else is made here")
}

/// A download under this name: RFC 6266, with a name in ASCII for who knows no other.
fn attachment(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_. ()".contains(c);
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let encoded: String = name.bytes().fold(String::new(), |mut encoded, byte| {
        use std::fmt::Write;
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    });
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// Whether the client has it.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known =
        headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

/// What a request wants of something.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<u64>),
    Nothing,
}

/// Reads `Range` and `If-Range`. What cannot be read, and several ranges at once, is all.
fn wanted(headers: &HeaderMap, etag: &str, size: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag) {
        return Wanted::All;
    }
    let range = text(header::RANGE).and_then(|range| range.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Too many digits are more than there is.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (start, end) = match (number(first.trim()), number(last.trim())) {
        (Some(first), Some(last)) if first > last => return Wanted::All,
        (Some(first), Some(last)) => (first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.trim().is_empty() => (first, size),
        (None, Some(length)) if first.trim().is_empty() => (size.saturating_sub(length), size),
        _ => return Wanted::All,
    };
    if start < end { Wanted::Part(start..end) } else { Wanted::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_it_should() {
        let wanted = |range: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, range.parse().unwrap());
            wanted(&headers, "\"x\"", 100)
        };
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=10-19", Wanted::Part(10..20)),
            ("bytes=90-", Wanted::Part(90..100)),
            ("bytes=90-1000", Wanted::Part(90..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=100-200", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(wanted(range), expected, "{range}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(
            attachment("年报 \"a\".pdf"),
            "attachment; filename=\"__ _a_.pdf\"; \
             filename*=UTF-8''%E5%B9%B4%E6%8A%A5%20%22a%22.pdf"
        );
    }
}
