//! JWTs that nobody has signed, or somebody else.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use wiremock::MockServer;

use super::{
    ALL, FOREIGN, Pair, Signer, assert_invalid, claims, clock, encoded, keys, subject, verifier,
};

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let signers = Signer::all();
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES256", "EdDSA"] {
        for kid in [json!(null), json!("h"), json!("r"), json!("e"), json!("d")] {
            let header = json!({"alg": alg, "kid": kid}).to_string();
            let unsigned = format!("{}.{}.", encoded(&header), encoded(&claims("a").to_string()));
            assert_invalid(&verifier, &unsigned, alg).await;
            assert_invalid(&verifier, unsigned.trim_end_matches('.'), alg).await;
        }
    }
    for header in [json!({}), json!({"kid": "h"}), json!({"alg": null}), json!({"alg": ["HS256"]})]
    {
        let token = signers[0].token_of(&header.to_string(), &claims("a").to_string());
        assert_invalid(&verifier, &token, &header.to_string()).await;
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let signers = Signer::all();
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    for signer in &signers[1..] {
        let spki = signer.key();
        for secret in [spki.clone().into_bytes(), spki.trim_end().into(), signer.public()] {
            let forger = Signer::new(&signer.kid, Pair::Hs256(secret));
            assert_invalid(&verifier, &forger.token(&claims("a")), signer.algorithm()).await;
            // With the header of the key's own algorithm, too.
            let forged = forger.token_of(&signer.header().to_string(), &claims("a").to_string());
            assert_invalid(&verifier, &forged, signer.algorithm()).await;
        }
    }
}

#[tokio::test]
async fn algorithms_that_are_like_the_listed_ones_are_others() {
    let signers = Signer::all();
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    for signer in &signers {
        for alg in
            ["HS384", "HS512", "RS384", "RS512", "PS256", "ES384", "ES256K", "hs256", "EDDSA"]
        {
            let header = json!({"alg": alg, "kid": signer.kid}).to_string();
            let token = signer.token_of(&header, &claims("a").to_string());
            assert_invalid(&verifier, &token, alg).await;
        }
    }
}

#[tokio::test]
async fn signatures_that_fit_anything_are_refused() {
    let signers = Signer::all();
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    for signer in &signers {
        let token = signer.token(&claims("a"));
        let (signed, _) = token.rsplit_once('.').unwrap();
        for length in [0, 1, 32, 64, 256] {
            for byte in [0, 1, 255] {
                let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(vec![byte; length]));
                assert_invalid(&verifier, &forged, signer.algorithm()).await;
            }
        }
    }
}

#[tokio::test]
async fn a_token_that_was_changed_is_refused() {
    let signers = Signer::all();
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    for signer in &signers {
        let token = signer.token(&claims("a"));
        let [header, payload, signature]: [&str; 3] =
            token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let other = encoded(&claims("b").to_string());
        let more =
            encoded(&json!({"alg": signer.algorithm(), "kid": signer.kid, "x": 1}).to_string());
        for changed in [
            format!("{header}.{other}.{signature}"),
            format!("{more}.{payload}.{signature}"),
            format!("{token}."),
            format!(".{token}"),
            format!("{token}.{signature}"),
            format!("{token}="),
            format!(" {token}"),
            format!("{token}\n"),
            format!("Bearer {token}"),
            format!("{header}.{payload}=.{signature}"),
            format!("{payload}.{header}.{signature}"),
            format!("{header}..{signature}"),
            format!("{header}.{payload}"),
        ] {
            assert_invalid(&verifier, &changed, &changed).await;
        }
        assert_eq!(subject(&verifier, &token).await.unwrap(), "a");
    }
}

#[tokio::test]
async fn claims_that_stand_twice_or_are_none_are_refused() {
    let signers = [Signer::hs256("h")];
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    let [signer] = &signers;
    let good = claims("a").to_string();
    let rest = &good[1..];
    for wrong in [
        format!(r#"{{"sub":"b",{rest}"#),
        format!(r#"{{"exp":1,{rest}"#),
        format!(r#"{{"iss":"https://evil.example",{rest}"#),
        format!(r#"{{"aud":"other",{rest}"#),
        format!("[{good}]"),
        format!("{good}{good}"),
        format!("{}{good}{}", "[".repeat(5_000), "]".repeat(5_000)),
        "\"a\"".to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        let token = signer.token_of(&signer.header().to_string(), &wrong);
        assert_invalid(&verifier, &token, &wrong).await;
    }
}

#[tokio::test]
async fn a_header_leads_to_no_key_of_its_own() {
    let elsewhere = MockServer::start().await;
    let signers = Signer::all();
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    let forger = Signer::es256("e");
    let url = elsewhere.uri();
    for (key, value) in [
        ("jwk", forger.jwk()),
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("x5c", json!([URL_SAFE_NO_PAD.encode(forger.public())])),
        ("kid", json!(url)),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("/etc/passwd")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!("x".repeat(8_000))),
        ("kid", json!("\0")),
        ("kid", json!("")),
        ("kid", json!(7)),
        ("kid", json!(["e"])),
    ] {
        let mut header = forger.header();
        header[key] = value;
        let token = forger.token_of(&header.to_string(), &claims("a").to_string());
        assert_invalid(&verifier, &token, &header.to_string()).await;
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty(), "somebody was asked");
    // A good key is good beside them: they are not looked at.
    let mut header: Value = signers[2].header();
    header["jku"] = json!(url);
    let token = signers[2].token_of(&header.to_string(), &claims("a").to_string());
    assert_eq!(subject(&verifier, &token).await.unwrap(), "a");
    header["crit"] = json!(["jku"]);
    let token = signers[2].token_of(&header.to_string(), &claims("a").to_string());
    assert_eq!(assert_invalid(&verifier, &token, "crit").await, "its header has `crit`");
}

#[tokio::test]
async fn a_huge_token_is_not_looked_at() {
    let signers = [Signer::hs256("h")];
    let verifier = verifier(keys(&signers), &ALL, None, &clock());
    let padded = |bytes: usize| {
        let mut claims = claims("a");
        claims["padding"] = json!("x".repeat(bytes));
        signers[0].token(&claims)
    };
    assert_eq!(subject(&verifier, &padded(11_000)).await.unwrap(), "a");
    let huge = padded(16 * 1024);
    assert_eq!(assert_invalid(&verifier, &huge, "huge").await, "it is too long");
    for strange in [".".repeat(16_000), "a.".repeat(8_000), "..".to_owned(), "é.é.é".to_owned()]
    {
        assert_invalid(&verifier, &strange, "strange").await;
    }
}

#[tokio::test]
async fn a_short_rsa_key_checks_nothing() {
    let foreign: Value = serde_json::from_str(FOREIGN).unwrap();
    let short = serde_json::from_value(foreign["short"].clone()).unwrap();
    let verifier = verifier(vec![short], &ALL, None, &clock());
    // Properly signed, with 1,024 bits.
    let token = foreign["signedByShort"].as_str().unwrap();
    assert_eq!(assert_invalid(&verifier, token, "short").await, "its signature is wrong");
}
