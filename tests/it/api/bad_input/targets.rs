//! Bad paths, query strings and heads of requests.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::Stage;
use crate::harness::{
    DEADLINE, Server, Socket,
    server::{assert_problem, json_of},
};

/// What is no number from 1 to 2^53 - 1, as it stands in a URL.
const NO_IDS: [&str; 22] = [
    "0",
    "-1",
    "1.5",
    "1e3",
    "x",
    "%20",
    "1%20",
    "%2B1",
    "0x10",
    "9007199254740992",
    "9223372036854775808",
    "99999999999999999999999999",
    "%EF%BC%91",
    "%D9%A1",
    "%00",
    "1%00",
    "%ff",
    "%C3%28",
    "%zz",
    "%",
    "%F0%9F%98%80",
    "NaN",
];

#[tokio::test]
async fn an_id_in_a_path_is_a_number() {
    let stage = Stage::set().await;
    let zhang = &stage.zhang;
    for id in NO_IDS {
        for path in [format!("/v1/users/{id}"), format!("/v1/conversations/{id}/chats")] {
            assert_problem(zhang.get(&path).await, 400, "invalid_request").await;
        }
        for method in [reqwest::Method::PUT, reqwest::Method::DELETE] {
            let answer = zhang.request(method, &format!("/v1/blocks/{id}")).send().await.unwrap();
            assert_problem(answer, 400, "invalid_request").await;
        }
        let path = format!("/v1/conversations/{id}/read");
        let answer = zhang.post(&path, &serde_json::json!({"upTo": 1})).await;
        assert_problem(answer, 400, "invalid_request").await;
        let member = format!("{}/members/{id}", stage.conversation);
        for (method, path) in [
            ("GET", format!("/v1/conversations/{id}")),
            ("PUT", format!("/v1/conversations/{id}")),
            ("GET", format!("/v1/conversations/{id}/members")),
            ("POST", format!("/v1/conversations/{id}/members")),
            ("PUT", format!("/v1/conversations/{id}/members/1")),
            ("DELETE", format!("/v1/conversations/{id}/members/1")),
            ("PUT", format!("/v1/conversations/{member}")),
            ("DELETE", format!("/v1/conversations/{member}")),
            ("PUT", format!("/v1/conversations/{id}/settings")),
            ("POST", format!("/v1/conversations/{id}/hide")),
            ("POST", format!("/v1/conversations/{id}/clear")),
            ("POST", format!("/v1/chats/{id}/recall")),
            ("DELETE", format!("/v1/chats/{id}")),
        ] {
            let request = zhang.request(method.parse().unwrap(), &path);
            let answer = request.body(r#"{"role":"member"}"#).send().await.unwrap();
            assert_eq!(answer.status(), 400, "{method} {path}");
            assert_problem(answer, 400, "invalid_request").await;
        }

        let offers = format!("imserver.v1, bearer.{}", zhang.token);
        let headers = [("sec-websocket-protocol", offers.as_str())];
        for headers in [&headers[..], &[]] {
            let path = format!("/imserver/{id}");
            let refused = Socket::open(stage.server.addr, &path, headers).await.err().unwrap();
            assert_eq!(refused.status(), 400, "{path}");
        }
    }
    for name in ["%ff", "..%2f..%2fconfig", "%00", "'", &"x".repeat(5_000)] {
        let answer = stage.server.get(&format!("/v1/avatars/{name}")).await;
        let status = answer.status().as_u16();
        assert!(status == 404 || status == 400, "{name}: {status}");
        let code = if status == 404 { "not_found" } else { "invalid_request" };
        assert_problem(answer, status, code).await;
    }
    // Percent signs may stand for what they stand for.
    let me = format!("/v1/users/{}", zhang.id.to_string().replace('1', "%31"));
    assert_eq!(zhang.get_json(&me).await["name"], "张三");
    stage.assert_alive().await;
}

#[tokio::test]
async fn numbers_in_a_query_are_numbers() {
    let stage = Stage::with_group().await;
    let zhang = &stage.zhang;
    let chats = format!("/v1/conversations/{}/chats", stage.conversation);
    let members = format!("/v1/conversations/{}/members", stage.group.unwrap());
    let all = NO_IDS.iter().copied().chain([""]);
    // The last says whether 0 is a bound.
    for (path, key, zero) in [
        ("/v1/conversations", "before", false),
        ("/v1/conversations", "peerId", false),
        (&chats, "before", false),
        (&chats, "after", true),
        (&chats, "changedSince", true),
        (&members, "after", true),
        ("/v1/events", "since", true),
        ("/v1/blocks", "after", true),
        ("/v1/presence", "userIds", false),
        ("/getMessage", "userId", false),
        ("/close", "userId", false),
        ("/v1/me", "userId", false),
    ] {
        for value in all.clone().filter(|value| !(zero && *value == "0")) {
            let answer = zhang.get(&format!("{path}?{key}={value}")).await;
            assert_eq!(answer.status(), 400, "{path}?{key}={value}");
            assert_problem(answer, 400, "invalid_request").await;
        }
        let is_bound = zhang.get(&format!("{path}?{key}=0")).await.status() == 200;
        assert_eq!(is_bound, zero, "{path}?{key}=0");
    }
    for list in ["1,", ",1", "1,,2", "1;2", "1,x", "1, 2", "[1]"] {
        let answer = zhang.get(&format!("/v1/presence?userIds={list}")).await;
        assert_problem(answer, 400, "invalid_request").await;
    }
    for bounds in ["before=1&after=1", "before=1&changedSince=1", "after=0&changedSince=0"] {
        let answer = zhang.get(&format!("{chats}?{bounds}")).await;
        assert_problem(answer, 400, "invalid_request").await;
    }
    for path in ["/v1/conversations", &chats, &members, "/v1/events", "/v1/users?query=x"] {
        let sign = if path.contains('?') { '&' } else { '?' };
        let large = |limit: &&str| limit.starts_with("99999") || limit.starts_with("9223");
        let limits = all.clone().filter(|limit| !large(limit) && *limit != "9007199254740992");
        for limit in limits {
            let answer = zhang.get(&format!("{path}{sign}limit={limit}")).await;
            assert_eq!(answer.status(), 400, "{path} limit={limit}");
            assert_problem(answer, 400, "invalid_request").await;
        }
        for limit in ["1", "100", "101", "1000", "99999999999999999999999999", "007"] {
            let answer = zhang.get(&format!("{path}{sign}limit={limit}")).await;
            assert_eq!(answer.status(), 200, "{path} limit={limit}");
        }
    }
    for path in ["/getMessage", "/close", "/v1/presence", "/v1/users"] {
        assert_problem(zhang.get(path).await, 400, "invalid_request").await;
    }
    stage.assert_alive().await;
}

#[tokio::test]
async fn a_query_string_may_be_nonsense() {
    let stage = Stage::set().await;
    let zhang = &stage.zhang;
    let me = zhang.get_json("/v1/me").await;
    let long = format!("x={}", "y".repeat(8_000));
    let many = "a=1&".repeat(2_000);
    for query in ["%", "%zz=%", "%ff=%ff", "=", "&&&", "?", "a=b=c", "%00=%00", "x", &long, &many] {
        assert_eq!(zhang.get_json(&format!("/v1/me?{query}")).await, me, "{query}");
    }
    for search in ["%ff", "%", "%zz", "%00", "%ED%A0%80", &"y".repeat(8_000)] {
        let found = zhang.get(&format!("/v1/users?query={search}")).await;
        assert_eq!(found.status(), 200, "{search}");
        assert_eq!(json_of(found).await["users"], serde_json::json!([]), "{search}");
    }
    let twice = zhang.get("/v1/conversations?limit=1&limit=x").await;
    assert_eq!(twice.status(), 200, "the first one counts");
}

/// Sends bytes and reads until the server closes or a whole head has come; returns the status.
async fn raw(server: &Server, request: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let _ = stream.write_all(request).await;
    let mut seen = Vec::new();
    while !seen.windows(4).any(|part| part == b"\r\n\r\n") {
        let mut part = [0; 1024];
        match timeout(DEADLINE, stream.read(&mut part)).await.expect("no answer in time") {
            Ok(length) if length > 0 => seen.extend(&part[..length]),
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&seen);
    text.split(' ').nth(1).and_then(|status| status.parse().ok())
}

#[tokio::test]
async fn what_is_no_request_harms_nobody() {
    let stage = Stage::set().await;
    let token = &stage.zhang.token;
    let get = |target: &[u8], headers: &[u8]| {
        let auth = format!("Authorization: Bearer {token}\r\n");
        [b"GET ", target, b" HTTP/1.1\r\nHost: localhost\r\n", auth.as_bytes(), headers, b"\r\n"]
            .concat()
    };
    let long = |length: usize| "x".repeat(length).into_bytes();
    let refused: [Vec<u8>; 11] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"nonsense\r\n\r\n".to_vec(),
        b"\r\n\r\n\r\n\0\r\n\r\n".to_vec(),
        get(b"/v1/users/\xff", b""),
        get(b"/v1/users/\xe5\xbc\xa0", b""),
        get(b"/v1/users/1 2", b""),
        get(b"/v1/me\0", b""),
        get(&[b"/v1/me?x=".to_vec(), long(20_000)].concat(), b""),
        get(b"/v1/me", &[b"X: ".to_vec(), long(20_000), b"\r\n".to_vec()].concat()),
        get(b"/v1/me", b"No colon\r\n"),
    ];
    for request in refused {
        let status = raw(&stage.server, &request).await;
        let text = super::shown(&String::from_utf8_lossy(&request));
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?}: {text}");
    }
    let fine = [
        get(b"/v1/me", b""),
        get(b"/v1/me?x=\xe5\xbc\xa0", b""),
        get(b"http://127.0.0.1/v1/me", b""),
        get(b"/v1/me", b"X: \xff\xfe\r\nOrigin: \xff\r\nAccept-Encoding: \xff\r\n"),
    ];
    for request in fine {
        let status = raw(&stage.server, &request).await;
        let text = super::shown(&String::from_utf8_lossy(&request));
        assert!(status.is_some_and(|status| status < 500), "{status:?}: {text}");
    }
    let unsaid = format!("GET /v1/me HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_eq!(raw(&stage.server, unsaid.as_bytes()).await, Some(200));
    for garbled in [
        "POST /v1/chats HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /v1/chats HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/chats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let request = garbled.replacen(
            "Host: localhost",
            &format!("Host: localhost\r\nAuthorization: Bearer {token}"),
            1,
        );
        let status = raw(&stage.server, request.as_bytes()).await;
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?}: {garbled}");
    }
    stage.assert_alive().await;
}
