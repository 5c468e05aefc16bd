use std::fs;
use std::path::Path;

use firedrill_experiment::journal::Journal;
use firedrill_report::{HtmlOptions, html};

use crate::sample;

/// Makes the page and leaves it where a person can look at it.
fn page(name: &str, journals: &[Journal]) -> String {
    let page = html(journals, &HtmlOptions::default());
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), &page).unwrap();
    page
}

fn several() -> [Journal; 4] {
    [
        sample::held(),
        sample::broken(),
        sample::inconclusive(),
        sample::plain(),
    ]
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let page = page("several.html", &several());
    for outside in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "src=",
        "url(",
        "@import",
        "href=\"http",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_page_knows_both_colour_schemes_and_paper() {
    let page = page("held.html", &[sample::held()]);
    for part in [
        "prefers-color-scheme: dark",
        "@media print",
        "@media (max-width",
        "name=\"viewport\"",
        "content=\"light dark\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn one_drill_has_its_verdict_evidence_charts_and_origin() {
    let page = page("broken.html", &[sample::broken()]);
    for part in [
        "Broken</p>",
        "Orders failed: at most 83.1 % succeeded",
        "Faults: requested and achieved",
        "2 processes stopped for 18 s",
        "2 of 2 frozen after 3.1 ms",
        "Requests per second",
        "Latency, log scale",
        "class=\"shade\"",
        "KPI orders, by phase",
        "≥ 72.2 %",
        "Latency distribution",
        "an order can be placed",
        "[200,201]",
        "drain the order queue",
        "only the document&#39;s rollbacks know how",
        "limit 10 s",
        "9f2c4e7a1b6d8035",
        "How this was made",
    ] {
        let found = page.contains(part) || page.contains(&part.replace("&#39;", "'"));
        assert!(found, "{part}");
    }
}

#[test]
fn every_picture_has_a_name_for_those_who_do_not_see_it() {
    let page = page("held.html", &[sample::held()]);
    for picture in page.split("<svg").skip(1) {
        let tag = picture.split('>').next().unwrap();
        assert!(
            tag.contains("aria-label=") || tag.contains("aria-hidden=\"true\""),
            "{tag}"
        );
    }
}

#[test]
fn several_drills_begin_with_a_summary_that_links_to_each() {
    let page = page("several.html", &several());
    assert!(page.contains("<h1>4 drills</h1>"));
    for i in 1..=4 {
        assert!(
            page.contains(&format!("href=\"#drill-{i}\""))
                && page.contains(&format!("id=\"drill-{i}\""))
        );
    }
    assert!(page.contains("Completed, not deviated"));
    assert!(page.contains("&lt;b&gt;vanishes&lt;/b&gt;"));
}

#[test]
fn a_journal_of_chaos_toolkit_gets_no_verdict_of_ours() {
    let page = page("plain.html", &[sample::plain()]);
    assert!(page.contains("Completed, not deviated"));
    assert!(page.contains("no verdict can be given"));
    assert!(!page.contains("Held"));
}

#[test]
fn repetitions_of_an_activity_share_a_row_of_the_timeline() {
    let mut journal = sample::held();
    journal.run.extend(vec![journal.run[1].clone(); 49]);
    let page = page("repeated.html", &[journal]);
    assert!(page.contains("place an order × 50"));
}

#[test]
fn a_fault_that_was_never_reverted_is_said_in_the_picture_and_the_table() {
    let mut journal = sample::broken();
    journal.firedrill.as_mut().unwrap().faults[0].reverted = None;
    let page = page("kept.html", &[journal]);
    assert!(page.contains("never reverted: web-1-a") && page.contains("not reverted"));
}

#[test]
fn a_page_takes_the_title_it_is_given() {
    let options = HtmlOptions {
        title: Some("Friday <1>".into()),
    };
    let page = html(&[sample::held()], &options);
    assert!(page.contains("<title>Friday &lt;1&gt;</title>"));
    assert!(page.contains("<h1>Friday &lt;1&gt;</h1>"));
}

#[test]
fn no_journals_give_a_page_that_says_so() {
    assert!(html(&[], &HtmlOptions::default()).contains("No journal was given."));
}
