//! WAV with PCM, as browsers record it.

use super::{Counted, VoiceError, time_of};

const PCM: u16 = 1;
/// Says its format further behind.
const EXTENSIBLE: u16 = 0xFFFE;

/// How sound is stored.
struct Format {
    /// Bytes of one sample of all channels.
    block: u16,
    rate: u32,
}

impl Format {
    /// Reads the chunk `fmt `.
    fn parse(chunk: &[u8]) -> Option<Self> {
        let short = |at: usize| Some(u16::from_le_bytes(*chunk.get(at..)?.first_chunk()?));
        let (channels, bits) = (short(2)?, short(14)?);
        let rate = u32::from_le_bytes(*chunk.get(4..)?.first_chunk()?);
        let tag = match short(0)? {
            EXTENSIBLE => short(24)?,
            tag => tag,
        };
        let is_fit = tag == PCM
            && (1..=2).contains(&channels)
            && matches!(bits, 8 | 16 | 24 | 32)
            && (8_000..=96_000).contains(&rate);
        is_fit.then_some(Self { block: channels * bits / 8, rate })
    }
}

/// The time of the samples that are there.
pub(super) fn duration(bytes: &[u8]) -> Counted {
    let mut chunks = bytes.get(12..).unwrap_or_default();
    let mut format = None;
    while let Some((head, tail)) = chunks.split_first_chunk::<8>() {
        let [a, b, c, d, length @ ..] = *head;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        let body = tail.get(..length).ok_or(VoiceError::Broken)?;
        match &[a, b, c, d] {
            b"fmt " => format = Some(Format::parse(body).ok_or(VoiceError::Unknown)?),
            b"data" => {
                let Format { block, rate } = format.ok_or(VoiceError::Broken)?;
                let samples = length / usize::from(block);
                return Ok(time_of(samples.try_into().unwrap_or(u64::MAX), rate));
            }
            _ => {}
        }
        chunks = tail.get(length + length % 2..).unwrap_or_default();
    }
    Err(VoiceError::Broken)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: usize) -> Vec<u8> {
        let block = channels * bits / 8;
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        for short in [tag, channels] {
            wav.extend(short.to_le_bytes());
        }
        // The bytes a second are a lie.
        wav.extend([rate.to_le_bytes(), 1_u32.to_le_bytes()].concat());
        wav.extend([block.to_le_bytes(), bits.to_le_bytes()].concat());
        wav.extend(b"data");
        wav.extend(u32::try_from(data).unwrap().to_le_bytes());
        wav.resize(wav.len() + data, 0);
        wav
    }

    #[test]
    fn samples_are_counted() {
        assert_eq!(duration(&wav(1, 1, 16_000, 16, 32_000)), Ok(Duration::from_secs(1)));
        assert_eq!(duration(&wav(1, 2, 8_000, 8, 8_000)), Ok(Duration::from_millis(500)));
        let whole = wav(1, 1, 16_000, 16, 32_000);
        assert_eq!(duration(&whole[..whole.len() - 1]), Err(VoiceError::Broken), "cut off");
        for other in [wav(3, 1, 16_000, 32, 64), wav(1, 0, 16_000, 16, 64), wav(1, 1, 0, 16, 64)] {
            assert_eq!(duration(&other), Err(VoiceError::Unknown));
        }
        assert_eq!(duration(&whole[..36]), Err(VoiceError::Broken), "no data");
    }
}
