//! Pictures: what is kept of them is their pixels and nothing else.

use std::io::Cursor;

use image::{
    DynamicImage, Frame, GrayImage, ImageBuffer, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba,
    RgbaImage,
    codecs::{
        gif::GifEncoder,
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
    },
};
use serde_json::Value;

use super::{bytes_of, kept, stage, upload};
use crate::harness::{Server, server::assert_problem};

const CMYK: &[u8] = include_bytes!("fixtures/cmyk.jpg");
const RED: Rgb<u8> = Rgb([250, 10, 10]);
const BLUE: Rgb<u8> = Rgb([10, 10, 250]);

/// TIFF with one tag, orientation 6: to be turned clockwise to stand upright. And a place.
const EXIF: &[u8] =
    b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0GPS 39.9N 116.4E";

/// Red on the left, blue on the right.
fn flag(width: u32, height: u32) -> RgbImage {
    ImageBuffer::from_fn(width, height, |x, _| if x < width / 2 { RED } else { BLUE })
}

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn is_close(a: Rgb<u8>, b: Rgb<u8>) -> bool {
    a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) < 40)
}

/// What is kept of a picture and its thumbnail, as an answer describes it.
async fn shown(server: &Server, answer: &Value) -> [DynamicImage; 2] {
    let original = bytes_of(server, &answer["url"]).await;
    assert_eq!(answer["size"], original.len());
    let original = image::load_from_memory(&original).unwrap();
    assert_eq!(answer["width"], original.width());
    assert_eq!(answer["height"], original.height());
    let thumb = image::load_from_memory(&bytes_of(server, &answer["thumbUrl"]).await).unwrap();
    assert!(thumb.width().max(thumb.height()) <= 320);
    [original, thumb]
}

/// Whether both show a red and a blue half.
fn assert_flag(shown: &[DynamicImage], what: &str) {
    for picture in shown {
        let (picture, (width, height)) = (picture.to_rgb8(), (picture.width(), picture.height()));
        assert!(is_close(*picture.get_pixel(width / 8, height / 2), RED), "{what}");
        assert!(is_close(*picture.get_pixel(width * 7 / 8, height / 2), BLUE), "{what}");
    }
}

#[tokio::test]
async fn every_format_becomes_one_that_all_show() {
    let (server, zhang) = stage().await;
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
        let answer = kept(&zhang, "image", &encoded(flag(2_400, 1_200), format)).await;
        assert_eq!(answer["kind"], "image");
        assert_eq!(answer["contentType"], "image/jpeg", "{format:?}");
        let shown = shown(&server, &answer).await;
        assert_eq!((shown[0].width(), shown[0].height()), (2_048, 1_024));
        assert_eq!((shown[1].width(), shown[1].height()), (320, 160));
        assert_flag(&shown, &format!("{format:?}"));
    }
}

#[tokio::test]
async fn strange_pictures_are_shown_as_they_are() {
    let (server, zhang) = stage().await;
    // Red and blue as printers have them.
    assert_flag(&shown(&server, &kept(&zhang, "image", CMYK).await).await, "CMYK");
    let wide = DynamicImage::from(flag(60, 20)).to_rgb16();
    let answer = kept(&zhang, "image", &encoded(wide, ImageFormat::Png)).await;
    assert_flag(&shown(&server, &answer).await, "16 bit");
    for (from, to) in [
        ((1, 1), (1, 1)),
        ((20_000, 1), (2_048, 1)),
        ((1, 20_000), (1, 2_048)),
        ((300, 7), (300, 7)),
    ] {
        let answer = kept(&zhang, "image", &encoded(flag(from.0, from.1), ImageFormat::Png)).await;
        let [original, _] = shown(&server, &answer).await;
        assert_eq!((original.width(), original.height()), to);
    }
    let gray = GrayImage::from_pixel(9, 9, image::Luma([120]));
    let answer = kept(&zhang, "image", &encoded(gray, ImageFormat::Png)).await;
    let [original, _] = shown(&server, &answer).await;
    assert!(is_close(*original.to_rgb8().get_pixel(4, 4), Rgb([120; 3])));
}

#[tokio::test]
async fn what_can_be_seen_through_stays_so() {
    let (server, zhang) = stage().await;
    let mut pixels = RgbaImage::from_pixel(600, 600, Rgba([0, 200, 0, 255]));
    let opaque = kept(&zhang, "image", &encoded(pixels.clone(), ImageFormat::Png)).await;
    assert_eq!(opaque["contentType"], "image/jpeg");
    for pixel in pixels.pixels_mut().take(600 * 300) {
        *pixel = Rgba([0; 4]);
    }
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
        let answer = kept(&zhang, "image", &encoded(pixels.clone(), format)).await;
        assert_eq!(answer["contentType"], "image/png");
        for picture in shown(&server, &answer).await {
            let (picture, last) = (picture.to_rgba8(), picture.height() - 5);
            assert_eq!((picture.get_pixel(5, 5).0[3], picture.get_pixel(5, last).0[3]), (0, 255));
        }
    }
}

#[tokio::test]
async fn metadata_turn_a_picture_and_are_gone() {
    let (server, zhang) = stage().await;
    let mut upload = Vec::new();
    let mut encoder = JpegEncoder::new(&mut upload);
    encoder.set_exif_metadata(EXIF.to_vec()).unwrap();
    encoder.write_image(&flag(400, 200), 400, 200, image::ExtendedColorType::Rgb8).unwrap();
    // A page in a comment, and one behind the end.
    let page = b"<html><script>alert(1)</script></html>";
    let length = u16::try_from(page.len() + 2).unwrap().to_be_bytes();
    let comment = [b"\xff\xfe".as_slice(), &length, page].concat();
    let polyglot = [&upload[..2], &comment, &upload[2..], page, b"<svg onload=alert(1)>"].concat();
    let answer = kept(&zhang, "image", &polyglot).await;
    for url in [&answer["url"], &answer["thumbUrl"]] {
        let bytes = bytes_of(&server, url).await;
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        let (width, height) = picture.dimensions();
        assert_eq!(width * 2, height, "upright");
        assert!(is_close(*picture.get_pixel(width / 2, height / 8), RED));
        assert!(is_close(*picture.get_pixel(width / 2, height * 7 / 8), BLUE));
        for trace in [&b"GPS"[..], b"Exif", b"script", b"svg"] {
            assert!(!bytes.windows(trace.len()).any(|window| window == trace));
        }
    }
}

#[tokio::test]
async fn of_an_animation_the_first_frame_counts() {
    let (server, zhang) = stage().await;
    let mut upload = Vec::new();
    let mut encoder = GifEncoder::new(&mut upload);
    for index in 0..40 {
        let picture = if index == 0 { flag(300, 200) } else { RgbImage::new(300, 200) };
        encoder.encode_frame(Frame::new(DynamicImage::from(picture).to_rgba8())).unwrap();
    }
    drop(encoder);
    let answer = kept(&zhang, "image", &upload).await;
    assert_flag(&shown(&server, &answer).await, "animated");
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

/// 41 megapixels in some 45 KB, and each of them is there.
fn bomb() -> Vec<u8> {
    let mut bytes = Vec::new();
    let best = CompressionType::Best;
    let encoder = PngEncoder::new_with_quality(&mut bytes, best, FilterType::NoFilter);
    GrayImage::new(6_400, 6_407).write_with_encoder(encoder).unwrap();
    bytes
}

/// A JPEG that goes over its pixels again and again, a few bytes each time.
fn jpeg_of_many_scans() -> Vec<u8> {
    let jpeg = encoded(flag(64, 64), ImageFormat::Jpeg);
    let scan = jpeg.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    let end = jpeg.len() - 2;
    [&jpeg[..scan], &jpeg[scan..end].repeat(2_000), &jpeg[end..]].concat()
}

#[tokio::test]
async fn what_is_no_good_picture_is_refused() {
    let (mut server, zhang) = stage().await;
    let gif_screen =
        b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    let mut bad = vec![
        png_claiming(60_000, 60_000),
        png_claiming(u32::MAX, u32::MAX),
        png_claiming(0, 0),
        png_claiming(2, 2),
        bomb(),
        gif_screen.to_vec(),
        jpeg_of_many_scans(),
    ];
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let whole = encoded(flag(64, 64), format);
        bad.extend([whole.len() - 20, whole.len() / 2, 30].map(|part| whole[..part].to_vec()));
    }
    for (index, picture) in bad.into_iter().enumerate() {
        let answer = upload(&zhang, "image", &picture).await;
        assert_eq!(answer.status(), 422, "picture {index}: {}", answer.text().await.unwrap());
        let answer = upload(&zhang, "image", &picture).await;
        assert_problem(answer, 422, "invalid_media").await;
    }
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let whole = encoded(flag(64, 64), ImageFormat::Png);
    for other in [
        &b""[..],
        b"hello",
        svg,
        b"<html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"BM123456",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        &[b"x", &whole[..]].concat(),
    ] {
        assert_problem(upload(&zhang, "image", other).await, 415, "unsupported_media").await;
    }
    assert!(server.is_running());
    kept(&zhang, "image", &whole).await;
}
