//! A SQLite file (`.db3`): rosbag2's storage up to Humble.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{Flaw, Reading, Storage, Stored};
use crate::bag::{BagError, Topic};
use crate::units::Stamp;

/// A SQLite file. Where its messages are is read once, in the table's own order: what lies before damage is found, and no
/// index is needed.
pub(super) struct SqliteFile {
    connection: Connection,
    topics: BTreeMap<String, Topic>,
    names: BTreeMap<i64, String>,
    /// Log time, id and topic of each message, sorted.
    rows: Vec<(Stamp, i64, i64)>,
    /// Why there are no more.
    flaw: Option<String>,
    note: Option<String>,
}

impl std::fmt::Debug for SqliteFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteFile").field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl SqliteFile {
    pub(super) fn open(path: &Path) -> Result<Self, BagError> {
        let no_bag = |error: rusqlite::Error| BagError::NotABag {
            found: format!("a SQLite file that is no recording ({error})"),
            path: path.to_path_buf(),
        };
        let (connection, note) = connect(path).map_err(no_bag)?;
        let mut topics = BTreeMap::new();
        let names = names(&connection, &mut topics).map_err(no_bag)?;
        let mut rows = Vec::new();
        let flaw = list(&connection, &mut rows).err().map(|error| error.to_string());
        rows.sort_unstable();
        for (.., topic) in &rows {
            if let Some(topic) = names.get(topic).and_then(|name| topics.get_mut(name)) {
                topic.messages += 1;
            }
        }
        Ok(Self { connection, topics, names, rows, flaw, note })
    }

    fn data(&self, id: i64) -> rusqlite::Result<Vec<u8>> {
        let mut statement = self.connection.prepare("SELECT data FROM messages WHERE id = ?1")?;
        statement.query_row([id], |row| row.get(0))
    }
}

/// A recorder that was killed leaves a journal, which only a writer may play back: the file is then read without it.
fn connect(path: &Path) -> rusqlite::Result<(Connection, Option<String>)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let ask = |connection: Connection| {
        // Else a file that is shorter than it says is refused whole.
        connection.execute_batch("PRAGMA writable_schema = ON")?;
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0)).map(|_| connection)
    };
    if let Ok(connection) = Connection::open_with_flags(path, flags).and_then(ask) {
        return Ok((connection, None));
    }
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let connection = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).and_then(ask)?;
    let note = format!("{} was being written when its recorder ended: its journal was left out", path.display());
    Ok((connection, Some(note)))
}

fn names(connection: &Connection, topics: &mut BTreeMap<String, Topic>) -> rusqlite::Result<BTreeMap<i64, String>> {
    let mut statement = connection.prepare("SELECT id, name, type, serialization_format FROM topics")?;
    let mut rows = statement.query([])?;
    let mut names = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
        topics.insert(name.clone(), Topic { message_type: row.get(2)?, encoding: row.get(3)?, messages: 0 });
        names.insert(id, name);
    }
    Ok(names)
}

fn list(connection: &Connection, found: &mut Vec<(Stamp, i64, i64)>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT timestamp, id, topic_id FROM messages NOT INDEXED")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found.push((Stamp(row.get(0)?), row.get(1)?, row.get(2)?));
    }
    Ok(())
}

impl Storage for SqliteFile {
    fn topics(&self) -> &BTreeMap<String, Topic> {
        &self.topics
    }

    fn span(&self) -> Option<(Stamp, Stamp)> {
        Some((self.rows.first()?.0, self.rows.last()?.0))
    }

    fn messages<'a>(&'a self, topics: &[String]) -> io::Result<Reading<'a>> {
        let topics = topics.to_vec();
        let wanted = self.rows.iter().filter_map(move |&(log_time, id, topic)| {
            let name = self.names.get(&topic).filter(|name| topics.contains(name))?;
            Some((log_time, id, name.clone()))
        });
        let read = move |(number, (log_time, id, topic)): (usize, (Stamp, i64, String))| {
            let data = self.data(id).map_err(|error| Flaw(error.to_string()))?;
            Ok(Stored { log_time, number: number as u64, topic, data })
        };
        Ok(Box::new(wanted.enumerate().map(read).chain(self.flaw.clone().map(|what| Err(Flaw(what))))))
    }

    fn note(&self) -> Option<String> {
        self.note.clone()
    }
}
