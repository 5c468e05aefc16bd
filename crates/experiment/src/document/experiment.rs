//! The top level of a document.

use std::time::Duration;

use serde_json::{Map, Value};

use super::activity::{Lowering, Role};
use super::reader::{Reader, nearest, not_one_of};
use super::{
    Activity, ActivityKind, Experiment, GuardedStream, Hypothesis, HypothesisStrategy, Provider,
    RollbackStrategy, RuntimeDefaults,
};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::node::Node;
use crate::parse::{self, Format};
use crate::path::Path;
use crate::python::is_true;
use crate::source::Source;

/// Whether Chaos Toolkit's validation applies, or only what a run cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    Strict,
    /// `--no-validation`, and documents that a control changed: broken rules are warnings.
    Lenient,
}

/// A document read: what could be made of it, and everything there is to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Absent when an error stands in its way. Present beside the single error
    /// [`Code::BlastRadiusMissing`], which the demo may overlook.
    pub experiment: Option<Experiment>,
    pub diagnostics: Diagnostics,
}

const KEYS: [&str; 22] = [
    "title",
    "description",
    "method",
    "version",
    "tags",
    "contributions",
    "configuration",
    "secrets",
    "steady-state-hypothesis",
    "rollbacks",
    "controls",
    "extensions",
    "runtime",
    "dry",
    "kpis",
    "expect",
    "recovery",
    "phases",
    "blast-radius",
    "guardrails",
    "margin",
    "canary",
];

impl Experiment {
    /// A document from its text.
    ///
    /// # Errors
    /// Every mistake in it, with its place. Warnings are given by [`Experiment::read`].
    pub fn parse(source: &Source, format: Format) -> Result<Self, Diagnostics> {
        Self::read(source, format, Strictness::Strict).into_result()
    }

    /// As [`Experiment::parse`], with the warnings and what could be made of it.
    pub fn read(source: &Source, format: Format, strictness: Strictness) -> Reading {
        match parse::parse(source, format) {
            Ok(node) => {
                let mut reading = Self::read_value(node.to_value(), strictness);
                place(&mut reading.diagnostics, &node);
                reading
            }
            Err(diagnostics) => Reading {
                experiment: None,
                diagnostics,
            },
        }
    }

    /// A document that has no text of its own: changed by a control, or built by a program.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn from_value(value: Value, strictness: Strictness) -> Result<Self, Diagnostics> {
        Self::read_value(value, strictness).into_result()
    }

    /// As [`Experiment::from_value`], with the warnings.
    pub fn read_value(value: Value, strictness: Strictness) -> Reading {
        let mut reader = Reader::new(strictness);
        let experiment = lower(value, &mut reader);
        let diagnostics = reader.diagnostics;
        let stands = diagnostics
            .errors()
            .all(|error| error.code == Code::BlastRadiusMissing);
        Reading {
            experiment: experiment.filter(|_| stands),
            diagnostics,
        }
    }

    /// Every activity of the document with its place: hypothesis, method, rollbacks, guardrails.
    pub fn activities(&self) -> Vec<(Path, &Activity)> {
        let root = Path::root();
        let probes = root.key("steady-state-hypothesis").key("probes");
        let hypothesis = self
            .hypothesis
            .iter()
            .flat_map(|hypothesis| &hypothesis.probes);
        let mut out = Vec::new();
        out.extend(
            hypothesis
                .enumerate()
                .map(|(at, probe)| (probes.index(at), probe)),
        );
        for (at, activity) in self.method.iter().enumerate() {
            let place = root.key("method").index(at);
            out.push((place.clone(), activity));
            out.extend(
                activity
                    .rollback
                    .iter()
                    .map(|inner| (place.key("rollback"), &**inner)),
            );
        }
        let rollbacks = self.rollbacks.iter().enumerate();
        out.extend(rollbacks.map(|(at, activity)| (root.key("rollbacks").index(at), activity)));
        let guardrails = root.key("guardrails");
        out.extend(self.guardrails.iter().map(|guardrail| {
            (
                guardrails.index(guardrail.at).key("probe"),
                &guardrail.probe,
            )
        }));
        out
    }

    /// Every guardrail on a KPI has a stream of its own from here on, as that KPI has: for whoever
    /// watches the KPIs otherwise.
    pub fn part_guardrails_from_kpis(&mut self) {
        for guardrail in &mut self.kpi_guardrails {
            if let GuardedStream::Kpi(kpi) = guardrail.watched
                && let Some(kpi) = self.kpis.get(kpi)
            {
                guardrail.watched = GuardedStream::Own(kpi.provider.clone());
            }
        }
    }

    /// Whether the document asks for a fault of ours.
    pub fn has_fault(&self) -> bool {
        self.activities()
            .iter()
            .any(|(_, activity)| matches!(activity.provider, Provider::Fault { .. }))
    }
}

impl Reading {
    /// # Errors
    /// Everything found, when any of it is an error.
    pub fn into_result(self) -> Result<Experiment, Diagnostics> {
        match self.experiment {
            Some(experiment) if !self.diagnostics.has_errors() => Ok(experiment),
            _ => Err(self.diagnostics),
        }
    }
}

/// Gives every diagnostic its place in the text, and puts them in the text's order.
fn place(diagnostics: &mut Diagnostics, node: &Node) {
    for item in diagnostics
        .items
        .iter_mut()
        .filter(|item| item.span.is_none())
    {
        item.span = Some(match item.code {
            Code::UnknownKey => node.span_of_key(&item.path),
            _ => node.span_of(&item.path),
        });
    }
    diagnostics.sort();
}

/// The document's mapping, if it is one.
fn top_level(value: Value, reader: &mut Reader) -> Option<Map<String, Value>> {
    let root = Path::root();
    if value.is_null() {
        reader.error(Code::Missing, &root, "the document is empty");
        return None;
    }
    let Value::Object(raw) = value else {
        reader.error(
            Code::Type,
            &root,
            "an experiment is a mapping with `title`, `description` and `method`",
        );
        return None;
    };
    if raw.is_empty() {
        reader.error(Code::Missing, &root, "the experiment is empty");
        return None;
    }
    Some(raw)
}

fn lower(value: Value, reader: &mut Reader) -> Option<Experiment> {
    let root = Path::root();
    let raw = top_level(value, reader)?;
    reader.known_keys(&raw, &root, &KEYS);
    check_nulls(&raw, reader);
    let title = reader.required_text(&raw, "title", &root, "an experiment needs a `title`");
    let description = reader.required_text(
        &raw,
        "description",
        &root,
        "an experiment needs a `description`",
    );
    let tags = tags(&raw, &root, reader);
    check_extensions(&raw, reader);
    let configuration = mapping(&raw, "configuration", reader);
    check_configuration(&configuration, reader);
    let secrets = mapping(&raw, "secrets", reader);
    check_secrets(&secrets, reader);
    let controls = super::control::controls(&raw, &root, reader);
    let runtime = runtime(&raw, reader);
    let lowering = Lowering::new(&raw);
    let hypothesis = hypothesis(&raw, &lowering, reader);
    if raw.get("method").is_none_or(Value::is_null) {
        reader.rule(
            Diagnostic::error(
                Code::Missing,
                &root.key("method"),
                "an experiment needs a `method`",
            )
            .hint("write `method: []` to check the hypothesis only"),
        );
    }
    let method = lowering.list(&raw, "method", &root, Role::Method, reader);
    let rollbacks = lowering.list(&raw, "rollbacks", &root, Role::Rollback, reader);
    super::control::check_references(&raw, reader);
    let ours = super::ours::read(&raw, &lowering, reader);
    let margins = super::margin::read(&raw, &method, &ours.kpis, reader);
    let canary = super::canary::read(&raw, &method, reader);
    let experiment = Experiment {
        title,
        description,
        tags,
        configuration,
        secrets,
        hypothesis,
        method,
        rollbacks,
        controls,
        runtime,
        kpis: ours.kpis,
        expect: ours.expect,
        recovery: ours.recovery,
        baseline: ours.baseline,
        blast_radius: ours.blast_radius,
        guardrails: ours.guardrails,
        kpi_guardrails: ours.kpi_guardrails,
        margins,
        canary,
        raw,
    };
    check_blast_radius(&experiment, reader);
    Some(experiment)
}

fn check_blast_radius(experiment: &Experiment, reader: &mut Reader) {
    if experiment.blast_radius.is_none() && experiment.has_fault() {
        reader.push(
            Diagnostic::error(
                Code::BlastRadiusMissing,
                &Path::root().key("blast-radius"),
                "a fault needs a `blast-radius`: how much it may touch, and for how long",
            )
            .hint("for example `blast-radius: {targets-max: 1, duration-max: 30s}`"),
        );
    }
}

/// Chaos Toolkit crashes on these.
fn check_nulls(raw: &Map<String, Value>, reader: &mut Reader) {
    const KEYS: [&str; 5] = [
        "steady-state-hypothesis",
        "rollbacks",
        "controls",
        "configuration",
        "secrets",
    ];
    for key in KEYS
        .into_iter()
        .filter(|key| raw.get(*key).is_some_and(Value::is_null))
    {
        reader.rule(
            Diagnostic::error(
                Code::Type,
                &Path::root().key(key),
                format!("`{key}` is null"),
            )
            .hint("leave it out"),
        );
    }
}

fn mapping(raw: &Map<String, Value>, key: &str, reader: &mut Reader) -> Map<String, Value> {
    match raw.get(key) {
        None | Some(Value::Null) => Map::new(),
        Some(value) => reader
            .map(value, &Path::root().key(key))
            .cloned()
            .unwrap_or_default(),
    }
}

/// Tags of an experiment or an activity.
pub(super) fn tags(raw: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Vec<String> {
    let path = path.key("tags");
    match raw.get("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(tag)) if !tag.is_empty() => {
            let message = "`tags` is a list of strings; this one string is taken as a single tag";
            reader.warning(Code::Type, &path, message);
            vec![tag.clone()]
        }
        Some(Value::Array(items)) => {
            let mut tags = Vec::new();
            for (at, item) in items.iter().enumerate() {
                match item {
                    Value::String(tag) if !tag.is_empty() => tags.push(tag.clone()),
                    _ => reader.rule(Diagnostic::error(
                        Code::Value,
                        &path.index(at),
                        "a tag is a string that is not empty",
                    )),
                }
            }
            tags
        }
        Some(other) => {
            if is_true(other) {
                reader.wrong_type(&path, "a list of strings", other);
            }
            Vec::new()
        }
    }
}

fn check_extensions(raw: &Map<String, Value>, reader: &mut Reader) {
    for (at, extension) in reader
        .list(raw, "extensions", &Path::root())
        .iter()
        .enumerate()
    {
        let path = Path::root().key("extensions").index(at);
        let name = extension
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if name.trim().is_empty() {
            let message = "an extension needs a `name` that is not empty";
            reader.rule(Diagnostic::error(Code::Missing, &path.key("name"), message));
        }
    }
    let contributions = raw.get("contributions").and_then(Value::as_object);
    for (name, value) in contributions.into_iter().flatten() {
        const LEVELS: [&str; 4] = ["high", "medium", "low", "none"];
        if !value.as_str().is_some_and(|value| LEVELS.contains(&value)) {
            let path = Path::root().key("contributions").key(name);
            let message = format!("a contribution is one of {}", LEVELS.join(", "));
            // Chaos Toolkit's library carries contributions without reading them.
            reader.warning(Code::Value, &path, message);
        }
    }
}

fn check_configuration(configuration: &Map<String, Value>, reader: &mut Reader) {
    for (name, value) in configuration {
        let path = Path::root().key("configuration").key(name);
        match value.get("type").and_then(Value::as_str) {
            Some("env") => check_env(value, &path, reader),
            Some("probe") => {
                let mut inner = Reader::new(Strictness::Lenient);
                super::activity::standalone(value, &path, &mut inner);
                for diagnostic in inner.diagnostics.items {
                    reader.push(diagnostic);
                }
            }
            _ => {}
        }
    }
}

fn check_env(entry: &Value, path: &Path, reader: &mut Reader) {
    const TYPES: [&str; 8] = [
        "str", "string", "int", "integer", "float", "number", "bytes", "bool",
    ];
    if !entry.get("key").is_some_and(Value::is_string) {
        let message = "an `env` entry needs `key`, the variable's name";
        reader.rule(Diagnostic::error(Code::Missing, &path.key("key"), message));
    }
    if let Some(kind) = entry.get("env_var_type").and_then(Value::as_str)
        && !TYPES.contains(&kind)
        && kind != "json"
    {
        let path = path.key("env_var_type");
        let names = [&TYPES[..], &["json"]].concat();
        reader.rule(not_one_of(&path, "type", kind, &names));
    }
}

fn check_secrets(secrets: &Map<String, Value>, reader: &mut Reader) {
    for (name, group) in secrets {
        let path = Path::root().key("secrets").key(name);
        let Some(entries) = group.as_object() else {
            reader.push(
                Diagnostic::error(Code::Type, &path, "a secret belongs to a group").hint(format!(
                    "write `secrets: {{group: {{{name}: …}}}}`; Chaos Toolkit crashes on this"
                )),
            );
            continue;
        };
        if entries.get("type").is_some_and(|kind| kind == "env") {
            reader.push(
                Diagnostic::warning(
                    Code::Surprise,
                    &path,
                    "a secret outside a group is never filled in",
                )
                .hint(format!(
                    "write `secrets: {{group: {{{name}: {{type: env, …}}}}}}`"
                )),
            );
            continue;
        }
        for (key, entry) in entries.iter().filter(|(_, entry)| entry.is_object()) {
            let path = path.key(key);
            match entry.get("type").and_then(Value::as_str) {
                Some("env") => {
                    check_env(entry, &path, reader);
                    if entry.get("default").is_some() {
                        let message = "a secret has no `default`; Chaos Toolkit ignores it";
                        reader.warning(Code::Surprise, &path.key("default"), message);
                    }
                }
                Some("vault") if entry.get("path").and_then(Value::as_str).is_none() => {
                    reader.rule(Diagnostic::error(
                        Code::Missing,
                        &path.key("path"),
                        "a `vault` secret needs its `path`",
                    ));
                }
                _ => {}
            }
        }
    }
}

fn runtime(raw: &Map<String, Value>, reader: &mut Reader) -> RuntimeDefaults {
    let path = Path::root().key("runtime");
    let Some(runtime) = raw.get("runtime").filter(|value| !value.is_null()) else {
        return RuntimeDefaults::default();
    };
    let Some(runtime) = reader.map(runtime, &path) else {
        return RuntimeDefaults::default();
    };
    reader.known_keys(runtime, &path, &["rollbacks", "hypothesis", "python"]);
    RuntimeDefaults {
        hypothesis: strategy(
            runtime,
            "hypothesis",
            &HypothesisStrategy::NAMES,
            &path,
            reader,
        ),
        rollbacks: strategy(
            runtime,
            "rollbacks",
            &RollbackStrategy::NAMES,
            &path,
            reader,
        ),
    }
}

fn strategy<T: Copy>(
    runtime: &Map<String, Value>,
    key: &str,
    names: &[(&'static str, T)],
    path: &Path,
    reader: &mut Reader,
) -> Option<T> {
    let path = path.key(key);
    let block = runtime.get(key).filter(|value| !value.is_null())?;
    let value = reader.map(block, &path)?.get("strategy")?;
    let path = path.key("strategy");
    let Some(found) = value.as_str() else {
        reader.wrong_type(&path, "the name of a strategy", value);
        return None;
    };
    let strategy = names
        .iter()
        .find(|(name, _)| *name == found)
        .map(|(_, strategy)| *strategy);
    if strategy.is_none() {
        let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        reader.push(not_one_of(&path, "strategy", found, &names));
    }
    strategy
}

impl HypothesisStrategy {
    /// As documents and `--hypothesis-strategy` spell them.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("default", Self::Default),
        ("before-method-only", Self::BeforeMethodOnly),
        ("after-method-only", Self::AfterMethodOnly),
        ("during-method-only", Self::DuringMethodOnly),
        ("continuously", Self::Continuously),
        // A slip Chaos Toolkit shipped with, and still takes.
        ("continously", Self::Continuously),
    ];
}

impl RollbackStrategy {
    /// As documents and `--rollback-strategy` spell them.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("default", Self::Default),
        ("always", Self::Always),
        ("never", Self::Never),
        ("deviated", Self::Deviated),
    ];
}

fn hypothesis(
    raw: &Map<String, Value>,
    lowering: &Lowering<'_>,
    reader: &mut Reader,
) -> Option<Hypothesis> {
    let path = Path::root().key("steady-state-hypothesis");
    let value = raw
        .get("steady-state-hypothesis")
        .filter(|value| !value.is_null())?;
    let map = reader.map(value, &path)?;
    reader.known_keys(map, &path, &["title", "probes", "controls"]);
    let title = reader.required_text(map, "title", &path, "a hypothesis needs a `title`");
    let probes = lowering.list(map, "probes", &path, Role::Hypothesis, reader);
    for (at, probe) in probes.iter().enumerate() {
        if probe.kind == ActivityKind::Action {
            let message = "an action in the hypothesis changes what it is meant to observe";
            reader.warning(
                Code::Surprise,
                &path.key("probes").index(at).key("type"),
                message,
            );
        }
    }
    let controls = super::control::controls(map, &path, reader);
    Some(Hypothesis {
        raw: map.clone(),
        title,
        probes,
        controls,
    })
}

/// How long KPIs are watched before anything is broken, unless `phases.baseline` says.
pub(super) const BASELINE_DEFAULT: Duration = Duration::from_secs(3);

/// The nearest known name, as a hint.
pub(super) fn did_you_mean<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(word, names).map(|name| format!("did you mean `{name}`?"))
}
