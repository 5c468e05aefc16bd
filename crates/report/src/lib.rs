//! Turns journals into something to read: HTML, Markdown, JUnit, JSON.
//!
//! Map:
//! - [`read`]: a journal from bytes, tolerant of what other tools left out or wrote oddly;
//! - `summary`: what every format says about one drill, worked out once;
//! - [`html()`]: one self-contained page, with charts from `chart` (drawn with `svg`);
//! - [`markdown()`], [`junit()`], [`json()`];
//! - [`margin`]: the records of `firedrill margin`, in the same formats.
//!
//! A journal of the real Chaos Toolkit, without our measurements, is reported too; it gets no
//! verdict then, only what it says of itself: "completed, not deviated".
//!
//! Deliberately absent: files and the network (callers read and write), and any judging: a
//! report repeats the journal's numbers and never computes a verdict of its own.

mod chart;
pub mod html;
pub mod json;
pub mod junit;
pub mod margin;
pub mod markdown;
pub mod read;
mod summary;
mod svg;
mod times;
mod words;

pub use html::{HtmlOptions, html};
pub use json::json;
pub use junit::{JunitError, junit};
pub use markdown::markdown;
pub use read::{ReadError, read};
