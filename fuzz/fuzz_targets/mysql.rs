//! Any bytes, both ways, as MySQL's protocol.

#![no_main]

#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::{Kind, MysqlAction, MysqlError, MysqlFault, StatementMatch, mysql};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let kinds = [
        MysqlAction::Error(MysqlError::of_statements()),
        MysqlAction::Delay(talk::delay()),
    ];
    let kinds = kinds.map(|action| {
        let matching = StatementMatch::all();
        Kind::Mysql(MysqlFault { matching, action })
    });
    talk::talk(data, kinds.into(), mysql::session);
});
