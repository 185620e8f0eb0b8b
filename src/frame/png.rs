//! Is a PNG whole?

use super::FrameError;

/// What every PNG begins with: the signature and its first chunk's length and name.
const BEGINNING: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// Whether `data` are a PNG's.
pub(super) fn begins(data: &[u8]) -> bool {
    data.starts_with(BEGINNING)
}

/// Goes from chunk to chunk to the last. The decoder compares their checksums.
///
/// # Errors
/// `CutShort`.
pub(super) fn check(data: &[u8]) -> Result<(), FrameError> {
    let mut rest = data.get(8..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((chunk, after)) = after.split_at_checked(length.saturating_add(8)) else { break };
        if chunk.starts_with(b"IEND") {
            return Ok(());
        }
        rest = after;
    }
    Err(FrameError::CutShort { encoding: "png", place: "it has no last chunk".into() })
}
