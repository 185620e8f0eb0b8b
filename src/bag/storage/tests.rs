//! Recordings as other recorders, other storages and power cuts leave them, made by the tests.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::{Bag, BagWriter, Message, Text, find};
use crate::units::Stamp;

fn bytes(text: &str) -> Vec<u8> {
    cdr::serialize::<_, _, cdr::CdrLe>(&Text { data: text.into() }, cdr::Infinite).unwrap()
}

/// An MCAP file with a text at each time.
fn mcap(path: &Path, times: impl Iterator<Item = i64>) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = BagWriter::create(folder.path().join("bag")).unwrap();
    times.for_each(|time| writer.write("/text", Stamp(time), &Text { data: format!("m{time}") }).unwrap());
    writer.finish().unwrap();
    fs::copy(folder.path().join("bag/bag_0.mcap"), path).unwrap();
}

/// A SQLite file as rosbag2 makes it.
fn db3(path: &Path, times: impl Iterator<Item = i64>, data: impl Fn(i64) -> Vec<u8>) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, \
             serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL); \
             CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL, \
             data BLOB NOT NULL); CREATE INDEX timestamp_idx ON messages (timestamp ASC); \
             INSERT INTO topics VALUES (3, '/text', 'std_msgs/msg/String', 'cdr', ''), (4, '/none', 'a/msg/B', 'cdr', '');",
        )
        .unwrap();
    for time in times {
        connection
            .execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (3, ?1, ?2)", (time, data(time)))
            .unwrap();
    }
}

fn listed(folder: &Path, files: &str) {
    let text =
        format!("rosbag2_bagfile_information: {{version: 5, storage_identifier: '', relative_file_paths: [{files}]}}");
    fs::write(folder.join("metadata.yaml"), text).unwrap();
}

fn zstd(path: &Path) -> PathBuf {
    let packed = path.with_extension(format!("{}.zstd", path.extension().unwrap().to_str().unwrap()));
    fs::write(&packed, zstd::encode_all(fs::read(path).unwrap().as_slice(), 1).unwrap()).unwrap();
    fs::remove_file(path).unwrap();
    packed
}

/// The log times of all texts, each of which must say its own.
fn times(bag: &Bag) -> Vec<i64> {
    let time = |message: super::Stored| {
        assert_eq!(message.data, bytes(&format!("m{}", message.log_time.0)));
        message.log_time.0
    };
    bag.messages(&["/text"]).filter_map(Result::ok).map(time).collect()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_path_buf();
    (folder, path)
}

#[test]
fn sqlite_is_read_in_the_order_of_log_times_whatever_the_file_is_called() {
    let (_folder, path) = folder();
    db3(&path.join("bag_0.db3"), (0..200).map(|i| i ^ 3), |time| bytes(&format!("m{time}")));
    let bag = Bag::open(path.join("bag_0.db3")).unwrap();
    assert_eq!((bag.topics()["/text"].messages, bag.topics()["/none"].messages), (200, 0));
    assert_eq!(bag.topics()["/text"].message_type, Text::TYPE);
    assert_eq!(times(&bag), (0..200).collect::<Vec<_>>());
    fs::rename(path.join("bag_0.db3"), path.join("bag_0.mcap")).unwrap();
    listed(&path, "bag_0.mcap");
    assert_eq!(times(&Bag::open(&path).unwrap()).len(), 200);
}

#[test]
fn what_lies_before_the_end_of_a_sqlite_file_that_is_cut_is_read_and_the_damage_told() {
    let (_folder, path) = folder();
    db3(&path.join("bag_0.db3"), 0..4000, |time| bytes(&format!("m{time}")));
    let whole = fs::read(path.join("bag_0.db3")).unwrap();
    fs::write(path.join("bag_0.db3"), &whole[..whole.len() / 2]).unwrap();
    let bag = Bag::open(&path).unwrap();
    let found = times(&bag);
    assert!((100..3900).contains(&found.len()), "{}", found.len());
    let error = bag.messages(&["/text"]).find_map(Result::err).unwrap().to_string();
    assert!(error.contains("malformed") && error.contains("bag_0.db3"), "{error}");
}

#[test]
fn what_rosbag2_compressed_by_file_or_by_message_is_read() {
    let (_folder, path) = folder();
    mcap(&path.join("bag_0.mcap"), 0..50);
    zstd(&path.join("bag_0.mcap"));
    db3(&path.join("bag_1.db3"), 50..100, |time| zstd::encode_all(bytes(&format!("m{time}")).as_slice(), 1).unwrap());
    listed(&path, "bag_0.mcap.zstd, bag_1.db3");
    let bag = Bag::open(&path).unwrap();
    assert_eq!(times(&bag), (0..100).collect::<Vec<_>>());
    assert!(bag.notes().is_empty(), "{:?}", bag.notes());
}

#[test]
fn messages_on_the_wrong_side_of_a_split_come_in_order() {
    let (_folder, path) = folder();
    mcap(&path.join("bag_0.mcap"), (0..38).chain([41, 42]));
    mcap(&path.join("bag_1.mcap"), [38, 39, 40].into_iter().chain(43..80));
    listed(&path, "bag_0.mcap, bag_1.mcap");
    assert_eq!(times(&Bag::open(&path).unwrap()), (0..80).collect::<Vec<_>>());
}

#[test]
fn a_recorder_that_was_killed_leaves_splits_plain_and_compressed_and_all_are_read() {
    let (_folder, path) = folder();
    for (number, start) in [(0, 0), (1, 20), (10, 40)] {
        mcap(&path.join(format!("bag_{number}.mcap")), start..start + 20);
    }
    zstd(&path.join("bag_0.mcap"));
    // While the second was compressed it was killed: both are there, and the compressed one is half.
    let plain = path.join("bag_1.mcap");
    fs::write(path.join("bag_1.mcap.zstd"), &zstd::encode_all(fs::read(&plain).unwrap().as_slice(), 1).unwrap()[..40])
        .unwrap();
    let bag = Bag::open(&path).unwrap();
    assert_eq!(times(&bag), (0..60).collect::<Vec<_>>());
    let note = &bag.notes()[0];
    assert!(note.contains("no metadata.yaml") && note.contains("bag_0.mcap.zstd, bag_1.mcap, bag_10.mcap"), "{note}");
}

#[test]
fn metadata_that_is_empty_or_lists_what_is_lost_is_told_and_the_rest_is_read() {
    let (_folder, path) = folder();
    mcap(&path.join("bag_1.mcap"), 20..40);
    fs::write(path.join("metadata.yaml"), "").unwrap();
    let bag = Bag::open(&path).unwrap();
    assert_eq!(times(&bag), (20..40).collect::<Vec<_>>());
    assert!(bag.notes()[0].contains("metadata.yaml is empty"), "{:?}", bag.notes());
    listed(&path, "bag_0.mcap, bag_1.mcap");
    mcap(&path.join("spare.mcap"), 0..9);
    let bag = Bag::open(&path).unwrap();
    assert_eq!(times(&bag), (20..40).collect::<Vec<_>>());
    assert!(bag.notes()[0].contains("bag_0.mcap of the recording's 2 files are missing"), "{:?}", bag.notes());
    assert!(bag.notes()[1].contains("spare.mcap were left out"), "{:?}", bag.notes());
}

#[test]
fn an_empty_last_split_is_told_and_the_others_are_read() {
    let (_folder, path) = folder();
    mcap(&path.join("bag_0.mcap"), 0..20);
    fs::write(path.join("bag_1.mcap"), "").unwrap();
    let bag = Bag::open(&path).unwrap();
    assert_eq!(times(&bag).len(), 20);
    assert!(bag.notes().iter().any(|note| note.contains("the file is empty")), "{:?}", bag.notes());
}

#[test]
fn recordings_are_found_below_a_folder_but_not_in_hidden_ones() {
    let (_folder, path) = folder();
    for name in ["monday/a", "monday/b", ".writing/c"] {
        fs::create_dir_all(path.join(name)).unwrap();
        mcap(&path.join(name).join("bag_0.mcap"), 0..2);
    }
    let found = find(&[path.clone(), path.join("monday/a")]).unwrap();
    assert_eq!(found, [path.join("monday/a"), path.join("monday/b")]);
    fs::create_dir(path.join("empty")).unwrap();
    assert!(find(&[path.join("empty")]).unwrap_err().to_string().contains("no recording, and holds none"));
}
