//! AAC as recorders stream it: ADTS frames, one after another.

use std::time::Duration;

use super::{Counted, VoiceError, after_id3, is_trailer, time_of};

/// In Hz, by the index in headers.
pub(super) const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Samples of a block.
pub(super) const BLOCK: u64 = 1_024;

struct Frame {
    length: usize,
    samples: u64,
    rate: u32,
}

impl Frame {
    /// The frame that begins here.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [0xFF, second, third, fourth, fifth, sixth, seventh, ..] = *bytes else { return None };
        // Twelve bits of sync, and layer 0, which MP3 does not have.
        if second & 0xF6 != 0xF0 {
            return None;
        }
        let rate = *RATES.get(usize::from(third >> 2 & 0xF))?;
        let header = if second & 1 == 1 { 7 } else { 9 };
        let length =
            usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth) >> 5;
        let blocks = u64::from(seventh & 3) + 1;
        (length >= header).then_some(Self { length, samples: blocks * BLOCK, rate })
    }
}

/// Whether it begins like this.
pub(super) fn begins(bytes: &[u8]) -> bool {
    Frame::parse(after_id3(bytes)).is_some()
}

/// The time of all frames. The last one may be cut: recorders stop like that.
pub(super) fn duration(bytes: &[u8]) -> Counted {
    let mut rest = after_id3(bytes);
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

    #[test]
    fn frames_are_counted() {
        // 16 kHz, nine bytes long.
        let frame = [0xFF, 0xF1, 0x60, 0x40, 0x01, 0x3F, 0xFC, 1, 2];
        assert!(begins(&frame));
        assert_eq!(duration(&frame.repeat(125)), Ok(Duration::from_secs(8)));
        let page = [&frame[..], b"<script>"].concat();
        assert_eq!(duration(&page), Err(VoiceError::Broken));
        // A frame of no length would go on for ever.
        let mut empty = frame;
        empty[4..6].copy_from_slice(&[0, 0x1F]);
        assert!(!begins(&empty));
    }
}
