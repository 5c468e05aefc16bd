use std::time::Duration;

use clap::Args;

use super::value::{KeyValue, some_time};

/// The catalogue of faults: parameters, limits, what each needs, how it is undone
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill faults
  firedrill faults infrastructure.process-pause")]
pub(crate) struct FaultsArgs {
    /// One fault, in full
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// One fault, now, always undone
///
/// Applies one fault to the targets chosen, holds it for the time given, takes it back, and compares
/// the host with what it was. A small guardian process undoes the fault even when this one is
/// killed.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill inject infrastructure.process-pause --target name=web --for 10s
  firedrill inject infrastructure.process-kill signal=TERM --target pid=4711 --for 5s
  firedrill inject infrastructure.process-pause --target label.zone=2 --percent 50 \\
      --targets-max 3 --for 30s
  firedrill inject switching.latency delay=50ms port=5432 --target namespace=db --for 30s
  firedrill inject application.latency proxy=http://127.0.0.1:8474 route=payments delay=80ms \
      --for 10s")]
pub(crate) struct InjectArgs {
    /// The fault, as `firedrill faults` names it
    #[arg(value_name = "FAULT")]
    pub(crate) fault: String,
    /// The fault's parameters
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) parameters: Vec<KeyValue>,
    /// How long, with its unit: 30s, 2m
    #[arg(long = "for", value_name = "DURATION", value_parser = some_time)]
    pub(crate) duration: Duration,
    /// What it hits: pid=N, name=NAME, command=PATTERN or label.KEY=VALUE (repeat to narrow);
    /// container=NAME, which also narrows processes; namespace=NAME, cgroup=PATH or host=true, which is meant where a fault can hit nothing else
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Target")]
    pub(crate) target: Vec<KeyValue>,
    /// Hit this many of those that match
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "percent",
        help_heading = "Target"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// Hit this share of those that match, rounded down
    #[arg(long, value_name = "PERCENT", help_heading = "Target")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) percent: Option<u8>,
    /// Chooses among those that match; the same seed chooses the same
    #[arg(long, value_name = "N", help_heading = "Target")]
    pub(crate) seed: Option<u64>,
    /// Refuse when more than this many would be hit
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        help_heading = "Blast radius"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) targets_max: u32,
    /// Faults of the whole host may hit containers of others that run on it
    #[arg(long, help_heading = "Blast radius")]
    pub(crate) exclusive_host: bool,
    /// Name the targets, and touch nothing
    #[arg(long, help_heading = "Blast radius")]
    pub(crate) dry: bool,
}
