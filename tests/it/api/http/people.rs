//! Other people: the search, their faces, and who is online.

use serde_json::{Value, json};

use super::{ids, is_time};
use crate::harness::{Person, Server, Start, eventually, server::assert_problem};

async fn found(person: &Person, query: &str) -> Vec<i64> {
    let found = person.get_json(&format!("/v1/users?{query}")).await;
    let mut ids = ids(&found["users"]);
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn people_are_found_by_the_beginning_of_their_name() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let feng = server.person("张三丰").await;
    let percent = server.person("%x").await;
    let underscore = server.person("_x").await;
    let star = server.person("*x").await;
    assert_eq!(found(&zhang, "query=张三").await, [zhang.id, feng.id]);
    assert_eq!(found(&zhang, "query=张三丰").await, [feng.id]);
    assert_eq!(found(&zhang, "query=张三&limit=1").await.len(), 1);
    assert_eq!(found(&zhang, "query=三").await, [0; 0]);
    // Signs that mean something to a database mean only themselves.
    assert_eq!(found(&zhang, "query=%25").await, [percent.id]);
    assert_eq!(found(&zhang, "query=_").await, [underscore.id]);
    assert_eq!(found(&zhang, "query=*").await, [star.id]);
    for nobody in ["%25%25", "'", "\"", "%00", "張", "?", "[", "\\"] {
        assert_eq!(found(&zhang, &format!("query={nobody}")).await, [0; 0], "{nobody}");
    }
    let face = &zhang.get_json("/v1/users?query=张三丰").await["users"][0];
    assert_eq!(*face, json!({"id": feng.id, "name": "张三丰", "avatarUrl": null}));
    for bad in ["/v1/users", "/v1/users?query=", "/v1/users?query=张&limit=0"] {
        assert_problem(zhang.get(bad).await, 400, "invalid_request").await;
    }
}

#[tokio::test]
async fn a_search_is_cut_at_its_limit() {
    let server = super::unlimited();
    let zhang = server.person("张三").await;
    for number in 0..101 {
        server.person(&format!("n{number}")).await;
    }
    for (limit, count) in [("", 50), ("&limit=1", 1), ("&limit=100", 100), ("&limit=1000", 100)] {
        assert_eq!(found(&zhang, &format!("query=n{limit}")).await.len(), count, "{limit}");
    }
}

#[tokio::test]
async fn without_a_directory_nobody_is_found() {
    let server = Start::default().set("users.directory", false).run();
    let zhang = server.person("张三").await;
    assert_problem(zhang.get("/v1/users?query=张").await, 404, "not_found").await;
    let face = zhang.get_json(&format!("/v1/users/{}", zhang.id)).await;
    assert_eq!(face["name"], "张三");
}

#[tokio::test]
async fn without_a_directory_only_acquaintances_have_a_face() {
    let server = Start::default().set("users.directory", false).run();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (of_zhang, of_li) = (format!("/v1/users/{}", zhang.id), format!("/v1/users/{}", li.id));
    let strange = zhang.get(&of_li).await.text().await.unwrap();
    let nobody = zhang.get("/v1/users/9007199254740991").await;
    assert_eq!(nobody.text().await.unwrap(), strange, "nobody can tell who exists");
    assert_problem(zhang.get(&of_li).await, 404, "user_not_found").await;
    for path in [
        format!("/v1/conversations?peerId={}", li.id),
        format!("/v1/presence?userIds={}", li.id),
        "/getOnlineUser".to_owned(),
    ] {
        let text = zhang.get(&path).await.text().await.unwrap();
        assert!(!text.contains("李四"), "{path}: {text}");
    }
    zhang.send(li.id, "k", "你好").await;
    assert_eq!(zhang.get_json(&of_li).await["name"], "李四");
    assert_eq!(li.get_json(&of_zhang).await["name"], "张三");
}

#[tokio::test]
async fn a_user_has_a_face_and_nobody_else_has() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let face = zhang.get_json(&format!("/v1/users/{}", li.id)).await;
    assert_eq!(face, json!({"id": li.id, "name": "李四", "avatarUrl": null}));
    for nobody in [1, 9_007_199_254_740_991_i64] {
        let answer = zhang.get(&format!("/v1/users/{nobody}")).await;
        assert_problem(answer, 404, "user_not_found").await;
    }
}

#[tokio::test]
async fn presence_is_told_of_acquaintances_in_the_order_asked() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (wang, stranger) = (server.person("王五").await, server.person("赵六").await);
    zhang.send(li.id, "a", "你好").await;
    wang.send(zhang.id, "b", "你好").await;
    let _at_stranger = stranger.online().await;
    let at_li = li.online().await;

    let asked = format!("{},{},{},{},{},77", wang.id, li.id, zhang.id, stranger.id, li.id);
    let presence = zhang.get_json(&format!("/v1/presence?userIds={asked}")).await;
    let of = |id: i64, online: bool| json!({"userId": id, "online": online, "lastSeenAt": null});
    let expected = [of(wang.id, false), of(li.id, true), of(zhang.id, false)];
    assert_eq!(presence, json!({"presence": expected}));

    // Offline is announced some seconds after the last socket went.
    drop(at_li);
    let path = format!("/v1/presence?userIds={}", li.id);
    let only = async || zhang.get_json(&path).await["presence"][0].clone();
    eventually("李四 is offline, and when they left is stored", async || {
        let li = only().await;
        li["online"] == false && is_time(&li["lastSeenAt"])
    })
    .await;
    let peer = zhang.get_json(&format!("/v1/conversations?peerId={}", li.id)).await;
    let peer = &peer["conversations"][0]["peer"];
    assert_eq!(peer["online"], false);
    assert_eq!(peer["lastSeenAt"], only().await["lastSeenAt"]);
    assert_eq!(zhang.get_json(&format!("/v1/users/{}", li.id)).await.get("lastSeenAt"), None);
}

#[tokio::test]
async fn presence_takes_at_most_100_ids() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let ask = async |count: i64| {
        let list = (1..=count).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        zhang.get(&format!("/v1/presence?userIds={list}")).await
    };
    assert_eq!(ask(100).await.json::<Value>().await.unwrap(), json!({"presence": []}));
    assert_problem(ask(101).await, 400, "invalid_request").await;
    assert_problem(zhang.get("/v1/presence").await, 400, "invalid_request").await;
}
