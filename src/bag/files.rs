//! Which files make a recording: as `metadata.yaml` lists them, or as they lie there where it is missing or wrong.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::BagError;
use super::metadata::Metadata;

/// The files of a recording, and what its reader should know.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) paths: Vec<PathBuf>,
    pub(super) custom_data: BTreeMap<String, String>,
    pub(super) notes: Vec<String>,
}

impl Files {
    /// # Errors
    /// `Unreadable` or `NotABag`.
    pub(super) fn of(path: &Path) -> Result<Self, BagError> {
        if path.is_file() {
            return Ok(Self { paths: vec![path.to_path_buf()], ..Self::default() });
        }
        let there = there(path)?;
        let metadata = match Metadata::read(path) {
            Ok(metadata) => metadata,
            Err(why) => {
                if there.is_empty() {
                    let found = format!("a folder with neither an .mcap nor a .db3 file ({why})");
                    return Err(BagError::NotABag { found, path: path.to_path_buf() });
                }
                let notes = vec![format!("{why}: its files were taken by their names: {}", names(&there))];
                return Ok(Self { paths: there, notes, ..Self::default() });
            }
        };
        Self::listed(path, metadata, &there)
    }

    fn listed(folder: &Path, metadata: Metadata, there: &[PathBuf]) -> Result<Self, BagError> {
        let (mut found, mut missing) = (Self::default(), Vec::new());
        for file in metadata.files() {
            match on_disk(folder, file) {
                Some(path) => found.paths.push(path),
                None => missing.push(file.clone()),
            }
        }
        if found.paths.is_empty() {
            let found = format!("metadata.yaml lists {}, which are not there", names(&missing));
            return Err(BagError::NotABag { found, path: folder.to_path_buf() });
        }
        if !missing.is_empty() {
            let (missing, all) = (names(&missing), metadata.files().len());
            found.notes.push(format!("{missing} of the recording's {all} files are missing: the others were read"));
        }
        let strays: Vec<_> = there.iter().filter(|path| !found.paths.iter().any(|listed| same(listed, path))).collect();
        if !strays.is_empty() {
            found.notes.push(format!("{} were left out: metadata.yaml does not list them", names(&strays)));
        }
        found.custom_data = metadata.custom_data();
        Ok(found)
    }
}

/// The recordings at and below `places`, each once, in order: folders that hold a recording, and files. Hidden folders are
/// left out: a recording that is being written may lie in one.
///
/// # Errors
/// `Unreadable`, or `NotABag` where a place holds none.
pub fn find(places: &[PathBuf]) -> Result<Vec<PathBuf>, BagError> {
    let mut found: Vec<PathBuf> = Vec::new();
    for place in places {
        let mut here = Vec::new();
        walk(place, &mut here)?;
        if here.is_empty() {
            let (found, path) = ("no recording, and holds none".to_owned(), place.clone());
            return Err(BagError::NotABag { found, path });
        }
        here.retain(|recording| !found.contains(recording));
        found.extend(here);
    }
    Ok(found)
}

fn walk(place: &Path, found: &mut Vec<PathBuf>) -> Result<(), BagError> {
    if place.is_file() || place.join("metadata.yaml").is_file() || !there(place)?.is_empty() {
        found.push(place.to_path_buf());
        return Ok(());
    }
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let below = entries(place).map_err(|source| BagError::Unreadable { source, path: place.to_path_buf() })?;
    below.iter().filter(|path| path.is_dir() && !hidden(path)).try_for_each(|path| walk(path, found))
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = folder.read_dir()?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// The recorded files in a folder, in the order of their numbers. Of a file that is there plain and compressed the plain
/// one: a recorder that was killed while it compressed leaves both.
fn there(folder: &Path) -> Result<Vec<PathBuf>, BagError> {
    let unreadable = |source| BagError::Unreadable { source, path: folder.to_path_buf() };
    let mut files = entries(folder).map_err(unreadable)?;
    files.retain(|path| {
        let plain = plain(path);
        plain.extension().is_some_and(|e| e == "mcap" || e == "db3") && (plain == *path || !filled(&plain))
    });
    files.retain(|path| filled(path) || !packed(path).is_file());
    files.sort_by_key(|file| (split_number(&plain(file)), file.clone()));
    Ok(files)
}

/// Without `.zstd` at its end.
fn plain(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|e| e == "zstd") { path.with_extension("") } else { path.to_path_buf() }
}

/// With `.zstd` at its end.
fn packed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".zstd");
    name.into()
}

fn filled(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

/// 10 in `name_10.mcap`, so that it comes after `name_9.mcap`.
fn split_number(file: &Path) -> Option<u64> {
    file.file_stem()?.to_str()?.rsplit('_').next()?.parse().ok()
}

/// Where a listed file is: as listed; without the folder that old versions put before it; compressed or unpacked since.
fn on_disk(folder: &Path, listed: &Path) -> Option<PathBuf> {
    let bare = folder.join(listed.file_name()?);
    let unpacked = plain(&bare);
    let packed = packed(&bare);
    [folder.join(listed), bare, unpacked, packed].into_iter().find(|path| path.is_file())
}

fn same(one: &Path, other: &Path) -> bool {
    plain(one).file_name() == plain(other).file_name()
}

fn names(paths: &[impl AsRef<Path>]) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    paths.iter().map(|path| name(path.as_ref())).collect::<Vec<_>>().join(", ")
}
