use super::*;

const PERIOD: f64 = 1.0 / 30.0;

fn guard() -> Guard {
    Guard { min_rate_hz: 15.0, ..Guard::default() }
}

/// A picture of stripes, brighter by `shade`.
fn frame(secs: f64, shade: u8) -> Frame {
    let rgb = [[shade; 3], [shade + 100; 3]].concat().repeat(128);
    Frame::new(Stamp::from_secs(secs), [16, 16], rgb, "rgb8")
}

fn verdict(camera: &CameraWatch, secs: f64) -> Option<Verdict> {
    camera.hold(&guard(), Stamp::from_secs(secs), None).map(|hold| hold.verdict)
}

#[test]
fn the_same_picture_counts_as_frozen_only_while_the_arm_is_told_to_move() {
    let mut camera = CameraWatch::new("static");
    let mut see = |path: [f64; 2], shade| {
        camera.moved(path);
        camera.see(&frame(1.0, shade), Some(2));
        verdict(&camera, 1.0)
    };
    assert_eq!([see([0.0; 2], 1), see([0.0; 2], 1), see([0.0; 2], 1), see([0.0; 2], 1)], [None; 4], "it stands");
    assert_eq!([see([9e-4, 0.0], 2), see([9e-4, 0.0], 2), see([0.0; 2], 2)], [None; 3], "so little may not show");
    assert_eq!([see([9e-4, 0.0], 2), see([0.0; 2], 2)], [None, Some(Verdict::HoldFrozenFrame)], "now it must");
    assert_eq!(see([0.0; 2], 2), Some(Verdict::HoldFrozenFrame));
    assert_eq!(see([0.0; 2], 3), None, "a picture that changes is alive");
    assert_eq!([see([0.0, 0.1], 3), see([0.0, 0.1], 3)], [None, Some(Verdict::HoldFrozenFrame)]);
    camera.trust();
    assert_eq!(verdict(&camera, 1.0), None);
}

#[test]
fn a_hold_in_between_hides_no_frozen_camera() {
    let mut camera = CameraWatch::new("static");
    camera.see(&frame(1.0, 1), Some(2));
    camera.moved([0.01, 0.0]);
    camera.see(&frame(1.0, 1), Some(2));
    assert_eq!(verdict(&camera, 1.0), None);
    // The arm stands for a while, for whatever reason.
    camera.see(&frame(1.0, 1), Some(2));
    assert_eq!(verdict(&camera, 1.0), Some(Verdict::HoldFrozenFrame));
}

#[test]
fn another_size_or_encoding_holds_until_it_is_back_or_the_epoch_is_new() {
    let mut camera = CameraWatch::new("static");
    let mut verdict_of = |other: fn(&mut Frame), epoch: bool| {
        let mut picture = frame(1.0, 1);
        other(&mut picture);
        if epoch {
            camera.accept();
        }
        camera.see(&picture, None);
        let verdict = verdict(&camera, 1.0);
        if verdict.is_none() {
            camera.act();
        }
        verdict
    };
    assert_eq!(verdict_of(|_| (), false), None);
    assert_eq!(verdict_of(|f| f.encoding = "bgr8", false), Some(Verdict::HoldChangedFrame));
    assert_eq!(verdict_of(|_| (), false), None);
    assert_eq!(verdict_of(|f| f.sent = [8, 16], false), Some(Verdict::HoldChangedFrame));
    assert_eq!(verdict_of(|f| f.sent = [8, 16], true), None);
}

#[test]
fn what_is_cut_out_of_pictures_of_another_size_holds_although_it_is_as_large_as_before() {
    let mut camera = CameraWatch::new("static");
    let mut seen = |secs: f64, sent: [u32; 2]| {
        let rgb = (0..sent[0] * sent[1] * 3).map(|n| (n % 200) as u8).collect();
        let frame = Frame::new(Stamp::from_secs(secs), sent, rgb, "rgb8").cropped([8, 0, 16, 16]).unwrap();
        assert_eq!((frame.width, frame.height), (16, 16));
        camera.see(&frame, None);
        let verdict = verdict(&camera, secs);
        if verdict.is_none() {
            camera.act();
        }
        verdict
    };
    assert_eq!(seen(1.0, [32, 24]), None);
    assert_eq!(seen(1.03, [64, 36]), Some(Verdict::HoldChangedFrame));
}

#[test]
fn a_picture_that_was_overtaken_and_one_that_shows_nothing_hold() {
    let mut camera = CameraWatch::new("static");
    camera.see(&frame(1.0, 1), None);
    camera.see(&frame(0.99, 2), None);
    assert_eq!(verdict(&camera, 1.0), Some(Verdict::HoldReorderedFrame));
    camera.see(&frame(1.02, 3), None);
    assert_eq!(verdict(&camera, 1.02), None);
    camera.see(&Frame { rgb: vec![3; 768], ..frame(1.03, 0) }, None);
    assert_eq!(verdict(&camera, 1.03), Some(Verdict::HoldBlankFrame));
}

#[test]
fn silence_and_a_slow_camera_hold_on_the_machines_clock() {
    let mut camera = CameraWatch::new("static");
    let at = Duration::from_secs_f64;
    let holds = |camera: &CameraWatch, secs: f64| {
        camera.hold(&guard(), Stamp::from_secs(1.0), Some(at(secs))).map(|hold| hold.verdict)
    };
    camera.see(&frame(1.0, 1), None);
    (0..20).for_each(|i| camera.hear(at(f64::from(i) * PERIOD), 1));
    assert_eq!(holds(&camera, 20.0 * PERIOD), None);
    assert_eq!(holds(&camera, 1.0), Some(Verdict::HoldSilentCamera));
    (0..4).for_each(|i| camera.hear(at(1.0 + f64::from(i) * 0.1), 1));
    assert_eq!(holds(&camera, 1.3), None, "most of the newest came in time");
    (4..10).for_each(|i| camera.hear(at(1.0 + f64::from(i) * 0.09), 1));
    assert_eq!(holds(&camera, 1.82), Some(Verdict::HoldSlowCamera));
    (0..9).for_each(|i| camera.hear(at(2.0 + f64::from(i) * 0.09), 3));
    assert_eq!(holds(&camera, 2.73), None, "messages that nobody looked at count");
}
