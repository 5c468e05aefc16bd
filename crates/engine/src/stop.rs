//! Why a drill does not go on, and what its journal says of it.

use firedrill_experiment::journal::Interruption;

use crate::effect::Signal;

/// Why a drill does not go on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stop {
    Signal(Signal),
    Interrupted(Interruption),
    /// A guardrail left its tolerance.
    Guardrail(Interruption),
    /// Nobody can see any more how the system is.
    Blind(String),
    /// The blast radius' budget of bad events is spent.
    Harm,
    Aborted(String),
}

impl Stop {
    /// A call that a signal ended stops the drill as that signal does.
    pub(crate) fn of(interruption: Interruption) -> Self {
        let name = interruption
            .name
            .as_deref()
            .filter(|_| interruption.kind == "signal");
        match name {
            Some("SIGINT") => Self::Signal(Signal::Interrupt),
            Some("SIGTERM") => Self::Signal(Signal::Terminate),
            Some("SIGUSR1") => Self::Signal(Signal::ExitGracefully),
            Some("SIGUSR2") => Self::Signal(Signal::ExitNow),
            _ => Self::Interrupted(interruption),
        }
    }

    /// The journal's `interruption`: Chaos Toolkit writes it for these two signals alone.
    pub(crate) fn recorded(&self) -> Option<Interruption> {
        let name = match self {
            Self::Signal(Signal::Interrupt) => "SIGINT",
            Self::Signal(Signal::Terminate) => "SIGTERM",
            _ => return None,
        };
        Some(Interruption {
            kind: "signal".into(),
            name: Some(name.into()),
            reason: format!("received {name}"),
        })
    }
}

pub(crate) fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Interrupt => "SIGINT (Ctrl-C)",
        Signal::Terminate => "SIGTERM",
        Signal::ExitGracefully => "SIGUSR1",
        Signal::ExitNow => "SIGUSR2, so the rollbacks are not played",
        Signal::Halt => "`firedrill halt`, or by the loss of its guardian",
        Signal::Expired => "the end of its lease: it did not run for too long, and was undone",
    }
}
