//! Which test sets each parameter of each fault, and measures what it does by an instrument that is
//! not ours: a prober of UDP and TCP, `ss`, `ping`, `dig`, `/proc`, `statvfs`, the files of a cgroup,
//! the command line of a container engine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use firedrill_faults::catalogue;

/// The parameters of a fault, and for each the test: `folder/file::name` of this crate's tests.
type Row = (&'static str, &'static [(&'static str, &'static str)]);

const MEASURED: &[Row] = &[
    (
        "infrastructure.clock-skew",
        &[
            (
                "offset",
                "infrastructure/clock_skew::an_offset_moves_the_clock_and_its_undo_leaves_microseconds",
            ),
            (
                "drift",
                "infrastructure/clock_skew::a_drift_gains_what_it_says_and_its_undo_takes_back_what_was_gained",
            ),
            (
                "period",
                "infrastructure/clock_skew::a_strobe_goes_to_and_fro",
            ),
            (
                "stop-ntp",
                "infrastructure/clock_skew::a_time_daemon_refuses_it_or_is_paused_meanwhile",
            ),
        ],
    ),
    (
        "infrastructure.container-kill",
        &[
            (
                "signal",
                "containers/ending::docker_a_container_ends_by_the_signal_and_after_the_grace_that_were_asked_for",
            ),
            (
                "signal",
                "containers/ending::podman_a_container_ends_by_the_signal_and_after_the_grace_that_were_asked_for",
            ),
            (
                "restart",
                "containers/ending::docker_a_killed_container_comes_back_as_it_was_asked",
            ),
            (
                "restart",
                "containers/ending::podman_a_killed_container_comes_back_as_it_was_asked",
            ),
            (
                "restart",
                "containers/ending::docker_the_restart_policy_of_a_killed_container_holds",
            ),
        ],
    ),
    ("infrastructure.container-pause", &[]),
    (
        "infrastructure.container-restart",
        &[
            (
                "grace",
                "containers/ending::docker_a_container_ends_by_the_signal_and_after_the_grace_that_were_asked_for",
            ),
            (
                "grace",
                "containers/ending::podman_a_container_ends_by_the_signal_and_after_the_grace_that_were_asked_for",
            ),
        ],
    ),
    (
        "infrastructure.container-stop",
        &[
            (
                "grace",
                "containers/ending::docker_a_container_ends_by_the_signal_and_after_the_grace_that_were_asked_for",
            ),
            (
                "grace",
                "containers/ending::podman_a_container_ends_by_the_signal_and_after_the_grace_that_were_asked_for",
            ),
            (
                "survives-reboot",
                "containers/ending::docker_a_stopped_container_is_started_again_whoever_dies",
            ),
            (
                "survives-reboot",
                "containers/ending::podman_a_stopped_container_is_started_again_whoever_dies",
            ),
        ],
    ),
    (
        "infrastructure.cpu",
        &[
            (
                "percent",
                "infrastructure/cpu::a_share_of_one_core_is_what_proc_counts_and_ends",
            ),
            (
                "cores",
                "infrastructure/cpu::all_cores_and_named_processors_are_as_many_threads_there",
            ),
            (
                "cpus",
                "infrastructure/cpu::all_cores_and_named_processors_are_as_many_threads_there",
            ),
            (
                "ahead",
                "infrastructure/cpu::a_load_that_goes_ahead_of_others_is_nicer_to_nobody",
            ),
            (
                "throttle",
                "infrastructure/cpu::a_throttled_process_keeps_its_share_and_gets_its_quota_back",
            ),
        ],
    ),
    (
        "infrastructure.disk-fill",
        &[
            (
                "path",
                "infrastructure/disk::bytes_and_levels_are_what_statvfs_says_and_are_given_back",
            ),
            (
                "bytes",
                "infrastructure/disk::bytes_and_levels_are_what_statvfs_says_and_are_given_back",
            ),
            (
                "percent",
                "infrastructure/disk::bytes_and_levels_are_what_statvfs_says_and_are_given_back",
            ),
            (
                "reserve",
                "infrastructure/disk::a_full_disk_stays_full_for_whoever_writes_until_the_undo",
            ),
            ("reserve", "infrastructure/disk::the_reserve_is_never_taken"),
        ],
    ),
    (
        "infrastructure.file-descriptors",
        &[
            (
                "count",
                "infrastructure/tables::open_files_are_what_the_kernel_counts",
            ),
            (
                "percent",
                "infrastructure/tables::open_files_are_filled_to_a_level_of_the_table",
            ),
            (
                "reserve",
                "infrastructure/tables::tasks_and_open_files_of_the_reserve_stay_possible",
            ),
        ],
    ),
    (
        "infrastructure.inodes",
        &[
            (
                "path",
                "infrastructure/disk::inodes_are_what_statvfs_says_and_are_given_back",
            ),
            (
                "count",
                "infrastructure/disk::inodes_are_what_statvfs_says_and_are_given_back",
            ),
            (
                "percent",
                "infrastructure/disk::inodes_are_what_statvfs_says_and_are_given_back",
            ),
            (
                "reserve",
                "infrastructure/disk::inodes_of_the_reserve_stay_free",
            ),
        ],
    ),
    (
        "infrastructure.io",
        &[
            (
                "path",
                "infrastructure/io::reads_writes_and_both_run_at_the_rate_that_proc_sees",
            ),
            (
                "mode",
                "infrastructure/io::reads_writes_and_both_run_at_the_rate_that_proc_sees",
            ),
            (
                "rate",
                "infrastructure/io::reads_writes_and_both_run_at_the_rate_that_proc_sees",
            ),
            (
                "block-size",
                "infrastructure/io::files_threads_and_requests_are_as_many_and_as_large_as_was_asked_for",
            ),
            (
                "workers",
                "infrastructure/io::files_threads_and_requests_are_as_many_and_as_large_as_was_asked_for",
            ),
            (
                "file-size",
                "infrastructure/io::files_threads_and_requests_are_as_many_and_as_large_as_was_asked_for",
            ),
            (
                "reserve",
                "infrastructure/io::files_that_would_not_leave_the_reserve_are_refused",
            ),
        ],
    ),
    (
        "infrastructure.memory",
        &[
            (
                "bytes",
                "infrastructure/memory::bytes_are_resident_in_a_process_that_the_oom_killer_takes_first",
            ),
            (
                "percent",
                "infrastructure/memory::a_share_of_a_cgroups_limit_is_taken_in_the_cgroup",
            ),
            (
                "of",
                "infrastructure/memory::shares_and_levels_of_the_host_are_what_meminfo_says",
            ),
            (
                "mode",
                "infrastructure/memory::a_share_of_a_cgroups_limit_is_taken_in_the_cgroup",
            ),
            (
                "reserve",
                "infrastructure/memory::a_share_of_a_cgroups_limit_is_taken_in_the_cgroup",
            ),
        ],
    ),
    (
        "infrastructure.pids",
        &[
            (
                "count",
                "infrastructure/tables::tasks_are_what_the_cgroup_counts_and_its_reserve_stays",
            ),
            (
                "percent",
                "infrastructure/tables::tasks_are_what_the_cgroup_counts_and_its_reserve_stays",
            ),
            (
                "reserve",
                "infrastructure/tables::tasks_and_open_files_of_the_reserve_stay_possible",
            ),
        ],
    ),
    (
        "infrastructure.process-kill",
        &[
            (
                "signal",
                "infrastructure/process_kill::each_signal_that_ends_a_process_ends_it",
            ),
            (
                "restart",
                "infrastructure/process_kill::a_restart_command_runs_once_where_and_with_what_it_was_told",
            ),
            (
                "supervised",
                "infrastructure/process_kill::what_a_supervisor_starts_again_counts_as_replaced_and_else_as_lost",
            ),
        ],
    ),
    (
        "infrastructure.process-pause",
        &[
            (
                "mechanism",
                "infrastructure/process_pause::a_whole_cgroup_is_frozen_and_its_processes_do_not_know",
            ),
            (
                "mechanism",
                "infrastructure/process_pause::a_signal_stops_just_the_targets_wherever_they_are",
            ),
        ],
    ),
    (
        "infrastructure.process-signal",
        &[
            (
                "signal",
                "infrastructure/process_signal::a_process_that_handles_the_signal_survives_it_and_did_so",
            ),
            (
                "expect",
                "infrastructure/process_signal::a_process_that_should_end_ends_and_one_that_should_not_is_not_seen_to_survive",
            ),
        ],
    ),
    (
        "infrastructure.service-stop",
        &[
            (
                "unit",
                "infrastructure/service_stop::an_active_unit_is_stopped_and_started_again",
            ),
            (
                "manager",
                "infrastructure/service_stop::an_active_unit_is_stopped_and_started_again",
            ),
            (
                "not-enabled",
                "infrastructure/service_stop::what_is_not_active_or_would_not_come_back_is_refused",
            ),
        ],
    ),
    (
        "switching.bandwidth",
        &[
            ("rate", "netem/rates::netem_holds_a_rate_with_large_packets"),
            (
                "rate",
                "switching/laws::bytes_that_are_counted_on_top_of_every_packet_slow_all_of_them_down",
            ),
            (
                "burst",
                "switching/laws::an_idle_link_sends_its_burst_at_once",
            ),
            (
                "overhead",
                "switching/laws::bytes_that_are_counted_on_top_of_every_packet_slow_all_of_them_down",
            ),
            (
                "percent",
                "switching/laws::only_a_share_of_the_packets_counts_for_the_rate",
            ),
        ],
    ),
    (
        "switching.blackhole",
        &[(
            "percent",
            "switching/filters::a_share_of_the_packets_is_met_by_every_fault_of_rules",
        )],
    ),
    (
        "switching.connection-reset",
        &[
            (
                "every",
                "switching/connection_reset::new_connections_are_reset_again_and_again_when_asked_for",
            ),
            (
                "address",
                "switching/connection_reset::connections_are_chosen_by_peer_ports_and_interface",
            ),
            (
                "host",
                "switching/connection_reset::connections_are_chosen_by_peer_ports_and_interface",
            ),
            (
                "port",
                "switching/connection_reset::both_ends_of_a_connection_that_matches_are_told_and_others_go_on",
            ),
            (
                "remote-port",
                "switching/connection_reset::connections_are_chosen_by_peer_ports_and_interface",
            ),
            (
                "local-port",
                "switching/connection_reset::connections_are_chosen_by_peer_ports_and_interface",
            ),
            (
                "interface",
                "switching/connection_reset::connections_are_chosen_by_peer_ports_and_interface",
            ),
            (
                "ssh",
                "switching/connection_reset::ssh_and_who_watches_are_spared_even_when_everything_matches",
            ),
            (
                "percent",
                "switching/connection_reset::a_share_of_the_connections_is_reset",
            ),
        ],
    ),
    (
        "switching.corrupt",
        &[
            (
                "percent",
                "netem/shares::netem_corrupts_a_share_which_checksums_find",
            ),
            (
                "percent",
                "switching/laws::copies_flipped_bits_and_overtakers_that_are_correlated_follow_one_another",
            ),
            (
                "correlation",
                "switching/laws::copies_flipped_bits_and_overtakers_that_are_correlated_follow_one_another",
            ),
        ],
    ),
    (
        "switching.dns-block",
        &[(
            "name",
            "switching/dns::questions_for_a_name_are_lost_and_others_are_answered",
        )],
    ),
    (
        "switching.dns-delay",
        &[
            (
                "name",
                "switching/dns::questions_are_held_and_then_answered",
            ),
            (
                "delay",
                "switching/dns::questions_are_held_and_then_answered",
            ),
            (
                "delay",
                "switching/dns::questions_over_tcp_are_held_or_lost_and_those_for_other_names_answered",
            ),
        ],
    ),
    (
        "switching.dns-error",
        &[
            (
                "name",
                "switching/dns::names_are_met_alone_with_all_below_them_or_all_of_them",
            ),
            ("error", "switching/dns::answers_become_each_of_the_errors"),
            (
                "error",
                "switching/dns::questions_over_tcp_are_held_or_lost_and_those_for_other_names_answered",
            ),
        ],
    ),
    (
        "switching.dns-spoof",
        &[
            ("name", "switching/dns::answers_become_other_addresses"),
            ("answer", "switching/dns::answers_become_other_addresses"),
            (
                "ttl",
                "switching/dns::an_answer_may_be_kept_for_as_long_as_was_said",
            ),
        ],
    ),
    (
        "switching.duplicate",
        &[
            ("percent", "netem/shares::netem_duplicates_a_share"),
            (
                "percent",
                "switching/laws::copies_flipped_bits_and_overtakers_that_are_correlated_follow_one_another",
            ),
            (
                "correlation",
                "switching/laws::copies_flipped_bits_and_overtakers_that_are_correlated_follow_one_another",
            ),
        ],
    ),
    (
        "switching.interface-down",
        &[
            (
                "interface",
                "switching/interface_down::an_interface_comes_back_with_every_address_and_route_that_it_lost",
            ),
            (
                "allow-default",
                "switching/interface_down::what_this_host_is_reached_by_is_left_alone_unless_that_is_asked_for",
            ),
        ],
    ),
    (
        "switching.latency",
        &[
            ("delay", "netem/delays::netem_adds_twenty_milliseconds"),
            (
                "delay",
                "switching/together::two_drills_delay_the_same_packets_and_each_takes_back_only_its_own",
            ),
            (
                "jitter",
                "switching/laws::delays_lie_around_their_mean_as_each_distribution_has_it",
            ),
            (
                "distribution",
                "switching/laws::delays_lie_around_their_mean_as_each_distribution_has_it",
            ),
            (
                "correlation",
                "switching/laws::a_delay_resembles_the_one_before_as_much_as_was_asked_for",
            ),
            (
                "percent",
                "switching/laws::only_a_share_of_the_packets_is_delayed",
            ),
        ],
    ),
    (
        "switching.loss",
        &[
            ("percent", "netem/shares::netem_loses_a_share_at_random"),
            (
                "percent",
                "switching/filters::a_share_of_the_packets_is_met_by_every_fault_of_rules",
            ),
            (
                "correlation",
                "switching/laws::losses_that_are_correlated_follow_one_another",
            ),
            (
                "gilbert-elliott",
                "switching/laws::each_parameter_of_a_bursty_channel_has_its_share",
            ),
        ],
    ),
    (
        "switching.partition",
        &[
            (
                "groups",
                "switching/partition::two_groups_do_not_reach_each_other_until_it_is_undone",
            ),
            (
                "kind",
                "switching/partition::one_way_what_the_first_says_still_arrives",
            ),
            (
                "kind",
                "switching/partition::in_larger_circles_each_kind_leaves_its_own_ways",
            ),
            (
                "percent",
                "switching/filters::a_share_of_the_packets_is_met_by_every_fault_of_rules",
            ),
        ],
    ),
    (
        "switching.port-occupy",
        &[
            (
                "port",
                "switching/port_occupy::nobody_else_can_listen_on_occupied_ports_until_it_is_undone",
            ),
            (
                "protocol",
                "switching/port_occupy::a_port_of_one_address_and_protocol_is_held_and_the_others_are_free",
            ),
            (
                "address",
                "switching/port_occupy::a_port_of_one_address_and_protocol_is_held_and_the_others_are_free",
            ),
        ],
    ),
    (
        "switching.reject",
        &[
            (
                "with",
                "switching/reject::packets_are_answered_with_the_error_that_was_asked_for",
            ),
            ("with", "switching/reject::a_reset_is_for_tcp_alone"),
            (
                "percent",
                "switching/filters::a_share_of_the_packets_is_met_by_every_fault_of_rules",
            ),
        ],
    ),
    (
        "switching.reorder",
        &[
            (
                "percent",
                "netem/shares::netem_lets_a_share_overtake_the_others",
            ),
            (
                "correlation",
                "switching/laws::copies_flipped_bits_and_overtakers_that_are_correlated_follow_one_another",
            ),
            (
                "delay",
                "netem/shares::netem_lets_a_share_overtake_the_others",
            ),
            ("gap", "switching/laws::every_so_manieth_packet_goes_ahead"),
        ],
    ),
    (
        "switching.stream",
        &[
            (
                "protocol",
                "switching/datagrams::datagrams_are_led_through_the_proxy_and_back",
            ),
            (
                "delay",
                "switching/stream::what_a_target_is_answered_comes_later_and_neither_side_is_told_of_a_proxy",
            ),
            ("jitter", "switching/stream::delays_lie_around_their_mean"),
            (
                "rate",
                "switching/stream::bytes_pass_at_the_rate_that_was_asked_for",
            ),
            (
                "loss",
                "switching/stream::lost_segments_come_after_the_stall",
            ),
            (
                "stall",
                "switching/stream::lost_segments_come_after_the_stall",
            ),
            (
                "corrupt",
                "switching/stream::one_bit_of_each_segment_is_flipped",
            ),
            ("slice", "switching/stream::slices_come_one_by_one"),
            ("slice-delay", "switching/stream::slices_come_one_by_one"),
            (
                "limit",
                "switching/stream::a_connection_is_closed_after_so_many_bytes",
            ),
            (
                "timeout",
                "switching/stream::nothing_comes_and_the_connection_is_closed_after_the_timeout",
            ),
            (
                "reset-after",
                "switching/stream::both_sides_are_reset_after_the_first_byte",
            ),
            (
                "hang",
                "switching/stream::a_hanging_connection_is_there_and_says_nothing",
            ),
            (
                "slow-close",
                "switching/stream::the_end_of_a_stream_comes_late",
            ),
            (
                "stream",
                "switching/stream::the_stream_is_the_one_that_was_asked_for",
            ),
            (
                "direction",
                "switching/stream::connections_that_the_target_is_sent_are_met_where_it_is_asked_for",
            ),
            (
                "local-port",
                "switching/stream::connections_that_the_target_is_sent_are_met_where_it_is_asked_for",
            ),
            (
                "address",
                "switching/stream::connections_are_met_by_peer_ports_and_interface",
            ),
            (
                "host",
                "switching/stream::connections_are_met_by_peer_ports_and_interface",
            ),
            (
                "port",
                "switching/stream::connections_are_met_by_peer_ports_and_interface",
            ),
            (
                "remote-port",
                "switching/stream::connections_are_met_by_peer_ports_and_interface",
            ),
            (
                "interface",
                "switching/stream::connections_are_met_by_peer_ports_and_interface",
            ),
            (
                "ssh",
                "switching/stream::connections_are_met_by_peer_ports_and_interface",
            ),
            (
                "percent",
                "switching/stream::a_share_of_the_connections_goes_through_the_proxy",
            ),
        ],
    ),
];

/// The parameters by which faults choose packets. One filter reads and compiles them for all, so they
/// are measured by what drops packets, by what queues them and by netem;
/// `filters::every_choice_changes_what_every_fault_of_packets_meets` shows that each is heeded.
const OF_PACKETS: &[(&str, &str)] = &[
    (
        "mechanism",
        "netem/standing::netem_has_no_burst_so_that_a_rate_with_one_takes_the_queue",
    ),
    (
        "direction",
        "switching/filters::what_leaves_and_what_arrives_are_met_apart",
    ),
    (
        "address",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_rules",
    ),
    (
        "address",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_a_queue",
    ),
    (
        "host",
        "switching/filters::when_a_name_comes_to_mean_another_address_that_one_is_met_as_well",
    ),
    (
        "port",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_rules",
    ),
    (
        "port",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_a_queue",
    ),
    (
        "remote-port",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_rules",
    ),
    (
        "remote-port",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_a_queue",
    ),
    (
        "local-port",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_rules",
    ),
    (
        "local-port",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_a_queue",
    ),
    (
        "protocol",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_rules",
    ),
    (
        "protocol",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_a_queue",
    ),
    (
        "interface",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_rules",
    ),
    (
        "interface",
        "switching/filters::each_choice_meets_its_packets_and_no_others_by_a_queue",
    ),
    (
        "address",
        "netem/filters::netem_meets_what_each_choice_means_and_no_other_packets",
    ),
    (
        "host",
        "netem/filters::netem_meets_what_each_choice_means_and_no_other_packets",
    ),
    (
        "port",
        "netem/filters::netem_meets_what_each_choice_means_and_no_other_packets",
    ),
    (
        "remote-port",
        "netem/filters::netem_meets_what_each_choice_means_and_no_other_packets",
    ),
    (
        "local-port",
        "netem/filters::netem_meets_what_each_choice_means_and_no_other_packets",
    ),
    (
        "protocol",
        "netem/filters::netem_meets_what_each_choice_means_and_no_other_packets",
    ),
    (
        "interface",
        "netem/filters::netem_meets_what_each_choice_means_and_no_other_packets",
    ),
    (
        "ssh",
        "switching/filters::ssh_passes_unless_it_is_asked_for",
    ),
];

/// The same for the faults of DNS, of which each question is one.
const OF_QUESTIONS: &[(&str, &str)] = &[
    (
        "address",
        "switching/dns::only_questions_to_the_named_server_are_met",
    ),
    (
        "host",
        "switching/dns::questions_are_chosen_by_protocol_interface_and_the_name_of_their_server",
    ),
    (
        "protocol",
        "switching/dns::questions_are_chosen_by_protocol_interface_and_the_name_of_their_server",
    ),
    (
        "interface",
        "switching/dns::questions_are_chosen_by_protocol_interface_and_the_name_of_their_server",
    ),
    ("percent", "switching/dns::a_share_of_the_questions_is_met"),
];

/// What ends this host cannot be measured on it.
const NOT_HERE: [&str; 2] = ["infrastructure.host-reboot", "infrastructure.host-shutdown"];

fn shared(fault: &str) -> &'static [(&'static str, &'static str)] {
    match fault {
        "switching.connection-reset"
        | "switching.interface-down"
        | "switching.port-occupy"
        | "switching.stream" => &[],
        dns if dns.starts_with("switching.dns-") => OF_QUESTIONS,
        packets if packets.starts_with("switching.") => OF_PACKETS,
        _ => &[],
    }
}

/// The test of each parameter, own or shared.
fn tests_of(fault: &str) -> Vec<(&'static str, &'static str)> {
    let row = MEASURED.iter().find(|(name, _)| *name == fault);
    let own = row.map_or(&[][..], |(_, own)| own);
    own.iter().chain(shared(fault)).copied().collect()
}

#[test]
fn every_parameter_of_every_fault_is_set_and_measured_by_a_test() {
    let mut missing = Vec::new();
    for entry in catalogue() {
        if NOT_HERE.contains(&entry.name) {
            continue;
        }
        let tests = tests_of(entry.name);
        for parameter in &entry.parameters {
            if !tests.iter().any(|(name, _)| *name == parameter.name) {
                missing.push(format!("{} {}", entry.name, parameter.name));
            }
        }
    }
    assert!(missing.is_empty(), "measured by no test: {missing:#?}");
}

#[test]
fn the_table_of_measured_parameters_has_no_row_for_what_is_not_there() {
    let catalogue = catalogue();
    for (fault, own) in MEASURED {
        let entry = catalogue.iter().find(|entry| entry.name == *fault);
        let entry = entry.unwrap_or_else(|| panic!("there is no {fault}"));
        for (parameter, _) in *own {
            let is_there = entry.parameters.iter().any(|one| one.name == *parameter);
            assert!(is_there, "{fault} has no {parameter}");
        }
    }
}

#[test]
fn every_test_of_the_table_exists_and_its_sources_set_the_parameter() {
    let own = MEASURED.iter().flat_map(|(_, own)| own.iter());
    let all: BTreeSet<_> = own.chain(OF_PACKETS).chain(OF_QUESTIONS).collect();
    for (parameter, test) in all {
        let (file, name) = test.split_once("::").unwrap();
        let path = tests().join(file).with_extension("rs");
        let text = std::fs::read_to_string(&path).unwrap();
        let function = format!("#[test]\nfn {name}() {{");
        assert!(
            text.contains(&function),
            "{} has no test {name}",
            path.display()
        );
        let set = format!("\"{parameter}\"");
        assert!(
            sources_beside(&path).iter().any(|text| text.contains(&set)),
            "{parameter} is not set beside {test}"
        );
    }
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A test's file, what its folder has, and what that takes from others.
fn sources_beside(path: &Path) -> Vec<String> {
    let folder = path.parent().unwrap();
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let own = files.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let mut all: Vec<String> = own
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let lines = all.iter().flat_map(|text| text.lines());
    let elsewhere = lines.filter_map(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]"));
    let taken: Vec<String> = elsewhere
        .map(|path| std::fs::read_to_string(folder.join(path)).unwrap())
        .collect();
    all.extend(taken);
    all
}
