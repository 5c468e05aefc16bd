//! Any bytes, both ways, as PostgreSQL's protocol.

#![no_main]

#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::{
    Kind, PostgresAction, PostgresError, PostgresFault, StatementMatch, postgres,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let kinds = [
        PostgresAction::Error(PostgresError::of_statements()),
        PostgresAction::Delay(talk::delay()),
    ];
    let kinds = kinds.map(|action| {
        let matching = StatementMatch::all();
        Kind::Postgres(PostgresFault { matching, action })
    });
    talk::talk(data, kinds.into(), postgres::session);
});
