//! Keys at a URL: rotation, and hosts that are away, slow, or worse.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use imserver::{
    http_client::http_client,
    identity::{Algorithm, Jwks, JwksTimes, TokenError, TokenVerifier},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use super::{ALL, Signer, assert_invalid, claims, clock, keys, subject, verifier};
use crate::harness::{DEADLINE, eventually};

const PUBLIC: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

fn times() -> JwksTimes {
    JwksTimes::default()
}

fn jwks_at(url: &str, times: JwksTimes) -> Jwks {
    Jwks::new(http_client().unwrap(), url.parse().unwrap(), times)
}

fn verifier_at(url: &str, times: JwksTimes) -> TokenVerifier {
    verifier(Vec::new(), &PUBLIC, Some(jwks_at(url, times)), &clock())
}

fn set_of(signers: &[&Signer]) -> Value {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()})
}

/// From now on the keys are these.
async fn publish(stub: &MockServer, keys: &Value) {
    answer(stub, ResponseTemplate::new(200).set_body_json(keys)).await;
}

async fn answer(stub: &MockServer, answer: ResponseTemplate) {
    stub.reset().await;
    Mock::given(path("/jwks")).respond_with(answer).mount(stub).await;
}

async fn asked(stub: &MockServer) -> usize {
    stub.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn keys_of_a_jwks_check_tokens() {
    let stub = MockServer::start().await;
    let signers = Signer::all();
    publish(&stub, &set_of(&signers.each_ref())).await;
    let own = keys(&signers[..1]);
    let url = format!("{}/jwks", stub.uri());
    let verifier = verifier(own, &ALL, Some(jwks_at(&url, times())), &clock());
    for signer in &signers {
        assert_eq!(subject(&verifier, &signer.token(&claims("a"))).await.unwrap(), "a");
    }
    assert_eq!(asked(&stub).await, 1);
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_is_forgotten() {
    let stub = MockServer::start().await;
    let (old, new) = (Signer::es256("2026-10"), Signer::es256("2026-11"));
    publish(&stub, &set_of(&[&old])).await;
    let verifier = verifier_at(
        &format!("{}/jwks", stub.uri()),
        JwksTimes { refetch: Duration::ZERO, ..times() },
    );
    assert_eq!(subject(&verifier, &old.token(&claims("a"))).await.unwrap(), "a");
    publish(&stub, &set_of(&[&new, &old])).await;
    assert_eq!(subject(&verifier, &new.token(&claims("a"))).await.unwrap(), "a");
    publish(&stub, &set_of(&[&new])).await;
    // Nobody has looked since.
    assert_eq!(subject(&verifier, &old.token(&claims("a"))).await.unwrap(), "a");
    assert_invalid(&verifier, &Signer::es256("x").token(&claims("a")), "not known").await;
    assert_invalid(&verifier, &old.token(&claims("a")), "taken out").await;
    assert_eq!(subject(&verifier, &new.token(&claims("a"))).await.unwrap(), "a");
}

#[tokio::test]
async fn keys_are_fetched_before_a_token_comes_and_again_and_again() {
    let stub = MockServer::start().await;
    let (old, new) = (Signer::eddsa("1"), Signer::eddsa("2"));
    publish(&stub, &set_of(&[&old])).await;
    let jwks = jwks_at(
        &format!("{}/jwks", stub.uri()),
        JwksTimes { refresh: Duration::from_millis(20), ..times() },
    );
    let verifier = verifier(Vec::new(), &PUBLIC, Some(jwks.clone()), &clock());
    let fresh = tokio::spawn(jwks.keep_fresh());
    eventually("a second fetch", async || asked(&stub).await >= 2).await;
    publish(&stub, &set_of(&[&new])).await;
    eventually("the old key goes", async || {
        subject(&verifier, &old.token(&claims("a"))).await.is_err()
    })
    .await;
    assert_eq!(subject(&verifier, &new.token(&claims("a"))).await.unwrap(), "a");
    fresh.abort();
}

#[tokio::test]
async fn unknown_keys_make_one_fetch_in_half_a_minute() {
    let stub = MockServer::start().await;
    let known = Signer::es256("known");
    publish(&stub, &set_of(&[&known])).await;
    let url = format!("{}/jwks", stub.uri());
    let verifier = Arc::new(verifier_at(&url, times()));
    let mut logins = JoinSet::new();
    for number in 0..50 {
        let (verifier, signer) = (Arc::clone(&verifier), Signer::es256(&format!("kid-{number}")));
        logins.spawn(async move { subject(&verifier, &signer.token(&claims("a"))).await });
    }
    for refused in logins.join_all().await {
        assert_eq!(refused, Err(TokenError::Invalid("its key is not known")));
    }
    // A good token finds what the fetch has brought.
    assert_eq!(subject(&verifier, &known.token(&claims("a"))).await.unwrap(), "a");
    assert_invalid(&verifier, &Signer::es256("late").token(&claims("a")), "again").await;
    assert_eq!(asked(&stub).await, 1);
}

#[tokio::test]
async fn a_kid_is_no_way_to_a_key() {
    let stub = MockServer::start().await;
    let known = Signer::es256("known");
    publish(&stub, &set_of(&[&known])).await;
    let url = format!("{}/jwks", stub.uri());
    let verifier = verifier_at(&url, JwksTimes { refetch: Duration::ZERO, ..times() });
    let kids = [format!("{}/evil", stub.uri()), url, "/jwks".into(), "../jwks".into()];
    for kid in kids.iter().map(String::as_str).chain(["?", "%2e%2e/evil", "/etc/passwd", ""]) {
        assert_invalid(&verifier, &Signer::es256(kid).token(&claims("a")), kid).await;
    }
    let requests = stub.received_requests().await.unwrap();
    assert_eq!(requests.len(), 8);
    assert!(requests.iter().all(|request| request.url.path() == "/jwks"), "{requests:?}");
}

#[tokio::test]
async fn after_the_pause_an_unknown_key_is_looked_for_again() {
    let stub = MockServer::start().await;
    let (first, second) = (Signer::es256("1"), Signer::es256("2"));
    publish(&stub, &set_of(&[&first])).await;
    let refetch = Duration::from_millis(300);
    let verifier = verifier_at(&format!("{}/jwks", stub.uri()), JwksTimes { refetch, ..times() });
    let begun = Instant::now();
    assert_invalid(&verifier, &second.token(&claims("a")), "not there yet").await;
    publish(&stub, &set_of(&[&second])).await;
    eventually("it is looked for", async || {
        subject(&verifier, &second.token(&claims("a"))).await.is_ok()
    })
    .await;
    assert!(begun.elapsed() >= refetch, "{:?}", begun.elapsed());
    assert_eq!(asked(&stub).await, 1, "since the keys have changed");
}

#[tokio::test]
async fn known_keys_stay_good_whatever_the_host_does() {
    let stub = MockServer::start().await;
    let (known, other) = (Signer::rs256("known"), Signer::es256("other"));
    publish(&stub, &set_of(&[&known])).await;
    let url = format!("{}/jwks", stub.uri());
    let verifier = verifier_at(&url, JwksTimes { refetch: Duration::ZERO, ..times() });
    let good = known.token(&claims("a"));
    assert_eq!(subject(&verifier, &good).await.unwrap(), "a");
    let long = json!({"keys": [other.jwk()], "padding": "x".repeat(256 * 1024)});
    let elsewhere = MockServer::start().await;
    publish(&elsewhere, &set_of(&[&other])).await;
    let moved = format!("{}/jwks", elsewhere.uri());
    for (what, bad) in [
        ("500", ResponseTemplate::new(500).set_body_json(set_of(&[&other]))),
        ("404", ResponseTemplate::new(404)),
        ("another success", ResponseTemplate::new(206).set_body_json(set_of(&[&other]))),
        ("no JSON", ResponseTemplate::new(200).set_body_string("<html>")),
        ("nothing", ResponseTemplate::new(200)),
        ("no set", ResponseTemplate::new(200).set_body_json(json!([other.jwk()]))),
        ("no list", ResponseTemplate::new(200).set_body_json(json!({"keys": other.jwk()}))),
        ("too long", ResponseTemplate::new(200).set_body_json(long)),
        ("moved", ResponseTemplate::new(302).insert_header("location", moved.as_str())),
        (
            "late",
            ResponseTemplate::new(200)
                .set_body_json(set_of(&[&other]))
                .set_delay(Duration::from_secs(30)),
        ),
    ] {
        answer(&stub, bad).await;
        let begun = Instant::now();
        assert_invalid(&verifier, &other.token(&claims("a")), what).await;
        assert!(begun.elapsed() < DEADLINE, "{what}");
        assert_eq!(asked(&stub).await, 1, "{what}");
        assert_eq!(subject(&verifier, &good).await.unwrap(), "a", "{what}");
    }
    assert_eq!(asked(&elsewhere).await, 0, "a redirect was followed");
    drop(stub);
    assert_invalid(&verifier, &other.token(&claims("a")), "dead").await;
    assert_eq!(subject(&verifier, &good).await.unwrap(), "a", "dead");
}

/// A host that answers with a head, and then with this again and again, for as long as anybody reads.
async fn endless(piece: Vec<u8>, pause: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (piece, counted) = (piece.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"keys\":[";
                let _ = stream.write_all(head).await;
                while stream.write_all(&piece).await.is_ok() {
                    counted.fetch_add(piece.len(), Ordering::Relaxed);
                    tokio::time::sleep(pause).await;
                }
            });
        }
    });
    (url, written)
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    let signer = Signer::es256("e");
    let fast = signer.jwk().to_string().into_bytes();
    for (piece, pause, most) in [
        // What the kernel takes between here and there is not in this process's memory.
        ([b",".to_vec(), fast].concat().repeat(100), Duration::ZERO, 16 * 1024 * 1024),
        (b" ".to_vec(), Duration::from_millis(10), 1_000),
    ] {
        let (url, written) = endless(piece, pause).await;
        let timeout = Duration::from_millis(500);
        let verifier = verifier_at(&url, JwksTimes { timeout, ..times() });
        let begun = Instant::now();
        assert_eq!(
            subject(&verifier, &signer.token(&claims("a"))).await,
            Err(TokenError::Unavailable)
        );
        assert!(begun.elapsed() < DEADLINE);
        assert!(written.load(Ordering::Relaxed) < most, "{}", written.load(Ordering::Relaxed));
    }
}

#[tokio::test]
async fn ten_megabytes_of_keys_are_not_taken() {
    let stub = MockServer::start().await;
    let signer = Signer::es256("e");
    let mut set = set_of(&[&signer]);
    set["padding"] = json!("x".repeat(10 * 1024 * 1024));
    publish(&stub, &set).await;
    let verifier = verifier_at(&format!("{}/jwks", stub.uri()), times());
    let refused = subject(&verifier, &signer.token(&claims("a"))).await;
    assert_eq!(refused, Err(TokenError::Unavailable));
}

#[tokio::test]
async fn before_any_key_was_fetched_nobody_knows() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    drop(listener);
    let [own, other] = [Signer::es256("own"), Signer::es256("other")];
    let signers = [own];
    let verifier = verifier(keys(&signers), &PUBLIC, Some(jwks_at(&url, times())), &clock());
    let refused = subject(&verifier, &other.token(&claims("a"))).await;
    assert_eq!(refused, Err(TokenError::Unavailable));
    // What does not depend on it goes on.
    assert_eq!(subject(&verifier, &signers[0].token(&claims("a"))).await.unwrap(), "a");
    assert_invalid(&verifier, &Signer::hs256("h").token(&claims("a")), "not listed").await;
}

#[tokio::test]
async fn keys_that_are_for_something_else_are_passed_over() {
    let stub = MockServer::start().await;
    let good = Signer::eddsa("good");
    let mut set = set_of(&[&good]);
    let mut wrong = Vec::new();
    for (kid, key, value) in [
        ("encrypts", "use", json!("enc")),
        ("signs", "key_ops", json!(["sign"])),
        ("p-384", "crv", json!("P-384")),
        ("unknown-curve", "crv", json!("P-999")),
        ("es384", "alg", json!("ES384")),
        ("rs256", "alg", json!("RS256")),
        ("unknown-kind", "kty", json!("PQ")),
        ("broken", "x", json!("!")),
        ("pointless", "x", json!("AAAA")),
        ("number", "x", json!(7)),
    ] {
        let signer = Signer::es256(kid);
        let mut jwk = signer.jwk();
        jwk[key] = value;
        set["keys"].as_array_mut().unwrap().insert(0, jwk);
        wrong.push(signer);
    }
    for strange in [json!(null), json!(7), json!([]), json!({}), json!({"kty": "RSA"})] {
        set["keys"].as_array_mut().unwrap().insert(0, strange);
    }
    // A secret that anybody can read.
    let secret = Signer::hs256("secret");
    set["keys"].as_array_mut().unwrap().insert(0, secret.jwk());
    publish(&stub, &set).await;
    let jwks = jwks_at(&format!("{}/jwks", stub.uri()), times());
    let verifier = verifier(Vec::new(), &ALL, Some(jwks), &clock());
    assert_eq!(subject(&verifier, &good.token(&claims("a"))).await.unwrap(), "a");
    for signer in wrong.iter().chain([&secret]) {
        assert_invalid(&verifier, &signer.token(&claims("a")), &signer.kid).await;
    }
}

#[tokio::test]
async fn a_hundred_keys_are_taken_and_no_more() {
    let stub = MockServer::start().await;
    let signers: Vec<_> = (0..101).map(|number| Signer::eddsa(&format!("{number}"))).collect();
    publish(&stub, &set_of(&signers.iter().collect::<Vec<_>>())).await;
    let verifier = verifier_at(&format!("{}/jwks", stub.uri()), times());
    assert_eq!(subject(&verifier, &signers[99].token(&claims("a"))).await.unwrap(), "a");
    assert_invalid(&verifier, &signers[100].token(&claims("a")), "one too many").await;
}
