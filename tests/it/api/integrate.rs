//! A company's way in, `docs/integrate.md`, as it stands, with the back ends of `examples/backend` in both
//! languages.

use std::net::TcpListener;

use crate::harness::{
    Start,
    tour::{self, commands, json},
};

const ENGLISH: &str = include_str!("../../../docs/integrate.md");
const CHINESE: &str = include_str!("../../../docs/integrate.zh-CN.md");
const SETTINGS: &str = include_str!("../../../examples/backend/imserver.toml");

/// The ports of the service, and of the two halves of the back end, in the documents and the examples.
const PORTS: [&str; 3] = ["8080", "9000", "9001"];

/// How the tour starts a half of the back end, and the file that it starts.
type Program = (&'static str, &'static str);

const PYTHON: [Program; 2] = [
    ("python3 examples/backend/login.py", include_str!("../../../examples/backend/login.py")),
    ("python3 examples/backend/events.py", include_str!("../../../examples/backend/events.py")),
];

const NODE: [Program; 2] = [
    ("node examples/backend/login.mjs", include_str!("../../../examples/backend/login.mjs")),
    ("node examples/backend/events.mjs", include_str!("../../../examples/backend/events.mjs")),
];

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

async fn the_tour_works(document: &'static str, back_end: [Program; 2]) {
    let home = tempfile::tempdir().unwrap();
    let (login, events) = (free_port(), free_port());
    let settings = home.path().join("imserver.toml");
    std::fs::write(&settings, SETTINGS.replace(PORTS[2], &events)).unwrap();
    let server = Start::default().env("IMSERVER_CONFIG", settings.to_str().unwrap()).run();
    let ports = [server.addr.port().to_string(), login, events];
    let moved = move |text: &str| {
        let places = PORTS.iter().zip(&ports);
        places.fold(text.to_owned(), |text, (port, other)| text.replace(port, other))
    };
    std::fs::create_dir_all(home.path().join("examples/backend")).unwrap();
    for (command, program) in back_end {
        let file = command.split_once(' ').unwrap().1;
        std::fs::write(home.path().join(file), moved(program)).unwrap();
    }
    let program = format!(
        "IMSERVER__DATABASE__URL=sqlite://{} {}",
        server.database().display(),
        env!("CARGO_BIN_EXE_imserver")
    );
    let printed = tokio::task::spawn_blocking(move || {
        let instead = [
            ("cargo run -q --", &*program),
            (PYTHON[0].0, back_end[0].0),
            (PYTHON[1].0, back_end[1].0),
        ];
        tour::run(home.path(), &moved(document), &instead)
    });
    let printed = printed.await.unwrap();
    let [_, _, _, chats, order, heard, feed, refused, restriction, _] = &printed[..] else {
        panic!("{} blocks", printed.len());
    };
    let lines = json(chats);
    assert_eq!(lines[0]["chat"]["userName"], "张三", "{chats}");
    assert_eq!(lines[1]["conversations"][0]["lastChat"]["content"], "请问还有货吗？", "{chats}");
    let lines = json(order);
    assert_eq!(lines[0]["externalId"], "order-4711", "{order}");
    assert_eq!(lines[1]["chat"]["kind"], "system", "{order}");
    assert!(heard.starts_with("chat.created") && heard.contains("order-4711"), "{heard}");
    assert_eq!(json(feed)[0]["events"].as_array().unwrap().len(), 2, "{feed}");
    let lines = json(refused);
    assert_eq!(
        (&lines[0]["status"], &lines[0]["detail"]),
        (&422.into(), &"请不要发送联系方式".into())
    );
    assert!(!restriction.contains("problem"), "{restriction}");
    drop(server);
}

#[tokio::test]
async fn the_english_way_in_works_with_a_back_end_in_python() {
    the_tour_works(ENGLISH, PYTHON).await;
}

#[tokio::test]
async fn the_chinese_way_in_works_with_a_back_end_in_node() {
    the_tour_works(CHINESE, NODE).await;
}

#[test]
fn both_ways_in_are_the_same_but_for_the_language() {
    assert_eq!(commands(ENGLISH), commands(CHINESE));
}
