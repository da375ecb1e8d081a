//! Pictures that people upload, made into ones that are safe to serve: decoded within bounds, upright, and
//! encoded anew with nothing of the upload but its pixels.

use std::io::Cursor;

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageResult, Limits,
    codecs::{
        gif::GifDecoder,
        jpeg::{JpegDecoder, JpegEncoder},
        png::{PngDecoder, PngEncoder},
        webp::WebPDecoder,
    },
    imageops::FilterType,
    metadata::Orientation,
};

/// The most scans of a JPEG. Cameras make up to some 10; each one takes the time of the whole picture, and
/// a few bytes of the file.
const MAX_SCANS: usize = 64;

/// What is taken. All of it is known before pixels are decoded.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Formats, by how the bytes begin.
    pub formats: &'static [ImageFormat],
    /// The longest side, in pixels.
    pub max_side: u32,
    /// The most pixels.
    pub max_pixels: u64,
    /// The most memory that the pixels may take, in bytes. Decoders take a small multiple of it for a
    /// moment.
    pub max_decoded: u64,
}

/// Why a picture was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// It does not begin like one of the formats.
    #[error("is of no known format")]
    NotAPicture,
    /// It has too many pixels, or too many bytes to a pixel. Nothing was decoded.
    #[error("has too many pixels")]
    TooLarge,
    /// It begins like a picture, and does not go on like one.
    #[error("is damaged and cannot be read")]
    Broken,
}

impl From<ImageError> for PictureError {
    fn from(error: ImageError) -> Self {
        if matches!(error, ImageError::Limits(_)) { Self::TooLarge } else { Self::Broken }
    }
}

/// A picture that is safe to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// `image/jpeg` or `image/png`.
    pub content_type: &'static str,
    /// The encoded picture.
    pub bytes: Bytes,
    /// From left to right, in pixels.
    pub width: u32,
    /// From top to bottom, in pixels.
    pub height: u32,
}

/// Decodes a picture, scales it down until its longer side is `side` at most, and turns it upright. Of an
/// animated one, the first frame counts.
pub fn decode(bytes: &[u8], bounds: &Bounds, side: u32) -> Result<DynamicImage, PictureError> {
    let format = image::guess_format(bytes).ok().filter(|format| bounds.formats.contains(format));
    let reader = Cursor::new(bytes);
    let picture = match format.ok_or(PictureError::NotAPicture)? {
        ImageFormat::Png => shrunk(PngDecoder::with_limits(reader, limits(bounds))?, bounds, side),
        ImageFormat::Jpeg => {
            check_jpeg(bytes)?;
            shrunk(JpegDecoder::new(reader)?, bounds, side)
        }
        ImageFormat::WebP => {
            check_webp(bytes.get(12..).unwrap_or_default(), bounds, false)?;
            shrunk(WebPDecoder::new(reader)?, bounds, side)
        }
        ImageFormat::Gif => shrunk(GifDecoder::new(reader)?, bounds, side),
        _ => return Err(PictureError::NotAPicture),
    };
    Ok(picture?)
}

/// Scales a picture down until its longer side is `side` at most.
pub fn fit(picture: DynamicImage, side: u32) -> DynamicImage {
    let longer = picture.width().max(picture.height());
    if longer <= side {
        return picture;
    }
    // The good filter takes 16 bytes for each pixel of a column: it sees a large picture only after a
    // simple average has brought it near.
    let near = side.saturating_mul(2);
    let picture = if longer > near { picture.thumbnail(near, near) } else { picture };
    picture.resize(side, side, FilterType::CatmullRom)
}

/// Whether something can be seen through. Screenshots have an alpha channel and nothing to see through: as
/// PNG they would be many times as long.
pub fn is_seen_through(picture: &DynamicImage) -> bool {
    picture.color().has_alpha() && picture.to_rgba8().pixels().any(|pixel| pixel.0[3] < u8::MAX)
}

/// Encodes a picture: as PNG, or as JPEG of this quality.
pub fn encode(picture: &DynamicImage, as_png: bool, quality: u8) -> Result<Encoded, PictureError> {
    let mut bytes = Vec::new();
    let content_type = if as_png {
        picture.to_rgba8().write_with_encoder(PngEncoder::new(&mut bytes))?;
        "image/png"
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
        picture.to_rgb8().write_with_encoder(encoder)?;
        "image/jpeg"
    };
    let (width, height) = (picture.width(), picture.height());
    Ok(Encoded { content_type, bytes: bytes.into(), width, height })
}

fn limits(bounds: &Bounds) -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(bounds.max_side);
    limits.max_image_height = Some(bounds.max_side);
    limits.max_alloc = Some(bounds.max_decoded);
    limits
}

/// Decodes what is within the bounds, scaled down and upright.
fn shrunk(mut decoder: impl ImageDecoder, bounds: &Bounds, side: u32) -> ImageResult<DynamicImage> {
    let mut limits = limits(bounds);
    decoder.set_limits(limits.clone())?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > bounds.max_pixels {
        return Err(too_many_pixels());
    }
    limits.reserve(decoder.total_bytes())?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = fit(DynamicImage::from_decoder(decoder)?, side);
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn too_many_pixels() -> ImageError {
    use image::error::{LimitError, LimitErrorKind};
    ImageError::Limits(LimitError::from_kind(LimitErrorKind::DimensionError))
}

/// Refuses a JPEG without its end mark, where the decoder would paint grey what is missing, and one with too
/// many scans.
fn check_jpeg(bytes: &[u8]) -> Result<(), PictureError> {
    const START_OF_SCAN: u8 = 0xDA;
    const END: u8 = 0xD9;
    let mut scans = 0;
    // Segments are skipped by their length: a thumbnail in one of them has marks of its own.
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let [0xFF, marker, tail @ ..] = rest {
        let segment =
            || tail.first_chunk().and_then(|length| tail.get(u16::from_be_bytes(*length).into()..));
        let after = match *marker {
            END => return Ok(()),
            0xFF => rest.get(1..),
            START_OF_SCAN if scans == MAX_SCANS => break,
            START_OF_SCAN => {
                scans += 1;
                segment().map(after_scan)
            }
            _ => segment(),
        };
        rest = after.unwrap_or_default();
    }
    Err(PictureError::Broken)
}

/// What follows the data of a scan. In it, an 0xFF that is data has a zero after it, and restart marks go
/// on with the scan.
fn after_scan(data: &[u8]) -> &[u8] {
    let is_mark = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7 | 0xFF);
    data.windows(2).position(is_mark).map_or(&[], |at| &data[at..])
}

/// Refuses a WebP of which a chunk claims more bytes than there are, or a bitstream more pixels than
/// are taken: the decoder compares neither with the rest before it has taken the memory.
pub(crate) fn check_webp(
    mut chunks: &[u8],
    bounds: &Bounds,
    within_frame: bool,
) -> Result<(), PictureError> {
    const FRAME_HEADER: usize = 16;
    while let Some((head, tail)) = chunks.split_first_chunk::<8>() {
        let [a, b, c, d, length @ ..] = *head;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        let body = tail.get(..length).ok_or(PictureError::Broken)?;
        let (width, height) = match (&[a, b, c, d], body) {
            (b"VP8 ", [_, _, _, _, _, _, w0, w1, h0, h1, ..]) => {
                (u16::from_le_bytes([*w0, *w1]) & 0x3FFF, u16::from_le_bytes([*h0, *h1]) & 0x3FFF)
            }
            (b"VP8L", [_, b0, b1, b2, b3, ..]) => {
                // Two sides of 14 bits each, less 1.
                let low = u16::from_le_bytes([*b0, *b1]);
                let high = u16::from_le_bytes([*b2, *b3]);
                ((low & 0x3FFF) + 1, (((high & 0x0FFF) << 2) | (low >> 14)) + 1)
            }
            (b"ANMF", [..]) if body.len() >= FRAME_HEADER && !within_frame => {
                check_webp(&body[FRAME_HEADER..], bounds, true)?;
                (0, 0)
            }
            (b"VP8 " | b"VP8L" | b"ANMF", _) => return Err(PictureError::Broken),
            _ => (0, 0),
        };
        let pixels = u64::from(width) * u64::from(height);
        if u32::from(width.max(height)) > bounds.max_side || pixels > bounds.max_pixels {
            return Err(PictureError::TooLarge);
        }
        // Chunks begin at even places.
        chunks = tail.get(length + length % 2..).unwrap_or_default();
    }
    Ok(())
}
