//! Makes of an upload what is stored of it. Takes its time: it runs on the worker's thread.

use bytes::Bytes;
use image::ImageFormat;
use sha2::{Digest, Sha256};

use super::voice::{self, Voice, VoiceError};
use crate::{
    domain::{FileName, MediaKind, MediaShape},
    picture::{self, Bounds, Encoded, PictureError},
};

/// The most pixels of a picture.
const MAX_PIXELS: u64 = 40_000_000;

/// What is taken. A side is as long as formats can say; the memory is that of all pixels at six bytes each,
/// as 16 bits a colour have.
const BOUNDS: Bounds = Bounds {
    formats: &[ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif],
    max_side: 65_535,
    max_pixels: MAX_PIXELS,
    max_decoded: MAX_PIXELS * 6,
};

/// The longest side of a picture that is stored, in pixels.
const STORED_SIDE: u32 = 2_048;

/// The longest side of a thumbnail, in pixels.
const THUMB_SIDE: u32 = 320;

const QUALITY: u8 = 85;
const THUMB_QUALITY: u8 = 75;

/// An upload as it came.
pub struct Upload {
    /// What its sender says it is.
    pub kind: MediaKind,
    /// The name of the file, as its sender says it.
    pub name: Option<String>,
    /// The type of its bytes, as its sender says it.
    pub content_type: Option<String>,
    /// All of it.
    pub bytes: Bytes,
}

/// What is stored of an upload.
pub(super) struct Prepared {
    pub(super) content_type: String,
    pub(super) bytes: Bytes,
    pub(super) thumb: Option<Bytes>,
    pub(super) sha256: [u8; 32],
    pub(super) shape: MediaShape,
}

/// Why an upload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// It is no picture that is taken.
    #[error("a picture {0}")]
    Picture(#[from] PictureError),
    /// It is no voice message that is taken.
    #[error("a voice message {0}")]
    Voice(#[from] VoiceError),
    /// It is an empty file.
    #[error("a file is empty")]
    Empty,
}

impl PrepareError {
    /// Whether it is of a kind that is not taken at all.
    pub fn is_unsupported(self) -> bool {
        matches!(self, Self::Picture(PictureError::NotAPicture) | Self::Voice(VoiceError::Unknown))
    }
}

/// Makes of an upload what is stored of it.
pub(super) fn prepare(upload: Upload) -> Result<Prepared, PrepareError> {
    let Upload { kind, name, content_type, bytes } = upload;
    let (content_type, bytes, thumb, shape) = match kind {
        MediaKind::Image => image(bytes)?,
        MediaKind::Voice => {
            let Voice { content_type, duration } = voice::measure(&bytes)?;
            (content_type.to_owned(), bytes, None, MediaShape::Voice { duration })
        }
        MediaKind::File if bytes.is_empty() => return Err(PrepareError::Empty),
        MediaKind::File => {
            let name = FileName::sanitise(name.as_deref().unwrap_or_default());
            let told = content_type.filter(|told| is_content_type(told));
            let content_type = told.unwrap_or_else(|| "application/octet-stream".to_owned());
            (content_type, bytes, None, MediaShape::File { name })
        }
    };
    let sha256 = Sha256::digest(&bytes).into();
    Ok(Prepared { content_type, bytes, thumb, sha256, shape })
}

type Image = (String, Bytes, Option<Bytes>, MediaShape);

fn image(upload: Bytes) -> Result<Image, PrepareError> {
    let picture = picture::decode(&upload, &BOUNDS, STORED_SIDE)?;
    drop(upload);
    let as_png = picture::is_seen_through(&picture);
    let Encoded { content_type, bytes, width, height } =
        picture::encode(&picture, as_png, QUALITY)?;
    let thumb = picture::encode(&picture::fit(picture, THUMB_SIDE), as_png, THUMB_QUALITY)?.bytes;
    let thumb_size = thumb.len() as u64;
    let shape = MediaShape::Image { width, height, thumb_size };
    Ok((content_type.to_owned(), bytes, Some(thumb), shape))
}

/// Whether this is a type and a subtype, without parameters.
fn is_content_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
        !part.is_empty() && part.bytes().all(is_fit)
    };
    text.len() <= 100 && text.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b))
}
