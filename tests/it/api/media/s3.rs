//! Media in S3: the service against a server that speaks it, with signatures checked, and the same bytes
//! through the same URLs.

use std::{net::SocketAddr, path::Path};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{bytes_of, got, kept, upload};
use crate::harness::{Server, Start, eventually, server::assert_problem};

const KEY: &str = "AKIAIMSERVERTEST";
const SECRET: &str = "not-a-secret/of+anybody";

/// A server of S3 with one bucket; it ends when it is dropped.
struct S3 {
    folder: TempDir,
    addr: SocketAddr,
    serving: JoinHandle<()>,
}

impl S3 {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bucket")).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let serving =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(async move {
                    let _ = serving.await;
                });
            }
        });
        Self { folder, addr, serving }
    }

    fn url(&self) -> String {
        format!("s3://bucket/media/of%20im?region=cn-north-1&endpoint=http://{}", self.addr)
    }

    /// Everything in the bucket, by name.
    fn objects(&self) -> Vec<String> {
        fn below(folder: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() {
                    below(&entry.path(), found);
                } else {
                    found.push(entry.path().display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        below(&self.folder.path().join("bucket"), &mut found);
        found.sort();
        found
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn start(s3: &S3, secret: &str) -> Server {
    Start::default()
        .set("media.url", s3.url())
        .set("limits.enabled", false)
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .run()
}

fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(640, 480).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Makes every upload a day older, and lets the collection begin at the next start.
async fn age(server: &Server) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(server.database());
    let mut database =
        <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
    for statement in [
        "UPDATE media SET unused_since = unused_since - 86400000",
        "UPDATE jobs SET until = 0 WHERE name = 'media.collect'",
    ] {
        sqlx::query(statement).execute(&mut database).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_pass_through_the_service() {
    let s3 = S3::start().await;
    let mut server = start(&s3, SECRET);
    let zhang = server.person("张三").await;
    let image = kept(&zhang, "image", &picture()).await;
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = kept(&zhang, "file", &large).await;
    let objects = s3.objects();
    let id = image["mediaId"].as_str().unwrap();
    let path = format!("/bucket/media/of im/{}/{id}.original", &id[..2]);
    assert!(objects.iter().any(|object| object.ends_with(&path)), "{objects:?}");

    assert_eq!(image["size"], bytes_of(&server, &image["url"]).await.len());
    assert!(!bytes_of(&server, &image["thumbUrl"]).await.is_empty());
    assert!(bytes_of(&server, &file["url"]).await == large);
    let text = file["url"].as_str().unwrap();
    assert!(text.starts_with(&server.url("/v1/media/")), "{text}");
    let part = server.http.get(text).header("range", "bytes=4000000-4000003").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), 1_000_000_u32.to_le_bytes().as_slice());
    let known = |log: &str| log.contains(SECRET);
    assert!(!known(&server.log()), "the log shows the secret");

    server.terminate().await;
    age(&server).await;
    server.start_again();
    eventually("all is deleted in the bucket", async || s3.objects().is_empty()).await;
    eventually("the URLs lead nowhere", async || got(&server, &image["url"]).await.status() == 404)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_storage_the_service_goes_on() {
    let s3 = S3::start().await;
    let server = start(&s3, "a wrong one");
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    assert_problem(upload(&zhang, "file", b"x").await, 503, "unavailable").await;
    assert_eq!(s3.objects(), [""; 0]);
    let sent = zhang.send(li.id, "k", "chats go on").await;
    assert_eq!(sent["chat"]["content"], Value::from("chats go on"));
    assert_eq!(server.get("/readyz").await.status(), 200);
    assert!(server.metric(r#"imserver_media_storage_errors_total{work="put"}"#).await >= 1.0);
}
