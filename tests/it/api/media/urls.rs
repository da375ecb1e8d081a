//! URLs: signed, good without a token, and served in parts.

use std::time::Duration;

use image::{ImageFormat, RgbImage};
use reqwest::Method;
use serde_json::Value;

use super::{bytes_of, got, kept, stage};
use crate::harness::{Redis, Server, eventually, replica_on, server::assert_problem};

fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::new(40, 30).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The URL with one thing changed.
fn changed(url: &Value, from: &str, to: &str) -> Value {
    let changed = url.as_str().unwrap().replacen(from, to, 1);
    assert_ne!(changed, *url.as_str().unwrap());
    changed.into()
}

#[tokio::test]
async fn a_url_is_good_for_whoever_has_it_and_only_as_it_is() {
    let (server, zhang) = stage().await;
    let answer = kept(&zhang, "image", &picture()).await;
    let url = &answer["url"];
    let text = url.as_str().unwrap();
    assert!(text.starts_with(&format!("http://{}/v1/media/", server.addr)), "{text}");
    assert!(!text.contains(&zhang.token) && !text.contains("token"));
    assert_eq!(got(&server, url).await.status(), 200);
    // From pages, too.
    let from_page = server.http.get(text).header("origin", "https://evil.example").send().await;
    assert_eq!(from_page.unwrap().status(), 200);
    let other = kept(&zhang, "image", &picture()).await;
    let (id, other) = (answer["mediaId"].as_str().unwrap(), other["mediaId"].as_str().unwrap());
    for wrong in [
        changed(url, id, other),
        changed(url, "/original", "/thumb"),
        changed(url, "?e=1", "?e=2"),
        changed(url, "&k=1", "&k=2"),
        changed(url, "&s=", "&s=A"),
        changed(url, "&s=", "&x="),
        changed(url, "?", "?e=1&"),
        changed(url, "e=", "e=x"),
        text.split('?').next().unwrap().into(),
    ] {
        assert_problem(got(&server, &wrong).await, 403, "forbidden").await;
    }
    for (from, to) in [(id, "x"), ("/original", "/other"), ("/original", "/%ff")] {
        let wrong = changed(url, from, to);
        assert_problem(got(&server, &wrong).await, 404, "not_found").await;
    }
}

#[tokio::test]
async fn what_is_served_may_be_kept_for_ever_and_read_in_parts() {
    let (server, zhang) = stage().await;
    let answer = kept(&zhang, "image", &picture()).await;
    for url in [&answer["url"], &answer["thumbUrl"]] {
        let whole = got(&server, url).await;
        let header = |name: &str| whole.headers()[name].to_str().unwrap().to_owned();
        assert!(header("cache-control").contains("immutable"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert!(header("content-security-policy").contains("sandbox"));
        assert_eq!(
            (header("content-type"), header("content-disposition")),
            ("image/jpeg".into(), "inline".into())
        );
        assert_eq!(header("accept-ranges"), "bytes");
        let (etag, length) = (header("etag"), header("content-length"));
        let bytes = whole.bytes().await.unwrap();
        assert_eq!(length, bytes.len().to_string());
        let ask = async |name: &str, value: &str| {
            let request = server.http.get(url.as_str().unwrap()).header(name, value);
            request.send().await.unwrap()
        };
        let known = ask("if-none-match", &format!("\"x\", W/{etag}")).await;
        assert_eq!(known.status(), 304);
        assert_eq!(known.headers()["etag"], etag.as_str());
        assert!(known.bytes().await.unwrap().is_empty());
        for (range, start, end) in [
            ("bytes=0-9", 0, 10),
            ("bytes=5-", 5, bytes.len()),
            ("bytes=-7", bytes.len() - 7, bytes.len()),
        ] {
            let part = ask("range", range).await;
            assert_eq!(part.status(), 206, "{range}");
            let told = format!("bytes {start}-{}/{length}", end - 1);
            assert_eq!(part.headers()["content-range"], told.as_str());
            assert_eq!(part.bytes().await.unwrap(), bytes[start..end]);
        }
        let beyond = ask("range", &format!("bytes={length}-")).await;
        assert_eq!(beyond.headers()["content-range"], format!("bytes */{length}").as_str());
        assert_problem(beyond, 416, "range_not_satisfiable").await;
        for if_range in [etag.as_str(), "\"other\""] {
            let request = server.http.get(url.as_str().unwrap()).header("range", "bytes=1-2");
            let part = request.header("if-range", if_range).send().await.unwrap();
            assert_eq!(part.status().as_u16(), if if_range == etag { 206 } else { 200 });
        }
        let head = server.http.request(Method::HEAD, url.as_str().unwrap()).send().await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-length"], length.as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_signs_at_every_replica_and_the_old_one_stays_good() {
    let redis = Redis::start();
    let start = replica_on(&redis).await;
    let folder = tempfile::tempdir().unwrap();
    let shared = format!("file://{}", folder.path().display());
    let [first, second] = [(); 2].map(|()| start().set("media.url", &shared).run());
    let zhang = first.person("张三").await;
    let old = kept(&zhang, "image", &picture()).await;
    let at = |server: &Server, url: &Value| {
        changed(url, &first.addr.to_string(), &format!("{}", server.addr))
    };
    assert_eq!(got(&second, &at(&second, &old["url"])).await.status(), 200);

    let rotated = first.command(&["admin", "rotate-media-key"]);
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    // One replica signs with it after a while; the other one knows it at once.
    let new = std::cell::RefCell::new(Value::Null);
    eventually("a new key signs", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let answer = kept(&zhang, "image", &picture()).await;
        let key = |answer: &Value| {
            answer["url"]
                .as_str()
                .unwrap()
                .split("&k=")
                .nth(1)
                .unwrap()
                .split('&')
                .next()
                .unwrap()
                .to_owned()
        };
        let is_new = key(&answer) != key(&old);
        *new.borrow_mut() = answer;
        is_new
    })
    .await;
    let new = new.into_inner();
    assert_eq!(
        bytes_of(&second, &at(&second, &new["url"])).await,
        bytes_of(&first, &new["url"]).await
    );
    for server in [&first, &second] {
        let url =
            if server.addr == first.addr { old["url"].clone() } else { at(server, &old["url"]) };
        assert_eq!(got(server, &url).await.status(), 200, "the old key is good");
    }
}
