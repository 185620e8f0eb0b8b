//! What the toy was shown and what PyTorch made of it, as a recorder would have stored it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use deer_vla::bag::{BagWriter, Header, Image, Text};
use deer_vla::units::Stamp;
use safetensors::SafeTensors;
use serde_bytes::ByteBuf;

use super::GOLDEN;

const PERIOD_NS: i64 = 33_333_333;

/// The rollout that PyTorch was asked for, and what it answered.
pub(super) struct Rollout {
    bytes: Vec<u8>,
}

impl Rollout {
    pub(super) fn read() -> Self {
        Self { bytes: fs::read(GOLDEN).unwrap() }
    }

    /// The pictures of a camera, each with its side.
    pub(super) fn pictures(&self, role: &str) -> Vec<(u32, Vec<u8>)> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(&format!("rollout.{role}")).unwrap();
        let [_, side, _, _] = *view.shape() else { panic!("[steps, side, side, 3]") };
        view.data().chunks_exact(side * side * 3).map(|rgb| (side as u32, rgb.to_vec())).collect()
    }

    pub(super) fn exits(&self) -> Vec<i64> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let exits = tensors.tensor("rollout.exit").unwrap();
        exits.data().chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    pub(super) fn arm(&self) -> Vec<Vec<f64>> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let arm = tensors.tensor("rollout.arm").unwrap();
        let values = arm.data().chunks_exact(4).map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())));
        values.collect::<Vec<_>>().chunks_exact(6).map(<[f64]>::to_vec).collect()
    }

    pub(super) fn instructions(&self) -> BTreeMap<usize, String> {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).unwrap();
        let text = &metadata.metadata().as_ref().unwrap()["instructions"];
        let map: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
        map.into_iter().map(|(step, text)| (step.parse().unwrap(), text)).collect()
    }

    /// The rollout as a recorder would have stored it.
    pub(super) fn bag(&self, folder: &Path) -> PathBuf {
        let path = folder.join("rollout");
        let mut bag = BagWriter::create(&path).unwrap();
        let instructions = self.instructions();
        for (step, (scene, hand)) in self.pictures("static").into_iter().zip(self.pictures("gripper")).enumerate() {
            let stamp = stamp(step);
            if let Some(text) = instructions.get(&step) {
                bag.write("/instruction", Stamp(stamp.0 - 1), &Text { data: text.clone() }).unwrap();
            }
            bag.write("/static/image", stamp, &image(stamp, scene)).unwrap();
            bag.write("/gripper/image", stamp, &image(stamp, hand)).unwrap();
        }
        bag.finish().unwrap();
        path
    }
}

pub(super) fn stamp(step: usize) -> Stamp {
    Stamp(1_700_000_000_000_000_000 + step as i64 * PERIOD_NS)
}

pub(super) fn image(stamp: Stamp, (side, rgb): (u32, Vec<u8>)) -> Image {
    let header = Header { stamp: stamp.into(), frame_id: "camera".into() };
    let data = ByteBuf::from(rgb);
    Image { header, height: side, width: side, encoding: "rgb8".into(), is_bigendian: 0, step: side * 3, data }
}
