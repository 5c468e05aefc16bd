//! What can be said of each fault without having one: `firedrill faults` prints it.

mod page;

use serde::Serialize;
use serde_json::Value;

use crate::application::{self, http_error, reset};
use crate::fault::Kind;
use crate::infrastructure::{
    clock_skew, container_kill, container_pause, container_restart, container_stop, cpu, disk_fill,
    file_descriptors, host_end, inodes, io, memory, pids, process_kill, process_pause,
    process_signal, service_stop,
};
use crate::switching::{
    bandwidth, blackhole, connection_reset, corrupt, dns_block, dns_delay, dns_error, dns_spoof,
    duplicate, interface_down, latency, lb_drain, loss, partition, port_occupy, reject, reorder,
    stream, zone_evacuate,
};
use crate::target::TargetKind;

pub use page::page;

/// One fault of the catalogue.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// `layer.fault`, as documents name it.
    pub name: &'static str,
    pub layer: &'static str,
    pub summary: &'static str,
    /// What it can be aimed at.
    pub targets: Vec<TargetKind>,
    pub parameters: Vec<Parameter>,
    /// What the host must allow.
    pub needs: Vec<&'static str>,
    /// In the order in which they are tried.
    pub mechanisms: Vec<&'static str>,
    /// Who undoes it when its owner is dead.
    pub recovery_path: &'static str,
    pub undo: UndoClass,
    /// Parameters for the command line, to try it.
    pub example: &'static str,
    /// How the effect is seen, so that a drill never claims one that was not there.
    pub observed_effect: &'static str,
}

/// One parameter of a fault.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Parameter {
    pub name: &'static str,
    pub kind: ParameterKind,
    pub unit: Option<&'static str>,
    /// Allowed values, in words.
    pub bounds: Option<&'static str>,
    pub default: Option<Value>,
    pub required: bool,
    pub summary: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterKind {
    /// One of the words in `bounds`.
    Choice,
    Boolean,
    Number,
    /// A number of seconds, or a string with a unit: `250ms`.
    Duration,
    /// A number of bytes, or a string with a unit: `64MiB`.
    Size,
    Text,
    /// An object as `bounds` says.
    Object,
    /// One or a list of what `bounds` says.
    List,
    /// A list of words, or an object with `argv`, `cwd` and `env`.
    Command,
}

/// What becomes of an action's effect afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoClass {
    /// Taken back by the guardian.
    Reversible,
    /// What was killed is started again, by its restart command or its supervisor.
    Replaced,
    /// Nothing is known to bring it back; policy decides whether it may run.
    Irreversible,
}

/// Every kind of fault: layer by layer, by name within each.
pub(crate) const KINDS: &[Kind] = &[
    clock_skew::KIND,
    container_kill::KIND,
    container_pause::KIND,
    container_restart::KIND,
    container_stop::KIND,
    cpu::KIND,
    disk_fill::KIND,
    file_descriptors::KIND,
    host_end::REBOOT,
    host_end::SHUTDOWN,
    inodes::KIND,
    io::KIND,
    memory::KIND,
    pids::KIND,
    process_kill::KIND,
    process_pause::KIND,
    process_signal::KIND,
    service_stop::KIND,
    bandwidth::KIND,
    blackhole::KIND,
    connection_reset::KIND,
    corrupt::KIND,
    dns_block::KIND,
    dns_delay::KIND,
    dns_error::KIND,
    dns_spoof::KIND,
    duplicate::KIND,
    interface_down::KIND,
    latency::KIND,
    lb_drain::KIND,
    loss::KIND,
    partition::KIND,
    port_occupy::KIND,
    reject::KIND,
    reorder::KIND,
    stream::KIND,
    zone_evacuate::KIND,
    http_error::KIND,
    application::latency::KIND,
    reset::KIND,
];

/// Every fault, layer by layer.
#[must_use]
pub fn catalogue() -> Vec<Entry> {
    KINDS.iter().map(|kind| (kind.entry)()).collect()
}
