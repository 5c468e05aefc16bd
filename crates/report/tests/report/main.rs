#![expect(clippy::unwrap_used, reason = "a test’s own tools may fail loudly")]

mod formats;
mod hostile;
mod margin;
mod page;
mod sample;
