use serde_json::json;

use crate::choices::each_choice_meets_its_packets_and_no_others;
use crate::lay;

#[test]
fn netem_meets_what_each_choice_means_and_no_other_packets() {
    let Some(bed) = lay() else { return };
    let late = json!({"delay": "20s", "mechanism": "netem"});
    each_choice_meets_its_packets_and_no_others(&bed, "switching.latency", &late);
}
