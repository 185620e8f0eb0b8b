//! The model bundle: a folder that describes itself and is checked before a weight of it is used.
//!
//! [`Bundle::open`] reads the manifest, refuses whatever the rest of the program could not honour, and compares every
//! file with its hash, but for the stages: those may be gigabytes that a budget never lets run, so each is compared when
//! it is loaded. What only the graphs know (the shapes of their inputs) is compared by the engine then, too.

mod check;
mod manifest;
mod schema_1;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use manifest::{
    CameraSource, CameraSpec, Crop, Dimension, Embodiment, GripperSpec, Manifest, Media, Part, Parts, Resize, SCHEMA,
    Text,
};

/// A bundle whose manifest holds together and whose files are the ones it names.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// SHA-256 of `manifest.json`: since the manifest holds every file's hash, this names the bundle.
    pub hash: String,
}

/// Why a folder is not a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// No such folder.
    #[error("there is no folder {0}; a bundle is a folder with a manifest.json")]
    NoFolder(PathBuf),
    /// A file that must be there cannot be read.
    #[error("{what}: {source}; export the bundle again or copy it whole\nfile: {path}")]
    Unreadable {
        /// What was looked for.
        what: String,
        /// What the system says.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// `manifest.json` is not a manifest.
    #[error("the manifest does not read: {source}; models/README.md describes every field\nfile: {path}")]
    Syntax {
        /// What the parser says, with line and column.
        source: serde_json::Error,
        /// Where.
        path: PathBuf,
    },
    /// Another version of the format.
    #[error(
        "the manifest has schema {found}, this deer_vla reads schema 1 to {SCHEMA}; export the bundle with a matching deer_lab"
    )]
    Schema {
        /// What the manifest says.
        found: serde_json::Value,
    },
    /// A file's bytes are not the ones that were exported.
    #[error(
        "{file} has sha256 {found}, the manifest says {expected}; the file was changed or cut short, copy the bundle again"
    )]
    Hash {
        /// The file.
        file: String,
        /// Its hash.
        found: String,
        /// The manifest's.
        expected: String,
    },
    /// A file is not as long as the one that was exported.
    #[error("{file} has {found} bytes, the manifest says {expected}; the file was cut short, copy the bundle again")]
    Size {
        /// The file.
        file: String,
        /// Its length.
        found: u64,
        /// The manifest's.
        expected: u64,
    },
    /// A value that cannot be honoured.
    #[error("manifest: {field} is {found}, expected {expected}")]
    Value {
        /// Where in the manifest.
        field: String,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: String,
    },
}

impl Bundle {
    /// Opens the bundle in `folder` and checks it: of stages the files' sizes, of all else the hashes, too.
    ///
    /// # Errors
    /// [`BundleError`]: each says what was found next to what was expected.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, BundleError> {
        let folder = folder.as_ref().to_path_buf();
        if !folder.is_dir() {
            return Err(BundleError::NoFolder(folder));
        }
        let path = folder.join("manifest.json");
        let bytes = fs::read(&path).map_err(|source| BundleError::Unreadable {
            what: "no manifest.json".into(),
            source,
            path: path.clone(),
        })?;
        let manifest = parse(&bytes, &path)?;
        check::manifest(&manifest)?;
        let bundle = Self { folder, manifest, hash: format!("{:x}", Sha256::digest(&bytes)) };
        let stages: Vec<&str> = bundle.manifest.parts.stages.iter().map(|part| stem(&part.file)).collect();
        for name in bundle.manifest.files.keys() {
            if stages.contains(&stem(name)) { bundle.compare_size(name)? } else { bundle.compare_hash(name)? }
        }
        Ok(bundle)
    }

    /// Compares the files of stage `k` with their hashes: its graph, and what else has the graph's name.
    ///
    /// # Errors
    /// [`BundleError::Hash`], [`BundleError::Unreadable`].
    pub fn verify_stage(&self, k: usize) -> Result<(), BundleError> {
        let Some(part) = self.manifest.parts.stages.get(k) else { return Ok(()) };
        self.manifest.files.keys().filter(|name| stem(name) == stem(&part.file)).try_for_each(|n| self.compare_hash(n))
    }

    fn compare_size(&self, name: &str) -> Result<(), BundleError> {
        let path = self.path(name);
        let found = fs::metadata(&path).map_err(|source| unreadable(name, &path, source))?.len();
        let expected = self.manifest.files[name].bytes;
        if found == expected { Ok(()) } else { Err(BundleError::Size { file: name.into(), found, expected }) }
    }

    fn compare_hash(&self, name: &str) -> Result<(), BundleError> {
        let path = self.path(name);
        let found = hash_file(&path).map_err(|source| unreadable(name, &path, source))?;
        let expected = self.manifest.files[name].sha256.clone();
        if found == expected { Ok(()) } else { Err(BundleError::Hash { file: name.into(), found, expected }) }
    }

    /// Where a file of the bundle lies.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}

/// The schema is looked at first: a newer manifest should be told its version, not its first unknown field.
fn parse(bytes: &[u8], path: &Path) -> Result<Manifest, BundleError> {
    let syntax = |source| BundleError::Syntax { source, path: path.to_path_buf() };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(syntax)?;
    let schema = value.get("schema").cloned().unwrap_or_default();
    match schema.as_u64() {
        Some(1) => return serde_json::from_value(schema_1::upgraded(value)).map_err(syntax),
        Some(schema) if schema == u64::from(SCHEMA) => (),
        _ => return Err(BundleError::Schema { found: schema }),
    }
    // From the text again: its errors carry line and column.
    serde_json::from_slice(bytes).map_err(syntax)
}

/// A graph and its weights have one name but for the ending.
fn stem(file: &str) -> &str {
    file.split_once('.').map_or(file, |(stem, _)| stem)
}

fn unreadable(name: &str, path: &Path, source: io::Error) -> BundleError {
    BundleError::Unreadable { what: format!("{name} is named in the manifest"), source, path: path.into() }
}

fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(format!("{:x}", hasher.finalize())),
            read => hasher.update(&chunk[..read]),
        }
    }
}

/// Copies the toy's files into a folder, where a test may change them.
#[cfg(test)]
pub(crate) fn copy_toy(to: &Path) {
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
