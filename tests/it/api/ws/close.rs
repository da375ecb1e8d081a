//! Sockets that the server closes for how a client behaves over time.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use tokio::{
    io::AsyncReadExt,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use super::say;
use crate::harness::{DEADLINE, Person, Seen, Server, Socket, Start};

/// Opens a socket that says no hello; returns how it ends, and after how long.
async fn no_hello(person: &Person) -> (Seen, Duration) {
    let begun = Instant::now();
    let mut socket = person.connect().await;
    // A sign of life is no hello.
    socket.send_raw(Message::Ping(Vec::new().into())).await;
    (socket.next().await, begun.elapsed())
}

/// Sends a frame each `pause` until the socket closes; returns the code and after how long.
async fn flood(mut socket: Socket, pause: Duration, most: Duration) -> Option<(u16, Duration)> {
    let (begun, mut ticks) = (Instant::now(), interval(pause));
    // Not the faster for having been late.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begun.elapsed() < most {
        ticks.tick().await;
        socket.send(&json!({"type": "ping"})).await;
        match socket.next().await {
            Seen::Frame(frame) => assert_eq!(frame["type"], "pong"),
            Seen::Closed(code) => return Some((code, begun.elapsed())),
        }
    }
    None
}

#[tokio::test]
async fn ten_seconds_over_the_limit_of_frames_close_with_4429() {
    let start = || Start::default().set("limits.frames_per_sec", 5);
    let (server, unlimited) = (start().run(), start().set("limits.enabled", false).run());
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    let wang = unlimited.person("王五").await;
    let (fast, slow) = (Duration::from_millis(100), Duration::from_millis(250));
    // A second in which this machine stalls is one within the limit, and it begins anew.
    let (most, most_over) = (Duration::from_secs(13), Duration::from_secs(90));
    let (over, within, free) = tokio::join!(
        flood(zhang.online().await, fast, most_over),
        flood(li.online().await, slow, most),
        flood(wang.online().await, fast, most),
    );
    let (code, after) = over.expect("not closed");
    assert_eq!(code, 4429);
    assert!(after > Duration::from_millis(9_500), "{after:?}");
    assert_eq!((within, free), (None, None));
}

#[tokio::test]
async fn no_hello_closes_with_4400_and_silence_of_a_minute_with_4410() {
    let server = Server::start();
    let (zhang, li) = (server.person("张三").await, server.person("李四").await);
    // A client that says nothing, but answers pings: that is what its library does.
    let mut answering = zhang.online().await.into_stream();
    let begun = Instant::now();
    // One that answers nothing. What it is sent is told by its bytes.
    let mut silent = zhang.online().await.into_stream().into_inner();
    let mut bytes = Vec::new();
    let reading = async {
        let (end, after) = no_hello(&li).await;
        assert_eq!(end, Seen::Closed(4400));
        assert!((9..30).contains(&after.as_secs()), "{after:?}");
        timeout(Duration::from_secs(90), async {
            while silent.read_buf(&mut bytes).await.unwrap() > 0 {}
        })
        .await
        .expect("not closed");
    };
    let staying = async {
        loop {
            let message = answering.next().await;
            assert!(matches!(message, Some(Ok(Message::Ping(_)))), "{message:?}");
        }
    };
    tokio::select! {
        () = reading => {}
        () = staying => {}
    }
    assert!((59..90).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // Two pings, and a close with its code.
    assert_eq!(bytes[..5], [0x89, 0, 0x89, 0, 0x88], "{bytes:?}");
    assert_eq!(u16::from_be_bytes([bytes[6], bytes[7]]), 4410);
    say(&mut li.online().await, &zhang, "still there?").await;
    let message = timeout(DEADLINE, answering.next()).await.unwrap();
    assert!(matches!(message, Some(Ok(Message::Text(_)))), "{message:?}");
}
