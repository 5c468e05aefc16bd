//! Any bytes, both ways, as MySQL's protocol.

#![no_main]

#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::mysql;
use firedrill_proxy::message::{Kind, MysqlAction, MysqlError, MysqlFault, StatementMatch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let kinds = vec![Kind::Mysql(MysqlFault {
        matching: StatementMatch::all(),
        action: MysqlAction::Error(MysqlError::of_statements()),
    })];
    talk::talk(data, kinds, mysql::session);
});
