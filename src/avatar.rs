//! Faces: pictures that people upload for themselves, small and safe to serve.

use bytes::Bytes;
use image::ImageFormat;

use crate::picture::{self, Bounds, Encoded, PictureError};

/// The longest side that is taken, in pixels. Phones' cameras have some 4,000.
const MAX_SIDE: u32 = 4_096;

/// What is taken. The memory is that of 4,096 x 4,096 pixels at four bytes each.
const BOUNDS: Bounds = Bounds {
    formats: &[ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP],
    max_side: MAX_SIDE,
    max_pixels: 4_096 * 4_096,
    max_decoded: 64 * 1024 * 1024,
};

/// The longest side of a picture that is served, in pixels.
const SERVED_SIDE: u32 = 512;

/// Good enough for a face at [`SERVED_SIDE`], at some 60 KB.
const JPEG_QUALITY: u8 = 85;

/// A picture that is safe to serve: encoded here, with nothing of the upload but its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `image/jpeg`, or `image/png` if something can be seen through.
    pub content_type: &'static str,
    /// The encoded picture.
    pub bytes: Bytes,
}

/// Why an upload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AvatarError {
    /// It does not begin like a PNG, a JPEG or a WebP.
    #[error("must be a PNG, a JPEG or a WebP picture")]
    NotAPicture,
    /// It has too many pixels, or too many bytes to a pixel. Nothing was decoded.
    #[error("must be at most {max_side} x {max_side} pixels")]
    TooLarge {
        /// The longest side that is taken, in pixels.
        max_side: u32,
    },
    /// It begins like a picture, and does not go on like one.
    #[error("is damaged and cannot be read")]
    Broken,
}

impl From<PictureError> for AvatarError {
    fn from(error: PictureError) -> Self {
        match error {
            PictureError::NotAPicture => Self::NotAPicture,
            PictureError::TooLarge => Self::TooLarge { max_side: MAX_SIDE },
            PictureError::Broken => Self::Broken,
        }
    }
}

/// Makes an upload into a picture of at most 512 x 512 pixels, upright, without metadata. Smaller
/// ones keep their size; of animated ones, the first frame counts. The same upload gives the same
/// bytes.
///
/// Takes up to some hundred milliseconds and 200 MiB: callers run it on the blocking pool, few at a
/// time.
pub fn normalise(bytes: &[u8]) -> Result<Picture, AvatarError> {
    let picture = picture::decode(bytes, &BOUNDS, SERVED_SIDE)?;
    let as_png = picture::is_seen_through(&picture);
    let Encoded { content_type, bytes, .. } = picture::encode(&picture, as_png, JPEG_QUALITY)?;
    Ok(Picture { content_type, bytes })
}

#[cfg(test)]
mod tests {
    use image::{
        DynamicImage, ImageBuffer, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage,
        codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
    };

    use super::*;

    const TOO_LARGE: AvatarError = AvatarError::TooLarge { max_side: MAX_SIDE };

    const RED: Rgb<u8> = Rgb([250, 10, 10]);
    const BLUE: Rgb<u8> = Rgb([10, 10, 250]);

    /// TIFF with one tag, orientation 6: to be turned clockwise to stand upright. And a place.
    const EXIF: &[u8] =
        b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0GPS 39.9N 116.4E";

    /// Red on the left, blue on the right.
    fn flag(width: u32, height: u32) -> RgbImage {
        ImageBuffer::from_fn(width, height, |x, _| if x < width / 2 { RED } else { BLUE })
    }

    fn encoded(format: ImageFormat, exif: Option<&[u8]>, picture: &DynamicImage) -> Vec<u8> {
        fn with(mut encoder: impl ImageEncoder, exif: Option<&[u8]>, picture: &DynamicImage) {
            if let Some(exif) = exif {
                encoder.set_exif_metadata(exif.to_vec()).unwrap();
            }
            picture.write_with_encoder(encoder).unwrap();
        }
        let mut bytes = Vec::new();
        match format {
            ImageFormat::Png => with(PngEncoder::new(&mut bytes), exif, picture),
            ImageFormat::Jpeg => with(JpegEncoder::new(&mut bytes), exif, picture),
            _ => with(WebPEncoder::new_lossless(&mut bytes), exif, picture),
        }
        bytes
    }

    const FORMATS: [ImageFormat; 3] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];

    fn flag_as(format: ImageFormat, exif: Option<&[u8]>, width: u32, height: u32) -> Vec<u8> {
        encoded(format, exif, &flag(width, height).into())
    }

    fn decoded(picture: &Picture) -> DynamicImage {
        image::load_from_memory(&picture.bytes).unwrap()
    }

    fn is_close(a: Rgb<u8>, b: Rgb<u8>) -> bool {
        a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) < 20)
    }

    fn contains(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn every_format_becomes_a_small_jpeg() {
        for format in FORMATS {
            let upload = flag_as(format, None, 1_024, 300);
            let picture = normalise(&upload).unwrap();
            assert_eq!(picture.content_type, "image/jpeg");
            let pixels = decoded(&picture).to_rgb8();
            assert_eq!(pixels.dimensions(), (512, 150));
            assert!(is_close(*pixels.get_pixel(50, 75), RED));
            assert!(is_close(*pixels.get_pixel(450, 75), BLUE));
            assert_eq!(normalise(&upload).unwrap(), picture, "the same upload, the same bytes");
        }
    }

    #[test]
    fn small_and_narrow_ones_keep_their_shape() {
        for (from, to) in [((7, 3), (7, 3)), ((512, 512), (512, 512)), ((4_096, 2), (512, 1))] {
            let picture = normalise(&flag_as(ImageFormat::Png, None, from.0, from.1)).unwrap();
            assert_eq!((decoded(&picture).width(), decoded(&picture).height()), to);
        }
    }

    #[test]
    fn what_can_be_seen_through_stays_so() {
        let mut pixels = RgbaImage::from_pixel(600, 600, Rgba([0, 200, 0, 255]));
        let opaque = encoded(ImageFormat::Png, None, &pixels.clone().into());
        assert_eq!(normalise(&opaque).unwrap().content_type, "image/jpeg");
        for pixel in pixels.pixels_mut().take(600 * 300) {
            *pixel = Rgba([0, 0, 0, 0]);
        }
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let picture = normalise(&encoded(format, None, &pixels.clone().into())).unwrap();
            assert_eq!(picture.content_type, "image/png");
            let shown = decoded(&picture).to_rgba8();
            assert_eq!((shown.get_pixel(5, 5).0[3], shown.get_pixel(5, 500).0[3]), (0, 255));
        }
    }

    #[test]
    fn metadata_turns_the_picture_and_is_gone() {
        for format in FORMATS {
            let upload = flag_as(format, Some(EXIF), 40, 20);
            assert!(contains(&upload, b"GPS 39.9N"));
            let picture = normalise(&upload).unwrap();
            assert!(!contains(&picture.bytes, b"GPS") && !contains(&picture.bytes, b"Exif"));
            let pixels = decoded(&picture).to_rgb8();
            assert_eq!(pixels.dimensions(), (20, 40), "{format:?}");
            assert!(is_close(*pixels.get_pixel(10, 5), RED));
            assert!(is_close(*pixels.get_pixel(10, 35), BLUE));
        }
    }

    /// A chunk of a PNG.
    fn png_chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let checked = [&kind, body].concat();
        let checksum = !checked.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
        });
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[..], &checked, &checksum.to_be_bytes()].concat()
    }

    /// A PNG that claims this many RGBA pixels and has none.
    fn hollow_png(width: u32, height: u32, depth: u8) -> Vec<u8> {
        let (width, height) = (width.to_be_bytes(), height.to_be_bytes());
        let header = [&width[..], &height, &[depth, 6, 0, 0, 0]].concat();
        let data = [png_chunk(*b"IHDR", &header), png_chunk(*b"IDAT", b"")].concat();
        [&b"\x89PNG\r\n\x1a\n"[..], &data].concat()
    }

    fn webp_chunk(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [kind, &length, body, &[0][..body.len() % 2]].concat()
    }

    /// A WebP of 16 x 16 on the outside, with these chunks inside.
    fn webp(animated: bool, chunks: &[u8]) -> Vec<u8> {
        let flags = if animated { 2 } else { 0 };
        let header = webp_chunk(b"VP8X", &[flags, 0, 0, 0, 15, 0, 0, 15, 0, 0]);
        webp_chunk(b"RIFF", &[b"WEBP", &header[..], chunks].concat())
    }

    /// One colour, 16 x 16, as the bitstream chunk of a WebP.
    fn bitstream(colour: Rgb<u8>) -> Vec<u8> {
        let picture = RgbImage::from_pixel(16, 16, colour);
        encoded(ImageFormat::WebP, None, &picture.into())[12..].to_vec()
    }

    fn frame(content: &[u8]) -> Vec<u8> {
        let header = [0, 0, 0, 0, 0, 0, 15, 0, 0, 15, 0, 0, 100, 0, 0, 0];
        webp_chunk(b"ANMF", &[&header, content].concat())
    }

    #[test]
    fn the_first_frame_counts() {
        let frames = [frame(&bitstream(RED)), frame(&bitstream(BLUE))].concat();
        let upload = webp(true, &[webp_chunk(b"ANIM", &[0; 6]), frames].concat());
        let pixels = decoded(&normalise(&upload).unwrap()).to_rgb8();
        assert_eq!(pixels.dimensions(), (16, 16));
        assert!(is_close(*pixels.get_pixel(8, 8), RED));
    }

    #[test]
    fn bombs_are_refused_by_their_claims() {
        let mut jpeg = flag_as(ImageFormat::Jpeg, None, 8, 8);
        let start_of_frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
        // Wide, and within the memory.
        jpeg[start_of_frame + 7..start_of_frame + 9].fill(0xEA);

        // 16,383 x 16,383, lossless and lossy, on the outside and within.
        let lossless = webp_chunk(b"VP8L", &[0x2F, 0xFE, 0xBF, 0xFF, 0x0F, 0, 0, 0]);
        let lossy = [0x10, 0, 0, 0x9D, 1, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F, 0, 0];
        let lossy = webp_chunk(b"VP8 ", &lossy);
        let animation = webp_chunk(b"ANIM", &[0; 6]);
        let bombs = [
            hollow_png(60_000, 60_000, 8),
            hollow_png(4_097, 1, 8),
            // Within the sides, and 128 MiB.
            hollow_png(4_096, 4_096, 16),
            jpeg,
            webp_chunk(b"RIFF", &[b"WEBP", &lossless[..]].concat()),
            webp_chunk(b"RIFF", &[b"WEBP", &lossy[..]].concat()),
            webp(false, &lossy),
            webp(false, &lossless),
            webp(true, &[&animation[..], &frame(&lossy)].concat()),
        ];
        for (index, bomb) in bombs.iter().enumerate() {
            assert_eq!(normalise(bomb), Err(TOO_LARGE), "bomb {index}");
        }
        // The largest that is taken: what is wrong is only that there is nothing in it.
        assert_eq!(normalise(&hollow_png(4_096, 4_096, 8)), Err(AvatarError::Broken));
    }

    #[test]
    fn webp_chunks_may_not_claim_what_is_not_there() {
        let mut exif = webp_chunk(b"EXIF", EXIF);
        exif[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        // Of the check itself, since the decoder fails in the same way, with 4 GiB in its hands.
        assert_eq!(picture::check_webp(&exif, &BOUNDS, false), Err(PictureError::Broken));
        // Frames within frames, which there are not, as deep as an upload has room for.
        let nested = (0..8_000).fold(Vec::new(), |inner, _| frame(&inner));
        assert_eq!(normalise(&webp(true, &nested)), Err(AvatarError::Broken));
    }

    #[test]
    fn what_is_cut_off_is_broken() {
        for format in FORMATS {
            let whole = flag_as(format, None, 200, 200);
            for part in [whole.len() - 20, whole.len() / 2, 40, 13] {
                assert_eq!(
                    normalise(&whole[..part]),
                    Err(AvatarError::Broken),
                    "{format:?} {part}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn noise_is_refused(start in 0..3_usize, noise: Vec<u8>) {
            let starts: [&[u8]; 3] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"];
            let upload = [starts[start], &noise].concat();
            proptest::prop_assert_eq!(normalise(&upload), Err(AvatarError::Broken));
            proptest::prop_assert!(normalise(&noise).is_err());
        }
    }

    #[test]
    fn other_things_are_no_pictures() {
        let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
        let gif =
            b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
        for other in [&svg[..], gif, b"", b"\xff\xd8", b"\x89PNG", b"RIFF\0\0\0\0WAVE", b"BM123456"]
        {
            assert_eq!(normalise(other), Err(AvatarError::NotAPicture));
        }
    }
}
