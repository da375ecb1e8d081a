//! Voice messages: their data say what they are and how long they last.

use serde_json::Value;

use super::{bytes_of, form, kept, request, stage, upload};
use crate::harness::server::{assert_problem, json_of};

const MP3: &[u8] = include_bytes!("fixtures/second.mp3");
const AAC: &[u8] = include_bytes!("fixtures/second.aac");
const M4A: &[u8] = include_bytes!("fixtures/second.m4a");
const LONG_M4A: &[u8] = include_bytes!("fixtures/long.m4a");

/// So many seconds of silence, as browsers record it.
fn wav(seconds: u32) -> Vec<u8> {
    let (rate, length) = (16_000_u32, seconds * 32_000);
    let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend([rate.to_le_bytes(), (rate * 2).to_le_bytes()].concat());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(length.to_le_bytes());
    wav.resize(wav.len() + usize::try_from(length).unwrap(), 0);
    wav
}

/// Whether a duration is a second, and what encoders add.
fn is_a_second(duration: &Value) -> bool {
    (1_000..1_200).contains(&duration.as_i64().unwrap())
}

#[tokio::test]
async fn every_format_is_told_by_its_content() {
    let (server, zhang) = stage().await;
    let wav = wav(1);
    for (content_type, bytes) in
        [("audio/mpeg", MP3), ("audio/aac", AAC), ("audio/mp4", M4A), ("audio/wav", &wav)]
    {
        let answer = kept(&zhang, "voice", bytes).await;
        assert_eq!(
            (&answer["kind"], &answer["contentType"]),
            (&"voice".into(), &content_type.into())
        );
        assert!(is_a_second(&answer["durationMs"]), "{answer}");
        assert_eq!(answer["size"], bytes.len());
        assert!(answer.get("thumbUrl").is_none() && answer.get("name").is_none());
        assert_eq!(bytes_of(&server, &answer["url"]).await, bytes);
    }
}

#[tokio::test]
async fn what_lasts_too_long_is_refused_whatever_is_said_of_it() {
    let (_server, zhang) = stage().await;
    // Behind the tag.
    let sound = MP3.iter().position(|byte| *byte == 0xFF).unwrap();
    let long_mp3 = MP3[sound..].repeat(60);
    let long_aac = AAC.repeat(58);
    // The track and the film say that they last a second.
    let mut lie = LONG_M4A.to_vec();
    for name in [b"mvhd", b"mdhd", b"tkhd"] {
        let at = lie.windows(4).position(|window| window == name).unwrap();
        let duration = if name == b"tkhd" { at + 24 } else { at + 20 };
        lie[duration..duration + 4].copy_from_slice(&1_000_u32.to_be_bytes());
    }
    // And its blocks are to be played in no time.
    let mut quick = lie.clone();
    let at = quick.windows(4).position(|window| window == b"stts").unwrap();
    let entries = quick[at + 11];
    for entry in 0..usize::from(entries) {
        quick[at + 16 + entry * 8..at + 20 + entry * 8].copy_from_slice(&1_u32.to_be_bytes());
    }
    for long in [&long_mp3[..], &long_aac, LONG_M4A, &lie, &quick, &wav(61)] {
        let parts = [("kind", "", &b"voice"[..]), ("durationMs", "", b"1000"), ("file", "", long)];
        let answer = request(&zhang, form(&parts)).send().await.unwrap();
        let detail = assert_problem(answer, 422, "invalid_media").await;
        assert!(detail.contains("60 s"), "{detail}");
    }
    let answer = kept(&zhang, "voice", &wav(60)).await;
    assert_eq!(answer["durationMs"], 60_000);
    // What a client says is not what counts.
    let parts = [("durationMs", "", &b"59000"[..]), ("file", "", MP3), ("kind", "", b"voice")];
    let answer = json_of(request(&zhang, form(&parts)).send().await.unwrap()).await;
    assert!(is_a_second(&answer["durationMs"]), "{answer}");
}

#[tokio::test]
async fn what_is_no_voice_message_is_refused() {
    let (_server, zhang) = stage().await;
    let wav = wav(2);
    let page = [MP3, b"<script>alert(1)</script>"].concat();
    for broken in [&M4A[..M4A.len() / 2], &wav[..wav.len() / 2], &page[..]] {
        assert_problem(upload(&zhang, "voice", broken).await, 422, "invalid_media").await;
    }
    for other in [&b""[..], b"hello", b"OggS\0\x02", b"#!AMR\n1234567", b"\x1aE\xdf\xa3webm"] {
        assert_problem(upload(&zhang, "voice", other).await, 415, "unsupported_media").await;
    }
    for at in (0..M4A.len()).step_by(97) {
        let mut odd = M4A.to_vec();
        odd[at] ^= 0xFF;
        let status = upload(&zhang, "voice", &odd).await.status().as_u16();
        assert!(matches!(status, 201 | 415 | 422), "{at}: {status}");
    }
}
