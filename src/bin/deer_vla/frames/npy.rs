//! A NumPy file that grows: `uint8 [n, side, side, 3]`.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes before the first picture: the mark, the header's length and the header.
const START: usize = 128;

/// Pictures of one size, written one after the other.
pub(super) struct Npy {
    file: BufWriter<File>,
    side: u32,
    pictures: usize,
}

impl Npy {
    pub(super) fn create(path: &Path, side: u32) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&[b' '; START])?;
        Ok(Self { file, side, pictures: 0 })
    }

    /// `side` rows of `side` pixels of red, green and blue.
    pub(super) fn push(&mut self, rgb: &[u8]) -> io::Result<()> {
        self.pictures += 1;
        self.file.write_all(rgb)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        let (n, side) = (self.pictures, self.side);
        let shape = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({n}, {side}, {side}, 3), }}");
        let header = format!("{shape:<width$}\n", width = START - 11);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(b"\x93NUMPY\x01\x00")?;
        self.file.write_all(&(header.len() as u16).to_le_bytes())?;
        self.file.write_all(header.as_bytes())?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_numpy_wants_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let mut npy = Npy::create(&path, 16).unwrap();
        npy.push(&[7; 768]).unwrap();
        npy.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len(), &bytes[..10]), (128 + 768, &b"\x93NUMPY\x01\x00\x76\x00"[..]));
        assert!(bytes[10..128].starts_with(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 16, 16, 3), }"));
        assert_eq!((bytes[127], bytes[128]), (b'\n', 7));
    }
}
