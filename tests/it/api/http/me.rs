//! One's own name and picture.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::keys;
use crate::harness::{
    DEADLINE, Person, Server, Start, eventually,
    server::{assert_problem, json_of},
};

fn picture(format: ImageFormat, colour: [u8; 3], side: u32) -> Vec<u8> {
    let picture: DynamicImage = RgbImage::from_pixel(side, side, Rgb(colour)).into();
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn red() -> Vec<u8> {
    picture(ImageFormat::Png, [250, 10, 10], 40)
}

async fn upload(person: &Person, picture: Vec<u8>) -> Response {
    person.request(Method::PUT, "/v1/me/avatar").body(picture).send().await.unwrap()
}

/// Uploads what must be taken; returns the URL.
async fn avatar_url(person: &Person, picture: Vec<u8>) -> String {
    let response = upload(person, picture).await;
    assert_eq!(response.status(), StatusCode::OK);
    let user = json_of(response).await;
    assert_eq!(keys(&user), ["avatarUrl", "id", "name"]);
    assert_eq!(user["id"], person.id);
    user["avatarUrl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn me_is_who_i_am_and_a_name_can_be_changed() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let me = zhang.get_json("/v1/me").await;
    assert_eq!(me, json!({"id": zhang.id, "name": "张三", "avatarUrl": null}));
    zhang.send(li.id, "k", "你好").await;

    let change = async |method: Method, body: Value| {
        let request = zhang.request(method, "/v1/me").body(body.to_string());
        request.send().await.unwrap()
    };
    // Mini programs know no PATCH.
    let put = json_of(change(Method::PUT, json!({"name": "张三峰", "unknown": [1]})).await).await;
    assert_eq!(put, json!({"id": zhang.id, "name": "张三峰", "avatarUrl": null}));
    assert_eq!(json_of(change(Method::PUT, json!({})).await).await, put);
    let patch = async |body: Value| change(Method::PATCH, body).await;
    let renamed = json_of(patch(json!({"name": "张三丰", "unknown": [1]})).await).await;
    assert_eq!(renamed, json!({"id": zhang.id, "name": "张三丰", "avatarUrl": null}));
    for unchanged in [json!({}), json!({"name": null})] {
        assert_eq!(json_of(patch(unchanged).await).await, renamed);
    }
    assert_problem(patch(json!({"name": "x".repeat(33)})).await, 400, "invalid_request").await;
    assert_eq!(zhang.get_json("/v1/me").await, renamed);
    assert_eq!(li.get_json(&format!("/v1/users/{}", zhang.id)).await, renamed);
    // What was said before is shown under the name of now.
    let list = li.get_json("/v1/conversations").await;
    assert_eq!(list["conversations"][0]["peer"]["name"], "张三丰");
    assert_eq!(list["conversations"][0]["lastChat"]["userName"], "张三丰");
}

#[tokio::test]
async fn a_picture_is_served_to_anybody_for_ever() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut urls = Vec::new();
    for (format, colour) in [
        (ImageFormat::Png, [250, 10, 10]),
        (ImageFormat::Jpeg, [10, 250, 10]),
        (ImageFormat::WebP, [10, 10, 250]),
    ] {
        let url = avatar_url(&zhang, picture(format, colour, 40)).await;
        assert!(url.starts_with(&server.url("/v1/avatars/")), "{url}");
        assert_eq!(zhang.get_json("/v1/me").await["avatarUrl"], url);
        let answer = server.http.get(&url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let headers = answer.headers().clone();
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(headers["content-type"].to_str().unwrap().starts_with("image/"));
        let served = image::load_from_memory(&answer.bytes().await.unwrap()).unwrap().to_rgb8();
        assert_eq!(served.dimensions(), (40, 40));
        let pixel = served.get_pixel(20, 20).0;
        assert!(pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 12), "{pixel:?}");
        urls.push(url);
    }
    // Those that are nobody's any more are gone.
    for url in &urls[..2] {
        assert_problem(server.http.get(url).send().await.unwrap(), 404, "not_found").await;
    }
    let again = avatar_url(&zhang, red()).await;
    assert_eq!(again, urls[0], "the same picture has the same URL");
    assert_eq!(avatar_url(&li, red()).await, again);
    assert_eq!(li.get_json(&format!("/v1/users/{}", zhang.id)).await["avatarUrl"], again);
    assert_problem(server.get("/v1/avatars/nothing").await, 404, "not_found").await;
    let absent = format!("/v1/avatars/{}", "0".repeat(64));
    assert_problem(server.get(&absent).await, 404, "not_found").await;
}

#[tokio::test]
async fn a_large_picture_is_served_small() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    // 48 MiB of pixels in some 50 KB: what compresses well is no bomb while it is within the sides.
    let large = picture(ImageFormat::Png, [9, 99, 199], 4_096);
    assert!(large.len() < 256 * 1024);
    let url = avatar_url(&zhang, large).await;
    let served = server.http.get(url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(image::load_from_memory(&served).unwrap().width(), 512);
}

#[tokio::test]
async fn urls_begin_where_clients_reach_the_service() {
    let public = Start::default().set("server.public_url", "https://chat.example/im/").run();
    let zhang = public.person("张三").await;
    let url = avatar_url(&zhang, red()).await;
    let path = url.strip_prefix("https://chat.example/im/v1/avatars/").unwrap();
    assert_eq!(public.get(&format!("/v1/avatars/{path}")).await.status(), StatusCode::OK);

    // Of another host than this machine's there is none on a loopback address.
    let in_network = |proxies: &str| {
        let start = Start::default().set("server.listen", "0.0.0.0:0").set("auth.demo_login", true);
        let mut server = start.set("server.trusted_proxies", proxies).run();
        server.addr.set_ip([127, 0, 0, 1].into());
        server
    };
    let (behind_proxy, alone) = (in_network("127.0.0.0/8"), in_network("10.0.0.0/8"));
    for (server, scheme) in [(behind_proxy, "https"), (alone, "http")] {
        let zhang = server.person("张三").await;
        avatar_url(&zhang, red()).await;
        let me = async |proto: &str| {
            let request = zhang.request(Method::GET, "/v1/me").header("x-forwarded-proto", proto);
            let request = request.header("host", "chat.example");
            json_of(request.send().await.unwrap()).await["avatarUrl"].as_str().unwrap().to_owned()
        };
        let expected = format!("{scheme}://chat.example/v1/avatars/");
        assert!(me("https").await.starts_with(&expected), "{expected}");
        for other in ["http", "javascript", ""] {
            assert!(me(other).await.starts_with("http://chat.example/v1/avatars/"), "{other}");
        }
    }
}

/// An upload that has its place, as the invitation to go on tells, and never brings its bytes.
async fn hanging_upload(person: &Person, server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let head = format!(
        "PUT /v1/me/avatar HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 200000\r\nExpect: 100-continue\r\n\r\n",
        person.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(DEADLINE, stream.read_exact(&mut answer)).await.expect("an answer").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream
}

#[tokio::test]
async fn uploads_have_few_places_and_the_others_are_told_at_once() {
    let server = super::unlimited();
    let zhang = server.person("张三").await;
    let mut hanging = Vec::new();
    for _ in 0..64 {
        hanging.push(hanging_upload(&zhang, &server).await);
    }
    let refused = upload(&zhang, red()).await;
    assert_eq!(refused.headers()["retry-after"], "2");
    assert_problem(refused, 503, "unavailable").await;
    assert_eq!(zhang.get("/v1/me").await.status(), StatusCode::OK, "all else goes on");
    drop(hanging);
    eventually("places are given back", async || {
        upload(&zhang, red()).await.status() == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn pictures_that_an_earlier_version_left_are_collected() {
    let mut server = Server::start();
    let zhang = server.person("张三").await;
    let url = avatar_url(&zhang, red()).await;
    server.terminate().await;
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("UPDATE users SET avatar = NULL").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    server.start_again();
    eventually("it is gone", async || {
        server.http.get(&url).send().await.unwrap().status() == StatusCode::NOT_FOUND
    })
    .await;
}
