//! Files: any bytes, which never run in a browser.

use super::{bytes_of, form, got, kept, request, stage, upload_as};
use crate::harness::server::{assert_problem, json_of};

#[tokio::test]
async fn a_file_is_served_as_it_came_and_never_run() {
    let (server, zhang) = stage().await;
    let page = b"<html><script>alert(1)</script></html>";
    let answer = json_of(upload_as(&zhang, "file", "年报 2026.html", page).await).await;
    assert_eq!(answer["kind"], "file");
    assert_eq!(answer["name"], "年报 2026.html");
    assert_eq!(
        (&answer["size"], &answer["contentType"]),
        (&page.len().into(), &"text/html".into())
    );
    let served = got(&server, &answer["url"]).await;
    assert_eq!(served.status(), 200);
    let header = |name: &str| served.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").contains("sandbox"));
    assert_eq!(
        header("content-disposition"),
        "attachment; filename=\"__ 2026.html\"; filename*=UTF-8''%E5%B9%B4%E6%8A%A5%202026.html"
    );
    assert_eq!(served.bytes().await.unwrap(), page.as_slice());
}

#[tokio::test]
async fn a_name_is_made_safe() {
    let (_server, zhang) = stage().await;
    for (given, name) in [
        ("../../../etc/passwd", "passwd"),
        ("a/b\\\\c.txt", "c.txt"),
        ("..", "file"),
        ("\u{202e}gpj.exe", "gpj.exe"),
        ("", "file"),
    ] {
        let answer = upload_as(&zhang, "file", given, b"x").await;
        assert_eq!(json_of(answer).await["name"], name, "{given}");
    }
    // A part without a name, and with a type that is none.
    let parts = [("file", "\r\nContent-Type: text/plain", &b"x"[..]), ("kind", "", b"file")];
    let answer = json_of(request(&zhang, form(&parts)).send().await.unwrap()).await;
    assert_eq!((&answer["name"], &answer["contentType"]), (&"file".into(), &"text/plain".into()));
    assert_problem(upload_as(&zhang, "file", "x", b"").await, 422, "invalid_media").await;
}

#[tokio::test]
async fn a_large_file_comes_back_whole() {
    let (server, zhang) = stage().await;
    let bytes: Vec<u8> =
        (0..20 * 1024 * 1024_u32).map(|index| (index >> 8 ^ index).to_le_bytes()[0]).collect();
    let answer = kept(&zhang, "file", &bytes).await;
    assert!(bytes_of(&server, &answer["url"]).await == bytes);
}
