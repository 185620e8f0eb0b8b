//! A recording → pictures on disk and what belongs to each step.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use deer_vla::bag::source::{Clock, Resolved};
use deer_vla::bag::{Bag, Displacement, GripperMotion, Motion, Seen, Set, Sets, Texts, Unread, When};
use deer_vla::config::RawConfig;
use deer_vla::observe::Shown;
use deer_vla::units::Stamp;
use serde::Serialize;

use super::npy::Npy;

/// What is read, and for which policy.
pub(super) struct Reading<'a> {
    pub(super) bag: &'a Bag,
    pub(super) source: &'a Resolved,
    /// Role and size of each camera, in the source's order; without a size its pictures are left as they are.
    pub(super) cameras: &'a [(String, Option<u32>)],
    pub(super) rate_hz: f64,
    pub(super) texts: &'a [String],
}

/// `frames.json`.
#[derive(Serialize)]
pub(super) struct Found {
    schema: u32,
    recording: String,
    rate_hz: f64,
    source: Resolved,
    guessed: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) cameras: Vec<Camera>,
    pub(super) sentences: Vec<String>,
    pub(super) steps: Vec<Step>,
    pub(super) left_out: Unread,
}

#[derive(Serialize)]
pub(super) struct Camera {
    pub(super) role: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) file: String,
}

/// One step, as docs/your-own-data.md explains it.
#[derive(Serialize)]
pub(super) struct Step {
    pub(super) set: usize,
    stamp_ns: i64,
    stamps_ns: Vec<i64>,
    log_ns: i64,
    epoch: u64,
    pub(super) sentence: usize,
    pub(super) motion: Option<Displacement>,
    pub(super) gripper: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    texts: BTreeMap<String, String>,
}

impl Step {
    fn when(&self) -> When {
        When { stamp: Stamp(self.stamp_ns), log: Stamp(self.log_ns) }
    }
}

/// What is collected besides pictures until the recording has ended.
struct Actions {
    motion: Option<Motion>,
    gripper: Option<GripperMotion>,
    texts: Vec<Texts>,
}

/// Reads all of it once, front to back.
pub(super) fn read(job: &Reading<'_>, recording: &Path, out: &Path) -> anyhow::Result<Found> {
    let mut actions = Actions::new(job)?;
    let topics = actions.topics();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    // A bundle is not asked for: how far apart pictures may be follows from the rate alone.
    let guard = RawConfig { bundle: "none".into(), ..RawConfig::default() }.check()?.guard(job.rate_hz);
    let inputs = job.bag.inputs(job.source, &topics)?;
    let mut sets = Sets::new(inputs, job.cameras.len(), guard, 1.0 / job.rate_hz);
    let mut pictures = Pictures::create(job.cameras, out)?;
    let (mut steps, mut sentences, mut epoch) = (Vec::new(), Vec::<String>::new(), 0);
    let mut unread = Unread::default();
    for seen in sets.by_ref() {
        match seen {
            Seen::Sentence(text) => {
                epoch += 1;
                if !text.is_empty() && !sentences.contains(&text) {
                    sentences.push(text.clone());
                }
                pictures.sentence = sentences.iter().position(|known| *known == text).unwrap_or_default();
            }
            Seen::Set(set) => steps.push(pictures.step(&set, epoch)?),
            Seen::Other(message) => actions.add(&message, &mut unread),
        }
    }
    unread.join(&sets.left_out);
    let mut notes = sets.notes;
    let cameras = pictures.finish()?;
    let steps = actions.join(steps, job, &mut unread, &mut notes);
    Ok(Found {
        schema: 1,
        recording: recording.display().to_string(),
        rate_hz: job.rate_hz,
        guessed: job.source.guessed.clone(),
        source: Resolved { guessed: Vec::new(), ..job.source.clone() },
        notes,
        cameras,
        sentences,
        steps,
        left_out: unread,
    })
}

/// The pictures of every camera on their way to the disk.
struct Pictures {
    cameras: Vec<(String, Option<Shown>, Npy)>,
    sets: usize,
    sentence: usize,
}

impl Pictures {
    fn create(cameras: &[(String, Option<u32>)], out: &Path) -> anyhow::Result<Self> {
        let file = |(role, size): &(String, Option<u32>)| {
            let path = out.join(format!("{role}.npy"));
            let npy = Npy::create(&path, size.map(|size| (size, size)));
            let npy = npy.with_context(|| format!("{} cannot be written", path.display()))?;
            Ok((role.clone(), size.map(Shown::new), npy))
        };
        Ok(Self { cameras: cameras.iter().map(file).collect::<anyhow::Result<_>>()?, sets: 0, sentence: 0 })
    }

    fn step(&mut self, set: &Set, epoch: u64) -> anyhow::Result<Step> {
        for ((role, shown, npy), frame) in self.cameras.iter_mut().zip(&set.frames) {
            let pushed = match shown {
                Some(shown) => npy.push(&shown.rgb(frame), (shown.size(), shown.size())),
                None => npy.push(&frame.rgb, (frame.width, frame.height)),
            };
            pushed.with_context(|| format!("the {role} camera"))?;
        }
        self.sets += 1;
        Ok(Step {
            set: self.sets - 1,
            stamp_ns: set.stamp().0,
            stamps_ns: set.frames.iter().map(|frame| frame.stamp.0).collect(),
            log_ns: set.log_time.0,
            epoch,
            sentence: self.sentence,
            motion: None,
            gripper: None,
            texts: BTreeMap::new(),
        })
    }

    fn finish(self) -> anyhow::Result<Vec<Camera>> {
        let camera = |(role, _, npy): (String, Option<Shown>, Npy)| {
            let (width, height) = npy.finish()?;
            let file = format!("{role}.npy");
            Ok(Camera { role, width, height, file })
        };
        self.cameras.into_iter().map(camera).collect()
    }
}

impl Actions {
    fn new(job: &Reading<'_>) -> anyhow::Result<Self> {
        let motion = job.source.motion.as_ref().map(|source| Motion::new(job.bag, source)).transpose()?;
        let gripper = job.source.gripper.as_ref().map(|source| GripperMotion::new(job.bag, source)).transpose()?;
        let texts = job.texts.iter().map(|topic| Texts::new(job.bag, topic)).collect::<Result<_, _>>()?;
        Ok(Self { motion, gripper, texts })
    }

    fn topics(&self) -> Vec<String> {
        let motion = self.motion.iter().map(|motion| motion.topic().to_owned());
        let gripper = self.gripper.iter().map(|gripper| gripper.topic().to_owned());
        let texts = self.texts.iter().map(|texts| texts.topic().to_owned());
        motion.chain(gripper).chain(texts).collect()
    }

    fn add(&mut self, message: &deer_vla::bag::Stored, unread: &mut Unread) {
        let mut heard = |done: Result<(), String>| {
            if let Err(reason) = done {
                unread.add(&message.topic, &reason);
            }
        };
        if let Some(motion) = self.motion.as_mut().filter(|motion| motion.topic() == message.topic) {
            heard(motion.add(message));
        }
        if let Some(gripper) = self.gripper.as_mut().filter(|gripper| gripper.topic() == message.topic) {
            heard(gripper.add(message));
        }
        for texts in self.texts.iter_mut().filter(|texts| texts.topic() == message.topic) {
            heard(texts.add(message));
        }
    }

    /// Gives each step what was done; one without is left out where the recording has motion at all.
    fn join(self, mut steps: Vec<Step>, job: &Reading<'_>, unread: &mut Unread, notes: &mut Vec<String>) -> Vec<Step> {
        let when: Vec<When> = steps.iter().map(Step::when).collect();
        let (period_secs, by_header) = (1.0 / job.rate_hz, job.source.clock == Clock::Header);
        for texts in self.texts {
            for (step, when) in steps.iter_mut().zip(&when) {
                step.texts.extend(texts.nearest(*when).map(|text| (texts.topic().to_owned(), text.to_owned())));
            }
        }
        let unstamped = [
            self.gripper.as_ref().map(|gripper| (gripper.topic(), gripper.unstamped(by_header))),
            self.motion.as_ref().map(|motion| (motion.topic(), motion.unstamped(by_header))),
        ];
        for (topic, times) in unstamped.into_iter().flatten() {
            (0..times).for_each(|_| unread.add(topic, "it carries no time (header.stamp is 0), and the others do"));
        }
        let mut lacks = vec![None; steps.len()];
        if let Some(gripper) = self.gripper {
            for (i, held) in gripper.held(&when, period_secs, by_header).into_iter().enumerate() {
                steps[i].gripper = held;
                lacks[i] = held.is_none().then_some("no gripper command had been recorded yet");
            }
        }
        if let Some(motion) = self.motion {
            for (i, moved) in motion.displacements(&when, period_secs, by_header).into_iter().enumerate() {
                steps[i].motion = moved;
                lacks[i] = lacks[i].or(moved.is_none().then_some("no motion was recorded near them"));
            }
        }
        let without = lacks.iter().flatten().count();
        lacks.iter().flatten().for_each(|reason| unread.add("steps", reason));
        if without * 2 > steps.len() {
            let log = "--clock log takes the times when all was recorded";
            notes.push(format!("{without} of {} steps have no action near them: do clocks differ? {log}", steps.len()));
        }
        let mut lacks = lacks.iter();
        steps.retain(|_| lacks.next().is_none_or(|lack: &Option<&str>| lack.is_none()));
        steps
    }
}
