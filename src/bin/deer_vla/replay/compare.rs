//! What is decided now beside what was decided before, set of pictures by set of pictures.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use deer_vla::bundle::Manifest;
use deer_vla::report::{Quantiles, mean_macs};

use super::difference::{difference, rms};
use super::told::{Taken, Told, by_pictures};

/// Decisions before and now on the same pictures.
pub(super) struct Comparison<'a> {
    manifest: &'a Manifest,
    /// Where those before are from.
    origin: String,
    pairs: Vec<(Told, Told)>,
    /// Sets of pictures that were decided on before and not now, and the other way round. What lies before the first of
    /// the others, or after the last, was not recorded rather than left out.
    missing: Vec<Told>,
    added: Vec<Told>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(manifest: &'a Manifest, origin: String, before: Vec<Told>, now: Vec<Told>) -> Self {
        let (before, now) = (by_pictures(before), by_pictures(now));
        let span = |told: &[Told]| told.first().zip(told.last()).map(|(first, last)| first.when()..=last.when());
        let within = |told: &Told, others: &[Told]| span(others).is_some_and(|span| span.contains(&told.when()));
        let mut left: HashMap<_, _> = before.iter().map(|told| (told.pictures.clone(), told.clone())).collect();
        let (mut pairs, mut added) = (Vec::new(), Vec::new());
        for told in now.clone() {
            match left.remove(&told.pictures) {
                Some(was) => pairs.push((was, told)),
                None if within(&told, &before) => added.push(told),
                None => (),
            }
        }
        let missing =
            before.iter().filter(|told| left.contains_key(&told.pictures) && within(told, &now)).cloned().collect();
        Self { manifest, origin, pairs, missing, added }
    }

    fn side(&self, side: fn(&(Told, Told)) -> &Told) -> Side {
        // What exits of another bundle cost is not known here.
        let own = self.pairs.first().is_none_or(|pair| side(pair).bundle == pair.1.bundle);
        Side::of(own.then_some(self.manifest), self.pairs.iter().map(side))
    }

    /// How far apart the arm's actions are where both acted: root mean square over the six outputs.
    fn distances(&self) -> impl Iterator<Item = f64> {
        self.pairs.iter().filter_map(|(was, is)| Some(f64::from(rms(&was.step.as_ref()?.arm, &is.step.as_ref()?.arm))))
    }

    /// What differs first, and when, in seconds since the first set of pictures.
    fn first_difference(&self) -> Option<(f64, String)> {
        let start = self.pairs.first()?.0.when();
        self.pairs.iter().find_map(|(was, is)| Some((is.when().secs_since(start), difference(was, is)?)))
    }

    /// Whether every set of pictures was decided on both times, and alike.
    pub(super) fn same(&self) -> bool {
        let all = self.missing.is_empty() && self.added.is_empty() && !self.pairs.is_empty();
        all && self.first_difference().is_none()
    }

    /// The plot of both, beside the other results. Nothing, where the program was built without plots.
    pub(super) fn plot(&self, folder: &Path) -> anyhow::Result<()> {
        #[cfg(feature = "report")]
        if let Some((first, _)) = self.pairs.first() {
            let exit = |told: &Told| told.step.as_ref().map(|step| step.exit);
            let point = |(was, is): &(Told, Told)| deer_vla::report::Otherwise {
                secs: is.when().secs_since(first.when()),
                exits: [exit(was), exit(is)],
                distance: was.step.as_ref().zip(is.step.as_ref()).map(|(was, is)| f64::from(rms(&was.arm, &is.arm))),
            };
            let points: Vec<_> = self.pairs.iter().map(point).collect();
            deer_vla::report::plot_otherwise(&points, folder)?;
        }
        let _ = folder;
        Ok(())
    }
}

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nbefore: {}; {} sets of pictures that both decided on", self.origin, self.pairs.len())?;
        if self.pairs.is_empty() {
            return writeln!(f, "no set of pictures is in both: are they of the same recording?");
        }
        let (before, now) = (self.side(|pair| &pair.0), self.side(|pair| &pair.1));
        writeln!(f, "{:<34}{:>12}{:>12}", "", "before", "now")?;
        for (name, cells) in rows(&before, &now) {
            writeln!(f, "{name:<34}{:>12}{:>12}", cells[0], cells[1])?;
        }
        let both = self.distances().count();
        let exit = |told: &Told| told.step.as_ref().and_then(Taken::ran_to);
        let otherwise = self.pairs.iter().filter(|(was, is)| exit(was).zip(exit(is)).is_some_and(|(a, b)| a != b));
        writeln!(f, "another exit in {} of {both} steps", otherwise.count())?;
        if let Some(apart) = Quantiles::of(self.distances()) {
            let worst = self.distances().fold(0.0, f64::max);
            let Quantiles { median, p90, .. } = apart;
            writeln!(
                f,
                "actions apart, rms of six outputs from -1 to 1: median {median:.4}, p90 {p90:.4}, worst {worst:.4}"
            )?;
        }
        for (sets, what) in [(&self.missing, "before and not now"), (&self.added, "now and not before")] {
            if let Some(first) = sets.first() {
                writeln!(f, "{} sets decided on {what}; the first of {}: {}", sets.len(), first.when(), first.verdict)?;
            }
        }
        let bundle = |told: &Told| told.bundle.chars().take(12).collect::<String>();
        if let Some((was, is)) = self.pairs.first().filter(|(was, is)| was.bundle != is.bundle) {
            writeln!(f, "another bundle: its manifest's sha256 was {}…, is {}…", bundle(was), bundle(is))?;
        }
        match self.first_difference() {
            Some((secs, why)) => writeln!(f, "the first that differs, at {secs:.2} s: {why}"),
            None => writeln!(f, "no decision differs"),
        }
    }
}

/// One of the two.
struct Side {
    steps: usize,
    /// Holds by their reason.
    holds: BTreeMap<String, usize>,
    exits: Vec<u64>,
    skipped: u64,
    /// Mean multiply-accumulates a step: the language model's and the whole model's.
    macs: Option<(f64, f64)>,
    ms: Option<Quantiles>,
}

impl Side {
    /// With the manifest of their bundle, where that is known.
    fn of<'a>(manifest: Option<&Manifest>, told: impl Iterator<Item = &'a Told>) -> Self {
        let mut holds = BTreeMap::new();
        let (mut exits, mut skipped, mut looks) = (vec![0; manifest.map_or(0, |own| own.exits.len())], 0, Vec::new());
        let mut ms = Vec::new();
        for told in told {
            let Some(step) = &told.step else {
                *holds.entry(told.verdict.clone()).or_default() += 1;
                continue;
            };
            match step.ran_to() {
                Some(exit) => {
                    exits.resize(exits.len().max(exit + 1), 0);
                    exits[exit] += 1;
                }
                None => skipped += 1,
            }
            looks.resize(step.looks.len(), 0);
            looks.iter_mut().zip(&step.looks).for_each(|(looks, look)| *looks += u64::from(*look));
            ms.push(step.ms);
        }
        let steps = exits.iter().sum::<u64>() + skipped;
        let macs = manifest.filter(|_| steps > 0).map(|manifest| mean_macs(manifest, &exits, &looks, steps));
        let ms = Quantiles::of(ms.into_iter().filter(|ms| ms.is_finite()));
        Self { steps: steps as usize, holds, exits, skipped, macs, ms }
    }

    fn mean_exit(&self) -> f64 {
        let sum: u64 = self.exits.iter().zip(0..).map(|(&taken, exit): (&u64, u64)| exit * taken).sum();
        sum as f64 / self.exits.iter().sum::<u64>().max(1) as f64
    }
}

/// The table's rows.
fn rows(before: &Side, now: &Side) -> Vec<(String, [String; 2])> {
    let both = |cell: &dyn Fn(&Side) -> String| [cell(before), cell(now)];
    let ms = |side: &Side| side.ms.as_ref().map_or_else(|| "–".into(), |ms| format!("{:.2}", ms.median));
    let mut rows = vec![
        ("steps".to_owned(), both(&|side| side.steps.to_string())),
        ("holds".to_owned(), both(&|side| side.holds.values().sum::<usize>().to_string())),
    ];
    let mut reasons: Vec<&String> = before.holds.keys().chain(now.holds.keys()).collect();
    reasons.sort();
    reasons.dedup();
    for reason in reasons {
        rows.push((format!("  {reason}"), both(&|side| side.holds.get(reason).copied().unwrap_or(0).to_string())));
    }
    if before.skipped + now.skipped > 0 {
        rows.push(("  skipped".into(), both(&|side| side.skipped.to_string())));
    }
    rows.push(("mean exit".into(), both(&|side| format!("{:.2}", side.mean_exit()))));
    for exit in 0..before.exits.len().max(now.exits.len()) {
        rows.push((format!("  exit {exit}"), both(&|side| side.exits.get(exit).copied().unwrap_or(0).to_string())));
    }
    let gmac = |macs: Option<f64>| macs.map_or_else(|| "–".into(), |macs| format!("{:.4}", macs * 1e-9));
    rows.push(("language model, GMAC a step".into(), both(&|side| gmac(side.macs.map(|(llm, _)| llm)))));
    rows.push(("whole model, GMAC a step".into(), both(&|side| gmac(side.macs.map(|(_, whole)| whole)))));
    rows.push(("ms a step, median".into(), both(&ms)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use deer_vla::bundle::Bundle;

    #[test]
    fn a_step_that_is_skipped_and_a_camera_that_is_kept_cost_nothing_and_another_bundle_what_is_not_known() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy")).unwrap();
        let step = |reason: &str, looks: [bool; 2]| {
            let taken = Taken { exit: 1, reason: reason.into(), looks: looks.into(), ..Taken::default() };
            Told { step: Some(taken), ..Told::default() }
        };
        let told = [step("agreed", [true; 2]), step("agreed", [true, false]), step("skipped", [false; 2])];
        let side = Side::of(Some(&bundle.manifest), told.iter());
        assert_eq!((side.steps, side.skipped, side.mean_exit()), (3, 1, 1.0));
        let (llm, whole) = side.macs.unwrap();
        let parts = &bundle.manifest.parts.vision;
        assert_eq!(llm, 2.0 * bundle.manifest.macs_to(1) as f64 / 3.0);
        assert_eq!((whole - llm) * 3.0, (2 * parts[0].macs + parts[1].macs) as f64);
        let table = rows(&Side::of(None, told.iter()), &side);
        let row = |name: &str| table.iter().find(|(row, _)| row == name).unwrap().1.clone();
        assert_eq!(row("  skipped"), ["1", "1"]);
        assert_eq!(row("whole model, GMAC a step"), ["–".to_owned(), format!("{:.4}", whole * 1e-9)]);
    }
}
