//! Voice messages: what they are and how long they last, told by their data. Nothing is decoded: the frames
//! are counted, whatever a header claims of them.

mod adts;
mod mp3;
mod mp4;
mod wav;

use std::time::Duration;

/// The longest voice message: a minute, and what encoders add at both ends.
const MAX_DURATION: Duration = Duration::from_millis(60_500);

/// What a voice message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Such as `audio/mpeg`.
    pub content_type: &'static str,
    /// By its frames.
    pub duration: Duration,
}

/// Why a voice message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoiceError {
    /// It begins like none of the formats.
    #[error("must be MP3, AAC, M4A or WAV with PCM")]
    Unknown,
    /// It begins like one of them, and does not go on like it.
    #[error("is damaged and cannot be played")]
    Broken,
    /// It has no sound.
    #[error("is empty")]
    Empty,
    /// It lasts too long.
    #[error("must last 60 s at most")]
    TooLong,
}

/// What can go wrong within one format.
type Counted = Result<Duration, VoiceError>;

/// Finds out what a voice message is.
pub fn measure(bytes: &[u8]) -> Result<Voice, VoiceError> {
    let (content_type, counted) = if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE")
    {
        ("audio/wav", wav::duration(bytes))
    } else if bytes.get(4..8) == Some(b"ftyp") {
        ("audio/mp4", mp4::duration(bytes))
    } else if adts::begins(bytes) {
        ("audio/aac", adts::duration(bytes))
    } else {
        ("audio/mpeg", mp3::duration(bytes))
    };
    let duration = counted?;
    if duration.is_zero() {
        return Err(VoiceError::Empty);
    }
    if duration > MAX_DURATION {
        return Err(VoiceError::TooLong);
    }
    // What is told is whole milliseconds, and never none.
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1);
    Ok(Voice { content_type, duration: Duration::from_millis(millis) })
}

/// The time of so many samples at so many a second.
fn time_of(samples: u64, rate: u32) -> Duration {
    let nanos = u128::from(samples) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// What an `ID3v2` tag at the beginning leaves of the bytes.
fn after_id3(bytes: &[u8]) -> &[u8] {
    let [b'I', b'D', b'3', _, _, flags, size @ ..] = bytes else { return bytes };
    let Some([a, b, c, d]) = size.first_chunk::<4>() else { return &[] };
    // Seven bits a byte.
    let size = [a, b, c, d].into_iter().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7F));
    let footer = if flags & 0x10 == 0 { 0 } else { 10 };
    bytes.get(10 + size + footer..).unwrap_or_default()
}

/// Whether this is a tag that stands behind the sound.
fn is_trailer(bytes: &[u8]) -> bool {
    (bytes.len() == 128 && bytes.starts_with(b"TAG")) || bytes.starts_with(b"APETAGEX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_in_front_is_skipped_by_its_length() {
        let tag = [b"ID3\x04\0\0\0\0\x01\x02".as_slice(), &[9; 130], b"sound"].concat();
        assert_eq!(after_id3(&tag), b"sound");
        assert_eq!(after_id3(b"ID3\x04\0\0\0\0\x01\x02"), b"");
        assert_eq!(after_id3(b"sound"), b"sound");
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        for (bytes, error) in [
            (&b""[..], VoiceError::Unknown),
            (b"OggS", VoiceError::Unknown),
            (b"#!AMR\n", VoiceError::Unknown),
            (b"<html>", VoiceError::Unknown),
            (b"ID3\x04\0\0\0\0\0\0", VoiceError::Unknown),
            (b"\0\0\0\x08ftyp", VoiceError::Broken),
            (b"RIFF\0\0\0\0WAVE", VoiceError::Broken),
        ] {
            assert_eq!(measure(bytes), Err(error), "{bytes:?}");
        }
    }
}
