//! The OpenAPI document: valid, complete, and changed only on purpose.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::StatusCode;
use serde_json::Value;

use super::ROUTES;
use crate::harness::Server;

/// Routes that are no part of an HTTP API: a socket and a page.
const UNDESCRIBED: [&str; 4] = ["/imserver/{userId}", "/", "/demo", "/page/{file}"];

async fn document() -> Value {
    let server = Server::start();
    let answer = server.get("/v1/openapi.json").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/json");
    crate::harness::server::json_of(answer).await
}

/// Every operation with its path and method.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &'static str)| (path.clone(), item.to_owned());
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = ["get", "post", "put", "patch", "delete", "options", "head", "trace"];
            methods.into_iter().filter_map(move |method| {
                let operation = item.get(method)?;
                let (path, method) = of((path, method));
                Some((path, method, operation))
            })
        })
        .collect()
}

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let document = document().await;
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&document) {
        described.entry(path).or_default().insert(method.to_uppercase());
    }
    let served: BTreeMap<String, BTreeSet<String>> = ROUTES
        .into_iter()
        .filter(|(path, _)| !UNDESCRIBED.contains(path))
        .map(|(path, methods)| {
            (path.to_owned(), methods.iter().map(|method| (*method).to_owned()).collect())
        })
        .collect();
    assert_eq!(described, served);
}

#[tokio::test]
async fn the_document_is_valid() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("nothing is elsewhere");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} twice");
        check_parameters(&path, operation);
        check_security(&document, operation);
        let body = operation.get("requestBody").is_some();
        assert!(!body || method != "get", "{path}: a GET has no body");
    }
}

fn collect_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

/// The parameters of a path's template are exactly those declared, and all are well described.
fn check_parameters(path: &str, operation: &Value) {
    let none = Vec::new();
    let declared = operation["parameters"].as_array().unwrap_or(&none);
    let mut in_path: Vec<_> = declared
        .iter()
        .filter(|parameter| parameter["in"] == "path")
        .map(|parameter| {
            assert_eq!(parameter["required"], true, "{path}");
            parameter["name"].as_str().unwrap()
        })
        .collect();
    in_path.sort_unstable();
    let mut in_template: Vec<_> =
        path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    in_template.sort_unstable();
    assert_eq!(in_path, in_template, "{path}");
    for parameter in declared {
        assert!(parameter["schema"].is_object(), "{path}: {parameter}");
        assert!(matches!(parameter["in"].as_str(), Some("path" | "query")), "{path}: {parameter}");
    }
}

fn check_security(document: &Value, operation: &Value) {
    let required = operation.get("security").unwrap_or(&document["security"]);
    for scheme in required.as_array().unwrap().iter().filter_map(Value::as_object) {
        for name in scheme.keys() {
            assert!(document["components"]["securitySchemes"].get(name).is_some(), "{name}");
        }
    }
}

#[tokio::test]
async fn every_operation_says_what_its_errors_look_like() {
    let document = document().await;
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        let error =
            &responses.get("default").unwrap_or_else(|| panic!("{method} {path}"))["content"];
        let schema = &error["application/problem+json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/Problem", "{method} {path}");
        for (status, response) in responses {
            assert!(response["description"].is_string(), "{method} {path} {status}");
        }
    }
    let problem = &document["components"]["schemas"]["Problem"];
    for key in ["type", "title", "status", "code", "detail"] {
        assert!(problem["properties"].get(key).is_some(), "{key}");
    }
}

#[tokio::test]
async fn the_document_changes_on_purpose_only() {
    let mut document = document().await;
    document["info"]["version"] = "of the crate".into();
    insta::assert_json_snapshot!("openapi", document);
}
