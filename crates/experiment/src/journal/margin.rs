//! What is kept of a margin: enough to go on, to show, and to check.

use firedrill_judge::margin::{Answer, Entry, Margin, Plotted, Question, TrialRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::units::Unit;

/// The version of this form.
pub const FORM: u32 = 1;

/// A search so far, as a file has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// [`FORM`].
    pub margin: u32,
    pub version: String,
    pub title: String,
    pub began: String,
    pub seed: u64,
    pub context: Context,
    /// Absent before what is normal was seen.
    pub question: Option<Question>,
    /// What the judge has been told, in order.
    pub journal: Vec<Entry>,
    pub trials: Vec<TrialReport>,
    /// What is known; absent before anything was asked.
    pub answer: Option<Answer>,
    /// Where the break point lies.
    pub plotted: Option<Plotted>,
    /// Why it ended without having come to its end.
    pub stopped: Option<Stopped>,
    /// The journal of the drill that held it: hypothesis, guardrails, controls, rollbacks.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub drill: Value,
}

/// Several dimensions of one document, as a file has them: those that were begun, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Table {
    /// [`FORM`].
    pub margins: u32,
    pub title: String,
    pub records: Vec<Record>,
}

/// What the answer holds for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Context {
    /// Of the dimension, where the document has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub activity: String,
    pub fault: String,
    pub target: Value,
    pub argument: String,
    /// What magnitudes are counted in.
    pub unit: Unit,
    pub kpi: String,
    /// Requests per second: as the generator sends them, or as a source of counters showed them
    /// before anything was broken. Absent before that.
    #[serde(default)]
    pub rate: Option<f64>,
    /// `live`, `synthetic` or `shadow`.
    pub traffic: String,
    /// Where the requests go, or where their counters are read.
    pub url: String,
    /// Who counts, in words; absent where the generator does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub node: String,
    /// What else the document names: version, replicas. Absent before they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Map<String, Value>>,
}

/// One trial, with what the fault did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrialReport {
    pub number: usize,
    pub trial: TrialRecord,
    /// Since the search began, in seconds: in place, and gone.
    pub applied: f64,
    pub reverted: f64,
    #[serde(default)]
    pub mechanism: String,
    pub achieved: Option<String>,
}

/// Why a search ended early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why", content = "text")]
pub enum Stopped {
    /// It was not well before anything was broken: the KPI, or what is said.
    Unhealthy(Option<String>),
    /// The fault was not allowed, or could not be made.
    Refused(String),
    /// A trial's fault had no effect that was seen, so the trial says nothing.
    NoEffect(String),
    /// The generator lagged, or whoever counts cannot be believed, or was not heard.
    Sensor(String),
    /// The traffic has grown so far that the budget cannot hold what is spent before it is seen.
    Traffic(String),
    /// What the answer would hold for is not what it was.
    ContextChanged(String),
    /// A guardrail broke.
    Guardrail(String),
    /// The drill that held the search found the system not well in the end.
    NotRecovered(String),
    /// From outside.
    Halted,
    /// What the fault did could not be taken back entirely.
    Residue(String),
    Failed(String),
}

impl Record {
    /// Nothing is left to try.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let end = self.search().and_then(|search| search.answer().end);
        self.stopped.is_none() && end.is_some()
    }

    /// Bad requests so far.
    #[must_use]
    pub fn bad_events(&self) -> u64 {
        self.search().map_or(0, |search| search.answer().bad_events)
    }

    /// The search as it stands; nothing before its question was settled.
    #[must_use]
    pub fn search(&self) -> Option<Margin> {
        let mut margin = Margin::new(self.question.clone()?).ok()?;
        margin.replay(&self.journal).ok()?;
        Some(margin)
    }

    /// What is known now.
    pub fn take(&mut self, margin: &Margin) {
        self.journal = margin.journal().to_vec();
        self.answer = Some(margin.answer());
        self.plotted = Some(margin.plotted());
    }
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unhealthy(None) => f.write_str("the KPI was not well before anything was broken"),
            Self::Unhealthy(Some(why)) => f.write_str(why),
            Self::Halted => f.write_str("it was stopped from outside"),
            Self::Refused(why)
            | Self::NoEffect(why)
            | Self::Sensor(why)
            | Self::Traffic(why)
            | Self::ContextChanged(why)
            | Self::Guardrail(why)
            | Self::NotRecovered(why)
            | Self::Residue(why)
            | Self::Failed(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests;
