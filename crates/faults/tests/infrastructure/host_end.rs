//! Only refusals: what is not refused would end this host. The end itself is for a virtual machine.

use firedrill_faults::Target;
use serde_json::json;

use crate::drill::compile;

#[test]
fn without_a_word_of_the_document_it_is_refused() {
    for fault in ["infrastructure.host-reboot", "infrastructure.host-shutdown"] {
        let error = compile(fault, &json!({}), &[Target::Host]).unwrap_err();
        assert!(error.to_string().contains("`allow: true`"), "{error}");
    }
}

#[test]
fn without_a_policy_the_word_of_the_document_is_not_enough() {
    let policy = std::path::Path::new("/etc/firedrill/policy.yaml");
    if policy.exists() || std::env::var_os("FIREDRILL_POLICY").is_some() {
        eprintln!("skipped: this host has a policy");
        return;
    }
    for fault in ["infrastructure.host-reboot", "infrastructure.host-shutdown"] {
        // Compiled, never applied.
        let error = compile(fault, &json!({"allow": true}), &[Target::Host]).unwrap_err();
        assert!(
            error.to_string().contains("not allowed by the policy"),
            "{error}"
        );
    }
}
