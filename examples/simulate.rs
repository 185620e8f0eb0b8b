//! Plays random schedules on the virtual clock, or tells one step by step:
//!
//! ```text
//! cargo run --example simulate -- --schedules 100000
//! cargo run --example simulate -- --seed 4711
//! ```

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use deer_vla::bundle::Bundle;
use deer_vla::session::simulator::{Broken, Schedule, judge, shrink, tell};
use indicatif::ProgressBar;

#[derive(Parser)]
struct Arguments {
    /// Tell this schedule step by step
    #[arg(long)]
    seed: Option<u64>,
    /// Play so many schedules
    #[arg(long, default_value_t = 100_000, conflicts_with = "seed")]
    schedules: u64,
    /// The first schedule's seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Failing schedules after which it stops
    #[arg(long, default_value_t = 1)]
    failures: usize,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy"))?;
    Ok(match arguments.seed {
        Some(seed) => told(seed, &bundle),
        None => played(&arguments, &bundle),
    })
}

fn told(seed: u64, bundle: &Bundle) -> ExitCode {
    let schedule = Schedule::draw(seed);
    println!("{:#?}", schedule.robot);
    let (lines, result) = tell(&schedule, bundle);
    for line in lines {
        println!("{:9.4} {}", line.at.as_secs_f64(), line.text);
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(broken) => {
            println!("{broken}");
            ExitCode::FAILURE
        }
    }
}

fn played(arguments: &Arguments, bundle: &Bundle) -> ExitCode {
    let (next, end) = (AtomicU64::new(arguments.from), arguments.from + arguments.schedules);
    let failed: Mutex<Vec<(u64, Broken)>> = Mutex::new(Vec::new());
    let began = Instant::now();
    let progress = ProgressBar::new(arguments.schedules);
    let full = || failed.lock().map_or(true, |failed| failed.len() >= arguments.failures);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || full() {
                        break;
                    }
                    progress.inc(1);
                    if let (Err(broken), Ok(mut failed)) = (judge(&Schedule::draw(seed), bundle), failed.lock()) {
                        failed.push((seed, broken));
                    }
                }
            });
        }
    });
    progress.finish_and_clear();
    let secs = began.elapsed().as_secs_f64();
    let played = next.load(Ordering::Relaxed).min(end) - arguments.from;
    let failed = failed.into_inner().unwrap_or_default();
    for (seed, broken) in &failed {
        println!("seed {seed}: {broken}");
    }
    if let Some((seed, broken)) = failed.iter().min_by_key(|(seed, _)| seed) {
        let shorter = shrink(&Schedule::draw(*seed), bundle, broken.invariant);
        println!("\nseed {seed}, shortened:\n{:#?}\n{:#?}", shorter.robot, shorter.incidents);
        println!("\nstep by step: cargo run --example simulate -- --seed {seed}");
    }
    println!("{played} schedules in {secs:.1} s ({:.0} a second), {} failed", played as f64 / secs, failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
