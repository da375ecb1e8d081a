//! UserSigs, as back ends of Tencent's chat service make them.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use imserver::{
    clock::Clock,
    identity::{TokenError, TokenVerifier, UserSigVerifier},
    secret::Secret,
};
use miniz_oxide::deflate::compress_to_vec_zlib;
use ring::hmac;
use serde_json::{Value, json};

use super::{FOREIGN, NOW, Signer, assert_invalid, claims, clock, subject};

const APP_ID: u64 = 1_400_000_000;
const SECRET: &str = "an-app-secret-of-64-hexadecimal-digits-as-consoles-show-them-0123";

fn verifier(clock: &Clock) -> TokenVerifier {
    let usersig = UserSigVerifier::new(APP_ID, &Secret::new(SECRET), clock.clone());
    TokenVerifier { jwt: None, usersig: Some(usersig) }
}

/// A token of this JSON.
fn packed(json: &str) -> String {
    let base64 = STANDARD.encode(compress_to_vec_zlib(json.as_bytes(), 6));
    base64.replace('+', "*").replace('/', "-").replace('=', "_")
}

fn signature(secret: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

/// What a token has that is good from `time` on, for so many seconds.
fn ticket_of(secret: &str, identifier: &str, time: u64, expire: u64) -> Value {
    let text = format!(
        "TLS.identifier:{identifier}\nTLS.sdkappid:{APP_ID}\nTLS.time:{time}\nTLS.expire:{expire}\n"
    );
    json!({
        "TLS.ver": "2.0",
        "TLS.identifier": identifier,
        "TLS.sdkappid": APP_ID,
        "TLS.time": time,
        "TLS.expire": expire,
        "TLS.sig": signature(secret, &text),
    })
}

/// What a good token has, for a day.
fn ticket(identifier: &str) -> Value {
    ticket_of(SECRET, identifier, NOW, 86_400)
}

/// A token as a back end makes it.
pub fn made(secret: &str, identifier: &str, time: u64, expire: u64) -> String {
    packed(&ticket_of(secret, identifier, time, expire).to_string())
}

#[tokio::test]
async fn tokens_that_another_program_made_are_good() {
    let foreign: Value = serde_json::from_str(FOREIGN).unwrap();
    let mut named = Vec::new();
    for token in foreign["usersigs"].as_array().unwrap() {
        named.push(subject(&verifier(&clock()), token.as_str().unwrap()).await.unwrap());
    }
    // The second one has a `userbuf`, the third one each of `*`, `-` and `_`.
    assert_eq!(named, ["zhang_san-1", "zhang_san-1", "user70"]);
}

#[tokio::test]
async fn a_token_is_good_for_its_time() {
    let clock = clock();
    let verifier = verifier(&clock);
    let token = packed(&ticket("a").to_string());
    assert_eq!(subject(&verifier, &token).await.unwrap(), "a");
    clock.advance(Duration::from_millis(86_429_999));
    assert_eq!(subject(&verifier, &token).await.unwrap(), "a");
    clock.advance(Duration::from_millis(1));
    assert_eq!(subject(&verifier, &token).await, Err(TokenError::Expired));
    for (time, is_good) in [(NOW + 86_460, true), (NOW + 86_461, false)] {
        let token = made(SECRET, "a", time, 9);
        assert_eq!(subject(&verifier, &token).await.is_ok(), is_good, "{time}");
    }
}

#[tokio::test]
async fn a_token_that_was_changed_is_refused() {
    let verifier = verifier(&clock());
    for (key, value) in [
        ("TLS.identifier", json!("b")),
        ("TLS.identifier", json!("")),
        ("TLS.identifier", json!(7)),
        ("TLS.identifier", json!("a\nTLS.sdkappid:1400000000")),
        ("TLS.sdkappid", json!(APP_ID + 1)),
        ("TLS.sdkappid", json!(APP_ID.to_string())),
        ("TLS.time", json!(NOW + 1)),
        ("TLS.time", json!(-1)),
        ("TLS.time", json!(1.5)),
        ("TLS.expire", json!(86_401)),
        ("TLS.expire", json!(u64::MAX)),
        ("TLS.expire", json!(-1)),
        ("TLS.userbuf", json!("AAAA")),
        ("TLS.userbuf", json!("")),
        ("TLS.sig", json!("")),
        ("TLS.sig", json!(STANDARD.encode([0; 32]))),
        ("TLS.sig", json!("!")),
        ("TLS.sig", json!(null)),
    ] {
        let mut changed = ticket("a");
        changed[key] = value.clone();
        assert_invalid(&verifier, &packed(&changed.to_string()), &format!("{key} {value}")).await;
    }
    let other = UserSigVerifier::new(APP_ID, &Secret::new("another"), clock());
    let other = TokenVerifier { jwt: None, usersig: Some(other) };
    let good = packed(&ticket("a").to_string());
    assert_eq!(assert_invalid(&other, &good, "secret").await, "its signature is wrong");
    for wrong in [ticket("id:1"), ticket("a\tb"), ticket(&"x".repeat(129))] {
        assert_invalid(&verifier, &packed(&wrong.to_string()), &wrong.to_string()).await;
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let verifier = verifier(&clock());
    let good = packed(&ticket("a").to_string());
    let jwt = Signer::hs256("h").token(&claims("a"));
    for (what, token) in [
        ("no base64", "!!!!".to_owned()),
        ("base64 as elsewhere", good.replace('*', "+").replace('_', "=") + "="),
        ("not all of it", good[..good.len() - 8].to_owned()),
        ("not deflated", STANDARD.encode(ticket("a").to_string()).replace('=', "_")),
        ("no JSON", packed("x")),
        ("no object", packed("[]")),
        ("nothing", packed("")),
        ("no text", packed("{}")),
        ("two", packed(&format!("{0}{0}", ticket("a")))),
        ("a JWT, which is off", jwt),
    ] {
        assert_invalid(&verifier, &token, what).await;
    }
}

#[tokio::test]
async fn a_token_is_inflated_to_16_kib_at_most() {
    let verifier = verifier(&clock());
    let ticket = ticket("a").to_string();
    let padded = |bytes: usize| packed(&format!("{ticket}{}", " ".repeat(bytes)));
    assert_eq!(subject(&verifier, &padded(15_000)).await.unwrap(), "a");
    for bytes in [16 * 1024, 10 * 1024 * 1024] {
        let bomb = padded(bytes);
        assert!(bomb.len() < 16 * 1024, "{}", bomb.len());
        assert_invalid(&verifier, &bomb, "it is too long").await;
    }
}
