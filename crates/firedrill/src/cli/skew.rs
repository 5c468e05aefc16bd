use std::ffi::OsString;

use clap::Args;

use super::value::offset;

/// Run a command whose clocks since boot are elsewhere
///
/// The command, and all that it starts, is in a time namespace of its own: CLOCK_MONOTONIC and
/// CLOCK_BOOTTIME are moved, so that time-outs, leases and uptimes are seen from another hour. The
/// wall clock is the same for all of a host; the fault `infrastructure.clock-skew` moves that one.
/// Nothing has to be undone: the namespace ends with its last process.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill skew --by 30d -- ./server --port 8080
  firedrill skew --monotonic 1h --boottime -10m -- cat /proc/uptime")]
pub(crate) struct SkewArgs {
    /// How far both clocks are moved; a leading minus moves them back
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = offset,
        allow_hyphen_values = true,
        required_unless_present_any = ["monotonic", "boottime"]
    )]
    pub(crate) by: Option<i64>,
    /// How far CLOCK_MONOTONIC is moved
    #[arg(long, value_name = "DURATION", value_parser = offset, allow_hyphen_values = true)]
    pub(crate) monotonic: Option<i64>,
    /// How far CLOCK_BOOTTIME is moved
    #[arg(long, value_name = "DURATION", value_parser = offset, allow_hyphen_values = true)]
    pub(crate) boottime: Option<i64>,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}
