//! Answers packets with a refusal: the peer is there, and does not want to.

use firedrill_kernel::nftables::{Action, IcmpReason, Transport};
use firedrill_undo::Primitive;
use serde_json::{Map, Value, json};

use super::filter::{self, Filter};
use super::rules;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, Parameter, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Reject::parse(arguments)?)),
};

const NAME: &str = "switching.reject";

const ANSWERS: &str = "auto, reset, port-unreachable, host-unreachable, no-route or prohibited";

/// `switching.reject`
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    filter: Filter,
    answer: Answer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answer {
    /// What a host without a listener would say: a reset to TCP, an ICMP error to the rest.
    #[default]
    Auto,
    /// TCP only.
    Reset,
    Icmp(IcmpReason),
}

impl Reject {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &filter::names(&["with", "percent"]));
        let filter = Filter::read_with_percent(&mut read);
        let answer = read.read("with", ANSWERS, |value| {
            Some(match value.as_str()? {
                "auto" => Answer::Auto,
                "reset" => Answer::Reset,
                "port-unreachable" => Answer::Icmp(IcmpReason::PortUnreachable),
                "host-unreachable" => Answer::Icmp(IcmpReason::HostUnreachable),
                "no-route" => Answer::Icmp(IcmpReason::NoRoute),
                "prohibited" => Answer::Icmp(IcmpReason::AdminProhibited),
                _ => return None,
            })
        });
        read.finish()?;
        Ok(Self {
            filter,
            answer: answer.unwrap_or_default(),
        })
    }
}

impl Disturbance for Reject {
    fn hosts(&self) -> Vec<String> {
        self.filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let reset = (Some(Transport::Tcp), Action::RejectReset);
        let actions = match self.answer {
            Answer::Auto => vec![
                reset,
                (None, Action::RejectIcmp(IcmpReason::PortUnreachable)),
            ],
            Answer::Reset => vec![reset],
            Answer::Icmp(reason) => vec![(None, Action::RejectIcmp(reason))],
        };
        rules::compile(&self.filter, &actions, site)
    }
}

fn entry() -> Entry {
    let mut parameters = vec![Parameter {
        name: "with",
        kind: ParameterKind::Choice,
        unit: None,
        bounds: Some(ANSWERS),
        default: Some(json!("auto")),
        required: false,
        summary: "auto answers TCP with a reset and the rest with port-unreachable",
    }];
    parameters.push(filter::percent_parameter());
    parameters.extend(filter::parameters("egress"));
    Entry {
        name: NAME,
        layer: "switching",
        summary: "answers packets with a TCP reset or an ICMP error",
        targets: rules::TARGETS.to_vec(),
        parameters,
        needs: rules::NEEDS.to_vec(),
        mechanisms: vec![rules::MECHANISM],
        recovery_path: rules::RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: "packets that the rules have rejected, as the kernel counts them",
        example: "port=5432 protocol=tcp",
    }
}
