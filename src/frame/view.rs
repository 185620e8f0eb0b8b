//! How a camera's pictures are read beyond what its messages say: one reading for the node, for `doctor` and for
//! recordings.

use serde::{Deserialize, Serialize};

use super::{Frame, FrameError, RawImage, compressed};
use crate::units::Stamp;

/// What is said of one camera's pictures; nothing, where messages tell all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// What the pixels are, whatever the messages say: one of [`ENCODINGS`](super::ENCODINGS). Needed for 8UC3 and 8UC1,
    /// which say nothing of the order. Of compressed pictures `rgb8`, or `bgr8` where red and blue stand in one another's
    /// place.
    pub encoding: Option<String>,
    /// What is cut out before anything else: left, top, width and height in pixels.
    pub crop: Option<[u32; 4]>,
    /// Width and height of the pictures that it is cut out of, where others are to be refused.
    #[serde(skip)]
    pub cut_of: Option<[u32; 2]>,
}

impl View {
    /// Whether compressed pictures can be what is said of them.
    pub fn fits_compressed(&self) -> bool {
        self.encoding.as_deref().is_none_or(|encoding| ["rgb8", "bgr8"].contains(&encoding))
    }

    /// Reads an uncompressed image.
    ///
    /// # Errors
    /// As [`Frame::from_raw`], and `Crop`.
    pub fn raw(&self, image: RawImage<'_>) -> Result<Frame, FrameError> {
        self.cropped(Frame::from_raw(self.named(image))?)
    }

    /// Reads an uncompressed image whose rows are given away, as [`Frame::from_given_raw`].
    ///
    /// # Errors
    /// As [`View::raw`].
    pub fn given_raw(&self, image: RawImage<'_>, data: Vec<u8>) -> Result<Frame, FrameError> {
        self.cropped(Frame::from_given_raw(self.named(image), data)?)
    }

    /// Reads a compressed image.
    ///
    /// # Errors
    /// As [`Frame::from_compressed`], and `Crop`.
    pub fn compressed(&self, stamp: Stamp, format: &str, data: &[u8]) -> Result<Frame, FrameError> {
        let mut frame = Frame::from_compressed(stamp, format, data)?;
        if self.encoding.as_deref() == Some("bgr8") {
            frame.rgb.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
        }
        self.cropped(frame)
    }

    /// What speaks against reading a compressed picture by its data alone, where nothing is said of it.
    pub fn doubt(&self, format: &str, data: &[u8]) -> Option<String> {
        if self.encoding.is_some() { None } else { compressed::doubt(format, data) }
    }

    fn named<'a>(&'a self, image: RawImage<'a>) -> RawImage<'a> {
        RawImage { encoding: self.encoding.as_deref().unwrap_or(image.encoding), ..image }
    }

    fn cropped(&self, frame: Frame) -> Result<Frame, FrameError> {
        let Some(crop) = self.crop else { return Ok(frame) };
        match self.cut_of.filter(|size| *size != [frame.width, frame.height]) {
            Some(cut_of) => Err(FrameError::CutOf { crop, cut_of, width: frame.width, height: frame.height }),
            None => frame.cropped(crop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = include_bytes!("../../tests/data/pictures/baseline.jpg");

    fn view(encoding: Option<&str>, crop: Option<[u32; 4]>) -> View {
        View { encoding: encoding.map(str::to_owned), crop, cut_of: None }
    }

    #[test]
    fn a_picture_that_does_not_say_its_order_is_read_by_what_is_said_and_cut() {
        let data: Vec<u8> = (0..32 * 16).flat_map(|pixel| [pixel as u8, 7, 9]).collect();
        let image = RawImage {
            stamp: Stamp(1),
            width: 32,
            height: 16,
            encoding: "8UC3",
            big_endian: false,
            step: 96,
            data: &data,
        };
        assert!(matches!(View::default().raw(image), Err(FrameError::NoOrder(_))));
        let frame = view(Some("bgr8"), Some([16, 0, 16, 16])).raw(image).unwrap();
        assert_eq!((frame.width, frame.height, &frame.rgb[..3]), (16, 16, &[9, 7, 16][..]));
        let given = view(Some("bgr8"), Some([16, 0, 16, 16])).given_raw(image, data.clone()).unwrap();
        assert_eq!(given, frame);
        let learned = View { cut_of: Some([32, 16]), ..view(Some("bgr8"), Some([16, 0, 16, 16])) };
        assert_eq!(learned.raw(image).unwrap(), frame);
        let error = View { cut_of: Some([64, 48]), ..learned }.raw(image).unwrap_err().to_string();
        assert!(error.contains("of 64x48 pictures, and this one has 32x16 pixels"), "{error}");
        let beyond = view(Some("bgr8"), Some([17, 0, 16, 16])).raw(image);
        assert!(matches!(beyond, Err(FrameError::Crop { .. })), "{beyond:?}");
    }

    #[test]
    fn bgr8_turns_a_compressed_picture_round_and_ends_the_doubt() {
        let format = "rgb8; jpeg compressed rgb8";
        let as_it_is = View::default().compressed(Stamp(1), format, JPEG).unwrap();
        let turned = view(Some("bgr8"), None).compressed(Stamp(1), format, JPEG).unwrap();
        let swapped: Vec<u8> = as_it_is.rgb.chunks_exact(3).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
        assert!(turned.rgb == swapped && turned.rgb != as_it_is.rgb);
        assert!(View::default().doubt(format, JPEG).unwrap().contains("red and blue"));
        assert_eq!(view(Some("rgb8"), None).doubt(format, JPEG), None);
    }
}
