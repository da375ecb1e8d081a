//! A newer replica beside these writes what they do not know: chats, events and conversations of kinds to
//! come. It is played by SQL, since there is none yet.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::{Cluster, Load, Size};
use crate::harness::{Redis, Socket, postgres, server::json_of};

/// How many chats and how many events of kinds to come each of the people beside the load gets.
const ROUNDS: i64 = 60;

/// Writes an event of a kind to come into these timelines, with its chat, if there is one. As every
/// replica does, in ascending order of the users; and like a replica of another bus, without a hint.
async fn write(
    connection: &mut PgConnection,
    users: &[i64],
    kind: &str,
    chat: Option<i64>,
    payload: Option<&str>,
) {
    let mut tx = connection.begin().await.unwrap();
    if let Some(conversation) = chat {
        sqlx::query("SELECT 1 FROM conversations WHERE id = $1 FOR UPDATE")
            .bind(conversation)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    for user in users {
        sqlx::query("UPDATE timelines SET last_seq = last_seq + 1 WHERE user_id = $1")
            .bind(user)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    let mut id = None;
    if let Some(conversation) = chat {
        let body = r#"{"url":"https://x", "width":1e3}"#;
        let new: i64 = sqlx::query_scalar(
            "INSERT INTO chats (id, conversation_id, sender_id, client_msg_id, kind, content, body,
                 created_at)
             VALUES (nextval('chat_ids'), $1, $2, gen_random_uuid()::text, 'hologram', '[全息]', $3,
                 floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
             RETURNING id",
        )
        .bind(conversation)
        .bind(users[0])
        .bind(body)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        id = Some(new);
    }
    sqlx::query(
        "INSERT INTO timeline_events (user_id, seq, kind, chat_id, payload)
         SELECT user_id, last_seq, $2, $3, $4 FROM timelines WHERE user_id = ANY($1)",
    )
    .bind(users)
    .bind(kind)
    .bind(id)
    .bind(payload)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

/// A conversation of a kind to come.
async fn council(connection: &mut PgConnection, members: &[i64]) -> i64 {
    sqlx::query_scalar(
        "WITH made AS (
             INSERT INTO conversations (kind, created_at) VALUES ('council', 1) RETURNING id
         ), joined AS (
             INSERT INTO members (conversation_id, user_id) SELECT id, unnest($1::bigint[]) FROM made
         )
         SELECT id FROM made",
    )
    .bind(members)
    .fetch_one(connection)
    .await
    .unwrap()
}

/// What was shown of an event, but for its number.
fn said(mut event: Value) -> Value {
    assert_eq!(event["type"], "event", "{event}");
    event.as_object_mut().unwrap().remove("seq");
    event
}

/// Whatever a client is shown, in the order of the numbers, none missing, none twice.
async fn watch(mut socket: Socket, events: usize) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    while seen.len() < events {
        let frame = socket.frame().await;
        if frame["type"] == "event" {
            assert_eq!(frame["seq"], seen.len() as u64 + 1, "{frame}");
            seen.push(said(frame));
        } else {
            assert_ne!(frame["type"], "reset");
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_replica_writes_reaches_everybody() {
    let (database, redis) = (postgres::database().await, Redis::start());
    let cluster = Cluster::start(&database, redis.url().as_str()).await;
    let mut people = Vec::new();
    for (name, server) in ["张三", "李四", "王五"].iter().zip(&cluster.replicas) {
        people.push(server.person(name).await);
    }
    people.sort_by_key(|person| person.id);
    let ids: Vec<_> = people.iter().map(|person| person.id).collect();
    let load = Load::start(&cluster, Size::default(), "kinds_to_come").await;
    let writers = load.users();
    let mut newer = postgres::connect(&database).await;
    let council = council(&mut newer, &ids).await;

    let in_all = usize::try_from(ROUNDS).unwrap() * 2;
    let mut sockets = Vec::new();
    for person in &people {
        sockets.push(person.online().await);
    }
    let watching = sockets.into_iter().map(|socket| watch(socket, in_all));
    let writing = async {
        for round in 0..ROUNDS {
            write(&mut newer, &ids, "chat", Some(council), None).await;
            let poll = format!(r#"{{"options":[ {round}, 1.50 ], "by":"李四"}}"#);
            write(&mut newer, &ids, "poll", None, Some(&poll)).await;
            // Into timelines that grow meanwhile.
            write(&mut newer, &writers, "poll", None, Some(&poll)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (seen, ()) = tokio::join!(futures_util::future::join_all(watching), writing);
    for shown in &seen {
        assert!(shown == &seen[0], "all are shown the same");
    }
    for (round, pair) in seen[0].chunks(2).enumerate() {
        let chat = &pair[0]["chat"];
        assert_eq!((&pair[0]["event"], &chat["kind"]), (&"chat".into(), &"hologram".into()));
        assert_eq!(chat["content"], "[全息]");
        assert_eq!(chat["body"], json!({"url": "https://x", "width": 1e3}));
        assert_eq!((&chat["conversationId"], chat.get("targetUserId")), (&council.into(), None));
        assert_eq!(
            pair[1],
            json!({"type": "event", "event": "poll", "options": [round, 1.5], "by": "李四"})
        );
    }
    // Over HTTP at every replica, and as history.
    for (server, person) in cluster.replicas.iter().zip(&people) {
        let get = async |path: &str| {
            let answer = server.http.get(server.url(path)).bearer_auth(&person.token).send().await;
            json_of(answer.unwrap()).await
        };
        let events = get("/v1/events?since=0&limit=100").await;
        let events: Vec<_> =
            events["events"].as_array().unwrap().iter().cloned().map(said).collect();
        assert!(events == seen[0][..100], "by replay");
        let listed = get("/v1/conversations").await["conversations"][0].clone();
        assert_eq!((&listed["kind"], listed.get("peer")), (&"council".into(), None));
        assert_eq!(listed["lastChat"], seen[0][in_all - 2]["chat"]);
        let history = get(&format!("/v1/conversations/{council}/chats?limit=100")).await;
        assert_eq!(history["chats"].as_array().unwrap().len(), 60);
        assert_eq!(history["chats"][0], seen[0][0]["chat"]);
    }

    let mut load = load;
    load.flows(Instant::now()).await;
    let resets: Vec<_> = load.statuses().into_iter().map(|status| status.resets).collect();
    assert!(resets.iter().all(|resets| *resets == 0), "nobody loads anew: {resets:?}");
    let verdict = load.settle().await;
    assert!(verdict.chats > 100, "{verdict}");
}
