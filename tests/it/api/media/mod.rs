//! Media over the real server: uploads, what is kept of them, and their URLs.

mod bounds;
mod collection;
mod files;
mod pictures;
mod s3;
mod sending;
mod urls;
mod voice;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::harness::{Person, Server, Start, server::json_of};

/// What stands between the parts of a form.
const BOUNDARY: &str = "--------------------------4f2a";

/// A form of parts: name, further parameters and headers, bytes.
pub fn form(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, more, bytes) in parts {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n"
        );
        form.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    form.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
    form
}

/// The type of a form.
pub fn form_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// The request that uploads this form.
fn request(person: &Person, form: Vec<u8>) -> RequestBuilder {
    let request = person.request(Method::POST, "/v1/media").header("content-type", form_type());
    request.body(form)
}

/// Uploads a file of this name.
async fn upload_as(person: &Person, kind: &str, name: &str, bytes: &[u8]) -> Response {
    let named = format!("; filename=\"{name}\"\r\nContent-Type: text/html");
    let parts = [("kind", "", kind.as_bytes()), ("file", &*named, bytes)];
    request(person, form(&parts)).send().await.unwrap()
}

async fn upload(person: &Person, kind: &str, bytes: &[u8]) -> Response {
    upload_as(person, kind, "x.html", bytes).await
}

/// Uploads what must be taken.
async fn kept(person: &Person, kind: &str, bytes: &[u8]) -> Value {
    let answer = upload(person, kind, bytes).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    json_of(answer).await
}

/// What a URL of media leads to, for somebody without a token.
async fn got(server: &Server, url: &Value) -> Response {
    server.http.get(url.as_str().unwrap()).send().await.unwrap()
}

/// The bytes under a URL.
async fn bytes_of(server: &Server, url: &Value) -> Vec<u8> {
    let answer = got(server, url).await;
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap().to_vec()
}

/// A server without limits, and somebody who is logged in to it.
async fn stage() -> (Server, Person) {
    let server = Start::default().set("limits.enabled", false).run();
    let zhang = server.person("张三").await;
    (server, zhang)
}
