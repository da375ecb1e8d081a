//! `/v1/media/{id}`: what the signed URLs of uploads lead to.

use std::{ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;

use super::extract::Params;
use crate::{
    domain::MediaShape,
    media::{Pass, Served, Variant},
    protocol::fault::{ApiError, ErrorCode},
    service::Service,
};

/// As long as one likes: what is under a URL never changes. Not in caches that others share.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

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
