//! The stack of `./dev stack`, used through nginx as clients use it.

use serde_json::json;

use crate::harness::{
    Person, eventually,
    server::{assert_problem, json_of},
    stack::{Replica, Stack, send},
};

async fn up(replicas: usize) -> Stack {
    let stack = tokio::task::spawn_blocking(move || Stack::up(replicas)).await.unwrap();
    assert_eq!(stack.replicas.len(), replicas);
    stack
}

/// The one replica that has one socket of version 1 more than the numbers before.
async fn taken_by(stack: &Stack, before: &[u64]) -> usize {
    let by = std::cell::Cell::new(None);
    eventually("a replica has the socket", async || {
        let now = sockets(stack).await;
        by.set(now.iter().zip(before).position(|(now, before)| now > before));
        by.get().is_some()
    })
    .await;
    by.get().unwrap()
}

async fn sockets(stack: &Stack) -> Vec<u64> {
    let mut counts = Vec::new();
    for replica in &stack.replicas {
        counts.push(replica.sockets().await);
    }
    counts
}

/// Sends a chat as clients do while a part of the stack is away: again, with the same key.
async fn store(from: &Person, target: i64, key: &str, content: &str) {
    let body = json!({"clientMsgId": key, "targetUserId": target, "content": content});
    eventually("the chat is stored", async || {
        let status = from.post("/v1/chats", &body).await.status();
        assert!(status.is_success() || status == 503, "{status}");
        status.is_success()
    })
    .await;
}

/// What stands in the timeline of this person, oldest first.
async fn contents(person: &Person) -> Vec<String> {
    let events = person.get_json("/v1/events?since=0&limit=100").await;
    let events = events["events"].as_array().unwrap().iter();
    events.map(|event| event["chat"]["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn two_people_talk_through_nginx_whatever_becomes_of_a_replica() {
    let mut stack = up(3).await;
    let (zhang, li) = (stack.person("张三").await, stack.person("李四").await);

    // On two replicas: nginx takes the one with the fewest connections.
    let (mut at_zhang, ready) = zhang.hello(&json!({})).await;
    let of_zhang = taken_by(&stack, &[0, 0, 0]).await;
    let before = sockets(&stack).await;
    let (mut at_li, _) = li.hello(&json!({})).await;
    let of_li = taken_by(&stack, &before).await;
    assert_ne!(of_zhang, of_li);
    at_zhang
        .send(&json!({"type": "send", "clientMsgId": "1", "targetUserId": li.id, "content": "一"}))
        .await;
    assert_eq!(at_zhang.expect("sent").await["chat"], at_li.expect("event").await["chat"]);
    li.send(zhang.id, "2", "二").await;
    assert_eq!(at_zhang.expect("event").await["chat"]["content"], "二");
    at_li.expect("event").await;

    // One dies. Whoever was there goes on elsewhere, and requests do not notice.
    stack.replicas[of_li].signal("-KILL");
    assert_eq!(at_li.closed().await, 1006);
    for (key, content) in [("3", "三"), ("4", "四"), ("5", "五"), ("6", "六")] {
        store(&zhang, li.id, key, content).await;
    }
    let (mut at_li, _) = li.hello(&json!({"since": 2, "epoch": ready["epoch"]})).await;
    for content in ["三", "四", "五", "六"] {
        assert_eq!(at_li.expect("event").await["chat"]["content"], content);
    }

    // One drains. It takes no new socket, whichever nginx tries first, and goes on with requests.
    let draining = stack.replicas[of_zhang].clone();
    draining.signal("-TERM");
    eventually("it drains", async || !is_ready(&stack, &draining).await).await;
    for round in 0..6 {
        let (mut socket, _) = li.hello(&json!({"deviceId": "phone"})).await;
        socket.expect_quiet().await;
        store(&zhang, li.id, &format!("d{round}"), "七").await;
    }
    assert_eq!(at_zhang.until("reconnect").await["type"], "reconnect");
    assert_eq!(at_zhang.closed().await, 1012);
    assert_eq!(contents(&li).await.len(), 12);

    // A token is offered as a subprotocol with every handshake.
    let log = stack.log("nginx");
    assert!(log.contains("\"status\":101") && log.contains("/v1/chats"), "{log}");
    for person in [&zhang, &li] {
        assert!(!log.contains(&person.token) && !log.contains("bearer"), "{log}");
    }

    let (pids, folder) = (stack.pids(), stack.folder().to_owned());
    assert_eq!(pids.len(), 6, "Postgres, Redis, nginx and three replicas");
    tokio::task::spawn_blocking(move || stack.down()).await.unwrap();
    for pid in pids {
        assert!(!runs(pid), "{pid} runs on");
    }
    assert!(!folder.exists());
}

/// Whether a process has not ended. One that nobody has waited for yet has.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

async fn is_ready(stack: &Stack, replica: &Replica) -> bool {
    let url = format!("http://{}/readyz", replica.addr);
    stack.http.get(url).send().await.is_ok_and(|answer| answer.status() == 200)
}

/// Whether a replica has been sent what it has not read: a connection to its port with bytes waiting.
fn has_unread(replica: &Replica) -> bool {
    let port = format!(":{:04X}", replica.addr.port());
    let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
    connections.lines().any(|line| {
        let mut cells = line.split_whitespace().skip(1);
        let (local, _, state) = (cells.next(), cells.next(), cells.next());
        let waiting = cells.next().and_then(|queues| queues.split(':').nth(1));
        local.is_some_and(|local| local.ends_with(&port))
            && state == Some("01")
            && waiting.is_some_and(|waiting| waiting != "00000000")
    })
}

/// `/push` without a key of the client's: were it sent to two replicas, it would be stored twice.
#[tokio::test]
async fn a_post_that_was_sent_to_a_replica_is_sent_to_no_other() {
    let stack = up(2).await;
    let zhang = stack.person("张三").await;
    let [frozen, _] = &stack.replicas[..] else { panic!("two replicas") };
    frozen.signal("-STOP");
    let post = |number: usize| {
        let zhang = zhang.clone();
        let body =
            json!({"userId": zhang.id, "targetUserId": zhang.id, "content": format!("{number}")});
        tokio::spawn(async move { zhang.post("/push", &body).await })
    };
    // Some of these go to the one, some to the other.
    let posts: Vec<_> = (0..4).map(post).collect();
    eventually("the frozen one was sent a request", async || has_unread(frozen)).await;
    eventually("the other one has answered", async || {
        posts.iter().any(tokio::task::JoinHandle::is_finished)
    })
    .await;
    frozen.signal("-KILL");
    let (mut stored, mut refused) = (Vec::new(), 0);
    for (number, post) in posts.into_iter().enumerate() {
        let answer = post.await.unwrap();
        if answer.status() == 200 {
            assert_eq!(answer.text().await.unwrap(), "MSG SEND SUCCESS");
            stored.push(number.to_string());
        } else {
            // Nobody knows what became of it, as far as nginx can tell.
            assert_problem(answer, 503, "unavailable").await;
            refused += 1;
        }
    }
    assert!(refused > 0, "what the dead replica had was not repeated");
    let mut found = contents(&zhang).await;
    found.sort_unstable();
    assert_eq!(found, stored);
    // From here on the dead one costs nobody anything.
    for number in 4..10 {
        assert_eq!(post(number).await.unwrap().status(), 200);
    }
    assert_eq!(json_of(zhang.get("/readyz").await).await["status"], "ok");
}

/// The settings of the service that a process was started with.
fn settings(pid: u32) -> Vec<String> {
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let settings = environment.split('\0').filter(|setting| setting.starts_with("IMSERVER__"));
    let mut settings: Vec<_> = settings.map(str::to_owned).collect();
    settings.sort_unstable();
    settings
}

#[tokio::test]
async fn what_was_killed_comes_back_where_it_was_and_as_it_was() {
    let mut stack = up(1).await;
    let before = (stack.replicas[0].addr, settings(stack.replicas[0].pid));
    for setting in ["IMSERVER__LIMITS__ENABLED=false", "IMSERVER__SERVER__DRAIN_SECS=11"] {
        assert!(before.1.iter().any(|found| found == setting), "{setting} of the caller wins");
    }
    let zhang = stack.person("张三").await;
    zhang.send(zhang.id, "1", "一").await;
    for name in ["imserver-1", "redis", "postgres", "nginx"] {
        let pid = stack.pid(name);
        send("-KILL", pid);
        eventually("it has ended", async || !runs(pid)).await;
        stack = tokio::task::spawn_blocking(move || {
            stack.start(name);
            stack
        })
        .await
        .unwrap();
        assert_ne!(stack.pid(name), pid);
        assert_eq!(stack.replicas.len(), 1, "after {name}: {}", stack.log("imserver-1"));
    }
    assert_eq!((stack.replicas[0].addr, settings(stack.replicas[0].pid)), before);
    store(&zhang, zhang.id, "2", "二").await;
    assert_eq!(contents(&zhang).await, ["一", "二"]);
}

#[tokio::test]
async fn a_bare_stack_is_postgres_and_redis() {
    let mut stack = tokio::task::spawn_blocking(Stack::up_bare).await.unwrap();
    assert_eq!((stack.nginx, stack.replicas.len(), stack.pids().len()), (None, 0, 2));
    let urls = std::fs::read_to_string(stack.folder().join("urls.env")).unwrap();
    let url = urls.lines().find_map(|line| line.strip_prefix("IMSERVER__DATABASE__URL=")).unwrap();
    let pool = sqlx::PgPool::connect(url).await.unwrap();
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(tables, 0);
    pool.close().await;
    tokio::task::spawn_blocking(move || stack.down()).await.unwrap();
}
