use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::value::{positive, some_time};

/// A three-zone shop on this machine, drills on it, the verdicts: the two-minute tour
///
/// Starts a shop in three zones (each its own loopback subnet), with a payments dependency and
/// `firedrill proxy` between them, then holds drills on it and writes a report. Needs no root and
/// touches nothing but the processes that it starts. The outcome is not scripted: change the shop,
/// and the verdicts change.
///
/// The proxy's interface (Toxiproxy's) is told; while the shop runs, toxics can be put on its
/// proxies `web` and `payments`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill demo                     the tour
  firedrill demo --instances 4       a bigger shop: does it survive more now?
  firedrill demo --secret-timeout    hide a time-out in the shop; a search finds it
  firedrill demo --keep              leave the shop running, and say what to try
  firedrill demo --stop              end the shop that --keep left")]
pub(crate) struct DemoArgs {
    /// Leave the shop running afterwards, and say what to try on it
    #[arg(long, conflicts_with = "stop")]
    pub(crate) keep: bool,
    /// End the shop that an earlier --keep left running
    #[arg(long)]
    pub(crate) stop: bool,
    /// Ask for the shop's time-out for payments (20ms to 600ms), hide it, and find it by a search
    ///
    /// Nothing else is shown: a shop with that time-out, a search that does not know it, both
    /// figures, and how many checkouts it took. Without a terminal the time-out is a line of the
    /// standard input.
    #[arg(long, conflicts_with_all = ["keep", "stop", "payments_timeout", "try_timeout"])]
    pub(crate) secret_timeout: bool,
    /// Chooses arrival times; the same seed chooses the same
    #[arg(long, value_name = "N", requires = "secret_timeout")]
    pub(crate) seed: Option<u64>,
    /// Where the report goes [default: firedrill-demo.html]
    #[arg(long, value_name = "PATH", conflicts_with = "no_report")]
    pub(crate) report: Option<PathBuf>,
    /// Write no report
    #[arg(long)]
    pub(crate) no_report: bool,
    /// Zones of the shop, 1 to 9
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "The shop")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(crate) zones: u32,
    /// Web instances per zone, 1 to 20
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "The shop")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) instances: u32,
    /// Checkouts per second that its customers ask for
    #[arg(
        long,
        value_name = "PER-SECOND",
        default_value_t = 250.0,
        help_heading = "The shop"
    )]
    #[arg(value_parser = positive)]
    pub(crate) rate: f64,
    /// The gateway's tries after the first, 0 to 10
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "The shop")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10))]
    pub(crate) retries: u32,
    /// How long an instance waits for payments before it carries on without
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "150ms",
        help_heading = "The shop"
    )]
    #[arg(value_parser = some_time)]
    pub(crate) payments_timeout: Duration,
    /// How long the gateway waits for one try
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "250ms",
        help_heading = "The shop"
    )]
    #[arg(value_parser = some_time)]
    pub(crate) try_timeout: Duration,
}
