//! Frames of clients with random faults: each is read as a plain JSON reader reads it, or refused by a typed error.

use imserver::{
    domain::UserId,
    protocol::client::{Request, read_frame},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::Value;

/// Frames that are right.
const FRAMES: [&str; 9] = [
    r#"{"type":"send","clientMsgId":"k-1","targetUserId":2,"content":"你好 😀"}"#,
    r#"{"type":"send","clientMsgId":"k-2","conversationId":3,"content":"a\u4f60\n","replyTo":7,"mentions":[1,2]}"#,
    r#"{"type":"send","clientMsgId":"k-3","targetExternalId":"c-77","kind":"image","body":{"mediaId":"0f8fad5b"}}"#,
    r#"{"type":"send","clientMsgId":"k-4","targetUserId":2,"kind":"card","body":{"title":"订单","url":"https://a.example","data":{"a":[1,{}]}}}"#,
    r#"{"type":"read","conversationId":3,"upTo":88}"#,
    r#"{"type":"typing","targetUserId":2}"#,
    r#"{"type":"typing","conversationId":9223372036854775807}"#,
    r#"{"type":"watch","userIds":[1,2,3]}"#,
    r#"{"type":"ping"}"#,
];

/// Pieces that upset readers of JSON.
const PIECES: [&str; 22] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "-0",
    "1e999",
    "0.5",
    "9223372036854775808",
    "\\ud800",
    "\\u0000",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\"type\":\"send\",",
    "{\"a\":",
    "💥",
];

fn mutated(random: &mut StdRng) -> String {
    let mut frame: Vec<char> = FRAMES.choose(random).unwrap().chars().collect();
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=frame.len());
        let end = (at + random.random_range(0..8)).min(frame.len());
        match random.random_range(0..5) {
            0 => drop(frame.drain(at..end)),
            1 => drop(frame.splice(at..at, PIECES.choose(random).unwrap().chars())),
            2 => drop(frame.splice(at..end, PIECES.choose(random).unwrap().chars())),
            3 => {
                let other: Vec<char> = FRAMES.choose(random).unwrap().chars().collect();
                let from = random.random_range(0..other.len());
                drop(frame.splice(at.., other[from..].iter().copied()));
            }
            _ => drop(frame.splice(at..at, frame[at..end].to_vec())),
        }
    }
    frame.into_iter().collect()
}

/// The type of a frame, as a plain JSON reader reads it.
fn plain_kind(frame: &str) -> Option<String> {
    let object: Value = serde_json::from_str(frame).ok()?;
    object.as_object()?.get("type")?.as_str().map(str::to_owned)
}

/// Reads so many frames. Returns how many were requests, how many were refused, and how many were no frames at all.
fn read_many(frames: u32) -> [u32; 3] {
    let mut random = StdRng::seed_from_u64(18);
    let mut counts = [0; 3];
    for _ in 0..frames {
        let frame = mutated(&mut random);
        let read = read_frame(&frame);
        if let Some(kind) = plain_kind(&frame) {
            let read = read.as_ref().map(|(kind, _)| kind);
            assert_eq!(read, Some(&kind), "{frame}");
        }
        let Some((kind, fields)) = read else {
            counts[2] += 1;
            continue;
        };
        match Request::read(&kind, &fields, UserId::new(1).unwrap(), 2_000) {
            Ok(_) => counts[0] += 1,
            Err(bad) => {
                let status = bad.fault.code.status();
                assert!((400..500).contains(&status) && !bad.fault.detail.is_empty(), "{frame}");
                assert!(bad.fault.detail.chars().count() < 300, "{frame}: {}", bad.fault.detail);
                counts[1] += 1;
            }
        }
    }
    counts
}

#[test]
fn twenty_thousand_mutated_frames_are_read_or_refused() {
    let counts = read_many(20_000);
    assert!(counts.iter().all(|count| *count > 500), "{counts:?}: each end is tried");
}

#[test]
#[ignore = "half a minute: ./dev test a_million_mutated -- --ignored"]
fn a_million_mutated_frames_are_read_or_refused() {
    read_many(1_000_000);
}
