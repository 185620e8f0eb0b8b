//! Finds and loads the ONNX Runtime library, and says which one it was.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use ort::environment::{Environment, GlobalThreadPoolOptions};

use super::Options;
use crate::engine::EngineError;

/// The ONNX Runtime in use.
#[derive(Clone)]
pub struct Library {
    /// Its file.
    pub path: PathBuf,
    /// Who named it.
    pub source: Source,
    /// Its version, or its own description of its build where that names none.
    pub version: String,
    pub(super) environment: Environment,
}

/// Who named the library, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The parameter `onnxruntime`.
    Parameter,
    /// `ORT_DYLIB_PATH`.
    Environment,
    /// The `onnxruntime` wheel of the ROS underlay or of the active virtual environment.
    Wheel,
    /// The system's dynamic linker.
    System,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Parameter => "parameter `onnxruntime`",
            Self::Environment => "ORT_DYLIB_PATH",
            Self::Wheel => "Python wheel",
            Self::System => "system",
        })
    }
}

/// ONNX Runtime allows one environment a process, whoever asks first.
static LOADED: OnceLock<Library> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

/// Loads the library on the first call; later calls get the same one.
pub(super) fn load(options: &Options) -> Result<Library, EngineError> {
    let _one_at_a_time = LOADING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(library) = LOADED.get() {
        return Ok(library.clone());
    }
    let candidates = candidates(options);
    let Some((path, source)) = candidates.iter().find(|(path, source)| *source == Source::System || path.exists())
    else {
        unreachable!("the system is always a candidate");
    };
    // A library that was named and is not there must not be replaced by another.
    if let Some((named, source)) = candidates.iter().find(|(_, s)| matches!(s, Source::Parameter | Source::Environment))
        && !named.exists()
    {
        return Err(refused(format!("{source} names {}, which does not exist", named.display()), &candidates));
    }
    let library = open(path, *source, options.threads).map_err(|reason| refused(reason, &candidates))?;
    Ok(LOADED.get_or_init(|| library).clone())
}

fn refused(reason: String, candidates: &[(PathBuf, Source)]) -> EngineError {
    let looked_in: Vec<_> = candidates.iter().map(|(path, source)| format!("{source} ({})", path.display())).collect();
    EngineError::Library { reason, looked_in: looked_in.join(", ") }
}

fn open(path: &Path, source: Source, threads: usize) -> Result<Library, String> {
    let builder = ort::init_from(path).map_err(|e| e.to_string())?;
    // Spinning threads would burn a robot's cores between two control steps.
    let pool = GlobalThreadPoolOptions::default()
        .with_intra_threads(threads)
        .and_then(|pool| pool.with_spin_control(false))
        .map_err(|e| e.to_string())?;
    let environment = builder
        .with_name("deer_vla")
        .with_telemetry(false)
        .with_global_thread_pool(pool)
        .build()
        .map_err(|e| e.to_string())?;
    Ok(Library { path: path.to_path_buf(), source, version: version(path, ort::info()), environment })
}

/// The release at the end of the file's own name (`libonnxruntime.so.1.31.1`), else in the library's description of
/// its build (`ORT Build Info: git-branch=rel-1.31.0, …`), else that description.
fn version(path: &Path, info: &str) -> String {
    let file = path.canonicalize().unwrap_or_else(|_not_a_path| path.to_path_buf());
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let of_file = name.split_once(".so.").map(|(_, version)| version).filter(|version| version.contains('.'));
    let of_build = info.split("git-branch=rel-").nth(1).and_then(|rest| rest.split([',', ' ']).next());
    of_file.or(of_build).unwrap_or(info).to_owned()
}

fn candidates(options: &Options) -> Vec<(PathBuf, Source)> {
    let named = options.library.iter().map(|path| (path.clone(), Source::Parameter));
    let environment = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    let environment = environment.map(|path| (PathBuf::from(path), Source::Environment));
    let prefixes = ["AMENT_PREFIX_PATH", "VIRTUAL_ENV"].into_iter().filter_map(env::var_os);
    let prefixes = prefixes.flat_map(|paths| env::split_paths(&paths).collect::<Vec<_>>());
    // Where pip puts what it installs outside an environment.
    let own = env::var_os("HOME").map(|home| PathBuf::from(home).join(".local"));
    let prefixes = prefixes.chain(own).chain([PathBuf::from("/usr/local")]);
    let wheels = prefixes.flat_map(|prefix| wheels(&prefix)).map(|path| (path, Source::Wheel));
    let system = (PathBuf::from("libonnxruntime.so"), Source::System);
    named.chain(environment).chain(wheels).chain([system]).collect()
}

/// `PREFIX/lib/python3.X/site-packages/onnxruntime/capi/libonnxruntime.so.VERSION`; Debian says `dist-packages`.
fn wheels(prefix: &Path) -> Vec<PathBuf> {
    let entries = |folder: PathBuf, start: &'static str| {
        let names = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let mut paths: Vec<_> =
            names.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(start))).collect();
        paths.sort();
        paths
    };
    entries(prefix.join("lib"), "python3")
        .into_iter()
        .flat_map(|python| ["site-packages", "dist-packages"].map(|packages| python.join(packages)))
        .flat_map(|packages| entries(packages.join("onnxruntime/capi"), "libonnxruntime.so"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_the_files_name_or_the_build_description() {
        let built = "ORT Build Info: git-branch=rel-1.31.0, git-commit-id=1, build type=Release";
        assert_eq!(version(Path::new("/x/libonnxruntime.so.1.24.2"), built), "1.24.2");
        assert_eq!(version(Path::new("libonnxruntime.so"), built), "1.31.0");
        assert_eq!(version(Path::new("/x/libonnxruntime.so.1"), "a build of one's own"), "a build of one's own");
    }

    #[test]
    fn a_wheel_is_found_under_a_prefix() {
        let prefix = tempfile::tempdir().unwrap();
        let found = ["dist-packages", "site-packages"].map(|packages| {
            let capi = prefix.path().join("lib/python3.11").join(packages).join("onnxruntime/capi");
            std::fs::create_dir_all(&capi).unwrap();
            std::fs::write(capi.join("libonnxruntime.so.1.31.0"), "").unwrap();
            std::fs::write(capi.join("libonnxruntime_providers_shared.so"), "").unwrap();
            capi.join("libonnxruntime.so.1.31.0")
        });
        assert_eq!(wheels(prefix.path()), [found[1].clone(), found[0].clone()]);
    }

    #[test]
    fn the_parameter_comes_first_and_the_system_last() {
        let options = Options { library: Some("/opt/x.so".into()), ..Options::default() };
        let candidates = candidates(&options);
        assert_eq!(candidates.first().map(|c| c.1), Some(Source::Parameter));
        assert_eq!(candidates.last().map(|c| c.1), Some(Source::System));
    }
}
