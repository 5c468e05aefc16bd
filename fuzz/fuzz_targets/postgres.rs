//! Any bytes, both ways, as PostgreSQL's protocol.

#![no_main]

#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::postgres;
use firedrill_proxy::message::{
    Kind, PostgresAction, PostgresError, PostgresFault, StatementMatch,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let kinds = vec![Kind::Postgres(PostgresFault {
        matching: StatementMatch::all(),
        action: PostgresAction::Error(PostgresError::of_statements()),
    })];
    talk::talk(data, kinds, postgres::session);
});
