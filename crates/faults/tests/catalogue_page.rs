//! The manual's catalogue is what the code says.

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
