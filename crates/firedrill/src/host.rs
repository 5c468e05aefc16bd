//! People and processes of this host by the names that people know.

use std::fs;
use std::path::PathBuf;

use firedrill_kernel::{ProcessIdentity, process};

/// `web (pid 4711)`, or `pid 4711` when it has ended.
pub(crate) fn process_name(identity: &ProcessIdentity) -> String {
    match identity.stat() {
        Ok(Some(stat)) => {
            let name = instance(stat.pid).unwrap_or(stat.comm);
            format!("{name} (pid {})", stat.pid)
        }
        _ => format!("pid {}", identity.pid),
    }
}

/// The label `instance`, as plans and journals name targets.
fn instance(pid: u32) -> Option<String> {
    let environment = process::environment(pid).ok()??;
    let labels = environment
        .iter()
        .find_map(|variable| variable.strip_prefix("FIREDRILL_LABELS="))?;
    labels
        .split(',')
        .find_map(|label| label.strip_prefix("instance="))
        .map(str::to_owned)
}

/// `web (pid 4711)` of a pid, whoever has it now.
pub(crate) fn pid_name(pid: u32) -> String {
    match process::stat(pid) {
        Ok(Some(stat)) => format!("{} (pid {pid})", stat.comm),
        _ => format!("pid {pid}"),
    }
}

/// The user's name, or `user 1000` when there is none for the number.
pub(crate) fn user_name(uid: u32) -> String {
    accounts()
        .into_iter()
        .find(|account| account.uid == uid)
        .map_or_else(|| format!("user {uid}"), |account| account.name)
}

/// Home directories of this host's users, each once.
pub(crate) fn homes() -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = accounts().into_iter().map(|account| account.home).collect();
    homes.sort();
    homes.dedup();
    homes
}

struct Account {
    name: String,
    uid: u32,
    home: PathBuf,
}

/// As far as `/etc/passwd` knows; users of a directory service keep their numbers.
fn accounts() -> Vec<Account> {
    fs::read_to_string("/etc/passwd")
        .unwrap_or_default()
        .lines()
        .filter_map(account)
        .collect()
}

fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, _, _, home, ..] = fields.as_slice() else {
        return None;
    };
    Some(Account {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        home: PathBuf::from(home),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_line_of_seven_fields() {
        let root = account("root:x:0:0:root:/root:/bin/bash").unwrap();
        assert_eq!(
            (root.name.as_str(), root.uid, root.home.to_str()),
            ("root", 0, Some("/root"))
        );
        assert!(account("not an account").is_none());
    }
}
