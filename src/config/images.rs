//! How pictures arrive, and how each camera's are read.

use super::{ConfigError, RawImages, refuse};
use crate::bundle::CameraSource;
use crate::frame::{ENCODINGS, View};

/// How pictures arrive.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// `CompressedImage` instead of `Image`.
    pub compressed: bool,
    /// `sensor_data`, `default` or `system_default`.
    pub qos: Qos,
    /// Keep-last depth.
    pub qos_depth: usize,
    /// By camera role, what is said of its pictures beyond what the messages say.
    views: Vec<(String, View)>,
}

/// Base profiles of a subscription's quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// Best effort: matches every publisher.
    SensorData,
    /// Reliable.
    Default,
    /// The middleware's own.
    SystemDefault,
}

impl Images {
    /// How each camera's pictures are read; where `images.crop` says nothing of one, it is cut as the policy learned it.
    ///
    /// # Errors
    /// `Value`, where something is said of a camera that is none of them.
    pub fn views(&self, cameras: &[CameraSource]) -> Result<Vec<View>, ConfigError> {
        if let Some((role, _)) = self.views.iter().find(|(role, _)| !cameras.iter().any(|known| known.role == *role)) {
            let known: Vec<&str> = cameras.iter().map(|camera| camera.role.as_str()).collect();
            return refuse(
                "the camera of images.encoding or images.crop",
                role,
                &format!("one of the bundle's: {}", known.join(", ")),
            );
        }
        let said = |role| self.views.iter().find(|(named, _)| named == role).map(|(_, view)| view.clone());
        Ok(cameras.iter().map(|camera| camera.view(said(&camera.role).unwrap_or_default())).collect())
    }
}

impl RawImages {
    pub(super) fn check(&self) -> Result<Images, ConfigError> {
        let compressed = match self.transport.as_str() {
            "raw" => false,
            "compressed" => true,
            other => return refuse("images.transport", other, "raw or compressed"),
        };
        let qos = match self.qos.as_str() {
            "sensor_data" => Qos::SensorData,
            "default" => Qos::Default,
            "system_default" => Qos::SystemDefault,
            other => return refuse("images.qos", other, "sensor_data, default or system_default"),
        };
        if !(1..=100).contains(&self.qos_depth) {
            return refuse("images.qos_depth", self.qos_depth, "1 to 100");
        }
        Ok(Images { compressed, qos, qos_depth: self.qos_depth as usize, views: self.views(compressed)? })
    }

    fn views(&self, compressed: bool) -> Result<Vec<(String, View)>, ConfigError> {
        let mut views: Vec<(String, View)> = Vec::new();
        let place = |role: &str, views: &mut Vec<(String, View)>| {
            views.iter().position(|(known, _)| known == role).unwrap_or_else(|| {
                views.push((role.to_owned(), View::default()));
                views.len() - 1
            })
        };
        for text in &self.encoding {
            let said = text.split_once('=').filter(|(_, encoding)| ENCODINGS.contains(encoding));
            let Some((role, encoding)) = said else {
                return refuse("images.encoding", text, "ROLE=ENCODING, such as gripper=bgr8");
            };
            let at = place(role, &mut views);
            views[at].1.encoding = Some(encoding.to_owned());
        }
        for text in &self.crop {
            let Some((role, crop)) = text.split_once('=').and_then(|(role, crop)| Some((role, rectangle(crop)?)))
            else {
                return refuse(
                    "images.crop",
                    text,
                    "ROLE=LEFT,TOP,WIDTH,HEIGHT in pixels, such as gripper=40,0,560,480",
                );
            };
            let at = place(role, &mut views);
            views[at].1.crop = Some(crop);
        }
        match views.iter().find(|(_, view)| compressed && !view.fits_compressed()) {
            Some((role, _)) => refuse("images.encoding", role, "rgb8 or bgr8 for compressed pictures"),
            None => Ok(views),
        }
    }
}

/// Left, top, width and height.
fn rectangle(text: &str) -> Option<[u32; 4]> {
    let numbers: Option<Vec<u32>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    <[u32; 4]>::try_from(numbers?).ok().filter(|[_, _, width, height]| *width > 0 && *height > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_camera_is_its_own_and_a_camera_that_is_not_there_is_refused() {
        let raw = RawImages {
            encoding: vec!["gripper=bgr8".into()],
            crop: vec!["gripper=40,0,560,480".into()],
            ..RawImages::default()
        };
        let images = raw.check().unwrap();
        let views = images.views(&[camera("static", None), camera("gripper", None)]).unwrap();
        let gripper = View { encoding: Some("bgr8".into()), crop: Some([40, 0, 560, 480]), cut_of: None };
        assert_eq!(views, [View::default(), gripper]);
        let error = images.views(&[camera("static", None), camera("wrist", None)]).unwrap_err().to_string();
        assert!(error.contains("\"gripper\"") && error.contains("static, wrist"), "{error}");
    }

    fn camera(role: &str, crop: Option<[u32; 4]>) -> CameraSource {
        CameraSource { role: role.into(), width: 640, height: 480, rate_hz: 30.0, crop }
    }

    #[test]
    fn a_picture_is_cut_as_the_policy_learned_it_unless_something_else_is_said() {
        let learned = [camera("static", Some([80, 0, 480, 480])), camera("gripper", Some([0, 0, 400, 400]))];
        let raw = RawImages {
            encoding: vec!["static=bgr8".into()],
            crop: vec!["gripper=40,0,560,480".into()],
            ..RawImages::default()
        };
        let views = raw.check().unwrap().views(&learned).unwrap();
        let cut = View { encoding: Some("bgr8".into()), crop: Some([80, 0, 480, 480]), cut_of: Some([640, 480]) };
        let said = View { crop: Some([40, 0, 560, 480]), ..View::default() };
        assert_eq!(views, [cut, said]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_parameter() {
        let refusal = |encoding: &str, crop: &str, transport: &str| {
            let list = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
            let raw = RawImages {
                encoding: list(encoding),
                crop: list(crop),
                transport: transport.into(),
                ..RawImages::default()
            };
            raw.check().unwrap_err().to_string()
        };
        assert!(refusal("gripper=8UC3", "", "raw").starts_with("images.encoding"));
        assert!(refusal("gripper=nv12", "", "compressed").contains("rgb8 or bgr8 for compressed"));
        for crop in ["gripper", "gripper=1,2,3", "gripper=0,0,0,9", "gripper=-1,0,9,9"] {
            assert!(refusal("", crop, "raw").starts_with("images.crop"), "{crop}");
        }
    }
}
