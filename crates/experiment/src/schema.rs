//! The JSON Schema of documents, for editors: generated from the types in [`shape`].
//!
//! It describes what a document may say. What it cannot say (references, regular expressions,
//! JSONPaths) only validation knows.

pub mod shape;

use schemars::generate::SchemaSettings;
use serde_json::Value;

/// Draft 2020-12.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator
        .into_root_schema_for::<shape::Experiment>()
        .to_value()
}

#[cfg(test)]
mod tests;
