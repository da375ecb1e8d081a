//! Which JWTs are good.

use std::time::Duration;

use imserver::identity::{Algorithm, TokenError};
use serde_json::{Value, json};

use super::{
    ALL, AUDIENCE, FOREIGN, NOW, Signer, assert_invalid, claims, claims_with, clock, keys, subject,
    verifier,
};

#[tokio::test]
async fn a_token_of_each_algorithm_is_good() {
    let signers = Signer::all();
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    for signer in &signers {
        let token = signer.token(&claims("4711"));
        assert_eq!(subject(&verifier, &token).await.unwrap(), "4711", "{}", signer.algorithm());
    }
}

#[tokio::test]
async fn tokens_that_other_programs_made_are_good() {
    let foreign: Value = serde_json::from_str(FOREIGN).unwrap();
    let keys = serde_json::from_value(foreign["keys"].clone()).unwrap();
    let verifier = verifier(keys, &ALL, None, &clock());
    for token in foreign["tokens"].as_array().unwrap() {
        let vouched = verifier.verify(token.as_str().unwrap()).await.unwrap();
        assert_eq!(vouched.external_id.as_str(), "4711");
        assert_eq!(vouched.name.unwrap().as_str(), "张三");
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_listed_is_not_taken_whatever_keys_there_are() {
    let signers = Signer::all();
    for listed in ALL {
        let verifier = verifier(keys(&signers), &[listed], None, &clock());
        let mut taken = Vec::new();
        for signer in &signers {
            if subject(&verifier, &signer.token(&claims("4711"))).await.is_ok() {
                taken.push(signer.algorithm().parse::<Algorithm>().unwrap());
            }
        }
        assert_eq!(taken, [listed]);
    }
}

#[tokio::test]
async fn a_key_is_found_by_kid_or_is_the_only_one_of_its_algorithm() {
    let (one, two, other) = (Signer::es256("1"), Signer::es256("2"), Signer::eddsa("1"));
    let signers = [one, two, other];
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    let [one, two, other] = &signers;
    for signer in [one, two, other] {
        assert_eq!(subject(&verifier, &signer.token(&claims("a"))).await.unwrap(), "a");
    }
    let nameless = |signer: &Signer| {
        let header = json!({"alg": signer.algorithm()}).to_string();
        signer.token_of(&header, &claims("a").to_string())
    };
    assert_eq!(subject(&verifier, &nameless(other)).await.unwrap(), "a");
    for signer in [one, two] {
        assert_invalid(&verifier, &nameless(signer), "either might be meant").await;
    }
    let header = json!({"alg": "ES256", "kid": "1"}).to_string();
    let swapped = two.token_of(&header, &claims("a").to_string());
    assert_eq!(assert_invalid(&verifier, &swapped, "another key").await, "its signature is wrong");
}

#[tokio::test]
async fn issuer_audience_and_end_are_demanded() {
    let signers = [Signer::hs256("h")];
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    let [signer] = &signers;
    for (key, good) in [
        ("aud", json!([AUDIENCE])),
        ("aud", json!(["other", AUDIENCE])),
        ("exp", json!(1_800_000_000.5)),
        ("nbf", json!(NOW)),
        ("nbf", json!(null)),
        ("sub", json!("字".repeat(128))),
        ("anything", json!({"a": [1]})),
        ("name", json!(7)),
        ("picture", json!(["x"])),
    ] {
        let token = signer.token(&claims_with(key, good.clone()));
        assert!(subject(&verifier, &token).await.is_ok(), "{key} {good}");
    }
    for (key, wrong) in [
        ("iss", json!(null)),
        ("iss", json!("https://shop.example/")),
        ("iss", json!("")),
        ("iss", json!(7)),
        ("aud", json!(null)),
        ("aud", json!("other")),
        ("aud", json!("CHAT")),
        ("aud", json!("")),
        ("aud", json!([])),
        ("aud", json!(["other"])),
        ("aud", json!([["chat"]])),
        ("aud", json!({"chat": "chat"})),
        ("exp", json!(null)),
        ("exp", json!("4000000000")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!(true)),
        ("exp", json!([NOW + 60])),
        ("nbf", json!("0")),
        ("nbf", json!(-1)),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!(4711)),
        ("sub", json!("a\nb")),
        ("sub", json!("a b")),
        ("sub", json!("id:1")),
        ("sub", json!("system")),
        ("sub", json!("字".repeat(129))),
    ] {
        let token = signer.token(&claims_with(key, wrong.clone()));
        assert_invalid(&verifier, &token, &format!("{key} {wrong}")).await;
    }
}

#[tokio::test]
async fn clocks_may_differ_by_half_a_minute() {
    let signers = [Signer::hs256("h")];
    let clock = clock();
    let verifier = verifier(keys(&signers), &ALL, None, &clock);
    let ends = signers[0].token(&claims_with("exp", json!(NOW)));
    let begins = signers[0].token(&claims_with("nbf", json!(NOW + 60)));
    assert_eq!(assert_invalid(&verifier, &begins, "too soon").await, "it is not valid yet");
    clock.advance(Duration::from_millis(29_999));
    assert!(subject(&verifier, &ends).await.is_ok());
    assert_invalid(&verifier, &begins, "a millisecond too soon").await;
    clock.advance(Duration::from_millis(1));
    assert_eq!(subject(&verifier, &ends).await, Err(TokenError::Expired));
    assert!(subject(&verifier, &begins).await.is_ok());
    // Whoever has no good token is not told that it was good once.
    let forged = format!("{}AAAA", &ends[..ends.len() - 4]);
    assert_invalid(&verifier, &forged, "forged").await;
}

#[test]
fn a_key_that_can_check_nothing_is_refused() {
    let [hs, rs, es, ed] = Signer::all();
    let private = super::pem("PRIVATE KEY", include_bytes!("fixtures/test-only-rsa.pk8"));
    for (algorithm, key) in [
        ("HS256", String::new()),
        ("RS256", es.key()),
        ("RS256", private),
        ("RS256", hs.key()),
        ("ES256", rs.key()),
        ("ES256", ed.key()),
        ("EdDSA", es.key()),
        ("EdDSA", ed.key().replace("PUBLIC KEY", "CERTIFICATE")),
        ("EdDSA", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n".to_owned()),
        ("RS512", rs.key()),
        ("none", String::new()),
        ("hs256", hs.key()),
    ] {
        let setting = json!({"algorithm": algorithm, "key": key});
        let refused = serde_json::from_value::<imserver::identity::JwtKey>(setting).unwrap_err();
        let shown = refused.to_string();
        assert!(key.is_empty() || !shown.contains(&key), "{algorithm}: {shown}");
    }
}
