//! Commands that Firedrill gives itself. They are dispatched before the command line is read, so
//! that nothing else happens in their processes; these definitions only keep them apart from typing
//! mistakes.

use clap::Args;

/// The process that undoes
#[derive(Debug, Clone, Args)]
pub(crate) struct GuardianArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<String>,
}

/// One process of the demo's shop
#[derive(Debug, Clone, Args)]
pub(crate) struct ShopArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<String>,
}
