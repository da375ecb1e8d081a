//! A timeline over HTTP.

use serde_json::{Value, json};

use super::keys;
use crate::harness::{Person, Server, server::assert_problem};

fn seqs(page: &Value) -> Vec<i64> {
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["seq"].as_i64().unwrap()).collect()
}

async fn send_many(from: &Person, to: &Person, count: i64) {
    for number in 0..count {
        from.send(to.id, &format!("k{number}"), "你好").await;
    }
}

#[tokio::test]
async fn a_timeline_is_read_in_pages() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    send_many(&zhang, &li, 3).await;
    let page = async |query: &str| {
        let page = li.get_json(&format!("/v1/events?{query}")).await;
        assert_eq!(keys(&page), ["epoch", "events", "hasMore", "lastSeq"]);
        assert_eq!(page["lastSeq"], 3);
        (seqs(&page), page["hasMore"].as_bool().unwrap())
    };
    assert_eq!(page("since=0").await, (vec![1, 2, 3], false));
    assert_eq!(page("since=0&limit=2").await, (vec![1, 2], true));
    assert_eq!(page("since=0&limit=3").await, (vec![1, 2, 3], false));
    assert_eq!(page("since=1&limit=2").await, (vec![2, 3], false));
    assert_eq!(page("since=2&limit=1000").await, (vec![3], false));
    assert_eq!(page("since=3").await, (vec![], false));
    assert_eq!(page("").await, (vec![], false), "without `since`, from now on");
}

#[tokio::test]
async fn each_event_is_its_frame() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let mut at_li = li.online().await;
    send_many(&zhang, &li, 2).await;
    let frames = [at_li.expect("event").await, at_li.expect("event").await];
    assert_eq!(li.get_json("/v1/events?since=0").await["events"], json!(frames));
}

#[tokio::test]
async fn a_limit_is_clamped_here_too() {
    let server = super::unlimited();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    send_many(&zhang, &li, 101).await;
    for (query, count) in [("", 50), ("&limit=100", 100), ("&limit=99999999999999999999", 100)] {
        let page = li.get_json(&format!("/v1/events?since=0{query}")).await;
        assert_eq!((seqs(&page).len(), &page["hasMore"]), (count, &json!(true)), "{query}");
        assert_eq!(page["lastSeq"], 101);
    }
    let rest = li.get_json("/v1/events?since=100&limit=100").await;
    assert_eq!((seqs(&rest), &rest["hasMore"]), (vec![101], &json!(false)));
}

#[tokio::test]
async fn a_place_that_means_nothing_is_a_reset() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    send_many(&zhang, &li, 1).await;
    let epoch = li.get_json("/v1/events").await["epoch"].as_str().unwrap().to_owned();
    let (_socket, ready) = li.hello(&json!({})).await;
    assert_eq!(ready["epoch"], epoch);
    let ours = li.get_json(&format!("/v1/events?since=0&epoch={epoch}")).await;
    assert_eq!(seqs(&ours), [1]);
    let other = "00000000-0000-4000-8000-000000000000";
    for query in
        ["since=2", "since=9007199254740991", &format!("since=0&epoch={other}"), "since=0&epoch=x"]
    {
        let answer = li.get(&format!("/v1/events?{query}")).await;
        assert_problem(answer, 409, "timeline_reset").await;
    }
}
