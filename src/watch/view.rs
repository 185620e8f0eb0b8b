//! What a node looks like on a terminal.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{LineGauge, Paragraph, Wrap};

use super::state::{Status, Watched};

/// Columns of a row's name and of what stands behind its bar.
const NAME: u16 = 10;
const TOLD: u16 = 38;

/// Draws all of it at `now`, since the watching began.
pub fn draw(frame: &mut Frame<'_>, watched: &Watched, now: Duration) {
    let (exits, cameras) = (watched.exits(), watched.cameras());
    let rows = |count: usize| Constraint::Length(count as u16);
    let areas = Layout::vertical([
        rows(1),
        rows(2),
        rows(2),
        rows(exits + 1),
        rows(3),
        rows(cameras.len() + 1),
        Constraint::Min(0),
        rows(1),
    ]);
    let [title, sentence, why, exits_area, time, cameras_area, changes, keys] =
        areas.areas(frame.area().inner(ratatui::layout::Margin::new(1, 0)));
    frame.render_widget(headline(watched, now), title);
    let keys_line = Line::from("q or Ctrl-C ends the view; the node goes on").dim();
    frame.render_widget(keys_line, keys);
    let Some(decision) = &watched.decision else { return };
    let said = Some(decision.text("instruction")).filter(|text| !text.is_empty()).unwrap_or("no sentence yet");
    frame.render_widget(Paragraph::new(said.to_owned()).bold().wrap(Wrap { trim: true }), sentence);
    let reason = Paragraph::new(decision.message.clone()).fg(Color::Yellow).wrap(Wrap { trim: true });
    frame.render_widget(reason, why);
    draw_exits(frame, exits_area, watched, decision);
    draw_time(frame, time, watched, decision);
    draw_cameras(frame, cameras_area, watched, &cameras);
    let lines: Vec<Line<'_>> = watched.changes.iter().map(change).collect();
    frame.render_widget(Paragraph::new(lines), changes);
}

fn headline(watched: &Watched, now: Duration) -> Line<'static> {
    let name = Span::from(format!("{}  ", watched.node)).bold();
    if let Some(silence) = watched.silent(now) {
        let told = format!(
            "nothing heard for {:.0} s: is it running, in this domain, under this name?",
            silence.as_secs_f64()
        );
        return Line::from(vec![name, Span::from(told).fg(Color::Red)]);
    }
    let Some(decision) = &watched.decision else { return Line::from(vec![name, "listening…".into()]) };
    let state = Span::from(decision.text("state").to_owned()).style(state_style(decision.text("state")));
    let of =
        format!("  {}  epoch {}, step {}", decision.text("verdict"), decision.text("epoch"), decision.text("step"));
    Line::from(vec![name, state, of.into()])
}

fn state_style(state: &str) -> Style {
    let colour = match state {
        "active" => Color::Green,
        "fault" => Color::Red,
        "hold" => Color::Yellow,
        _ => Color::Cyan,
    };
    Style::new().fg(colour).add_modifier(Modifier::BOLD)
}

/// A row: a name, a bar that is full at 1, and what is told of it.
fn bar(frame: &mut Frame<'_>, area: Rect, row: u16, name: &str, share: f64, colour: Color, told: String) {
    if row >= area.height {
        return;
    }
    let row = Rect { y: area.y + row, height: 1, ..area };
    let [left, middle, right] =
        Layout::horizontal([Constraint::Length(NAME), Constraint::Min(8), Constraint::Length(TOLD)]).areas(row);
    frame.render_widget(name.to_owned(), left);
    let gauge = LineGauge::default().ratio(share.clamp(0.0, 1.0)).label("").filled_symbol("█").unfilled_symbol("·");
    frame.render_widget(gauge.filled_style(colour).unfilled_style(Color::DarkGray), middle);
    frame.render_widget(format!(" {told}"), right);
}

/// Shares of the last steps; behind them this step's deltas and limits.
fn draw_exits(frame: &mut Frame<'_>, area: Rect, watched: &Watched, decision: &Status) {
    let (deltas, limits) = (decision.list("deltas"), decision.list("thresholds"));
    let taken = decision.number("exit").map(|exit| exit as usize);
    for exit in 0..watched.exits() {
        let (share, _) = watched.share(exit);
        let delta = deltas.get(exit).map(|delta| match limits.get(exit).filter(|limit| limit.is_finite()) {
            Some(limit) => format!("delta {delta:.3} of {limit:.3}"),
            None => format!("delta {delta:.3}"),
        });
        let (mark, colour) = if taken == Some(exit) { ("◀", Color::LightBlue) } else { (" ", Color::Blue) };
        let told = format!("{:>4.0} % {mark} {}", share * 100.0, delta.unwrap_or_default());
        bar(frame, area, exit as u16, &format!("exit {exit}"), share, colour, told);
    }
}

/// A step's milliseconds against the control period.
fn draw_time(frame: &mut Frame<'_>, area: Rect, watched: &Watched, decision: &Status) {
    let Some(total) = decision.number("total_ms") else { return };
    let period = watched.period_ms();
    let share = period.map_or(0.0, |period| total / period);
    let colour = if share > 1.0 { Color::Red } else { Color::Green };
    let of = period.map_or_else(String::new, |period| format!(" of {period:.1}, the control period"));
    bar(frame, area, 0, "ms a step", share, colour, format!("{total:>5.1}{of}"));
    if decision.number("exit").is_none() || area.height < 2 {
        return;
    }
    let parts = format!(
        "{:NAME$}vision {:.1}, stages {:.1}, head {:.1}, the rest of the way {:.1}",
        "",
        decision.number("vision_ms").unwrap_or_default(),
        decision.list("stage_ms").iter().sum::<f64>(),
        decision.number("head_ms").unwrap_or_default(),
        decision.number("overhead_ms").unwrap_or_default(),
        NAME = NAME as usize,
    );
    frame.render_widget(Line::from(parts).dim(), Rect { y: area.y + 1, height: 1, ..area });
}

/// Ages of the pictures against three control periods, and what is wrong with a camera.
fn draw_cameras(frame: &mut Frame<'_>, area: Rect, watched: &Watched, cameras: &[(String, Option<f64>)]) {
    let most = watched.period_ms().map_or(f64::INFINITY, |period| 3.0 * period);
    for (row, (role, age)) in cameras.iter().enumerate() {
        let health = watched.health(&format!("Inputs/{role}"));
        let rate = health.map(|health| format!(", {} Hz", health.text("Actual frequency (Hz)"))).unwrap_or_default();
        let wrong = health.is_some_and(|health| health.level > 0);
        let colour = if wrong || age.is_none() { Color::Yellow } else { Color::Green };
        let told = age.map_or_else(|| "no picture yet".to_owned(), |ms| format!("{ms:>5.0} ms old{rate}"));
        bar(frame, area, row as u16, role, age.unwrap_or(0.0) / most, colour, told);
    }
}

fn change((stamp, status): &(f64, Status)) -> Line<'static> {
    let second = stamp.rem_euclid(86_400.0) as u64;
    let clock = format!("{:02}:{:02}:{:02}  ", second / 3600, second / 60 % 60, second % 60);
    let verdict = status.text("verdict").to_owned();
    let verdict = if verdict == "act" { verdict.fg(Color::Green) } else { verdict.fg(Color::Yellow) };
    Line::from(vec![clock.dim(), verdict, format!("  {}", status.message).into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Heard;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    const SECOND: Duration = Duration::from_secs(1);

    fn status(name: &str, message: &str, values: &[(&str, &str)]) -> Status {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Status { level: 0, name: name.into(), message: message.into(), hardware_id: "/deer_vla".into(), values }
    }

    fn act(exit: &str) -> Heard {
        let values = [
            ("stamp", "100.500"),
            ("verdict", "act"),
            ("state", "active"),
            ("epoch", "2"),
            ("step", "7"),
            ("instruction", "push the button"),
            ("stamp_static", "100.480"),
            ("stamp_gripper", "100.450"),
            ("exit", exit),
            ("deltas", "0.5 0.02"),
            ("thresholds", "0.1 0.05"),
            ("vision_ms", "2.0"),
            ("stage_ms", "1.5 1.5"),
            ("head_ms", "0.5"),
            ("total_ms", "6.0"),
            ("overhead_ms", "0.7"),
        ];
        Heard::Decision(status("deer_vla: decision", "", &values))
    }

    fn health() -> Heard {
        let policy = status("deer_vla: Policy", "", &[("exits taken", "5 6 7")]);
        let inference = status("deer_vla: Inference", "", &[("control period (ms)", "33.3")]);
        let camera = status("deer_vla: Inputs/static", "", &[("Actual frequency (Hz)", "30.1")]);
        let stranger =
            Status { hardware_id: "/other".into(), ..status("other: Policy", "", &[("exits taken", "1 1 1 1 1 1")]) };
        Heard::Diagnostics(vec![policy, inference, camera, stranger])
    }

    fn screen(watched: &Watched, now: Duration) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(100, 24)).unwrap();
        terminal.draw(|frame| draw(frame, watched, now)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..100).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..24).map(row).collect()
    }

    fn row<'a>(screen: &'a [String], word: &str) -> &'a str {
        screen.iter().find(|row| row.contains(word)).map_or_else(|| panic!("{word} in {screen:#?}"), String::as_str)
    }

    #[test]
    fn a_node_that_acts_shows_its_sentence_exits_time_and_cameras() {
        let mut watched = Watched::new("/deer_vla".into());
        watched.hear(health(), SECOND);
        for exit in ["1", "1", "1", "0"] {
            watched.hear(act(exit), SECOND);
        }
        let screen = screen(&watched, SECOND);
        assert!(row(&screen, "/deer_vla").contains("active  act  epoch 2, step 7"), "{screen:#?}");
        row(&screen, "push the button");
        let (first, second) = (row(&screen, "exit 0"), row(&screen, "exit 1"));
        assert!(first.contains("25 % ◀ delta 0.500 of 0.100") && second.contains("75 %"), "{first}\n{second}");
        assert!(second.matches('█').count() > 2 * first.matches('█').count(), "{first}\n{second}");
        row(&screen, "exit 2");
        assert!(screen.iter().all(|row| !row.contains("exit 3")), "another node's exits");
        assert!(row(&screen, "ms a step").contains("6.0 of 33.3"));
        row(&screen, "vision 2.0, stages 3.0, head 0.5");
        assert!(row(&screen, "static").contains("20 ms old, 30.1 Hz"), "{screen:#?}");
        assert!(row(&screen, "gripper").contains("50 ms old"), "{screen:#?}");
    }

    #[test]
    fn a_hold_shows_its_reason_and_stays_among_the_changes_when_it_is_over() {
        let mut watched = Watched::new("/deer_vla".into());
        let hold = [("stamp", "100.0"), ("verdict", "hold_estop"), ("state", "disarmed"), ("stamp_static", "")];
        watched.hear(Heard::Decision(status("deer_vla: decision", "the emergency stop is pressed", &hold)), SECOND);
        let holding = screen(&watched, SECOND);
        assert!(row(&holding, "hold_estop").contains("disarmed"));
        assert_eq!(holding.iter().filter(|row| row.contains("the emergency stop is pressed")).count(), 2);
        assert!(row(&holding, "static").contains("no picture yet"));
        watched.hear(act("0"), SECOND);
        let acting = screen(&watched, SECOND);
        assert_eq!(acting.iter().filter(|row| row.contains("the emergency stop is pressed")).count(), 1);
        assert!(row(&acting, "00:01:40").contains("act"), "{acting:#?}");
    }

    #[test]
    fn a_node_that_is_not_heard_is_told() {
        let mut watched = Watched::new("/deer_vla".into());
        assert!(row(&screen(&watched, SECOND), "/deer_vla").contains("listening"));
        assert!(row(&screen(&watched, 4 * SECOND), "/deer_vla").contains("nothing heard for 4 s"));
        watched.hear(act("0"), 4 * SECOND);
        assert!(row(&screen(&watched, 5 * SECOND), "/deer_vla").contains("active"));
        assert!(row(&screen(&watched, 9 * SECOND), "/deer_vla").contains("nothing heard for 5 s"));
    }
}
