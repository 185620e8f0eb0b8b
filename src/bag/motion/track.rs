//! A topic's values in the order of the clock that counts for it.

use crate::units::Stamp;

/// A moment on both clocks of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// When its newest picture was taken.
    pub stamp: Stamp,
    /// When that was recorded.
    pub log: Stamp,
}

/// A message's value and times; `header` is `None` where it has none, or 0.
#[derive(Debug)]
pub(super) struct Timed<T> {
    pub(super) header: Option<Stamp>,
    pub(super) log: Stamp,
    pub(super) value: T,
}

/// Whether the headers tell the time: a command from before the robot's clock ran has a stamp of 0 and is no reason to
/// leave the others' aside.
fn mostly_stamped<T>(values: &[Timed<T>]) -> bool {
    2 * values.iter().filter(|timed| timed.header.is_some()).count() > values.len()
}

/// How many of them a [`Track`] leaves out.
pub(super) fn unstamped<T>(values: &[Timed<T>], by_header: bool) -> usize {
    let without = values.iter().filter(|timed| timed.header.is_none()).count();
    if by_header && mostly_stamped(values) { without } else { 0 }
}

/// Values by time.
pub(super) struct Track<T> {
    by_header: bool,
    entries: Vec<(Stamp, T)>,
}

impl<T> Track<T> {
    /// By their headers where `by_header` and most messages have one, and then without those that have none; else by log
    /// times.
    pub(super) fn new(values: Vec<Timed<T>>, by_header: bool) -> Self {
        let by_header = by_header && mostly_stamped(&values);
        let time = |timed: &Timed<T>| if by_header { timed.header } else { Some(timed.log) };
        let entries = values.into_iter().filter_map(|timed| Some((time(&timed)?, timed.value)));
        let mut entries: Vec<(Stamp, T)> = entries.collect();
        entries.sort_by_key(|(at, _)| *at);
        Self { by_header, entries }
    }

    /// A moment on the clock of these values.
    pub(super) fn time(&self, when: When) -> Stamp {
        if self.by_header { when.stamp } else { when.log }
    }

    /// Half of the values are at least so far apart.
    pub(super) fn spacing_secs(&self) -> Option<f64> {
        let mut spaces: Vec<i64> = self.entries.windows(2).map(|pair| pair[1].0.0 - pair[0].0.0).collect();
        spaces.sort_unstable();
        match spaces.get(spaces.len() / 2) {
            Some(&space) => Some(space as f64 * 1e-9),
            None => (!self.entries.is_empty()).then_some(f64::INFINITY),
        }
    }

    /// The place of the first value after `at`.
    fn after(&self, at: Stamp) -> usize {
        self.entries.partition_point(|(time, _)| *time <= at)
    }

    /// The value nearest to `at`, no further than `most_secs`.
    pub(super) fn nearest(&self, at: Stamp, most_secs: f64) -> Option<&T> {
        let after = self.after(at);
        let near = self.entries.get(after.saturating_sub(1)..(after + 1).min(self.entries.len()))?;
        let (time, value) = near.iter().min_by_key(|(time, _)| (time.0 - at.0).abs())?;
        (time.secs_since(at).abs() <= most_secs).then_some(value)
    }

    /// The last value up to `at`.
    pub(super) fn last(&self, at: Stamp) -> Option<&T> {
        Some(&self.entries.get(self.after(at).checked_sub(1)?)?.1)
    }

    /// The values from `from` on and before `to`.
    pub(super) fn within(&self, from: Stamp, to: Stamp) -> impl Iterator<Item = &T> {
        let start = self.entries.partition_point(|(time, _)| *time < from);
        self.entries[start..].iter().take_while(move |(time, _)| *time < to).map(|(_, value)| value)
    }

    /// The values before and after `at`, no more than `apart` nanoseconds from one another, and how far between them it is,
    /// from 0 to 1.
    pub(super) fn around(&self, at: Stamp, apart: i64) -> Option<(&T, &T, f64)> {
        let after = self.after(at);
        let (start, before) = self.entries.get(after.checked_sub(1)?)?;
        if *start == at {
            return Some((before, before, 0.0));
        }
        let (end, after) = self.entries.get(after)?;
        let space = end.0 - start.0;
        (space <= apart).then(|| (before, after, (at.0 - start.0) as f64 / space as f64))
    }
}
