//! Whom one may see: oneself, and the people with whom one shares a conversation.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{NOBODY, World, server};
use crate::harness::{Person, Socket, eventually, server::json_of};

/// The ids that an answer is about.
fn ids(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|entry| entry["userId"].as_i64().unwrap()).collect()
}

async fn online_for(person: &Person) -> BTreeSet<i64> {
    let online = person.get_json("/getOnlineUser").await;
    online
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, user)| {
            assert_eq!(*key, user["userId"].to_string());
            key.parse().unwrap()
        })
        .collect()
}

/// Watches these, and returns whom the answers are about.
async fn watched(socket: &mut Socket, users: &[i64]) -> Vec<i64> {
    // The same list again ends the answers of the first: requests are carried out in their order.
    socket.send(&json!({"type": "watch", "userIds": users})).await;
    socket.send(&json!({"type": "read", "conversationId": NOBODY, "upTo": 1})).await;
    let mut seen = Vec::new();
    loop {
        let frame = socket.frame().await;
        if frame["type"] == "error" {
            return seen;
        }
        assert_eq!(frame["type"], "presence", "{frame}");
        seen.push(frame["userId"].as_i64().unwrap());
    }
}

#[tokio::test]
async fn strangers_are_left_out_everywhere() {
    let world = World::new().await;
    let [zhang, li, wang, zhao] = &world.people;
    let (mut at_zhang, _at_li) = (zhang.online().await, li.online().await);
    let (mut at_wang, _at_zhao) = (wang.online().await, zhao.online().await);

    assert_eq!(online_for(zhang).await, BTreeSet::from([zhang.id, li.id]));
    assert_eq!(online_for(zhao).await, BTreeSet::from([wang.id, zhao.id]));
    let anonymous = json_of(world.server.get("/getOnlineUser").await).await;
    assert_eq!(anonymous.as_object().unwrap().len(), 4, "strangers are online: {anonymous}");

    let all = [wang.id, li.id, NOBODY, zhang.id, zhao.id];
    let asked = all.map(|id| id.to_string()).join(",");
    let presence = zhang.get_json(&format!("/v1/presence?userIds={asked}")).await;
    assert_eq!(ids(&presence["presence"]), [li.id, zhang.id]);
    let presence = zhang.get_json(&format!("/v1/presence?userIds={}", wang.id)).await;
    assert_eq!(presence, json!({"presence": []}));

    assert_eq!(watched(&mut at_zhang, &all).await, [li.id, zhang.id]);
    assert_eq!(watched(&mut at_zhang, &[wang.id, zhao.id]).await, [0_i64; 0]);

    // A chat makes them acquainted.
    wang.send(zhang.id, "hello", "你好").await;
    at_zhang.expect("event").await;
    at_wang.expect("event").await;
    assert_eq!(online_for(zhang).await, BTreeSet::from([zhang.id, li.id, wang.id]));
    assert_eq!(watched(&mut at_zhang, &all).await, [wang.id, li.id, zhang.id]);
    let presence = zhang.get_json(&format!("/v1/presence?userIds={asked}")).await;
    assert_eq!(ids(&presence["presence"]), [wang.id, li.id, zhang.id]);

    // So does a group.
    let group = json!({"kind": "group", "key": "strangers", "userIds": [zhao.id]});
    assert_eq!(zhang.post("/v1/conversations", &group).await.status(), 201);
    let presence = zhang.get_json(&format!("/v1/presence?userIds={asked}")).await;
    assert_eq!(ids(&presence["presence"]), [wang.id, li.id, zhang.id, zhao.id]);
    assert_eq!(online_for(zhao).await, BTreeSet::from([zhang.id, wang.id, zhao.id]));
}

#[tokio::test]
async fn nobody_sees_a_stranger_typing() {
    let world = World::new().await;
    let [zhang, li, wang, _] = &world.people;
    let mut at_zhang = zhang.online().await;
    let (mut at_li, mut at_wang) = (li.online().await, wang.online().await);
    for target in [wang.id, NOBODY, li.id] {
        at_zhang.send(&json!({"type": "typing", "targetUserId": target})).await;
    }
    // The last request has reached its target, so the ones before it are done too.
    assert_eq!(at_li.expect("typing").await["userId"], zhang.id);
    at_wang.expect_quiet().await;
    at_zhang.expect_quiet().await;
}

#[tokio::test]
async fn nobody_hears_a_stranger_read() {
    let world = World::new().await;
    let [zhang, li, wang, zhao] = &world.people;
    let mut sockets = Vec::new();
    for person in [wang, zhao] {
        sockets.push(person.online().await);
    }
    let mut at_zhang = zhang.online().await;
    let path = format!("/v1/conversations/{}/read", world.conversations[0]);
    let up_to =
        li.get_json("/v1/conversations").await["conversations"][0]["lastChat"]["id"].clone();
    assert_eq!(li.post(&path, &json!({"upTo": up_to})).await.status(), 204);
    assert_eq!(at_zhang.expect("read").await["userId"], li.id);
    for socket in &mut sockets {
        socket.expect_quiet().await;
    }
}

/// What a conversation shows of its peer's being there.
async fn peer_of(person: &Person, peer: &Person) -> Value {
    let by_id = person.get_json(&format!("/v1/conversations?peerId={}", peer.id)).await;
    let listed = person.get_json("/v1/conversations").await;
    assert_eq!(by_id["conversations"][0], listed["conversations"][0]);
    let peer = &by_id["conversations"][0]["peer"];
    json!([peer["online"], peer["lastSeenAt"]])
}

/// Nothing of `victim` can be seen by `stalker`: not whether they are there, nor when they were.
async fn assert_hidden(stalker: &Person, victim: &Person) {
    assert_eq!(peer_of(stalker, victim).await, json!([false, null]));
    let presence = stalker.get_json(&format!("/v1/presence?userIds={}", victim.id)).await;
    assert_eq!(presence, json!({"presence": []}));
    assert!(!online_for(stalker).await.contains(&victim.id));
    let mut socket = stalker.online().await;
    assert_eq!(watched(&mut socket, &[victim.id]).await, [0_i64; 0]);
}

#[tokio::test]
async fn who_was_never_answered_sees_nothing_of_the_other() {
    let server =
        server().set("presence.visible_to", "both_wrote").set("users.directory", false).run();
    let (stalker, victim) = (server.person("张三").await, server.person("李四").await);
    stalker.send(victim.id, "k1", "在吗").await;
    let mut at_stalker = stalker.online().await;
    assert_eq!(watched(&mut at_stalker, &[victim.id]).await, [0_i64; 0]);

    let mut at_victim = victim.online().await;
    at_victim.send(&json!({"type": "typing", "targetUserId": stalker.id})).await;
    at_victim.send(&json!({"type": "read", "conversationId": NOBODY, "upTo": 1})).await;
    at_victim.expect("error").await;
    at_stalker.expect_quiet().await;
    at_stalker.send(&json!({"type": "typing", "targetUserId": victim.id})).await;
    at_stalker.send(&json!({"type": "read", "conversationId": NOBODY, "upTo": 1})).await;
    at_stalker.expect("error").await;
    at_victim.expect_quiet().await;
    for (one, other) in [(&stalker, &victim), (&victim, &stalker)] {
        assert_hidden(one, other).await;
        assert_eq!(one.get_json(&format!("/v1/users/{}", other.id)).await["name"], other.name);
    }

    // Gone and seen going: not by who was never answered, who still watches.
    drop(at_victim);
    let own = format!("/v1/presence?userIds={}", victim.id);
    let gone = async || {
        let own = victim.get_json(&own).await;
        own["presence"][0]["lastSeenAt"].is_string()
    };
    eventually("the victim is noted as gone", gone).await;
    at_stalker.expect_quiet().await;
    assert_hidden(&stalker, &victim).await;

    // The first answer shows each to the other.
    let mut at_victim = victim.online().await;
    victim.send(stalker.id, "k2", "在").await;
    at_stalker.until("event").await;
    at_victim.until("event").await;
    assert_eq!(peer_of(&stalker, &victim).await[0], true);
    assert_eq!(peer_of(&victim, &stalker).await[0], true);
    let presence = stalker.get_json(&format!("/v1/presence?userIds={}", victim.id)).await;
    assert_eq!(presence["presence"][0]["online"], true);
    assert!(online_for(&stalker).await.contains(&victim.id));
    assert_eq!(watched(&mut at_stalker, &[victim.id]).await, [victim.id]);
    at_victim.send(&json!({"type": "typing", "targetUserId": stalker.id})).await;
    assert_eq!(at_stalker.until("typing").await["userId"], victim.id);
    drop(at_victim);
    assert_eq!(at_stalker.until("presence").await["online"], false);
    assert!(peer_of(&stalker, &victim).await[1].is_string());
}
