//! The OpenAPI document: its head, and what it says of all routes alike. The routes describe themselves.

use std::sync::Arc;

use axum::http::StatusCode;
use utoipa::{
    Modify, OpenApi as _, PartialSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, Response, Schema,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::error::Problem;

/// The statuses by which a route may refuse, each of which is described once.
const FAULTS: [u16; 13] = [400, 401, 403, 404, 409, 410, 413, 415, 416, 422, 429, 500, 503];

/// What some routes answer besides that which follows from how they are described.
const FURTHER: [(&str, &[u16]); 25] = [
    ("/v1/login/wechat", &[401, 404, 429, 503]),
    ("/v1/login/token", &[401, 404, 429, 503]),
    ("/v1/login/demo", &[404, 429, 503]),
    ("/v1/me", &[404]),
    ("/v1/me/avatar", &[404]),
    ("/v1/avatars/{hash}", &[503]),
    ("/v1/media", &[415, 422]),
    ("/v1/media/{id}/{variant}", &[416, 503]),
    ("/v1/users", &[404]),
    ("/v1/events", &[409]),
    ("/v1/chats", &[404, 409, 422]),
    ("/v1/reports", &[404]),
    ("/v1/conversations", &[404, 409]),
    ("/v1/conversations/{id}/members", &[409]),
    ("/v1/conversations/{id}/settings", &[409]),
    ("/v1/conversations/{id}/members/{userId}", &[409]),
    ("/v1/admin/users", &[404]),
    ("/v1/admin/sessions", &[404]),
    ("/v1/admin/chats", &[404, 409, 422]),
    ("/v1/admin/conversations", &[404, 409]),
    ("/v1/admin/held/{id}", &[422]),
    ("/v1/admin/conversations/{id}/members", &[409]),
    ("/v1/admin/feed", &[404, 410]),
    ("/push", &[404, 409, 422]),
    ("/wechat/push", &[404, 503]),
];

/// The bodies that hold a chat to be sent.
const SENDS: [&str; 2] = ["SendChat", "SeedChat"];

/// The document as it is served.
#[derive(Clone, Debug)]
pub(super) struct Text(pub(super) Arc<str>);

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "imserver",
        description = "Real-time chat for WeChat mini programs. The WebSocket and all rules are described in docs/protocol.md."
    ),
    components(schemas(Problem)),
    modifiers(&BearerTokens),
    security(("token" = []))
)]
struct Head;

/// Of a session, and of an API key.
struct BearerTokens;

impl Modify for BearerTokens {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for name in ["token", "apiKey"] {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// The document without routes.
pub(super) fn head() -> OpenApi {
    Head::openapi()
}

/// Adds what the routes do not say themselves; `max_content_chars` is the setting.
pub(super) fn complete(document: &mut OpenApi, max_content_chars: usize) -> Text {
    for (path, item) in &mut document.paths.paths {
        let operations =
            [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            describe_faults(path, operation);
            describe_responses(operation);
        }
    }
    let components = document.components.get_or_insert_default();
    let faults = FAULTS.map(|status| (fault_name(status), RefOr::T(fault(status))));
    components.responses.extend(faults);
    for (_, schema) in
        components.schemas.iter_mut().filter(|(name, _)| SENDS.contains(&name.as_str()))
    {
        if let RefOr::T(Schema::Object(object)) = schema
            && let Some(RefOr::T(Schema::Object(content))) = object.properties.get_mut("content")
        {
            content.max_length = Some(max_content_chars);
        }
    }
    Text(document.to_json().expect("a document can be encoded").into())
}

/// Names each status by which the route may refuse. For those that a client does not know there is `default`.
fn describe_faults(path: &str, operation: &mut Operation) {
    // A token in the URL, a host, an origin.
    let mut statuses = vec![400, 403, 500];
    if operation.security.is_none() || path.starts_with("/v1/admin/") {
        statuses.extend([401, 429, 503]);
    }
    if operation.request_body.is_some() {
        statuses.push(413);
    }
    if path.contains('{') {
        statuses.push(404);
    }
    let further = FURTHER.iter().filter(|(further, _)| *further == path);
    statuses.extend(further.flat_map(|(_, statuses)| *statuses));
    let responses = &mut operation.responses.responses;
    responses.insert("default".to_owned(), RefOr::T(problem("default")));
    for status in statuses {
        let mut response = Ref::from_response_name(fault_name(status));
        response.description = words_of(&status.to_string());
        responses.entry(status.to_string()).or_insert(RefOr::Ref(response));
    }
}

fn fault_name(status: u16) -> String {
    format!("Problem{status}")
}

fn fault(status: u16) -> Response {
    let mut fault = problem(&status.to_string());
    if matches!(status, 429 | 503) {
        let seconds = HeaderBuilder::new().schema(Some(u32::schema()));
        let seconds = seconds.description(Some("After how many seconds to try again")).build();
        fault.headers.insert("Retry-After".to_owned(), RefOr::T(seconds));
    }
    fault
}

fn problem(status: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let mut problem = Response::new(words_of(status));
    problem.content.insert("application/problem+json".to_owned(), RefOr::T(content));
    problem
}

/// Says what each response is, as OpenAPI wants: the words of its status.
fn describe_responses(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            response.description = words_of(status);
        }
    }
}

fn words_of(status: &str) -> String {
    let status = status.parse::<StatusCode>().ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("What is wrong").to_owned()
}
