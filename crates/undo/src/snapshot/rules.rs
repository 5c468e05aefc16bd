use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::{TableInfo, fingerprint, tables};

use super::Difference;

/// The nftables tables of a namespace, without those of Firedrill's drills.
#[derive(Debug, PartialEq)]
pub(super) struct RulesState {
    tables: BTreeMap<(u8, String), Table>,
}

#[derive(Debug, PartialEq)]
struct Table {
    /// Given once per namespace: another one under the same name has another.
    handle: u64,
    /// Chains, rules and sets, a line each; absent when there was no time to read them.
    lines: Option<Vec<String>>,
}

/// Reading thousands of rules takes many milliseconds, by which the effect would begin later.
/// Tables that are not read within this time are compared by their names only.
const READING_LIMIT: Duration = Duration::from_millis(1);

/// How many changed lines are told.
const TOLD: usize = 3;

impl RulesState {
    pub(super) fn read(namespace: &NetNamespace) -> Result<Self, KernelError> {
        let Some(namespace) = namespace.open()? else {
            return Ok(Self {
                tables: BTreeMap::new(),
            });
        };
        let mut socket = namespace.within(|| Socket::open(Protocol::Netfilter))?;
        let end = Instant::now() + READING_LIMIT;
        let mut all = BTreeMap::new();
        for TableInfo {
            family,
            name,
            handle,
            ..
        } in tables(&mut socket)?
        {
            if name.starts_with("firedrill-") {
                continue;
            }
            let lines = (Instant::now() < end)
                .then(|| fingerprint(&mut socket, family, &name))
                .transpose()?
                .map(|found| {
                    let lines = found.lines().iter();
                    let kept = lines.filter(|line| !line.starts_with("element of "));
                    kept.cloned().collect()
                });
            all.insert((family, name), Table { handle, lines });
        }
        socket.close_later();
        Ok(Self { tables: all })
    }

    pub(super) fn differences(&self, after: &Self, namespace: &NetNamespace) -> Vec<Difference> {
        let mut all = Vec::new();
        for ((family, name), table) in &self.tables {
            let what = what(*family, name, namespace);
            match after.tables.get(&(*family, name.clone())) {
                // A namespace that ended took everything along: see `read`.
                None if after.tables.is_empty() && !exists(namespace) => {}
                None => all.push(Difference::new(what, "it is gone")),
                Some(now) if now.handle != table.handle => {
                    all.push(Difference::new(what, "another one has taken its place"));
                }
                Some(now) => {
                    if let (Some(before), Some(after)) = (&table.lines, &now.lines)
                        && let Some(change) = change(before, after)
                    {
                        all.push(Difference::new(what, change));
                    }
                }
            }
        }
        for (family, name) in after.tables.keys() {
            if !self.tables.contains_key(&(*family, name.clone())) {
                all.push(Difference::new(
                    what(*family, name, namespace),
                    "it was not there",
                ));
            }
        }
        all
    }
}

fn what(family: u8, name: &str, namespace: &NetNamespace) -> String {
    let family = match family {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "other",
    };
    format!("the nftables table {family} {name} in {namespace}")
}

fn exists(namespace: &NetNamespace) -> bool {
    matches!(namespace.open(), Ok(Some(_)))
}

/// The beginnings of what came and went; `None` when nothing did.
fn change(before: &[String], after: &[String]) -> Option<String> {
    if before == after {
        return None;
    }
    let gone = before.iter().filter(|line| !after.contains(line)).count();
    let came = after.iter().filter(|line| !before.contains(line));
    let kinds: Vec<&str> = came
        .clone()
        .take(TOLD)
        .filter_map(|line| line.split(' ').next())
        .collect();
    Some(match (came.count(), gone) {
        (0, 0) => "its rules are in another order".into(),
        (came, 0) => format!("{came} lines came to it ({}, …)", kinds.join(", ")),
        (0, gone) => format!("{gone} lines of it went"),
        (came, gone) => format!("{came} lines came to it and {gone} went"),
    })
}
