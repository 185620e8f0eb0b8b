//! A NumPy file that grows: `uint8 [n, height, width, 3]`.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes before the first picture: the mark, the header's length and the header.
const START: usize = 128;

/// Pictures of one size, written one after the other.
pub(super) struct Npy {
    file: BufWriter<File>,
    /// Width and height, once they are known.
    size: Option<(u32, u32)>,
    pictures: usize,
}

impl Npy {
    /// `size`: width and height of the pictures; those of the first, where nothing is said.
    pub(super) fn create(path: &Path, size: Option<(u32, u32)>) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&[b' '; START])?;
        Ok(Self { file, size, pictures: 0 })
    }

    /// Rows of pixels of red, green and blue.
    ///
    /// # Errors
    /// A picture of another size than those before it, in width and height.
    pub(super) fn push(&mut self, rgb: &[u8], size: (u32, u32)) -> io::Result<()> {
        let known = *self.size.get_or_insert(size);
        if known != size {
            let ((width, height), (was_wide, was_high)) = (size, known);
            return Err(io::Error::other(format!(
                "a picture of {width}x{height} after some of {was_wide}x{was_high}; say one size for all, as in --cameras static=256"
            )));
        }
        self.pictures += 1;
        self.file.write_all(rgb)
    }

    /// Width and height of what was written; 0 where nothing was.
    pub(super) fn finish(mut self) -> io::Result<(u32, u32)> {
        let (n, (width, height)) = (self.pictures, self.size.unwrap_or_default());
        let shape = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({n}, {height}, {width}, 3), }}");
        let header = format!("{shape:<width$}\n", width = START - 11);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(b"\x93NUMPY\x01\x00")?;
        self.file.write_all(&(header.len() as u16).to_le_bytes())?;
        self.file.write_all(header.as_bytes())?;
        self.file.flush()?;
        Ok((width, height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_numpy_wants_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let mut npy = Npy::create(&path, None).unwrap();
        npy.push(&[7; 768], (32, 8)).unwrap();
        assert!(npy.push(&[7; 768], (16, 16)).unwrap_err().to_string().contains("16x16 after some of 32x8"));
        assert_eq!(npy.finish().unwrap(), (32, 8));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len(), &bytes[..10]), (128 + 768, &b"\x93NUMPY\x01\x00\x76\x00"[..]));
        assert!(bytes[10..128].starts_with(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 8, 32, 3), }"));
        assert_eq!((bytes[127], bytes[128]), (b'\n', 7));
    }
}
