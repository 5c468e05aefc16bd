//! What goes in and out of the engine.

use std::time::Duration;

use firedrill_experiment::call::{Call, KpiSource};
use firedrill_experiment::document::UndoClass;
use firedrill_experiment::journal::{
    Interruption, Journal, Measured, Phase, Run, Status, SteadyState,
};
use firedrill_judge::Window;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Names a request until its answer came.
pub type CallId = u64;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The answer to [`Effect::Call`]; also after a cancel, whose answer is ignored.
    CallEnded {
        id: CallId,
        outcome: Outcome,
    },
    /// A fault of ours is in place.
    FaultApplied {
        id: CallId,
    },
    /// A fault of ours ended, in whatever way; comes before its [`Event::CallEnded`].
    FaultEnded {
        id: CallId,
        report: FaultReport,
    },
    /// The answer to [`Effect::Control`].
    ControlEnded {
        id: CallId,
        reply: ControlReply,
    },
    /// Windows of a KPI, in order, never revised.
    Kpi {
        kpi: usize,
        window: Window,
    },
    /// The counters of the KPI began anew: what came just before is lost.
    KpiReset {
        kpi: usize,
        at: Duration,
    },
    /// The KPI's stream is over; nothing more comes.
    KpiEnded {
        kpi: usize,
        trouble: Option<String>,
    },
    Interrupted(Signal),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Succeeded(Value),
    /// The activity failed; the drill goes on.
    Failed(Failure),
    /// Something nobody expected; the drill aborts, as Chaos Toolkit does.
    Aborted(Failure),
    /// The activity itself asked for an end.
    Interrupted(Interruption),
}

/// Why an activity has no output. Never holds arguments, headers or secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub message: String,
    /// As the journal's `exception` wants them: each line ends in a newline.
    pub exception: Vec<String>,
}

impl Failure {
    /// An activity that failed, in the words Chaos Toolkit has for it.
    pub fn activity(message: impl Into<String>) -> Self {
        Self::raised("chaoslib.exceptions.ActivityFailed", message)
    }

    /// An exception that Chaos Toolkit would not have caught.
    pub fn raised(class: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            exception: vec![format!("{class}: {message}\n")],
            message,
        }
    }
}

impl Outcome {
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Failure::activity(message))
    }

    pub fn aborted(class: &str, message: impl Into<String>) -> Self {
        Self::Aborted(Failure::raised(class, message))
    }
}

/// What stops a drill from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGUSR1: stop now, rollbacks as the strategy says.
    ExitGracefully,
    /// SIGUSR2: stop now, no rollbacks.
    ExitNow,
    /// `firedrill halt`, or the guardian lost: undone already.
    Halt,
    /// The lease ran out; the guardian has undone everything, and played the rollbacks.
    Expired,
}

impl Signal {
    /// Whether the rollbacks must not be played, whatever the strategy says.
    pub fn forbids_rollbacks(self) -> bool {
        matches!(self, Self::ExitNow | Self::Expired)
    }
}

/// A fault from its application to its revert.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultReport {
    pub fault: String,
    pub mechanism: String,
    pub undo_class: UndoClass,
    pub targets: Vec<String>,
    pub requested: String,
    pub achieved: Option<String>,
    pub measured: Vec<Measured>,
    /// What else happened, in words: newcomers that were left alone, and why.
    pub notes: Vec<String>,
    /// The effect was measured on the target.
    pub observed: bool,
    /// Absent: it was never in place.
    pub applied: Option<Duration>,
    pub reverted: Option<Duration>,
    pub inject: Duration,
    pub revert: Option<Duration>,
    pub residue: Vec<String>,
    /// Refused, with the reason: nothing was touched.
    pub refused: Option<String>,
}

/// What Python controls made of the things they were shown; absent is unchanged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ControlReply {
    pub context: Option<Value>,
    pub state: Option<Value>,
    pub experiment: Option<Value>,
    pub configuration: Option<Value>,
    pub secrets: Option<Value>,
    pub interruption: Option<Interruption>,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Effect {
    Call {
        id: CallId,
        activity: String,
        call: Call,
        background: bool,
    },
    /// Stop this call; for a fault: revert it now.
    Cancel {
        id: CallId,
    },
    Control {
        id: CallId,
        request: ControlRequest,
    },
    /// Step again at this time at the latest. Replaces the one before.
    WakeAt(Duration),
    /// Streams that guardrails have of their own are counted on after the KPIs.
    StartKpi {
        kpi: usize,
        source: KpiSource,
    },
    StopKpi {
        kpi: usize,
    },
    /// From here on, a killed drill must have these rollbacks played. Replaces the ones before.
    ArmRollbacks(Armed),
    /// They were played, or will not be.
    DisarmRollbacks,
    Progress(Progress),
    Log(Level, String),
    Finished(Box<Journal>),
}

/// The rollbacks of a drill as its undo log keeps them: no secret in it, only names of secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Armed {
    /// As written, `${name}`s included.
    pub activities: Vec<Value>,
    pub configuration: Map<String, Value>,
    pub registered: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ControlRequest {
    pub hook: Hook,
    /// As written in the document or the settings.
    pub controls: Vec<Value>,
    pub context: Value,
    pub state: Option<Value>,
    pub experiment: Value,
    pub configuration: Value,
    pub secrets: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Configure,
    Cleanup,
    Before(Scope),
    After(Scope),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Experiment,
    Hypothesis,
    Method,
    Rollback,
    Activity,
}

impl Scope {
    pub fn name(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Hypothesis => "hypothesis",
            Self::Method => "method",
            Self::Rollback => "rollback",
            Self::Activity => "activity",
        }
    }
}

/// For people, progress bars and `--events-file`; without secrets.
#[derive(Debug, Clone)]
pub enum Progress {
    Started {
        title: String,
    },
    /// A phase of a drill with KPIs, and how long it will take, where that is known.
    Phase {
        phase: Phase,
        time: Option<Duration>,
    },
    HypothesisStarted {
        check: Check,
    },
    HypothesisChecked {
        check: Check,
        state: SteadyState,
    },
    MethodStarted,
    MethodEnded,
    ActivityStarted {
        activity: Value,
    },
    ActivityEnded {
        run: Box<Run>,
    },
    FaultApplied {
        name: String,
    },
    FaultReverted {
        name: String,
    },
    Recovered {
        took: Duration,
    },
    RollbacksStarted,
    RollbacksEnded,
    Stopped {
        signal: Option<Signal>,
    },
    Ended {
        status: Status,
        deviated: bool,
    },
}

/// When the hypothesis is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Before,
    /// Counted from 1.
    During {
        iteration: u64,
    },
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
}
