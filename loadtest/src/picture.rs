//! A picture to be uploaded: a JPEG of about so many bytes, and three times as many pixels, as phones make them.

use std::ops::RangeInclusive;

use image::{Rgb, RgbImage, codecs::jpeg::JpegEncoder};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// What may be asked for, in bytes. The service takes 10 MiB.
pub const SIZES: RangeInclusive<usize> = 2_000..=10_000_000;

/// The pixels of a side of what JPEG encodes at once.
const BLOCK: u32 = 8;
const QUALITY: u8 = 90;

/// A picture of about so many bytes.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of pictures"
)]
pub fn jpeg(bytes: usize, seed: u64) -> image::ImageResult<Vec<u8>> {
    let height = ((bytes * 3) as f64 * 3.0 / 4.0).sqrt() as u32;
    let (width, height) = (height * 4 / 3, height);
    let mut random = SmallRng::seed_from_u64(seed);
    // Blocks are either noise or plain, in a proportion that gives the size.
    let a_sample = BLOCK * 16;
    let mut sample =
        |noise| encode(a_sample, a_sample, noise, &mut random).map(|bytes| bytes.len());
    let (plain, noisy) = (sample(0.0)? as f64, sample(1.0)? as f64);
    let samples = f64::from(width * height) / f64::from(a_sample * a_sample);
    let share = (bytes as f64 / samples - plain) / (noisy - plain);
    encode(width, height, share.clamp(0.0, 1.0), &mut random)
}

/// A picture of which this share of the blocks is noise.
fn encode(
    width: u32,
    height: u32,
    noise: f64,
    random: &mut SmallRng,
) -> image::ImageResult<Vec<u8>> {
    let mut picture = RgbImage::from_pixel(width, height, Rgb([90, 120, 150]));
    for left in (0..width).step_by(BLOCK as usize) {
        for top in (0..height).step_by(BLOCK as usize) {
            if !random.random_bool(noise) {
                continue;
            }
            for x in left..width.min(left + BLOCK) {
                for y in top..height.min(top + BLOCK) {
                    picture.put_pixel(x, y, Rgb([random.random(); 3]));
                }
            }
        }
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_about_as_many_bytes_as_asked_for() {
        for wanted in [20_000, 200_000] {
            let bytes = jpeg(wanted, 7).unwrap().len();
            assert!((wanted * 8 / 10..wanted * 12 / 10).contains(&bytes), "{bytes} of {wanted}");
        }
    }
}
