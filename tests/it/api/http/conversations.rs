//! Conversations, their chats and how far they are read.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ids, keys, unlimited};
use crate::harness::{
    Person, Server,
    server::{assert_problem, json_of},
};

/// Sends `count` chats; returns the conversation and the chats' ids.
async fn talk(from: &Person, to: &Person, count: usize) -> (i64, Vec<i64>) {
    let mut chats = Vec::new();
    for number in 0..count {
        let key = format!("{}-{}-{number}", from.id, to.id);
        chats.push(from.send(to.id, &key, &format!("第{number}句")).await["chat"].clone());
    }
    (chats[0]["conversationId"].as_i64().unwrap(), ids(&json!(chats)))
}

async fn read(person: &Person, conversation: i64, up_to: i64) {
    let path = format!("/v1/conversations/{conversation}/read");
    let answer = person.post(&path, &json!({"upTo": up_to})).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(answer.text().await.unwrap(), "");
}

async fn with(person: &Person, peer: &Person) -> Value {
    let list = person.get_json(&format!("/v1/conversations?peerId={}", peer.id)).await;
    assert_eq!(list["hasMore"], false);
    let found = list["conversations"].as_array().unwrap();
    assert_eq!(found.len(), 1);
    found[0].clone()
}

#[tokio::test]
async fn conversations_come_newest_first_and_page_exactly() {
    let server = Server::start();
    let zhang = server.person("张三").await;
    let mut peers = Vec::new();
    for name in ["甲", "乙", "丙"] {
        let peer = server.person(name).await;
        talk(&peer, &zhang, 1).await;
        peers.push(peer.id);
    }
    // The oldest one becomes the newest.
    zhang.send(peers[0], "again", "又是我").await;
    let newest_first = [peers[0], peers[2], peers[1]];

    let page = async |query: String| {
        let page = zhang.get_json(&format!("/v1/conversations?{query}")).await;
        // Of the first page.
        let mut keys = keys(&page);
        keys.retain(|key| *key != "pinned");
        assert_eq!(keys, ["conversations", "hasMore", "unreadTotal"]);
        page
    };
    let peers_of = |page: &Value| {
        let list = page["conversations"].as_array().unwrap();
        list.iter().map(|one| one["peer"]["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let all = page(String::new()).await;
    assert_eq!((peers_of(&all), &all["hasMore"]), (newest_first.to_vec(), &json!(false)));
    let exactly = page("limit=3".into()).await;
    assert_eq!((peers_of(&exactly), &exactly["hasMore"]), (newest_first.to_vec(), &json!(false)));
    let mut seen = Vec::new();
    let mut before = String::new();
    for left in [2, 1, 0] {
        let one = page(format!("limit=1{before}")).await;
        assert_eq!(one["hasMore"], json!(left > 0));
        seen.extend(peers_of(&one));
        before = format!("&before={}", one["conversations"][0]["lastChat"]["id"]);
    }
    assert_eq!(seen, newest_first);
    let none = page(format!("limit=1{before}")).await;
    assert_eq!(none, json!({"conversations": [], "hasMore": false, "unreadTotal": 3}));
    let nobody = page(format!("peerId={}", 77)).await;
    assert_eq!(nobody, json!({"conversations": [], "hasMore": false, "unreadTotal": 3}));
}

#[tokio::test]
async fn a_conversation_says_all_that_its_row_on_a_screen_shows() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (conversation, chats) = talk(&zhang, &li, 2).await;
    let of_li = with(&li, &zhang).await;
    let expected = json!({
        "id": conversation,
        "kind": of_li["kind"],
        "peer": {"id": zhang.id, "name": "张三", "avatarUrl": null, "online": false, "lastSeenAt": null},
        "lastChat": of_li["lastChat"],
        "unread": 2,
        "readUpTo": 0,
        "peerReadUpTo": of_li["peerReadUpTo"],
        "position": chats[1],
        "version": chats[1],
        "mentioned": false,
        "pinned": false,
        "muted": false,
        "markedUnread": false,
        "draft": null,
    });
    assert_eq!(of_li, expected);
    assert!(of_li["kind"].is_string());
    assert_eq!(of_li["lastChat"]["id"], chats[1]);
    assert_eq!(of_li["lastChat"]["content"], "第1句");
    assert_eq!(with(&zhang, &li).await["unread"], 0, "one's own chats are not unread");
    assert_eq!(with(&zhang, &li).await["peerReadUpTo"], 0);
    let _online = zhang.online().await;
    assert_eq!(with(&li, &zhang).await["peer"]["online"], true);
}

#[tokio::test]
async fn a_read_mark_never_goes_back_nor_past_the_end() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (conversation, chats) = talk(&zhang, &li, 3).await;
    // A chat elsewhere makes a higher id that is not of this conversation.
    let (_, elsewhere) = talk(&li, &server.person("王五").await, 1).await;
    for (up_to, mark, unread) in [
        (chats[1], chats[1], 1),
        (chats[0], chats[1], 1),
        (elsewhere[0], chats[2], 0),
        (9_007_199_254_740_991, chats[2], 0),
        (1, chats[2], 0),
    ] {
        read(&li, conversation, up_to).await;
        let mine = with(&li, &zhang).await;
        assert_eq!((&mine["readUpTo"], &mine["unread"]), (&json!(mark), &json!(unread)));
        assert_eq!(with(&zhang, &li).await["peerReadUpTo"], mark);
    }
    let (_, later) = talk(&li, &zhang, 1).await;
    assert_eq!(with(&zhang, &li).await["unread"], 1);
    assert_eq!(with(&li, &zhang).await["lastChat"]["id"], later[0]);
}

#[tokio::test]
async fn unread_counts_to_99_and_then_says_100() {
    let server = unlimited();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (conversation, chats) = talk(&zhang, &li, 102).await;
    for (read_up_to, unread) in [(0, 100), (1, 100), (2, 100), (3, 99), (101, 1), (102, 0)] {
        if read_up_to > 0 {
            read(&li, conversation, chats[read_up_to - 1]).await;
        }
        assert_eq!(with(&li, &zhang).await["unread"], unread, "{read_up_to} of 102 read");
    }
}

#[tokio::test]
async fn chats_come_oldest_first_and_page_exactly_both_ways() {
    let server = unlimited();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let (conversation, all) = talk(&zhang, &li, 102).await;
    let page = async |query: String| {
        let path = format!("/v1/conversations/{conversation}/chats?{query}");
        let page = li.get_json(&path).await;
        assert_eq!(keys(&page), ["chats", "hasMore"]);
        (ids(&page["chats"]), page["hasMore"].as_bool().unwrap())
    };
    let part = |range: std::ops::Range<usize>, more: bool| (all[range].to_vec(), more);
    assert_eq!(page(String::new()).await, part(52..102, true), "the newest 50");
    assert_eq!(page("limit=1".into()).await, part(101..102, true));
    assert_eq!(page("limit=100".into()).await, part(2..102, true));
    assert_eq!(page("limit=1000".into()).await, part(2..102, true));

    let before = |at: usize, limit: u32| format!("before={}&limit={limit}", all[at]);
    assert_eq!(page(before(101, 1)).await, part(100..101, true));
    assert_eq!(page(before(2, 2)).await, part(0..2, false));
    assert_eq!(page(before(2, 1)).await, part(1..2, true));
    assert_eq!(page(before(0, 9)).await, part(0..0, false));
    let after = |at: usize, limit: u32| format!("after={}&limit={limit}", all[at]);
    assert_eq!(page(after(0, 2)).await, part(1..3, true));
    assert_eq!(page(after(99, 2)).await, part(100..102, false));
    assert_eq!(page(after(99, 1)).await, part(100..101, true));
    assert_eq!(page(after(101, 9)).await, part(0..0, false));
    assert_eq!(page("after=9007199254740991".into()).await, part(0..0, false));
    assert_eq!(page("after=0".into()).await, part(0..50, true), "from the beginning");
    assert_eq!(page("after=0&limit=1".into()).await, part(0..1, true));
    assert_eq!(page("limit=100&after=000".into()).await, part(0..100, true));
    assert_eq!(page("before=9007199254740991&limit=1".into()).await, part(101..102, true));

    for after in [all[5], 0] {
        let query = format!("before={}&after={after}", all[5]);
        let both = format!("/v1/conversations/{conversation}/chats?{query}");
        assert_problem(li.get(&both).await, 400, "invalid_request").await;
    }
}

#[tokio::test]
async fn a_foreign_conversation_cannot_be_told_from_one_that_is_not_there() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let eve = server.person("窃听者").await;
    let (conversation, chats) = talk(&zhang, &li, 1).await;
    let mut answers = Vec::new();
    for id in [conversation, 9_007_199_254_740_991] {
        let listed = eve.get(&format!("/v1/conversations/{id}/chats")).await;
        let path = format!("/v1/conversations/{id}/read");
        let marked = eve.post(&path, &json!({"upTo": chats[0]})).await;
        answers.push([problem(listed).await, problem(marked).await]);
    }
    assert_eq!(answers[0], answers[1]);
    let mine = with(&li, &zhang).await;
    assert_eq!((&mine["readUpTo"], &mine["unread"]), (&json!(0), &json!(1)));
}

async fn problem(answer: reqwest::Response) -> Value {
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let body = json_of(answer).await;
    assert_eq!(body["code"], "conversation_not_found");
    body
}
