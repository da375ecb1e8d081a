//! The order of a socket's chats, when the door takes longer over some of them.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Does, Planned, send};
use crate::harness::{Seen, Socket};

/// The contents of so many chats that come over a socket in frames of this type, by their numbers.
async fn shown(socket: &mut Socket, kind: &str, count: usize) -> Vec<String> {
    let mut contents = Vec::new();
    let mut last = None;
    for _ in 0..count {
        let frame = socket.expect(kind).await;
        let seq = frame["seq"].as_i64().unwrap();
        assert!(last.is_none_or(|last| seq == last + 1), "after {last:?}: {frame}");
        last = Some(seq);
        contents.push(frame["chat"]["content"].as_str().unwrap().to_owned());
    }
    contents
}

#[tokio::test]
async fn chats_are_committed_in_the_order_of_their_frames_whichever_is_held_up() {
    let (here, rule) = Planned::start();
    let (zhang, li) = (here.person("张三").await, here.person("李四").await);
    let (wang, zhao) = (here.person("王五").await, here.person("赵六").await);
    let (mut sending, mut receiving) = (zhang.online().await, li.online().await);
    let mut other = wang.online().await;
    for held in [0, 3, 9] {
        let ten: Vec<_> = (0..10).map(|n| format!("{held}: {n}")).collect();
        rule.plan(&ten[held], Some(Does::Holds));
        for content in &ten {
            sending.send(&send(content, &li, content)).await;
        }
        // All are asked about, though one is held. The first chat of the two waits for the database to
        // say that there is no conversation, and so do those after it: they have no order among them.
        let asked = rule.asked(10).await;
        assert_eq!(BTreeSet::from_iter(&asked), BTreeSet::from_iter(&ten));
        if held > 0 {
            assert_eq!(asked, ten, "asked in the order of the frames");
        }

        // Nobody else waits: not another socket, and no request.
        let beside = format!("beside {held}");
        other.send(&send(&beside, &zhao, &beside)).await;
        assert_eq!(other.expect("sent").await["clientMsgId"], *beside);
        zhao.send(wang.id, &beside, &beside).await;
        other.expect("event").await;
        rule.asked(2).await;

        // What came before it is committed, and nothing of what came after it.
        assert_eq!(shown(&mut sending, "sent", held).await, ten[..held]);
        assert_eq!(shown(&mut receiving, "event", held).await, ten[..held]);
        sending.expect_quiet().await;
        receiving.expect_quiet().await;

        rule.release();
        assert_eq!(shown(&mut sending, "sent", 10 - held).await, ten[held..]);
        assert_eq!(shown(&mut receiving, "event", 10 - held).await, ten[held..]);
        sending.expect_quiet().await;
        receiving.expect_quiet().await;
    }
    let conversation = &zhang.get_json("/v1/conversations").await["conversations"][0]["id"];
    let chats = zhang.get_json(&format!("/v1/conversations/{conversation}/chats?limit=100")).await;
    assert_eq!(chats["chats"].as_array().unwrap().len(), 30);
}

#[tokio::test]
async fn chats_that_were_read_are_committed_though_their_socket_has_ended() {
    let (here, rule) = Planned::start();
    let (zhang, li) = (here.person("张三").await, here.person("李四").await);
    let (mut sending, mut beside) = (zhang.online().await, zhang.online().await);
    let mut receiving = li.online().await;
    let all = ["held", "after it", "the last"];
    rule.plan("held", Some(Does::Holds));
    for content in all {
        sending.send(&send(content, &li, content)).await;
    }
    rule.asked(3).await;
    assert_eq!(zhang.post("/v1/logout", &json!({})).await.status(), 204);
    // Both sockets are told to close at once; the one that sends closes after its chats.
    assert_eq!(beside.next().await, Seen::Closed(4401));
    rule.release();
    assert_eq!(shown(&mut receiving, "event", 3).await, all);
    assert_eq!(sending.closed().await, 4401);
}
