use std::fs;
use std::path::Path;

use firedrill_report::{HtmlOptions, html};

use crate::sample;

/// Left where a person can look at it.
fn keep(name: &str, page: &str) {
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), page).unwrap();
}

#[test]
fn a_page_shows_one_drill() {
    let page = html(&[sample::held()], &HtmlOptions::default());
    keep("held.html", &page);
    keep("broken.html", &html(&[sample::broken()], &HtmlOptions::default()));
    let several = [sample::held(), sample::broken(), sample::inconclusive(), sample::plain()];
    keep("several.html", &html(&several, &HtmlOptions::default()));
    keep("plain.html", &html(&[sample::plain()], &HtmlOptions::default()));
}
