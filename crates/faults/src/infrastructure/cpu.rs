//! Takes processor time from the host, or from the cgroup of a target; or throttles the target.

use std::path::PathBuf;

use firedrill_kernel::cgroup::{Cgroup, Controller, CpuQuota, Limit, LimitKind};
use firedrill_undo::{CgroupLimit, Primitive};
use firedrill_worker::Job;
use firedrill_worker::stress::CpuLoad;
use serde_json::{Map, Value, json};

use super::row::row;
use super::{Unfit, place, processors, worker};
use crate::FaultError;
use crate::arguments::{Arguments, PERCENT};
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, PlaceKey, Site};
use crate::target::Target;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Cpu::parse(arguments)?)),
};

const NAME: &str = "infrastructure.cpu";

const CORES: &str = "a whole number from 1 to 4096, or \"all\"";
const CPUS: &str = "a list of processor numbers, 0 to 1023";

const CONTROLLERS: [Controller; 2] = [Controller::Cpu, Controller::CpuAccounting];

/// `cpu_cfs_quota_us` of the kernel takes none below.
const QUOTA_LEAST_US: u64 = 1_000;

/// `infrastructure.cpu`
#[derive(Clone, Debug, PartialEq)]
pub enum Cpu {
    /// Threads that are busy for a share of the time.
    Load {
        percent: f64,
        /// `None`: one for each processor that may be used.
        cores: Option<u32>,
        cpus: Option<Vec<u32>>,
        ahead: bool,
    },
    /// The target keeps so many percent of what it may use now.
    Throttle { percent: f64 },
}

impl Cpu {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let names = ["percent", "cores", "cpus", "ahead", "throttle"];
        let mut read = Arguments::new(NAME, arguments, &names);
        let percent = read.percent("percent");
        let throttle = read.number("throttle", 0.1..=99.9, "a number from 0.1 to 99.9");
        let cores = read.read("cores", CORES, |value| match value {
            Value::String(all) if all == "all" => Some(None),
            number => {
                let cores = u32::try_from(number.as_u64()?).ok()?;
                (1..=4096).contains(&cores).then_some(Some(cores))
            }
        });
        let cpus = read.read("cpus", CPUS, cpus);
        let ahead = read.flag("ahead");
        if read.get("throttle").is_some() {
            for second in ["percent", "cores", "cpus", "ahead"] {
                if read.get(second).is_some() {
                    read.mistake(FaultError::Exclusive {
                        owner: NAME,
                        first: "throttle",
                        second,
                    });
                }
            }
            read.finish()?;
            return Ok(Self::Throttle {
                percent: throttle.unwrap_or_default(),
            });
        }
        let percent = read.require("percent", percent, "of one core, by each of `cores`");
        read.finish()?;
        Ok(Self::Load {
            percent,
            cores: cores.unwrap_or(if cpus.is_some() { None } else { Some(1) }),
            cpus,
            ahead: ahead.unwrap_or(false),
        })
    }
}

fn cpus(value: &Value) -> Option<Vec<u32>> {
    let mut cpus: Vec<u32> = value
        .as_array()?
        .iter()
        .map(|number| {
            u32::try_from(number.as_u64()?)
                .ok()
                .filter(|cpu| *cpu < 1024)
        })
        .collect::<Option<_>>()?;
    cpus.sort_unstable();
    cpus.dedup();
    (!cpus.is_empty()).then_some(cpus)
}

impl Disturbance for Cpu {
    /// A second worker in the same cgroup would double the load; a quota is the cgroup's already.
    fn place_of(&self, target: &Target) -> Result<Option<PlaceKey>, CompileError> {
        place::key(target, &CONTROLLERS).map(Some)
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let (percent, cores, cpus, ahead) = match self {
            Self::Throttle { percent } => return throttle(site, *percent),
            Self::Load {
                percent,
                cores,
                cpus,
                ahead,
            } => (*percent, *cores, cpus, *ahead),
        };
        let online = processors::online()?;
        let usable = cpus.as_ref().unwrap_or(&online);
        if let Some(cpu) = usable.iter().find(|cpu| !online.contains(cpu)) {
            return Err(Unfit::NoProcessor {
                cpu: *cpu,
                online: format!("{online:?}"),
            }
            .into());
        }
        let all = u32::try_from(usable.len()).unwrap_or(u32::MAX);
        let threads = cores.unwrap_or(all);
        if threads > all {
            return Err(Unfit::FewProcessors {
                cores: threads,
                usable: usable.len(),
            }
            .into());
        }
        let job = Job::Cpu(CpuLoad {
            percent,
            threads,
            cpus: cpus.clone(),
            ahead,
        });
        worker::one_in_each(place::places(site, &CONTROLLERS)?, &job)
    }
}

/// Cuts the quota of the targets' cgroups, each of which holds nobody else.
fn throttle(site: &Site<'_>, percent: f64) -> Result<Vec<Primitive>, CompileError> {
    let targets: Vec<u32> = site.processes().iter().map(|process| process.pid).collect();
    let mut cgroups: Vec<Cgroup> = Vec::new();
    for target in site.targets {
        let cgroup = match target {
            Target::Host | Target::Namespace(_) => return Err(Unfit::RootThrottled.into()),
            Target::Cgroup(path) => place::cgroup_at(path, &[Controller::Cpu])?,
            Target::Container(container) => {
                let pid = container.process.pid;
                let controller = "cpu";
                place::cgroup_of(pid, Controller::Cpu)?
                    .ok_or(Unfit::NoCgroup { pid, controller })?
            }
            Target::Process(process) => {
                let pid = process.identity.pid;
                let cgroup = place::cgroup_of(pid, Controller::Cpu)?;
                let cgroup = cgroup.ok_or(Unfit::NoCgroup {
                    pid,
                    controller: "cpu",
                })?;
                let members = cgroup.processes_below()?;
                if let Some(pid) = members.into_iter().find(|pid| !targets.contains(pid)) {
                    let cgroup = cgroup.path;
                    return Err(Unfit::Bystander { cgroup, pid }.into());
                }
                cgroup
            }
        };
        if !cgroups.contains(&cgroup) {
            cgroups.push(cgroup);
        }
    }
    cgroups
        .into_iter()
        .map(|cgroup| tighter(cgroup, percent))
        .collect()
}

fn tighter(cgroup: Cgroup, percent: f64) -> Result<Primitive, CompileError> {
    let is_root = |path: &PathBuf| {
        path.parent()
            .is_none_or(|above| !above.join("cgroup.procs").exists())
    };
    if is_root(&cgroup.path) {
        return Err(Unfit::RootThrottled.into());
    }
    if !cgroup.has(Controller::Cpu) {
        return Err(Unfit::NoController {
            path: cgroup.path,
            controller: "cpu",
        }
        .into());
    }
    let Limit::Cpu(before) = cgroup.limit(LimitKind::Cpu)? else {
        return Err(Unfit::NoController {
            path: cgroup.path,
            controller: "cpu",
        }
        .into());
    };
    let everything = before
        .period_us
        .saturating_mul(processors::online()?.len() as u64);
    let most = before.quota_us.unwrap_or(everything).min(everything);
    let quota_us = (most as f64 * percent / 100.0).round() as u64;
    if quota_us < QUOTA_LEAST_US {
        return Err(Unfit::QuotaTooSmall {
            cgroup: cgroup.path,
            percent,
            quota_us,
            least_us: QUOTA_LEAST_US,
        }
        .into());
    }
    Ok(Primitive::LimitCgroup(CgroupLimit {
        cgroup,
        limit: Limit::Cpu(CpuQuota {
            quota_us: Some(quota_us),
            period_us: before.period_us,
        }),
        before: None,
    }))
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "takes processor time from the host or a cgroup, or throttles the target itself",
        targets: place::TARGETS.to_vec(),
        parameters: vec![
            row(
                "percent",
                ParameterKind::Number,
                "how busy each of `cores` threads is; needed without `throttle`",
            )
            .unit("% of one core")
            .within(PERCENT),
            row(
                "cores",
                ParameterKind::Text,
                "threads; at most as many as there are processors to run on. As many as `cpus` where those are named",
            )
            .within(CORES)
            .or(json!(1)),
            row("cpus", ParameterKind::List, "the processors to run on").within(CPUS),
            row(
                "ahead",
                ParameterKind::Boolean,
                "go ahead of everything that is not realtime (nice -20), so that the share is met on processors that others want, too",
            )
            .or(json!(false)),
            row(
                "throttle",
                ParameterKind::Number,
                "instead of load: what the target keeps of what it may use now (its quota, or all processors); for cgroups, and processes that have theirs alone",
            )
            .unit("%")
            .within("0.1 to 99.9; without the other parameters"),
        ],
        needs: vec![
            worker::NEEDS_CGROUP,
            "for `ahead`: CAP_SYS_NICE",
            "for `throttle`: the cpu controller, and the right to write the cgroup's quota",
        ],
        mechanisms: vec![
            worker::MECHANISMS[0],
            "cpu.max (v2) or cpu.cfs_quota_us (v1) of the target's cgroup",
        ],
        recovery_path: "load: the worker dies with its guardian and at the end of the lease. Throttle: the guardian writes the quota back if it is still ours, or `firedrill recover` does; a reboot ends both",
        undo: UndoClass::Reversible,
        example: "percent=80 cores=all",
        observed_effect: "cores of processor time used, second by second, with its interval; for `throttle`, what the cgroup used, and that it was held back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<Cpu, FaultError> {
        Cpu::parse(value.as_object().unwrap())
    }

    #[test]
    fn one_core_unless_told_otherwise_and_all_named_processors() {
        let one = parse(json!({"percent": 50})).unwrap();
        assert!(matches!(one, Cpu::Load { cores: Some(1), .. }));
        let named = parse(json!({"percent": 50, "cpus": [1, 0, 1]})).unwrap();
        let Cpu::Load {
            cores: None, cpus, ..
        } = named
        else {
            panic!("{named:?}");
        };
        assert_eq!(cpus, Some(vec![0, 1]));
        let all = parse(json!({"percent": 50, "cores": "all"})).unwrap();
        assert!(matches!(all, Cpu::Load { cores: None, .. }));
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let error = parse(json!({"percent": 101, "cores": 0, "cpus": [], "ahead": 1})).unwrap_err();
        assert_eq!(error.each().len(), 4, "{error}");
        assert!(parse(json!({})).is_err());
        let both = parse(json!({"throttle": 20, "percent": 20})).unwrap_err();
        assert!(both.to_string().contains("not both"), "{both}");
        assert!(parse(json!({"throttle": 100})).is_err());
    }

    #[test]
    fn a_processor_that_is_not_there_and_too_many_cores_are_refused() {
        let compile = |value| parse(value).unwrap().compile(&Site::of(&[Target::Host]));
        let error = compile(json!({"percent": 1, "cpus": [1023]})).unwrap_err();
        assert!(error.to_string().contains("1023 is not online"), "{error}");
        let error = compile(json!({"percent": 1, "cores": 4096})).unwrap_err();
        assert!(error.to_string().contains("4096 cores"), "{error}");
        assert!(compile(json!({"throttle": 50})).is_err());
    }
}
