//! Are the pictures fresh, frequent and readable?

use super::Finding;
use crate::units::Stamp;

/// A picture as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// When it was taken.
    pub stamp: Stamp,
    /// When it came, on the node's clock.
    pub received: Stamp,
    /// Width and height in pixels, or why it cannot be read.
    pub picture: Result<(u32, u32), String>,
    /// How large the message is.
    pub bytes: usize,
}

/// What the node expects of a camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CameraLimits {
    /// Older pictures mean hold. Seconds.
    pub max_age_secs: f64,
    /// At a lower rate the arm holds. Hertz.
    pub min_rate_hz: f64,
    /// Steps a second that the policy was trained with.
    pub control_hz: f64,
    /// Side of the network's input in pixels.
    pub size: u32,
}

/// At this share of the control rate the arm begins to move slower than it was taught.
const SLOW: f64 = 0.9;
/// Clocks this far apart are not late but different: one is simulated, or was never set. Seconds.
const OTHER_CLOCK_SECS: f64 = 3600.0;

/// What Fast DDS keeps in shared memory of all that a program publishes, where nobody asked for more. Bytes.
const SHARED_MEMORY: usize = 512 << 10;
/// A larger share of large pictures that do not come is no chance.
const LOST: f64 = 0.02;

/// What `window_secs` of listening to a camera's topic showed.
pub fn pictures(name: &str, seen: &[Seen], limits: CameraLimits, window_secs: f64) -> Vec<Finding> {
    let read: Vec<_> = seen.iter().filter(|seen| seen.picture.is_ok()).collect();
    let refusal = seen.iter().find_map(|seen| seen.picture.as_ref().err());
    if read.is_empty() {
        return vec![match refusal {
            Some(reason) => Finding::error(name, reason, "change what the camera driver publishes as this says"),
            None => Finding::error(
                name,
                format!("no picture came in {window_secs:.1} s"),
                "see whether the driver sends any: ros2 topic hz",
            ),
        }];
    }
    let lost = lost(name, &read);
    let mut rate = rate(name, &read, limits);
    if let (Some(rate), Some(lost)) = (&mut rate, &lost) {
        rate.mend.clone_from(&lost.mend);
    }
    let mut findings: Vec<_> =
        [lost, rate, age(name, &read, limits), size(name, &read, limits)].into_iter().flatten().collect();
    if let Some(reason) = refusal {
        let refused = seen.len() - read.len();
        let message = format!("{refused} of {} pictures cannot be read: {reason}", seen.len());
        findings.push(Finding::warning(name, message, "look for a second publisher or a driver that fails at times"));
    }
    if findings.is_empty() {
        let (hz, age_secs) = (hertz(&read), median_age(&read));
        let message = format!("{hz:.1} Hz, {:.0} ms old on arrival, {}", age_secs * 1e3, pixels(read[0]));
        findings.push(Finding::ok(name, message));
    }
    findings
}

/// Whether two cameras' pictures show the same moments.
pub fn skew(names: [&str; 2], seen: [&[Seen]; 2], max_skew_secs: f64) -> Option<Finding> {
    let nearest = |stamp: Stamp| {
        let apart = seen[1].iter().map(|other| other.stamp.secs_since(stamp).abs());
        apart.min_by(f64::total_cmp)
    };
    let skew_secs = median(seen[0].iter().filter_map(|one| nearest(one.stamp)))?;
    let check = format!("{} and {}", names[0], names[1]);
    let message = format!("pictures are taken {:.0} ms apart", skew_secs * 1e3);
    Some(if skew_secs <= max_skew_secs {
        Finding::ok(&check, message)
    } else {
        let mend = "trigger the cameras together or compare their clocks, or raise max_frame_skew";
        Finding::error(&check, format!("{message} (max_frame_skew {max_skew_secs} s): the arm would hold"), mend)
    })
}

fn rate(name: &str, read: &[&Seen], limits: CameraLimits) -> Option<Finding> {
    let (hz, wanted) = (hertz(read), limits.control_hz);
    let mend = format!("raise the camera's rate to {wanted} Hz, which the policy was trained with");
    let message = format!("{}, {hz:.1} Hz where the policy takes {wanted} steps a second", pixels(read[0]));
    if hz < limits.min_rate_hz {
        let least = limits.min_rate_hz;
        return Some(Finding::error(
            name,
            format!("{message}, and at least {least} are needed: the arm would hold"),
            mend,
        ));
    }
    (hz < SLOW * wanted)
        .then(|| Finding::warning(name, format!("{message}: the arm is slower than it was taught"), mend))
}

fn age(name: &str, read: &[&Seen], limits: CameraLimits) -> Option<Finding> {
    let (age_secs, max) = (median_age(read), limits.max_age_secs);
    if age_secs.abs() > OTHER_CLOCK_SECS {
        let message = format!("stamped {age_secs:.0} s away from the node's clock: not of the same clock");
        return Some(Finding::error(name, message, "set use_sim_time alike on both sides, or set the camera's clock"));
    }
    if age_secs < -max {
        let message = format!("stamped {:.3} s ahead of the node's clock", -age_secs);
        return Some(Finding::error(name, message, "synchronise the clocks (chrony), or set use_sim_time alike"));
    }
    if age_secs > max {
        let message =
            format!("pictures are {age_secs:.3} s old on arrival (max_frame_age {max} s): the arm would hold");
        let mend = "shorten the way from the camera (its queue, a slow network, decoding), or raise max_frame_age";
        return Some(Finding::error(name, message, mend));
    }
    let worst = read.iter().map(|seen| seen.received.secs_since(seen.stamp)).fold(0.0, f64::max);
    (worst > max).then(|| {
        let message =
            format!("one picture was {worst:.3} s old on arrival (max_frame_age {max} s): the arm would hold");
        Finding::warning(name, message, "look for what delays pictures at times, or raise max_frame_age")
    })
}

/// Pictures that were taken and did not come, as the stamps of those around them tell, where they are so large that
/// shared memory may be why.
fn lost(name: &str, read: &[&Seen]) -> Option<Finding> {
    let bytes = read.iter().map(|seen| seen.bytes).max().filter(|bytes| *bytes > SHARED_MEMORY)?;
    let mut gaps: Vec<_> = read.windows(2).map(|pair| pair[1].stamp.secs_since(pair[0].stamp)).collect();
    gaps.sort_by(f64::total_cmp);
    let period_secs = gaps.get(gaps.len() / 10).copied().filter(|secs| *secs > 0.0)?;
    let missing: f64 = gaps.iter().map(|gap| (gap / period_secs).round() - 1.0).sum();
    let taken = missing + read.len() as f64;
    (missing > LOST * taken).then(|| {
        let message = format!("{missing} of {taken} pictures of {:.1} MB were lost on their way", bytes as f64 / 1e6);
        let mend = "with Fast DDS give the camera's driver more shared memory: start it with \
                    FASTRTPS_DEFAULT_PROFILES_FILE=share/deer_vla/config/fastdds.xml; or let it send smaller or \
                    compressed pictures";
        Finding::warning(name, message, mend)
    })
}

fn size(name: &str, read: &[&Seen], limits: CameraLimits) -> Option<Finding> {
    let smallest = read.iter().filter_map(|seen| seen.picture.as_ref().ok()).map(|(w, h)| *w.min(h)).min()?;
    let message = || format!("pictures of {} are enlarged to {} pixels a side", pixels(read[0]), limits.size);
    (smallest < limits.size)
        .then(|| Finding::warning(name, message(), "publish larger pictures: what is not there cannot be seen"))
}

fn pixels(seen: &Seen) -> String {
    seen.picture.as_ref().map_or_else(String::clone, |(width, height)| format!("{width}x{height}"))
}

/// By the time of arrival, which a wrong stamp does not change. Hertz; infinite for a single picture.
fn hertz(read: &[&Seen]) -> f64 {
    match read {
        [first, .., last] => (read.len() - 1) as f64 / last.received.secs_since(first.received).max(1e-9),
        _ => 0.0,
    }
}

fn median_age(read: &[&Seen]) -> f64 {
    median(read.iter().map(|seen| seen.received.secs_since(seen.stamp))).unwrap_or_default()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    const LIMITS: CameraLimits = CameraLimits { max_age_secs: 0.2, min_rate_hz: 15.0, control_hz: 30.0, size: 100 };

    /// Three seconds of a camera.
    fn camera(hz: f64, age_secs: f64, picture: Result<(u32, u32), String>) -> Vec<Seen> {
        let taken = |i: i32| 100.0 + f64::from(i) / hz;
        let seen = |i| Seen {
            stamp: Stamp::from_secs(taken(i)),
            received: Stamp::from_secs(taken(i) + age_secs),
            picture: picture.clone(),
            bytes: 120_000,
        };
        (0..(3.0 * hz) as i32).map(seen).collect()
    }

    fn one(seen: &[Seen]) -> Finding {
        let found = pictures("static/image", seen, LIMITS, 3.0);
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    fn assert_finds(seen: &[Seen], level: Level, words: &str) {
        let finding = one(seen);
        assert!(finding.level == level && finding.message.contains(words), "{words} in {finding:?}");
        assert_eq!(finding.mend.is_empty(), level == Level::Ok);
    }

    #[test]
    fn a_healthy_camera_is_told_with_its_numbers() {
        assert_finds(&camera(30.0, 0.02, Ok((200, 150))), Level::Ok, "30.0 Hz, 20 ms old on arrival, 200x150");
    }

    #[test]
    fn silence_and_what_cannot_be_read_are_errors() {
        assert_finds(&[], Level::Error, "no picture came in 3.0 s");
        assert_finds(&camera(30.0, 0.0, Err("encoding yuv".into())), Level::Error, "encoding yuv");
        let mut mixed = camera(30.0, 0.0, Ok((200, 200)));
        mixed[3].picture = Err("cut short".into());
        assert_finds(&mixed, Level::Warning, "1 of 90 pictures cannot be read: cut short");
    }

    #[test]
    fn a_slow_camera_makes_a_slow_arm_and_a_slower_one_none() {
        assert_finds(&camera(25.0, 0.0, Ok((200, 200))), Level::Warning, "200x200, 25.0 Hz");
        assert_finds(&camera(10.0, 0.0, Ok((200, 200))), Level::Error, "at least 15 are needed");
    }

    #[test]
    fn late_early_and_otherwise_timed_pictures_each_have_their_own_mend() {
        let cases =
            [(0.3, "old on arrival", "max_frame_age"), (-0.5, "ahead", "chrony"), (1e9, "same clock", "use_sim_time")];
        for (age_secs, words, mend) in cases {
            let seen = camera(30.0, age_secs, Ok((200, 200)));
            assert_finds(&seen, Level::Error, words);
            assert!(one(&seen).mend.contains(mend));
        }
        let mut once = camera(30.0, 0.02, Ok((200, 200)));
        once[10].received = Stamp::from_secs(200.0);
        assert_finds(&once, Level::Warning, "one picture was");
    }

    #[test]
    fn large_pictures_that_are_lost_are_shared_memory_s_and_not_the_camera_s() {
        let mut seen = camera(30.0, 0.02, Ok((1280, 720)));
        seen.iter_mut().for_each(|seen| seen.bytes = 2_764_800);
        assert_eq!(one(&seen).level, Level::Ok);
        let mut count = 0;
        seen.retain(|_| {
            count += 1;
            count % 7 < 3
        });
        let found = pictures("static/image", &seen, LIMITS, 3.0);
        assert!(found[0].message.contains("48 of 86 pictures of 2.8 MB were lost"), "{found:?}");
        assert!(found.iter().all(|finding| finding.mend.contains("fastdds.xml")), "{found:?}");
    }

    #[test]
    fn a_picture_smaller_than_the_network_sees_is_a_warning() {
        assert_finds(&camera(30.0, 0.0, Ok((64, 48))), Level::Warning, "64x48 are enlarged to 100");
    }

    #[test]
    fn cameras_apart_would_make_the_arm_hold() {
        let (one, near, far) = (camera(30.0, 0.0, Ok((9, 9))), shifted(0.004), shifted(0.015));
        let level = |other: &[Seen], max| skew(["a", "b"], [&one, other], max).unwrap().level;
        assert_eq!([level(&near, 0.01), level(&far, 0.01)], [Level::Ok, Level::Error]);
        assert_eq!(skew(["a", "b"], [&one, &[]], 0.01), None, "a silent camera is told elsewhere");
    }

    fn shifted(secs: f64) -> Vec<Seen> {
        let later = |seen: Seen| Seen { stamp: Stamp::from_secs(seen.stamp.secs_since(Stamp(0)) + secs), ..seen };
        camera(30.0, 0.0, Ok((9, 9))).into_iter().map(later).collect()
    }
}
