//! Subscribe messages: who is away is told once, by what stands in place of WeChat.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use imserver::{
    domain::TemplateId,
    subscribe::{SendFault, SubscribeMessage, SubscribeSender},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::path};

use crate::harness::{Here, Person, Redis, Socket, eventually, postgres, server::json_of};

const TEMPLATE: &str = "tEmPlAtE-1_x";

/// How long nobody has to have looked.
const WAIT: Duration = Duration::from_secs(3);

/// A replica that takes over waits for the leases of the one before.
const TAKE_OVER: Duration = Duration::from_mins(2);

/// What is done with a message.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Takes,
    Fails(SendFault),
    /// Never answers.
    Hangs,
}

/// A message that was to be sent.
#[derive(Clone, Debug)]
struct Sent {
    openid: String,
    page: String,
    data: Vec<(String, String)>,
    at: Instant,
}

/// In place of WeChat.
struct Stub {
    answer: Mutex<Answer>,
    sent: Mutex<Vec<Sent>>,
}

#[async_trait]
impl SubscribeSender for Stub {
    async fn send(&self, message: &SubscribeMessage) -> Result<(), SendFault> {
        assert_eq!(message.template, TemplateId::parse(TEMPLATE).unwrap());
        self.sent.lock().push(Sent {
            openid: message.user.openid.as_str().to_owned(),
            page: message.page.clone(),
            data: message.data.clone(),
            at: Instant::now(),
        });
        let answer = *self.answer.lock();
        match answer {
            Answer::Takes => Ok(()),
            Answer::Fails(fault) => Err(fault),
            Answer::Hangs => std::future::pending().await,
        }
    }
}

impl Stub {
    fn new() -> Arc<Self> {
        Arc::new(Self { answer: Mutex::new(Answer::Takes), sent: Mutex::default() })
    }

    /// What was to be sent to this user.
    fn to(&self, person: &str) -> Vec<Sent> {
        self.sent.lock().iter().filter(|it| it.openid == person).cloned().collect()
    }

    async fn expect(&self, person: &str, count: usize) -> Sent {
        let what = format!("{count} messages to {person}");
        eventually(&what, async || self.to(person).len() >= count).await;
        let mut sent = self.to(person);
        assert_eq!(sent.len(), count, "{person}");
        sent.remove(count - 1)
    }
}

/// WeChat's logins: a code is the openid.
async fn logins() -> MockServer {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let mut query = request.url.query_pairs();
        let code = query.find(|(key, _)| key == "js_code").unwrap().1.into_owned();
        ResponseTemplate::new(200).set_body_json(json!({"openid": code}))
    };
    Mock::given(path("/sns/jscode2session")).respond_with(answer).mount(&server).await;
    server
}

/// A service that sends by a stub.
struct World {
    here: Here,
    stub: Arc<Stub>,
    logins: MockServer,
    settings: Vec<(String, String)>,
}

impl World {
    async fn start(further: &[(&str, &str)]) -> Self {
        let logins = logins().await;
        let uri = logins.uri();
        let own = [
            ("wechat.base_url", uri.as_str()),
            ("wechat.appid", "wx-1"),
            ("wechat.secret", "s"),
            ("wechat.subscribe.template_id", TEMPLATE),
            (
                "wechat.subscribe.fields",
                r#"{"thing1":"preview","name2":"sender","time3":"time","thing4":"conversation"}"#,
            ),
        ];
        let settings = own.iter().chain(further);
        let settings: Vec<_> =
            settings.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let stub = Stub::new();
        let here = replica(&settings, &stub);
        Self { here, stub, logins, settings }
    }

    /// Somebody who has accepted so many messages.
    async fn person(&self, openid: &str, grants: usize) -> Person {
        let person = self.here.wechat_person(openid).await;
        let accepted = json!({"accepted": vec![TEMPLATE; grants], "rejected": []});
        let response = person.post("/v1/wechat/subscriptions", &accepted).await;
        assert_eq!(response.status(), 204);
        person
    }

    /// Waits until somebody was told of a chat that is sent now: then all that was due before was dealt with.
    async fn fence(&self, by: &Person) {
        let openid = format!("fence-{}", self.stub.sent.lock().len());
        let fence = self.person(&openid, 1).await;
        by.send(fence.id, &openid, "fence").await;
        let begun = Instant::now();
        while self.stub.to(&openid).is_empty() {
            assert!(begun.elapsed() < TAKE_OVER, "nothing is sent any more");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn replica(settings: &[(String, String)], stub: &Arc<Stub>) -> Here {
    let settings: Vec<_> =
        settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let stub = Arc::clone(stub) as Arc<dyn SubscribeSender>;
    tokio::task::block_in_place(|| Here::sending(&settings, stub))
}

async fn state(socket: &mut Socket, background: bool) {
    socket.send(&json!({"type": "state", "background": background})).await;
    // Requests of a socket run one after another: what answers this comes after it.
    socket.send(&json!({"type": "watch", "userIds": "?"})).await;
    socket.until("error").await;
    socket.send(&json!({"type": "read", "conversationId": 1_i64 << 40, "upTo": 1})).await;
    socket.until("error").await;
}

async fn read(person: &Person, chat: &Value) {
    let path = format!("/v1/conversations/{}/read", chat["chat"]["conversationId"]);
    let read = person.post(&path, &json!({"upTo": chat["chat"]["id"]})).await;
    assert_eq!(read.status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_away_is_told_once_until_reading() {
    let world = World::start(&[]).await;
    let (zhang, li) = (world.person("zhang", 0).await, world.person("li", 3).await);
    let offers = json_of(zhang.get("/v1/service").await).await;
    assert_eq!(offers["subscribeTemplates"], json!([TEMPLATE]));

    let begun = Instant::now();
    zhang.send(li.id, "one", "在吗?\n想问一下").await;
    let sent = world.stub.expect("li", 1).await;
    assert!(sent.at - begun >= WAIT, "after {:?}", sent.at - begun);
    let [(name, sender), (preview, words), (title, conversation), (time, _)] = &sent.data[..]
    else {
        panic!("{sent:?}");
    };
    assert_eq!(
        [name, preview, title, time].map(String::as_str),
        ["name2", "thing1", "thing4", "time3"]
    );
    assert_eq!((sender, conversation), (&zhang.name, &zhang.name));
    assert_eq!(words, "在吗? 想问一下");
    assert_eq!(sent.page, format!("pages/chat/chat?peer={}", zhang.id));

    let second = zhang.send(li.id, "two", "在之前").await;
    world.fence(&zhang).await;
    world.stub.expect("li", 1).await;
    read(&li, &second).await;
    zhang.send(li.id, "three", "又一条").await;
    let sent = world.stub.expect("li", 2).await;
    assert_eq!(sent.data[1].1, "又一条");

    // A reject takes the grant that is left.
    read(&li, &zhang.send(li.id, "four", "x").await).await;
    let rejected = json!({"rejected": [TEMPLATE]});
    assert_eq!(li.post("/v1/wechat/subscriptions", &rejected).await.status(), 204);
    zhang.send(li.id, "five", "x").await;
    world.fence(&zhang).await;
    world.stub.expect("li", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_or_has_muted_is_not_told() {
    let world = World::start(&[]).await;
    let (zhang, li) = (world.person("zhang", 9).await, world.person("li", 9).await);
    let (wang, zhao) = (world.person("wang", 9).await, world.person("zhao", 9).await);
    let mut at_li = li.online().await;
    let _at_zhao = Socket::legacy(world.here.addr, zhao.id).await;
    let chat = zhang.send(wang.id, "first", "x").await;
    read(&wang, &chat).await;
    let settings = format!("/v1/conversations/{}/settings", chat["chat"]["conversationId"]);
    let muted = wang.request(reqwest::Method::PUT, &settings).body(r#"{"muted":true}"#).send();
    assert_eq!(muted.await.unwrap().status(), 200);
    for (at, person) in [&li, &wang, &zhao, &zhang].into_iter().enumerate() {
        zhang.send(person.id, &format!("k{at}"), "x").await;
    }
    world.fence(&zhang).await;
    for openid in ["li", "wang", "zhao", "zhang"] {
        assert!(world.stub.to(openid).is_empty(), "{openid}");
    }

    // In the background nobody looks, unless at another socket.
    state(&mut at_li, true).await;
    let other = li.online().await;
    zhang.send(li.id, "seen", "x").await;
    world.fence(&zhang).await;
    assert!(world.stub.to("li").is_empty());
    drop(other);
    zhang.send(li.id, "unseen", "没看").await;
    let sent = world.stub.expect("li", 1).await;
    assert_eq!(sent.data[1].1, "没看");
    state(&mut at_li, false).await;
    read(&li, &zhang.send(li.id, "read", "x").await).await;
    zhang.send(li.id, "seen again", "x").await;
    world.fence(&zhang).await;
    world.stub.expect("li", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_group_are_told_without_words_if_the_settings_say_so() {
    let world = World::start(&[("wechat.subscribe.show_content", "false")]).await;
    let (zhang, li) = (world.person("zhang", 9).await, world.person("li", 1).await);
    let (wang, zhao) = (world.person("wang", 0).await, world.person("zhao", 2).await);
    let new = json!({"kind": "group", "key": "g", "title": "周末爬山",
        "userIds": [li.id, wang.id, zhao.id]});
    let group = json_of(zhang.post("/v1/conversations", &new).await).await["id"].clone();
    world.fence(&zhang).await;
    assert!(world.stub.to("li").is_empty(), "told of a system line");
    let say = async |key: &str| {
        let chat = json!({"clientMsgId": key, "conversationId": group, "content": "secret"});
        let sent = zhang.post("/v1/chats", &chat).await;
        assert_eq!(sent.status(), 201);
        json_of(sent).await
    };
    let first = say("one").await;
    for openid in ["li", "zhao"] {
        let sent = world.stub.expect(openid, 1).await;
        let values: Vec<_> = sent.data.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!((values[0], values[1], values[2]), (&*zhang.name, "[新消息]", "周末爬山"));
        assert_eq!(sent.page, format!("pages/chat/chat?peer=g{group}"));
    }
    read(&li, &first).await;
    read(&zhao, &first).await;
    say("two").await;
    world.stub.expect("zhao", 2).await;
    world.fence(&zhang).await;
    world.stub.expect("li", 1).await;
    for openid in ["zhang", "wang"] {
        assert!(world.stub.to(openid).is_empty(), "{openid}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_wechat_answers_decides_about_the_grants() {
    let world = World::start(&[]).await;
    let (zhang, li) = (world.person("zhang", 0).await, world.person("li", 5).await);
    let wang = world.person("wang", 1).await;
    let answer = |answer| *world.stub.answer.lock() = answer;

    // It was surely not sent, so it is tried again, with the same grant.
    answer(Answer::Fails(SendFault::NotSent));
    zhang.send(wang.id, "w", "x").await;
    world.stub.expect("wang", 1).await;
    answer(Answer::Takes);
    world.stub.expect("wang", 2).await;

    // It may have been sent.
    answer(Answer::Fails(SendFault::Unclear));
    let chat = zhang.send(li.id, "one", "x").await;
    world.stub.expect("li", 1).await;
    answer(Answer::Takes);
    world.fence(&zhang).await;
    world.stub.expect("li", 1).await;

    // 43101: four grants are none.
    answer(Answer::Fails(SendFault::Refused));
    read(&li, &chat).await;
    zhang.send(li.id, "two", "x").await;
    world.stub.expect("li", 2).await;
    answer(Answer::Takes);
    zhang.send(li.id, "three", "x").await;
    world.fence(&zhang).await;
    world.stub.expect("li", 2).await;
    assert_eq!(world.person("li", 1).await.id, li.id);
    zhang.send(li.id, "four", "x").await;
    world.stub.expect("li", 3).await;

    // One that WeChat takes for wrong is one that it takes of nobody: nothing is sent for a while.
    answer(Answer::Fails(SendFault::BadTemplate));
    let zhao = world.person("zhao", 1).await;
    zhang.send(zhao.id, "z", "x").await;
    world.stub.expect("zhao", 1).await;
    let count = world.stub.sent.lock().len();
    let sun = world.person("sun", 1).await;
    zhang.send(sun.id, "s", "x").await;
    tokio::time::sleep(WAIT * 2).await;
    assert_eq!(world.stub.sent.lock().len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_dies_after_the_take_has_nothing_sent_twice() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("im.db").display());
    let mut world = World::start(&[("database.url", &database)]).await;
    let (zhang, li) = (world.person("zhang", 0).await, world.person("li", 1).await);
    *world.stub.answer.lock() = Answer::Hangs;
    let chat = zhang.send(li.id, "one", "x").await;
    world.stub.expect("li", 1).await;
    let World { here, stub, logins, settings } = world;
    tokio::task::block_in_place(|| drop(here));
    *stub.answer.lock() = Answer::Takes;
    let here = replica(&settings, &stub);
    world = World { here, stub, logins, settings };
    let (zhang, li) = (world.person("zhang", 0).await, world.person("li", 0).await);
    zhang.send(li.id, "two", "x").await;
    world.fence(&zhang).await;
    world.stub.expect("li", 1).await;
    // The grant was spent: there is none for the next absence.
    read(&li, &chat).await;
    zhang.send(li.id, "three", "x").await;
    world.fence(&zhang).await;
    world.stub.expect("li", 1).await;
    world.person("li", 1).await;
    read(&li, &zhang.send(li.id, "four", "x").await).await;
    zhang.send(li.id, "five", "x").await;
    world.stub.expect("li", 2).await;
    assert!(!world.logins.received_requests().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_tell_each_once_and_know_who_looks_at_the_other() {
    let database = postgres::database().await;
    let redis = Redis::start();
    let bus = redis.url().to_string();
    let world = World::start(&[("database.url", &database), ("bus.url", &bus)]).await;
    let other = replica(&world.settings, &world.stub);
    let zhang = world.person("zhang", 0).await;
    let mut members = Vec::new();
    for at in 0..12 {
        members.push(world.person(&format!("m{at}"), 2).await);
    }
    // One looks at the other replica, one has it in the background.
    let at_other = |person: &Person| other.wechat_person(person_openid(person, &members));
    let _looking = at_other(&members[0]).await.online().await;
    let mut background = at_other(&members[1]).await.online().await;
    state(&mut background, true).await;
    let ids: Vec<_> = members.iter().map(|member| member.id).collect();
    let new = json!({"kind": "group", "key": "g", "title": "t", "userIds": ids});
    let group = json_of(zhang.post("/v1/conversations", &new).await).await["id"].clone();
    let from_other = other.wechat_person("zhang").await;
    for at in 0..6 {
        let by = if at % 2 == 0 { &zhang } else { &from_other };
        let chat =
            json!({"clientMsgId": format!("k{at}"), "conversationId": group, "content": "x"});
        assert_eq!(by.post("/v1/chats", &chat).await.status(), 201);
    }
    world.fence(&zhang).await;
    for at in 1..12 {
        world.stub.expect(&format!("m{at}"), 1).await;
    }
    assert!(world.stub.to("m0").is_empty());
}

/// By which openid a member was made.
fn person_openid(person: &Person, members: &[Person]) -> &'static str {
    const NAMES: [&str; 2] = ["m0", "m1"];
    NAMES[members.iter().position(|member| member.id == person.id).unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_is_checked() {
    let world = World::start(&[]).await;
    let li = world.person("li", 0).await;
    for (body, named) in [
        (json!({"accepted": ["other"]}), "`accepted`"),
        (json!({"rejected": [TEMPLATE, "other"]}), "`rejected`"),
        (json!({"accepted": [TEMPLATE], "rejected": [TEMPLATE]}), "`rejected`"),
        (json!({"accepted": TEMPLATE}), "`accepted`"),
        (json!({"accepted": [7]}), "`accepted"),
        (json!({"accepted": vec![TEMPLATE; 21]}), "20"),
        (json!({"accepted": [TEMPLATE], "userId": li.id + 1}), ""),
    ] {
        let response = li.post("/v1/wechat/subscriptions", &body).await;
        let status = response.status();
        let problem = json_of(response).await;
        assert!(status == 400 || (named.is_empty() && status == 403), "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
    }
    for body in [json!({}), json!({"accepted": null}), json!({"accepted": [], "rejected": []})] {
        assert_eq!(li.post("/v1/wechat/subscriptions", &body).await.status(), 204);
    }
    let zhang = world.person("zhang", 0).await;
    zhang.send(li.id, "k", "x").await;
    world.fence(&zhang).await;
    assert!(world.stub.to("li").is_empty(), "a bad report counted");
}
