//! Open Chaos documents: parse, validate, substitute, and the journal a drill leaves.
//!
//! Map, in the order a document travels:
//!
//! | module | what it does |
//! |---|---|
//! | [`source`], [`diagnostic`] | text with lines and columns; a mistake, its place and its hint |
//! | [`parse`] | JSON and YAML 1.1 to [`node::Node`]s that know where they stand |
//! | [`document`] | the typed experiment, every mistake reported at once |
//! | [`scope`], [`substitute`] | configuration, secrets, registered outputs; `${name}` as Python's `string.Template` reads it |
//! | [`call`] | an activity with its variables filled in: what a provider executes |
//! | [`tolerance`], [`jsonpath`] | does this output satisfy that tolerance |
//! | [`units`], [`python`] | durations and sizes; Python's `str`, truth and `==`, which documents rely on |
//! | [`mask`] | secrets out of journals, logs and error texts |
//! | [`schema`], [`export`] | a JSON Schema for editors; the document as Chaos Toolkit runs it, unless that loses something |
//! | [`journal`] | the record of a drill: Chaos Toolkit's fields, and ours under `firedrill` |
//!
//! Pure: no file, socket, clock or randomness. Reading a file or URL, looking up a program in
//! `PATH`, importing a Python module and asking a vault are the runner's; whether a fault exists
//! and what it takes is the faults' own.

pub mod call;
pub mod diagnostic;
pub mod document;
pub mod export;
pub mod journal;
pub mod jsonpath;
pub mod mask;
pub mod node;
pub mod parse;
pub mod path;
pub mod python;
pub mod schema;
pub mod scope;
pub mod source;
pub mod substitute;
pub mod tolerance;
pub mod units;

pub use document::Experiment;
pub use parse::Format;
pub use scope::Scope;
pub use source::Source;
