//! What no chat shows is deleted after a day, bytes and all.

use std::path::Path;

use super::{got, kept, stage};
use crate::harness::{eventually, server::assert_problem};

/// How many files there are below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn an_upload_that_no_chat_shows_is_deleted_after_a_day() {
    let (mut server, zhang) = stage().await;
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(9, 9).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let shown = kept(&zhang, "image", &bytes.into_inner()).await;
    let li = server.person("李四").await;
    let chat = serde_json::json!({
        "clientMsgId": "k", "targetUserId": li.id, "kind": "image",
        "body": {"mediaId": shown["mediaId"]}
    });
    assert_eq!(zhang.post("/v1/chats", &chat).await.status(), 201);
    let unused = kept(&zhang, "file", b"nobody").await;
    let young = kept(&zhang, "file", b"young").await;
    let folder = server.database().parent().unwrap().join("media");
    assert_eq!(files(&folder), 4, "one has a thumbnail");

    server.terminate().await;
    let id = |answer: &serde_json::Value| answer["mediaId"].as_str().unwrap().to_owned();
    let statements = [
        format!(
            "UPDATE media SET unused_since = unused_since - 86400000 WHERE id <> '{}'",
            id(&young)
        ),
        "UPDATE jobs SET until = 0 WHERE name = 'media.collect'".to_owned(),
    ];
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(server.database());
    let mut database =
        <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut database).await.unwrap();
    }
    drop(database);
    server.start_again();

    eventually("its bytes are deleted", async || files(&folder) == 3).await;
    eventually("its URL leads nowhere", async || {
        got(&server, &unused["url"]).await.status() == 404
    })
    .await;
    assert_problem(got(&server, &unused["url"]).await, 404, "not_found").await;
    for kept in [&shown["url"], &shown["thumbUrl"], &young["url"]] {
        assert_eq!(got(&server, kept).await.status(), 200);
    }
}
