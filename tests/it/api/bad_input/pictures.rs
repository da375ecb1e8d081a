//! Avatars that are no pictures, or more than they seem.

use std::io::Cursor;

use image::{
    DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use reqwest::{Method, Response};

use super::Stage;
use crate::harness::server::assert_problem;

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

/// A PNG of one pixel that claims another size.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(RgbImage::new(1, 1), ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

/// 36 MB of pixels in some 40 KB, and each of them is there.
fn bomb() -> Vec<u8> {
    let mut bytes = Vec::new();
    let best = CompressionType::Best;
    let encoder = PngEncoder::new_with_quality(&mut bytes, best, FilterType::NoFilter);
    GrayImage::new(6_000, 6_000).write_with_encoder(encoder).unwrap();
    bytes
}

async fn upload(stage: &Stage, picture: Vec<u8>) -> Response {
    stage.zhang.request(Method::PUT, "/v1/me/avatar").body(picture).send().await.unwrap()
}

#[tokio::test]
async fn what_is_no_good_picture_is_refused_and_changes_nothing() {
    let stage = Stage::set().await;
    let flag = RgbImage::from_fn(64, 64, |x, y| {
        Rgb([x, y, x ^ y].map(|part| u8::try_from(part * 4).unwrap()))
    });
    assert_eq!(upload(&stage, encoded(flag.clone(), ImageFormat::Png)).await.status(), 200);
    let before = stage.seen().await;

    let svg = r#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let mut bad = vec![
        Vec::new(),
        b"hello".to_vec(),
        br#"{"avatar":"x"}"#.to_vec(),
        svg.as_bytes().to_vec(),
        b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
            .into(),
        b"%PDF-1.7".to_vec(),
        vec![0; 256 * 1024],
        png_claiming(60_000, 60_000),
        png_claiming(u32::MAX, u32::MAX),
        png_claiming(0, 0),
        png_claiming(2, 2),
        bomb(),
    ];
    assert!(bad.iter().all(|picture| picture.len() <= 256 * 1024));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let whole = encoded(flag.clone(), format);
        bad.extend([whole.len() - 20, whole.len() / 2, 30, 8].map(|part| whole[..part].to_vec()));
        bad.push([b"x", &whole[..]].concat());
    }
    for (index, picture) in bad.into_iter().enumerate() {
        let answer = upload(&stage, picture).await;
        assert_eq!(answer.status(), 400, "picture {index}");
        assert_problem(answer, 400, "invalid_image").await;
    }
    for length in [256 * 1024 + 1, 1024 * 1024] {
        let mut large = encoded(flag.clone(), ImageFormat::Png);
        large.resize(length, 0);
        assert_problem(upload(&stage, large).await, 413, "payload_too_large").await;
    }
    assert_eq!(stage.seen().await, before);
    stage.assert_alive().await;
}
