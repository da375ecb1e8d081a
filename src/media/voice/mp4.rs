//! M4A: AAC in boxes. The samples are counted by the tables of the track, and must lie in the file.

use super::{
    Counted, VoiceError,
    adts::{BLOCK, RATES},
    time_of,
};

/// Within this many boxes something is looked for. Files have some ten on each level.
const MAX_BOXES: usize = 256;

/// The boxes of this kind on one level. `Broken`: one of them is not all there.
fn boxes(bytes: &[u8], kind: [u8; 4]) -> Result<Vec<&[u8]>, VoiceError> {
    let (mut rest, mut found) = (bytes, Vec::new());
    for _ in 0..MAX_BOXES {
        let Some((head, tail)) = rest.split_first_chunk::<8>() else { return Ok(found) };
        let [s0, s1, s2, s3, name @ ..] = *head;
        let (header, size) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => (8, rest.len()),
            1 => {
                let large = tail.first_chunk().ok_or(VoiceError::Broken)?;
                (16, usize::try_from(u64::from_be_bytes(*large)).unwrap_or(usize::MAX))
            }
            size => (8, usize::try_from(size).unwrap_or(usize::MAX)),
        };
        let body = rest.get(header..size).ok_or(VoiceError::Broken)?;
        if name == kind {
            found.push(body);
        }
        rest = &rest[size..];
    }
    Err(VoiceError::Broken)
}

/// The only box along a path.
fn only<'a>(bytes: &'a [u8], path: &[[u8; 4]]) -> Result<&'a [u8], VoiceError> {
    path.iter().try_fold(bytes, |within, kind| match boxes(within, *kind)?[..] {
        [only] => Ok(only),
        _ => Err(VoiceError::Broken),
    })
}

/// A number of four bytes.
fn number(bytes: &[u8], at: usize) -> Result<u32, VoiceError> {
    let number = bytes.get(at..).and_then(|rest| rest.first_chunk());
    number.map(|number| u32::from_be_bytes(*number)).ok_or(VoiceError::Broken)
}

/// The longer of what players go by, the times in the track, and of what its blocks decode to.
pub(super) fn duration(bytes: &[u8]) -> Counted {
    let movie = only(bytes, &[*b"moov"])?;
    let tracks = boxes(movie, *b"trak")?;
    // A picture of the cover is a track; a film is none of ours.
    let [track] = tracks[..] else { return Err(VoiceError::Unknown) };
    let media = only(track, &[*b"mdia"])?;
    if only(media, &[*b"hdlr"])?.get(8..12) != Some(b"soun") {
        return Err(VoiceError::Unknown);
    }
    let header = only(media, &[*b"mdhd"])?;
    let scale = number(header, if header.first() == Some(&1) { 20 } else { 12 })?;
    let table = only(media, &[*b"minf", *b"stbl"])?;
    let blocks = count_blocks(table, bytes.len())?;
    let rate = sampling_rate(only(table, &[*b"stsd"])?)?;
    let told = time_of(told_ticks(only(table, &[*b"stts"])?, blocks)?, scale);
    Ok(told.max(time_of(blocks * BLOCK, rate)))
}

/// How many blocks there are; with their bytes they must fit into a file of this size.
fn count_blocks(table: &[u8], size: usize) -> Result<u64, VoiceError> {
    let sizes = only(table, &[*b"stsz"])?;
    let (each, count) = (number(sizes, 4)?, number(sizes, 8)?);
    let total: u64 = if each > 0 {
        u64::from(each) * u64::from(count)
    } else {
        let listed = sizes.get(12..).unwrap_or_default().chunks_exact(4);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if listed.len() < count {
            return Err(VoiceError::Broken);
        }
        listed.take(count).map(|size| number(size, 0).map(u64::from)).sum::<Result<_, _>>()?
    };
    let chunks = only(table, &[*b"stco"])?;
    let starts = chunks.get(8..).unwrap_or_default().chunks_exact(4);
    let last = starts
        .map(|start| number(start, 0))
        .try_fold(0, |last, start| start.map(|start| last.max(start)))?;
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    if total > size || u64::from(last) > size || (total > 0 && last == 0) {
        return Err(VoiceError::Broken);
    }
    Ok(count.into())
}

/// The sum of the times in the track, which must be those of all blocks.
fn told_ticks(times: &[u8], blocks: u64) -> Result<u64, VoiceError> {
    let (mut ticks, mut told) = (0_u64, 0_u64);
    for entry in times.get(8..).unwrap_or_default().chunks_exact(8) {
        let (count, delta) = (number(entry, 0)?, number(entry, 4)?);
        told += u64::from(count);
        ticks = ticks.saturating_add(u64::from(count) * u64::from(delta));
    }
    if told == blocks { Ok(ticks) } else { Err(VoiceError::Broken) }
}

/// The rate at which the decoder is told to play, in Hz.
fn sampling_rate(descriptions: &[u8]) -> Result<u32, VoiceError> {
    let entries = descriptions.get(8..).ok_or(VoiceError::Broken)?;
    let entry = boxes(entries, *b"mp4a")?;
    let entry = entry.first().ok_or(VoiceError::Unknown)?;
    // Behind what every description of sound has.
    let described = only(entry.get(28..).ok_or(VoiceError::Broken)?, &[*b"esds"])?;
    let config = decoder_config(described.get(4..).ok_or(VoiceError::Broken)?);
    let [first, second, ..] = config.ok_or(VoiceError::Broken)? else {
        return Err(VoiceError::Broken);
    };
    let index = usize::from((first & 7) << 1 | second >> 7);
    RATES.get(index).copied().ok_or(VoiceError::Unknown)
}

/// The bytes for the decoder within the descriptors of a stream, which stand within each other.
fn decoder_config(bytes: &[u8]) -> Option<&[u8]> {
    const STREAM: (u8, usize) = (3, 3);
    const DECODER: (u8, usize) = (4, 13);
    const CONFIG: (u8, usize) = (5, 0);
    [STREAM, DECODER, CONFIG].into_iter().try_fold(bytes, |bytes, (tag, fields)| {
        let (found, rest) = bytes.split_first()?;
        if *found != tag {
            return None;
        }
        // A length of up to four bytes, of which all but the last have the high bit.
        let end = rest.iter().take(4).position(|byte| byte & 0x80 == 0)?;
        rest.get(end + 1 + fields..)
    })
}
