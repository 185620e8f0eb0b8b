//! Verbs that this program was built without.

use std::process::ExitCode;

use clap::Args;

/// Takes whatever the verb would have taken.
#[derive(Args)]
pub(crate) struct Without {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<String>,
}

impl Without {
    pub(crate) fn refuse(&self, verb: &str, feature: &str) -> ExitCode {
        eprintln!("deer_vla: this program was built without `{verb}`; build it with --features {feature}");
        ExitCode::from(2)
    }
}
