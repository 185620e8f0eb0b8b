//! `deer_vla`: looks at model bundles and recordings without ROS, and at a live graph with it.

mod bench;
mod budget;
#[cfg(feature = "bag")]
mod calibrate;
mod check;
mod cost;
mod doctor;
#[cfg(feature = "bag")]
mod frames;
#[cfg(feature = "bag")]
mod replay;
#[cfg(feature = "report")]
mod report;
mod setup;
mod solve;
#[cfg(feature = "bag")]
mod source;
#[cfg(feature = "tune")]
mod tune;
#[cfg(all(feature = "ros", feature = "watch"))]
mod watch;
#[cfg(not(all(feature = "bag", feature = "report", feature = "ros", feature = "tune", feature = "watch")))]
mod without;

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use anyhow::Context;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    version,
    about = "Looks at model bundles and recordings without ROS, and at a live graph with it.",
    after_help = "Exit codes: 0 done; 1 refused or failed, with the reason on stderr; 2 wrong arguments; 3 `replay --exit-code`: a decision differs; 130 interrupted."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Check(check::Check),
    Doctor(doctor::Doctor),
    #[cfg(feature = "bag")]
    Frames(frames::Frames),
    /// Not in this build: write what the policy would have seen
    #[cfg(not(feature = "bag"))]
    Frames(without::Without),
    #[cfg(feature = "bag")]
    Replay(replay::Replay),
    /// Not in this build: run the policy on a recording
    #[cfg(not(feature = "bag"))]
    Replay(without::Without),
    Bench(bench::Bench),
    #[cfg(feature = "bag")]
    Calibrate(calibrate::Calibrate),
    /// Not in this build: run every exit on demonstrations
    #[cfg(not(feature = "bag"))]
    Calibrate(without::Without),
    Solve(solve::Solve),
    #[cfg(feature = "tune")]
    Tune(tune::Tune),
    /// Not in this build: search the thresholds online
    #[cfg(not(feature = "tune"))]
    Tune(without::Without),
    #[cfg(feature = "report")]
    Report(report::Report),
    /// Not in this build: compare results, plot exits
    #[cfg(not(feature = "report"))]
    Report(without::Without),
    #[cfg(all(feature = "ros", feature = "watch"))]
    Watch(watch::Watch),
    /// Not in this build: look at a running node
    #[cfg(not(all(feature = "ros", feature = "watch")))]
    Watch(without::Without),
}

#[cfg(feature = "bag")]
impl Verb {
    /// A verb that does not look for Ctrl-C itself ends with a line that says what is left of it. What they write, they
    /// put in place at once.
    fn end_on_interrupt(&self) {
        let left = match self {
            Self::Bench(_) | Self::Check(_) | Self::Doctor(_) | Self::Solve(_) => "nothing was written",
            Self::Frames(_) => "there is no frames.json; the same command makes all anew",
            #[cfg(feature = "tune")]
            Self::Tune(_) => "the same command goes on from the last finished evaluation",
            #[cfg(feature = "report")]
            Self::Report(_) => "the same command makes the report anew",
            _ => return,
        };
        // Without it Ctrl-C ends the verb all the same, only without a word.
        let _ = ctrlc::set_handler(move || {
            eprintln!("deer_vla: interrupted; {left}");
            std::process::exit(INTERRUPTED.into());
        });
    }
}

/// Neither done nor failed: 1 and 2 mean that nothing was compared.
#[cfg(feature = "bag")]
const DIFFERENT: u8 = 3;

/// As a shell counts a program that SIGINT has ended.
#[cfg(feature = "bag")]
const INTERRUPTED: u8 = 130;

/// A verb that Ctrl-C has ended, and what is left of it.
#[cfg(feature = "bag")]
#[derive(Debug, thiserror::Error)]
#[error("interrupted; {0}")]
struct Interrupted(&'static str);

fn main() -> ExitCode {
    if let Err(error) = deer_vla::engine::ort::without_telemetry() {
        eprintln!("deer_vla: ONNX Runtime's telemetry could not be turned off: {error}");
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_unset| "error".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let verb = Cli::parse().verb;
    #[cfg(feature = "bag")]
    verb.end_on_interrupt();
    let done = match verb {
        Verb::Check(check) => check.run(),
        Verb::Doctor(doctor) => return doctor.run(),
        #[cfg(feature = "bag")]
        Verb::Frames(frames) => frames.run(),
        #[cfg(not(feature = "bag"))]
        Verb::Frames(without) => return without.refuse("frames", "bag"),
        #[cfg(feature = "bag")]
        Verb::Replay(replay) => match replay.run() {
            Ok(true) => return ExitCode::from(DIFFERENT),
            other => other.map(drop),
        },
        #[cfg(not(feature = "bag"))]
        Verb::Replay(without) => return without.refuse("replay", "bag"),
        Verb::Bench(bench) => bench.run(),
        #[cfg(feature = "bag")]
        Verb::Calibrate(calibrate) => calibrate.run(),
        #[cfg(not(feature = "bag"))]
        Verb::Calibrate(without) => return without.refuse("calibrate", "bag"),
        Verb::Solve(solve) => solve.run(),
        #[cfg(feature = "tune")]
        Verb::Tune(tune) => tune.run(),
        #[cfg(not(feature = "tune"))]
        Verb::Tune(without) => return without.refuse("tune", "tune"),
        #[cfg(feature = "report")]
        Verb::Report(report) => report.run(),
        #[cfg(not(feature = "report"))]
        Verb::Report(without) => return without.refuse("report", "report"),
        #[cfg(all(feature = "ros", feature = "watch"))]
        Verb::Watch(watch) => watch.run(),
        #[cfg(not(all(feature = "ros", feature = "watch")))]
        Verb::Watch(without) => return without.refuse("watch", "ros,watch"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the table may stop reading.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deer_vla: {}", sentence(&error));
            #[cfg(feature = "bag")]
            if error.is::<Interrupted>() {
                return ExitCode::from(INTERRUPTED);
            }
            ExitCode::FAILURE
        }
    }
}

/// Puts a file in place at once, so that nobody reads half of it. Its folder is made where there is none.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    fs::write(&new, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    fs::rename(&new, path).with_context(|| format!("{} cannot be replaced", path.display()))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// The error and its causes, less those that the one before has already told.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_hold_together() {
        Cli::command().debug_assert();
    }

    /// Commands of this program in a document's code: lines that stand alone, and spans in a sentence that say more than a
    /// verb. What leaves something out (…) is no command.
    #[cfg(all(feature = "bag", feature = "report", feature = "ros", feature = "tune", feature = "watch"))]
    fn commands(markdown: &str) -> Vec<String> {
        let whole = markdown.replace("\\\n", " ");
        let (fenced, sentences): (Vec<_>, Vec<_>) =
            whole.split("```").enumerate().partition(|(place, _)| place % 2 == 1);
        let lines = fenced.iter().flat_map(|(_, block)| block.lines());
        let lines = lines.map(|line| line.split(" #").next().unwrap_or(line).trim().to_owned());
        let spans = sentences.iter().flat_map(|(_, text)| text.split('`').skip(1).step_by(2));
        let spans = spans.map(|span| span.replace('\n', " ")).filter(|span| span.split_whitespace().count() > 2);
        let run = |line: String| line.trim_start_matches("ros2 run deer_vla ").to_owned();
        let ours = |line: &String| line.starts_with("deer_vla ") && !line.contains(['…', '|']);
        lines.chain(spans).map(run).filter(ours).collect()
    }

    /// A line's words as a shell takes them.
    #[cfg(all(feature = "bag", feature = "report", feature = "ros", feature = "tune", feature = "watch"))]
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for letter in line.chars() {
            match (quote, letter) {
                (Some(open), _) if open == letter => quote = None,
                (None, '"' | '\'') => quote = Some(letter),
                (None, ' ') => words.push(String::new()),
                _ => words.last_mut().unwrap().push(letter),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[cfg(all(feature = "bag", feature = "report", feature = "ros", feature = "tune", feature = "watch"))]
    #[test]
    fn every_command_in_the_documents_is_one() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut documents = vec![root.join("README.md"), root.join("lab/README.md"), root.join("models/README.md")];
        documents.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
        documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
        let mut count = 0;
        for document in documents {
            for command in commands(&fs::read_to_string(&document).unwrap()) {
                count += 1;
                // A sentence may name an option without all that its command needs.
                if let Err(error) = Cli::try_parse_from(words(&command))
                    && error.kind() != clap::error::ErrorKind::MissingRequiredArgument
                {
                    panic!("{}: {command}\n{error}", document.display());
                }
            }
        }
        assert!(count > 20, "{count} commands were found");
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("no such file").context("cannot be read: no such file").context("the bag");
        assert_eq!(sentence(&error), "the bag: cannot be read: no such file");
    }
}
