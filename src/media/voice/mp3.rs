//! MP3: frames of MPEG audio, layer III, one after another.

use std::time::Duration;

use super::{Counted, VoiceError, after_id3, is_trailer, time_of};

/// In kbit/s, by the index in the header; of MPEG 1, and of MPEG 2 and 2.5.
const BITRATES: [[u32; 14]; 2] = [
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// In Hz, of MPEG 1. Those of MPEG 2 are half of these, those of 2.5 a quarter.
const RATES: [u32; 3] = [44_100, 48_000, 32_000];

struct Frame {
    length: usize,
    samples: u64,
    rate: u32,
}

impl Frame {
    /// The frame that begins here.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [0xFF, second, third, _, ..] = *bytes else { return None };
        // Eleven bits of sync, and layer III.
        if second & 0xE0 != 0xE0 || second & 0x06 != 0x02 {
            return None;
        }
        let halvings = match second & 0x18 {
            0x18 => 0,
            0x10 => 1,
            0x00 => 2,
            _ => return None,
        };
        let is_first = halvings == 0;
        // Zero would be a free bit rate, which no recorder uses.
        let index = usize::from(third >> 4).checked_sub(1)?;
        let bitrate = *BITRATES[usize::from(!is_first)].get(index)? * 1_000;
        let rate = *RATES.get(usize::from(third >> 2 & 3))? >> halvings;
        let samples: u32 = if is_first { 1_152 } else { 576 };
        let padding = u32::from(third >> 1 & 1);
        let length = usize::try_from(samples / 8 * bitrate / rate + padding).ok()?;
        Some(Self { length, samples: samples.into(), rate })
    }
}

/// The time of all frames. The last one may be cut: recorders stop like that.
pub(super) fn duration(bytes: &[u8]) -> Counted {
    let mut rest = after_id3(bytes);
    if Frame::parse(rest).is_none() {
        return Err(VoiceError::Unknown);
    }
    let mut duration = Duration::ZERO;
    while !rest.is_empty() && !is_trailer(rest) {
        let frame = Frame::parse(rest).ok_or(VoiceError::Broken)?;
        duration += time_of(frame.samples, frame.rate);
        rest = rest.get(frame.length..).unwrap_or_default();
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A silent frame of MPEG 1 at 128 kbit/s and 44.1 kHz.
    fn frame() -> Vec<u8> {
        let mut frame = vec![0; 417];
        frame[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0]);
        frame
    }

    #[test]
    fn frames_are_counted_whatever_a_header_says() {
        let sound = frame().repeat(100);
        let second = Duration::from_nanos(26_122_448) * 100;
        assert_eq!(duration(&sound), Ok(second));
        let mut with_tag = sound.clone();
        with_tag.extend([b"TAG".as_slice(), &[0; 125]].concat());
        assert_eq!(duration(&with_tag), Ok(second));
        // A first frame that says how many frames there are, and lies.
        let mut lie = frame();
        lie[36..48].copy_from_slice(b"Xing\0\0\0\x01\0\0\0\x02");
        assert_eq!(duration(&[lie, sound.clone()].concat()), Ok(second / 100 * 101));
        assert_eq!(duration(&sound[..sound.len() - 9]), Ok(second), "the last frame is cut");
    }

    #[test]
    fn what_is_no_frame_ends_it() {
        let page = [&frame()[..], b"<script>alert(1)</script>"].concat();
        assert_eq!(duration(&page), Err(VoiceError::Broken));
        for header in
            [[0xFF, 0xFB, 0x00], [0xFF, 0xFB, 0xF0], [0xFF, 0xFB, 0x9C], [0xFF, 0xEB, 0x90]]
        {
            assert_eq!(duration(&[&header[..], &[0; 500]].concat()), Err(VoiceError::Unknown));
        }
    }
}
