//! Any bytes as a document, in both formats: reading it and working with it never panics.

#![no_main]

#[path = "../../crates/experiment/tests/shared/exercise.rs"]
mod exercise;

use firedrill_experiment::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        exercise::exercise(text, Format::Yaml);
        exercise::exercise(text, Format::Json);
    }
});
