//! Bags as other recorders leave them, made in memory.

use std::fs;
use std::io::Cursor;

use mcap::records::MessageHeader;
use mcap::{Compression, WriteOptions, Writer};
use tempfile::TempDir;

use super::source::{CameraTopic, Clock, Resolved, Source, Spoken};
use super::*;

const CHUNK_BYTES: u64 = 2000;

/// An MCAP file with a text message `m<i>` at each of the given log times.
fn recording(options: WriteOptions, log_times: &[u64]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = options.profile("ros2").chunk_size(Some(CHUNK_BYTES)).create(&mut bytes).unwrap();
    let schema = writer.add_schema(Text::TYPE, "ros2msg", Text::DEFINITION.as_bytes()).unwrap();
    let channel = writer.add_channel(schema, "/text", "cdr", &BTreeMap::new()).unwrap();
    for (i, &log_time) in log_times.iter().enumerate() {
        let text = Text { data: format!("m{i}").repeat(20) };
        let data = cdr::serialize::<_, _, cdr::CdrLe>(&text, cdr::Infinite).unwrap();
        let header = MessageHeader { channel_id: channel, sequence: 0, log_time, publish_time: log_time };
        writer.write_to_known_channel(&header, &data).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    bytes.into_inner()
}

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag.mcap");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn log_times(bag: &Bag) -> Result<Vec<i64>, BagError> {
    bag.messages(&["/text"]).map(|message| message.map(|m| m.log_time.0)).collect()
}

/// A source with one camera, and a sentence on `/instruction` where there is one.
fn source(camera: &str, instruction: bool) -> Resolved {
    let camera = CameraTopic { role: "static".into(), topic: camera.into(), view: Default::default() };
    let spoken = match instruction {
        true => Spoken::Topic("/instruction".into()),
        false => Spoken::Sentence("go".into()),
    };
    let clock = Clock::Header;
    Resolved { cameras: vec![camera], spoken, motion: None, gripper: None, clock, estop: None, guessed: Vec::new() }
}

fn refusal(path: &Path) -> String {
    Bag::open(path).expect_err("refused").to_string()
}

#[test]
fn every_way_to_store_chunks_is_read_in_the_order_of_log_times() {
    // Neighbours swapped, as by a recorder with two threads; and more messages than a window or a chunk holds.
    let recorded: Vec<u64> = (0..300).map(|i| (i ^ 1) + 5).collect();
    let plain = || WriteOptions::new().compression(None);
    for (what, options) in [
        ("zstd", plain().compression(Some(Compression::Zstd))),
        ("lz4", plain().compression(Some(Compression::Lz4))),
        ("uncompressed chunks", plain()),
        ("no chunks", plain().use_chunks(false)),
        ("no summary", plain().emit_summary_records(false)),
        ("no message indexes", plain().emit_message_indexes(false)),
    ] {
        let (_folder, path) = file(&recording(options, &recorded));
        let bag = Bag::open(path).unwrap();
        assert_eq!(bag.topics()["/text"].messages, 300, "{what}");
        assert_eq!(log_times(&bag).unwrap(), (5..305).collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn a_file_in_no_order_is_read_in_order_with_or_without_an_index() {
    let recorded: Vec<u64> = (0..300).rev().collect();
    let (_folder, path) = file(&recording(WriteOptions::new(), &recorded));
    assert_eq!(log_times(&Bag::open(path).unwrap()).unwrap(), (0..300).collect::<Vec<_>>());
    let (_folder, path) = file(&recording(WriteOptions::new().use_chunks(false), &recorded));
    let bag = Bag::open(path).unwrap();
    assert_eq!(log_times(&bag).unwrap(), (0..300).collect::<Vec<_>>());
    assert!(bag.notes()[0].contains("sorted by log times"), "{:?}", bag.notes());
}

#[test]
fn what_lies_before_the_end_of_a_truncated_file_is_read_and_the_last_message_named() {
    for (what, options) in
        [("chunks", WriteOptions::new().compression(None)), ("no chunks", WriteOptions::new().use_chunks(false))]
    {
        let whole = recording(options, &(0..300).collect::<Vec<_>>());
        let (_folder, path) = file(&whole[..whole.len() / 2]);
        let bag = Bag::open(path).unwrap();
        let read: Vec<_> = bag.messages(&["/text"]).collect();
        let (last, before) = read.split_last().unwrap();
        let times: Vec<_> = before.iter().map(|message| message.as_ref().unwrap().log_time.0).collect();
        assert_eq!(times, (0..times.len() as i64).collect::<Vec<_>>(), "{what}");
        assert!((100..200).contains(&times.len()), "{what}: about half of it: {}", times.len());
        let error = last.as_ref().unwrap_err().to_string();
        let words = [format!("after message {}", times.len()), "cut short or damaged".into(), "bag.mcap".into()];
        assert!(words.iter().all(|word| error.contains(word)), "{what}: {error}");
    }
}

#[test]
fn damage_inside_an_indexed_file_is_an_error_and_not_an_end() {
    let mut bytes = recording(WriteOptions::new().compression(Some(Compression::Zstd)), &(0..300).collect::<Vec<_>>());
    let middle = bytes.len() / 2;
    bytes[middle - 200..middle].fill(0xAA);
    let (_folder, path) = file(&bytes);
    assert!(matches!(log_times(&Bag::open(path).unwrap()), Err(BagError::Damaged { .. })));
}

#[test]
fn files_of_a_split_bag_follow_one_another_by_number_when_the_recorder_left_no_metadata() {
    let folder = tempfile::tempdir().unwrap();
    for split in 0..12u64 {
        let name = format!("rosbag2_2026_11_23_{split}.mcap");
        fs::write(folder.path().join(name), recording(WriteOptions::new(), &[split * 10, split * 10 + 1])).unwrap();
    }
    let bag = Bag::open(folder.path()).unwrap();
    assert_eq!(bag.topics()["/text"].messages, 24);
    assert_eq!(log_times(&bag).unwrap(), (0..12).flat_map(|i| [i * 10, i * 10 + 1]).collect::<Vec<_>>());
}

#[test]
fn what_is_no_bag_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refusal(folder.path()).contains("neither an .mcap nor a .db3 file"));
    assert!(refusal(&folder.path().join("missing")).contains("cannot be read"));
    let (_text, path) = file(b"just text");
    assert!(refusal(&path).contains("begins neither as MCAP nor as SQLite does"));
    let (_empty, path) = file(b"");
    assert!(refusal(&path).contains("the file is empty"));
    let (_sqlite, path) = file(b"SQLite format 3\0rest");
    assert!(refusal(&path).contains("a SQLite file that is no recording"));
    fs::write(folder.path().join("metadata.yaml"), "rosbag2_bagfile_information: 3").unwrap();
    assert!(refusal(folder.path()).contains("metadata.yaml does not read"));
    let listed = "rosbag2_bagfile_information: {relative_file_paths: [a_0.mcap, a_1.mcap]}";
    fs::write(folder.path().join("metadata.yaml"), listed).unwrap();
    assert!(refusal(folder.path()).contains("metadata.yaml lists a_0.mcap, a_1.mcap, which are not there"));
}

#[test]
fn a_topic_that_is_missing_or_carries_something_else_is_refused_with_what_is_there() {
    let (_folder, path) = file(&recording(WriteOptions::new(), &[1]));
    let bag = Bag::open(path).unwrap();
    let missing = bag.inputs(&source("/static/image", false), &[]).err().unwrap().to_string();
    assert!(missing.contains("/static/image") && missing.contains("/text (std_msgs/msg/String)"), "{missing}");
    let unsaid = Source::default().resolve(&bag, &["static"]).unwrap_err().to_string();
    assert!(unsaid.contains("which topic is the static camera?") && unsaid.contains("/text (std_msgs"), "{unsaid}");
    let wrong = bag.inputs(&source("/text", false), &[]).err().unwrap().to_string();
    assert!(wrong.contains("std_msgs/msg/String") && wrong.contains("sensor_msgs/msg/CompressedImage"), "{wrong}");
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("written");
    let mut writer = BagWriter::create(&path).unwrap();
    let header = Header { stamp: Stamp(1_000_000_007).into(), frame_id: "camera".into() };
    let data = serde_bytes::ByteBuf::from([1, 2, 3].repeat(256));
    let image = Image { header, height: 16, width: 16, encoding: "rgb8".into(), is_bigendian: 0, step: 48, data };
    writer.write("/static/image", Stamp(20), &image).unwrap();
    writer.write("/instruction", Stamp(10), &Text { data: "go".into() }).unwrap();
    writer.write("/static/image", Stamp(30), &Image::default()).unwrap();
    writer.finish().unwrap();
    let bag = Bag::open(&path).unwrap();
    let source = source("/static/image", true);
    let inputs: Vec<_> = bag.inputs(&source, &[]).unwrap().collect();
    assert!(matches!(&inputs[0].1, Input::Instruction(text) if text == "go"));
    assert!(matches!(&inputs[1].1, Input::Frame { camera: 0, frame } if frame.stamp == Stamp(1_000_000_007)));
    assert!(matches!(&inputs[2].1, Input::Unreadable { topic, .. } if topic == "/static/image"));
    assert!(matches!(BagWriter::create(&path), Err(BagError::Exists { .. })));
}

#[test]
fn a_message_of_noise_is_unreadable_and_not_fatal() {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut bytes).unwrap();
    let schema = writer.add_schema(Image::TYPE, "ros2msg", Image::DEFINITION.as_bytes()).unwrap();
    let channel = writer.add_channel(schema, "/static/image", "cdr", &BTreeMap::new()).unwrap();
    let header = MessageHeader { channel_id: channel, sequence: 0, log_time: 1, publish_time: 1 };
    for data in [&[][..], &[0, 1, 0, 0], &[7; 40]] {
        writer.write_to_known_channel(&header, data).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    let (_folder, path) = file(&bytes.into_inner());
    let bag = Bag::open(path).unwrap();
    let source = source("/static/image", false);
    let unreadable = |input| matches!(input, (_, Input::Unreadable { reason, .. }) if reason.contains("sensor_msgs"));
    let inputs = bag.inputs(&source, &[]).unwrap();
    assert_eq!(inputs.skip(1).map(unreadable).collect::<Vec<_>>(), [true; 3], "after the sentence");
}

#[test]
fn a_topic_of_video_is_refused_with_the_command_that_makes_pictures_of_it() {
    let message_type = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket".to_owned();
    let film = Topic { message_type, encoding: "cdr".into(), messages: 1 };
    let topics = [("/top/ffmpeg".to_owned(), film)].into();
    let bag = Bag { files: Vec::new(), topics, custom_data: BTreeMap::new(), notes: Vec::new() };
    let error = bag.inputs(&source("/top/ffmpeg", false), &[]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("republish") && error.contains("-r in/ffmpeg:=/top/ffmpeg"), "{error}");
}
