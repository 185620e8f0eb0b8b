//! `deer_vla watch`: what does the node do right now?

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use deer_vla::ros::listener::Listener;
use deer_vla::watch::{Watched, draw};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};

/// So often the screen is drawn, and so soon a key is noticed.
const LOOK: Duration = Duration::from_millis(100);

/// Look at a running node: its sentence, state and reason, exits as bars, milliseconds against the period, cameras
///
/// It hears `~/decision` and `/diagnostics` and says nothing, so it may run beside anything, also over ssh. q or Ctrl-C ends it.
#[derive(Args)]
pub(crate) struct Watch {
    /// The node's full name
    #[arg(long, default_value = "/deer_vla", value_name = "NAME", value_parser = full_name)]
    node: String,
    /// ROS arguments of the view itself, such as --log-level warn
    #[arg(long, num_args = 0.., allow_hyphen_values = true, value_terminator = "--", value_name = "ARGS")]
    #[allow(dead_code, reason = "rcl reads them from the program's arguments itself")]
    ros_args: Vec<String>,
}

fn full_name(text: &str) -> Result<String, String> {
    let name = text.trim_end_matches('/');
    if name.starts_with('/') {
        Ok(name.to_owned())
    } else {
        Err("a full name, such as /deer_vla or /left/deer_vla".into())
    }
}

impl Watch {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut listener = Listener::new(&self.node)?;
        let mut watched = Watched::new(self.node.clone());
        let mut terminal = ratatui::try_init().context("no terminal to draw on; run it in one, also over ssh -t")?;
        let shown = look(&mut listener, &mut watched, &mut terminal);
        ratatui::restore();
        shown
    }
}

fn look(listener: &mut Listener, watched: &mut Watched, terminal: &mut ratatui::DefaultTerminal) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let drawn = Instant::now();
        while drawn.elapsed() < LOOK {
            let heard = listener.listen(LOOK.saturating_sub(drawn.elapsed()));
            heard.into_iter().for_each(|heard| watched.hear(heard, began.elapsed()));
        }
        terminal.draw(|frame| draw(frame, watched, began.elapsed()))?;
        while event::poll(Duration::ZERO)? {
            if let Event::Key(KeyEvent { code, modifiers, .. }) = event::read()?
                && (matches!(code, KeyCode::Char('q') | KeyCode::Esc)
                    || (code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL)))
            {
                return Ok(());
            }
        }
    }
}
