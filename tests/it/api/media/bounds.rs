//! Uploads that are too large, too many, or no forms.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use image::{ImageFormat, Rgb, RgbImage};
use reqwest::Method;
use tokio::io::AsyncWriteExt;

use super::{form, kept, request, stage, upload};
use crate::harness::{Start, server::assert_problem};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn each_kind_has_its_size() {
    let (mut server, zhang) = stage().await;
    for (kind, most) in [("image", 10), ("voice", 2), ("file", 20)] {
        // Whatever stands first in the form.
        let bytes = vec![0; most * MIB + 1];
        assert_problem(upload(&zhang, kind, &bytes).await, 413, "payload_too_large").await;
        let parts = [("file", "; filename=\"x\"", &bytes[..]), ("kind", "", kind.as_bytes())];
        let answer = request(&zhang, form(&parts)).send().await.unwrap();
        assert_problem(answer, 413, "payload_too_large").await;
    }
    let huge = vec![0; 30 * MIB];
    assert_problem(upload(&zhang, "file", &huge).await, 413, "payload_too_large").await;
    // Without a length.
    let pieces = huge.chunks(MIB).map(|piece| Ok::<_, std::io::Error>(piece.to_vec()));
    let pieces: Vec<_> = pieces.collect();
    let head = form(&[("file", "; filename=\"x\"", b"")]);
    let head = head[..head.len() - super::BOUNDARY.len() - 8].to_vec();
    let body = futures_util::stream::iter([Ok(head)].into_iter().chain(pieces));
    let body = http_body_util::StreamBody::new(futures_util::StreamExt::map(body, |piece| {
        piece.map(|piece| hyper::body::Frame::data(bytes::Bytes::from(piece)))
    }));
    let request =
        zhang.request(Method::POST, "/v1/media").header("content-type", super::form_type());
    let answer = request.body(reqwest::Body::wrap(body)).send().await.unwrap();
    assert_problem(answer, 413, "payload_too_large").await;
    assert!(server.is_running());
    kept(&zhang, "file", b"x").await;
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let (_server, zhang) = stage().await;
    let whole = form(&[("kind", "", b"file"), ("file", "; filename=\"x\"", b"bytes")]);
    let send = async |content_type: &str, body: Vec<u8>| {
        let request = zhang.request(Method::POST, "/v1/media").header("content-type", content_type);
        request.body(body).send().await.unwrap()
    };
    for content_type in
        ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=x"]
    {
        assert_problem(send(content_type, whole.clone()).await, 400, "invalid_request").await;
    }
    let (kind, file) = (("kind", "", &b"file"[..]), ("file", "; filename=\"x\"", &b"bytes"[..]));
    let many = vec![kind; 100];
    for parts in [
        &[][..],
        &[kind],
        &[file],
        &[kind, file, file],
        &[("kind", "", b"video"), file],
        &[("kind", "", b""), file],
        &[("kind", "", b"\xff"), file],
        &[("kind", "", &[b'x'; 5_000]), file],
        &[("kind", "", b"null"), file],
        &[("kind", "", b"FILE"), file],
        &[("kind", "", b"file "), file],
        &[("kind", "", b"file\0"), file],
        &[kind, ("durationMs", "", b""), file],
        &[kind, ("durationMs", "", b"null"), file],
        &[kind, ("durationMs", "", b"-1"), file],
        &[kind, ("durationMs", "", b"1.5"), file],
        &[kind, ("durationMs", "", b" 1"), file],
        &[kind, ("durationMs", "", b"9007199254740992"), file],
        &[kind, ("durationMs", "", &[b'1'; 5_000]), file],
        &[kind, ("durationMs", "", b"soon"), file],
        &[kind, ("userId", "", b""), file],
        &[kind, ("userId", "", b"0"), file],
        &[kind, ("userId", "", b"-1"), file],
        &[kind, ("userId", "", b"9007199254740992"), file],
        &[kind, ("userId", "", b"x"), file],
        &many,
    ] {
        assert_problem(send(&super::form_type(), form(parts)).await, 400, "invalid_request").await;
    }
    let empty = form(&[kind, ("file", "; filename=\"x\"", b"")]);
    assert_problem(send(&super::form_type(), empty).await, 422, "invalid_media").await;
    for cut in [whole.len() - 3, whole.len() / 2, 10, 0] {
        let answer = send(&super::form_type(), whole[..cut].to_vec()).await;
        assert_problem(answer, 400, "invalid_request").await;
    }
    let other = (zhang.id + 1).to_string();
    let parts = [kind, ("userId", "", other.as_bytes()), file];
    assert_problem(send(&super::form_type(), form(&parts)).await, 403, "forbidden").await;
    let own = zhang.id.to_string();
    let parts = [("later", "", &b"x"[..]), ("userId", "", own.as_bytes()), kind, file];
    assert_eq!(send(&super::form_type(), form(&parts)).await.status(), 201);
}

#[tokio::test]
async fn a_user_uploads_so_much_in_a_day() {
    let server = Start::default().set("limits.upload_mb_per_day", 3).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    // What is refused counts, too.
    assert_problem(upload(&zhang, "image", &vec![0; MIB]).await, 415, "unsupported_media").await;
    kept(&zhang, "file", &vec![0; MIB]).await;
    assert_problem(upload(&zhang, "file", &vec![0; 2 * MIB]).await, 429, "rate_limited").await;
    kept(&zhang, "file", &vec![0; MIB - 4_096]).await;
    assert_problem(upload(&zhang, "file", &vec![0; MIB]).await, 429, "rate_limited").await;
    kept(&li, "file", &vec![0; MIB]).await;
}

/// A picture of 40 megapixels with as many bytes as may be.
fn large() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(7_300, 5_400, Rgb([90, 140, 60]))
        .write_to(&mut bytes, ImageFormat::Jpeg)
        .unwrap();
    let picture = bytes.into_inner();
    let mut comment = vec![b' '; 65_537];
    comment[..4].copy_from_slice(b"\xff\xfe\xff\xff");
    let comments = comment.repeat((10 * MIB - picture.len()) / comment.len());
    [&picture[..2], &comments, &picture[2..]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_large_pictures_at_once_take_turns_and_little_memory() {
    let (server, zhang) = stage().await;
    let li = server.person("李四").await;
    let form = form(&[("kind", "", b"image"), ("file", "; filename=\"x\"", &large())]);
    let form = bytes::Bytes::from(form);
    let uploads = (0..50).map(|_| {
        let request =
            zhang.request(Method::POST, "/v1/media").header("content-type", super::form_type());
        let request = request.timeout(Duration::from_mins(3)).body(form.clone());
        async move { request.send().await.unwrap().status().as_u16() }
    });
    let uploads = tokio::spawn(join_all(uploads.collect::<Vec<_>>()));
    let (mut most, mut chats) = (0, Vec::new());
    while !uploads.is_finished() {
        let begun = Instant::now();
        li.send(zhang.id, &format!("k{}", chats.len()), "meanwhile").await;
        chats.push(begun.elapsed());
        most = most.max(server.resident());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let statuses = uploads.await.unwrap();
    let taken = statuses.iter().filter(|status| **status == 201).count();
    // Those that found no room in time are told so.
    assert!(statuses.iter().all(|status| matches!(status, 201 | 503)), "{statuses:?}");
    assert!(taken >= 5, "{statuses:?}");
    chats.sort_unstable();
    let p99 = chats[chats.len() * 99 / 100];
    println!("{taken} taken, {most} bytes at most, {} chats, p99 {p99:?}", chats.len());
    assert!(most < 500 * 1024 * 1024, "{most}");
}

#[tokio::test]
async fn whoever_sends_half_a_form_is_not_waited_for() {
    let (server, zhang) = stage().await;
    let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let head = format!(
        "POST /v1/media HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {}\r\n\
         Content-Length: 1000\r\n\r\n",
        server.addr,
        zhang.token,
        super::form_type()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let whole = form(&[("kind", "", b"file")]);
    stream.write_all(&whole[..whole.len() - 10]).await.unwrap();
    drop(stream);
    kept(&zhang, "file", b"x").await;
}
