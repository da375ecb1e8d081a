//! A company's own back end, which uses the server API with a key.

use std::net::SocketAddr;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::{DEADLINE, server::json_of};

/// A back end with an API key.
#[derive(Clone)]
pub struct BackEnd {
    pub key: String,
    pub addr: SocketAddr,
    pub http: reqwest::Client,
}

impl BackEnd {
    /// A request with its key to a path below `/v1/admin`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}/v1/admin{path}", self.addr);
        self.http.request(method, url).timeout(DEADLINE).bearer_auth(&self.key)
    }

    /// A request with a JSON body, or none if it is null.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.request(method, path);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        request.send().await.unwrap()
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, &Value::Null).await
    }

    /// `GET` of something that is there, as JSON.
    pub async fn get_json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        let status = response.status();
        assert!(status.is_success(), "{path}: {status}: {}", response.text().await.unwrap());
        json_of(response).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.send(Method::POST, path, body).await
    }

    /// `PUT` of a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Response {
        self.send(Method::PUT, path, body).await
    }

    /// `DELETE`, with a JSON body or without one.
    pub async fn delete(&self, path: &str, body: &Value) -> Response {
        self.send(Method::DELETE, path, body).await
    }

    /// The newest entries of the audit log as `action subject outcome`, but for those of reading it.
    pub async fn audited(&self) -> Vec<String> {
        let log = self.get_json("/audit?limit=100").await;
        let entries = log["entries"].as_array().unwrap().iter();
        let entries = entries.filter(|entry| entry["action"] != "audit.read");
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let line = |entry: &Value| {
            let words = ["action", "subject", "outcome"].map(|key| word(&entry[key]));
            words.join(" ")
        };
        entries.map(line).collect()
    }
}
