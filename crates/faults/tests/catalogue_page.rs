//! The manual's catalogue is what the code says, and every fault has a drill to begin with.

use std::fs;
use std::path::Path;

#[test]
fn the_catalogue_of_the_manual_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual/src/catalogue.md");
    let page = firedrill_faults::catalogue::page();
    if std::env::var_os("FIREDRILL_WRITE_PAGES").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "{} is stale: FIREDRILL_WRITE_PAGES=1 cargo test -p firedrill-faults --test catalogue_page",
        path.display()
    );
}

/// What ends the host is not to be tried from a shelf.
const WITHOUT_DRILL: [&str; 2] = ["infrastructure.host-reboot", "infrastructure.host-shutdown"];

#[test]
fn every_fault_has_a_ready_drill() {
    let shelf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/chaos");
    let drills: Vec<String> = fs::read_dir(shelf)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for entry in firedrill_faults::catalogue() {
        let there = drills.iter().any(|drill| drill.contains(entry.name));
        assert_eq!(
            there,
            !WITHOUT_DRILL.contains(&entry.name),
            "a ready drill with {}",
            entry.name
        );
    }
}
