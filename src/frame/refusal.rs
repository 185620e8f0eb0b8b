//! Why a picture was refused: what is wrong, where, and how to mend it.

use super::{ENCODINGS, MAX_PIXELS, MAX_RATIO, MAX_SIDE, MIN_SIDE};

/// Why bytes did not become a [`Frame`](super::Frame).
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The header carries no time.
    #[error(
        "the image has no capture time (header.stamp is 0); set it in the camera driver, an image without a time cannot be told from a stale one"
    )]
    NoStamp,
    /// Too small or too large to be a camera picture.
    #[error(
        "the image is {width}x{height} pixels; sides of {MIN_SIDE} to {MAX_SIDE} and at most {MAX_PIXELS} pixels in all are read"
    )]
    Size {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Too long for its height, or too high for its width.
    #[error(
        "the image is {width}x{height} pixels; the longer side may be {MAX_RATIO} times the shorter, cut the picture in the camera driver"
    )]
    Shape {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A pixel format that is not read.
    #[error("image encoding {0:?} is not read; publish one of {list}", list = ENCODINGS.join(", "))]
    Encoding(String),
    /// Three channels, or one, of which nobody says what they are.
    #[error(
        "image encoding {0:?} does not say which channel is red; publish bgr8 or rgb8 (cv_bridge: name the encoding), or for a recording say it in the source file (encoding: bgr8)"
    )]
    NoOrder(String),
    /// A picture of distances. Who reads it: depth_image_proc's documentation, components.rst (`image_raw`, `depth/image_rect`
    /// of type Image); image_transport's republish.cpp for the transport (parameters `in_transport`, `out_transport`).
    #[error(
        "the image is a depth picture ({what}), which shows no colours; name the camera's colour topic (depth_image_proc's nodes read this one, of compressedDepth after image_transport's republish)"
    )]
    Depth {
        /// Its encoding, or its transport.
        what: String,
    },
    /// Pixels that share their colours with a neighbour that is not there.
    #[error(
        "the image is {width}x{height} pixels of {encoding}, which go in pairs; both sides must be even for nv12 and nv21, the width for the others"
    )]
    Odd {
        /// Its encoding.
        encoding: &'static str,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Rows shorter than their pixels.
    #[error("the image's step is {found} bytes, but {width} pixels of {encoding} need {expected}")]
    Step {
        /// What the message says.
        found: u32,
        /// What its width and encoding need.
        expected: u64,
        /// Pixels in a row.
        width: u32,
        /// Its encoding.
        encoding: String,
    },
    /// Fewer or more bytes than rows.
    #[error("the image carries {found} bytes, but {rows} rows of {step} bytes are {expected}")]
    Length {
        /// Bytes in the message.
        found: usize,
        /// Bytes that its size needs.
        expected: u64,
        /// Rows of bytes.
        rows: u64,
        /// Bytes a row.
        step: u32,
    },
    /// What is to be cut out lies outside.
    #[error("the crop {crop:?} (left, top, width, height) does not lie within the image's {width}x{height} pixels")]
    Crop {
        /// Left, top, width, height.
        crop: [u32; 4],
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// What the policy learned is cut out of pictures of another size.
    #[error(
        "the policy learned from the crop {crop:?} (left, top, width, height) of {}x{} pictures, and this one has {width}x{height} pixels; set the camera to that size, or say the crop that shows the same part of the scene: images.crop of the node, cameras.ROLE.crop of a source file",
        cut_of[0], cut_of[1]
    )]
    CutOf {
        /// Left, top, width, height.
        crop: [u32; 4],
        /// Width and height of the pictures that it was made for.
        cut_of: [u32; 2],
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A file's bytes where pixels are promised.
    #[error(
        "the image calls itself {encoding} but holds the bytes of a {holds} file; let the camera driver decode it (usb_cam: pixel_format mjpeg2rgb) or publish it as a CompressedImage"
    )]
    NotPixels {
        /// The encoding that the message names.
        encoding: String,
        /// What its bytes are.
        holds: &'static str,
    },
    /// The end of a compressed picture is missing.
    #[error(
        "the {encoding} picture is cut short: {place}; look at the camera's cable, its share of the USB bus and the driver's buffer size"
    )]
    CutShort {
        /// `jpeg` or `png`.
        encoding: &'static str,
        /// Where it ends.
        place: String,
    },
    /// Bytes in the midst of a compressed picture are missing or wrong.
    #[error("the {encoding} picture is damaged: {flaw}; look at the camera's cable and its share of the USB bus")]
    Damaged {
        /// `jpeg` or `png`.
        encoding: &'static str,
        /// What shows it.
        flaw: String,
    },
    /// One message of a film. Its decoder's topics: isaac_ros_h264_decoder/src/decoder_node.cpp. What ffmpeg_image_transport
    /// sends is of another type, FFMPEGPacket, and its decoder reads no `CompressedImage` (its README, Republishing).
    #[error(
        "the compressed image is video (format {format:?}), of which one message is no picture; let the camera send JPEG, or record what a decoder makes of it (on Isaac: ros2 launch isaac_ros_h264_decoder isaac_ros_h264_decoder.launch.py, which reads image_compressed and publishes image_uncompressed)"
    )]
    Video {
        /// The message's `format`.
        format: String,
    },
    /// The compressed picture cannot be decoded.
    #[error(
        "the compressed image cannot be decoded (JPEG and PNG are read; the message says format {format:?}): {source}"
    )]
    Decode {
        /// The message's `format`.
        format: String,
        /// What the decoder says.
        source: image::ImageError,
    },
}
