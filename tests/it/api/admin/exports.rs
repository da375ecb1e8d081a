//! All that is kept of a user, by the server API and by the command line.

use std::{collections::BTreeMap, fs, io::Read, path::PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use super::{done, person, set};
use crate::{
    api::media::{form, form_type},
    harness::{BackEnd, Person, Server, server::assert_problem},
};

fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(40, 30).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Uploads a picture, or a file of this name.
async fn upload(person: &Person, kind: &str, name: &str, bytes: &[u8]) -> Value {
    let named = format!("; filename=\"{name}\"");
    let form = form(&[("kind", "", kind.as_bytes()), ("file", &named, bytes)]);
    let request = person.request(Method::POST, "/v1/media").header("content-type", form_type());
    done(201, request.body(form).send().await.unwrap()).await
}

/// The files of an archive that is whole.
fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    assert!(archive.ends_with(&[0; 1024]), "it has no end");
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        assert_eq!(entry.header().mode().unwrap(), 0o600, "{name}");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert!(files.insert(name, content).is_none());
    }
    files
}

/// The records of a file.
fn records(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Vec<Value> {
    let text = std::str::from_utf8(&files[name]).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Zhang and Li, who talk in a group of their own and to each other.
struct World {
    server: Server,
    back_end: BackEnd,
    zhang: Person,
    media: Value,
}

impl World {
    async fn new() -> Self {
        let (server, back_end) = set();
        let zhang = person(&server, &back_end, "u1", "张三").await;
        let li = person(&server, &back_end, "u2", "李四").await;
        let group =
            json!({"kind": "group", "externalId": "g", "title": "爬山", "members": ["u1", "u2"]});
        let group = done(201, back_end.post("/conversations", &group).await).await["id"].clone();
        let secret = li.send(zhang.id, "k", "words of another").await["chat"]["id"].clone();
        for chat in [
            json!({"clientMsgId": "a", "conversationId": group, "content": "一"}),
            json!({"clientMsgId": "b", "targetUserId": li.id, "content": "二", "replyTo": secret}),
            json!({"clientMsgId": "c", "targetUserId": li.id, "content": "taken back"}),
        ] {
            done(201, zhang.post("/v1/chats", &chat).await).await;
        }
        let media = upload(&zhang, "image", "a.png", &picture()).await;
        let shown = json!({"clientMsgId": "d", "conversationId": group, "kind": "image",
            "body": {"mediaId": media["mediaId"]}});
        done(201, zhang.post("/v1/chats", &shown).await).await;
        upload(&zhang, "file", "年报.tar.gz", b"not shown").await;
        upload(&li, "file", "x.txt", b"bytes of another").await;
        let found = zhang.get_json(&format!("/v1/conversations?peerId={}", li.id)).await;
        let last = found["conversations"][0]["lastChat"].clone();
        assert_eq!(last["content"], "taken back");
        done(200, zhang.post(&format!("/v1/chats/{}/recall", last["id"]), &json!({})).await).await;
        let avatar = zhang.request(Method::PUT, "/v1/me/avatar").body(picture());
        done(200, avatar.send().await.unwrap()).await;
        let block = zhang.request(Method::PUT, &format!("/v1/blocks/{}", li.id));
        assert_eq!(block.send().await.unwrap().status(), 204);
        let report = json!({"chatId": secret, "reason": "spam", "detail": "报"});
        assert_eq!(zhang.post("/v1/reports", &report).await.status(), 201);
        let of_li =
            json!({"reportedUserId": zhang.id, "reason": "spam", "detail": "words of another"});
        assert_eq!(li.post("/v1/reports", &of_li).await.status(), 201);
        Self { server, back_end, zhang, media }
    }

    /// Where the bytes of Zhang's picture are.
    fn stored(&self) -> PathBuf {
        let id = self.media["mediaId"].as_str().unwrap();
        let folder = self.server.database().parent().unwrap().join("media").join(&id[..2]);
        folder.join(format!("{id}.original"))
    }
}

#[tokio::test]
async fn a_user_gets_all_that_is_kept_and_nothing_of_others() {
    let world = World::new().await;
    let answer = world.back_end.get("/users/u1/export").await;
    let headers = answer.headers();
    assert_eq!(headers["content-type"], "application/x-tar");
    let named = format!("attachment; filename=\"user-{}.tar\"", world.zhang.id);
    assert_eq!(headers["content-disposition"], named);
    assert_eq!(headers["cache-control"], "no-store");
    let archive = answer.bytes().await.unwrap();
    let files = files(&archive);

    let id = world.media["mediaId"].as_str().unwrap();
    let is_media = |name: &&String| name.starts_with("media/");
    let (media, rest): (Vec<_>, Vec<_>) = files.keys().partition(is_media);
    let expected = [
        "avatar.jpg",
        "blocks.jsonl",
        "chats-00001.jsonl",
        "conversations.jsonl",
        "held.jsonl",
        "hidden.jsonl",
        "media.jsonl",
        "reports.jsonl",
        "sessions.jsonl",
        "stretches.jsonl",
        "user.json",
    ];
    assert_eq!(rest, expected);
    let picture = format!("media/{id}.jpg");
    assert!(media.len() == 2 && media.contains(&&picture), "{media:?}");
    let served = world.server.http.get(world.media["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(files[&picture], served.bytes().await.unwrap(), "as it is served");
    let file = media.iter().find(|name| !name.ends_with(&picture)).unwrap();
    assert_eq!(files[*file], b"not shown");

    let user = &records(&files, "user.json")[0];
    let identity = json!([{"provider": "external", "subject": "u1"}]);
    assert_eq!((&user["name"], &user["identities"]), (&json!("张三"), &identity));
    let chats = records(&files, "chats-00001.jsonl");
    let told: Vec<_> = chats.iter().map(|chat| chat["content"].as_str().unwrap()).collect();
    assert_eq!(told, ["一", "二", "", "[图片]"]);
    assert!(chats[1]["replyTo"].is_i64() && chats[2]["state"] == "recalled");
    assert_eq!(chats[3]["body"]["mediaId"], id);
    let uploads = records(&files, "media.jsonl");
    let upload = uploads.iter().find(|upload| upload["mediaId"] == id).unwrap();
    assert_eq!((&upload["file"], &upload["kind"]), (&json!(picture), &json!("image")));
    let other = uploads.iter().find(|upload| upload["mediaId"] != id).unwrap();
    assert_eq!(other["name"], "年报.tar.gz");
    let count = |name| records(&files, name).len();
    let lists = ["sessions.jsonl", "conversations.jsonl", "blocks.jsonl", "reports.jsonl"];
    assert_eq!(lists.map(count), [1, 2, 1, 1]);
    assert_eq!(records(&files, "reports.jsonl")[0]["detail"], "报");

    let text = String::from_utf8_lossy(&archive);
    for secret in ["of another", "taken back", &*world.zhang.token, &*world.back_end.key, "x.txt"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let log = world.back_end.audited().await;
    assert_eq!(log[0], format!("user.export user:{} ok", world.zhang.id));
}

#[tokio::test]
async fn the_command_line_makes_the_same_archive() {
    let world = World::new().await;
    let by_api = world.back_end.get("/users/u1/export").await.bytes().await.unwrap();
    let by_api = files(&by_api);
    let id = world.zhang.id.to_string();
    for name in ["u1", "external:u1", &id, &format!("id:{id}")] {
        let output = world.server.command(&["admin", "export-user", name]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(files(&output.stdout), by_api, "{name}");
    }
    let log = world.back_end.audited().await;
    assert_eq!(log[0], format!("user.export user:{id} ok"));

    let to = world.server.database().with_file_name("zhang.tar");
    let path = to.to_str().unwrap();
    let output = world.server.command(&["admin", "export-user", "u1", "--to", path]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, format!("user {id} is exported to {path}\n"));
    assert_eq!(files(&fs::read(&to).unwrap()), by_api);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&to).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&to).unwrap();
    for args in
        [&["u1", "--to", path][..], &["nobody"], &["external:1"], &["999999999"], &["id:x"], &[]]
    {
        let output = world.server.command(&[&["admin", "export-user"], args].concat());
        assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}");
    }
    assert_eq!(fs::read(&to).unwrap(), before, "a file that is there stays");
}

#[tokio::test]
async fn nobody_is_exported_who_is_not_there() {
    let world = World::new().await;
    for name in ["nobody", "id:999999999", "g"] {
        let answer = world.back_end.get(&format!("/users/{name}/export")).await;
        assert_problem(answer, 404, "user_not_found").await;
    }
    assert_problem(world.back_end.get("/users/id:x/export").await, 400, "invalid_request").await;
    let other = world.server.back_end("sessions,chats,conversations,moderation,audit");
    assert_problem(other.get("/users/u1/export").await, 403, "forbidden").await;
    let session = world.zhang.get("/v1/admin/users/u1/export").await;
    assert_problem(session, 401, "unauthorized").await;
    let erased = world.server.command(&["admin", "erase-user", &world.zhang.id.to_string()]);
    assert!(erased.status.success());
    let by_id = format!("/users/id:{}/export", world.zhang.id);
    for path in ["/users/u1/export", &by_id] {
        assert_problem(world.back_end.get(path).await, 404, "user_not_found").await;
    }
    let log = world.back_end.audited().await;
    let exports: Vec<_> = log.iter().filter(|line| line.starts_with("user.export")).collect();
    assert_eq!(exports[..2], ["user.export - user_not_found"; 2]);
    assert_eq!(exports[2], "user.export - forbidden");
}

#[tokio::test]
async fn what_breaks_off_never_looks_whole() {
    let world = World::new().await;
    let stored = world.stored();
    let whole = fs::read(&stored).unwrap();
    fs::write(&stored, &whole[..whole.len() / 2]).unwrap();
    let answer = world.back_end.get("/users/u1/export").await;
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err(), "the answer is cut off");
    let log = world.back_end.audited().await;
    assert_eq!(log[0], format!("user.export user:{} internal", world.zhang.id));

    let to = world.server.database().with_file_name("zhang.tar");
    let path = to.to_str().unwrap();
    let output = world.server.command(&["admin", "export-user", "u1", "--to", path]);
    assert!(!output.status.success());
    let left: Vec<_> = fs::read_dir(to.parent().unwrap()).unwrap().collect();
    let names = left.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.contains("tar")), "no part of it is left");
    let output = world.server.command(&["admin", "export-user", "u1"]);
    assert!(!output.status.success() && !output.stdout.ends_with(&[0; 1024]));

    // Bytes that are lost are lost: the rest is handed out all the same.
    fs::remove_file(&stored).unwrap();
    let archive = world.back_end.get("/users/u1/export").await.bytes().await.unwrap();
    let uploads = records(&files(&archive), "media.jsonl");
    let lost = uploads.iter().find(|upload| upload["mediaId"] == world.media["mediaId"]).unwrap();
    assert_eq!(lost["file"], Value::Null);
}

#[tokio::test]
async fn a_file_of_a_list_has_a_thousand_records() {
    let (server, back_end) = set();
    let zhang = person(&server, &back_end, "u1", "张三").await;
    zhang.send(zhang.id, "k", "字").await;
    let copies = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
        INSERT INTO chats (id, conversation_id, sender_id, client_msg_id, kind, content, created_at)
        SELECT 100 + i, conversation_id, sender_id, 'k' || i, kind, content, created_at
        FROM chats, n WHERE client_msg_id = 'k'";
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(server.database());
    let mut database = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query(copies).execute(&mut database).await.unwrap();
    let archive = back_end.get("/users/u1/export").await.bytes().await.unwrap();
    let files = files(&archive);
    let counts = ["chats-00001.jsonl", "chats-00002.jsonl", "chats-00003.jsonl"]
        .map(|name| records(&files, name).len());
    assert_eq!(counts, [1_000, 1_000, 1]);
}
