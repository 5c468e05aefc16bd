use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn address(number: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, number), 80))
}

/// Endpoints 1 to 6, two in each of the zones a, b and c.
fn switch(zone: Option<&str>) -> Switch {
    let zones = ["a", "b", "c"];
    let endpoints = (0..6).map(|at| Endpoint {
        address: address(at + 1),
        zone: Some(zones[usize::from(at) / 2].to_owned()),
    });
    Switch::new(endpoints.collect(), zone)
}

fn zone_of(switch: &Switch, address: SocketAddr) -> &str {
    let mut all = switch.seats.iter();
    let one = all.find(|one| one.endpoint.address == address);
    one.and_then(|one| one.endpoint.zone.as_deref()).unwrap()
}

#[test]
fn connections_are_spread_evenly() {
    let (mut switch, now) = (switch(None), Instant::now());
    for draw in 0..600 {
        let first = switch.order(now, draw * 7)[0];
        switch.dialled(first);
        switch.connected(first);
    }
    let states = switch.states(now);
    for one in states {
        assert_eq!((one.connections, one.connections_total), (100, 100));
    }
}

#[test]
fn who_does_not_answer_is_not_free_because_of_that() {
    let (mut switch, now) = (switch(None), Instant::now());
    for draw in 0..60 {
        let first = switch.order(now, draw * 7)[0];
        switch.dialled(first);
        // Endpoint 1 never answers; the others do, and keep the connection.
        if first != address(1) {
            switch.connected(first);
        }
    }
    let silent = &switch.states(now)[0];
    assert_eq!((silent.connections, silent.connections_total), (10, 0));
    (0..10).for_each(|_| switch.closed(address(1)));
    assert_eq!(switch.states(now)[0].connections, 0);
}

#[test]
fn the_own_zone_comes_first_and_the_others_when_it_fails() {
    let (mut switch, now) = (switch(Some("b")), Instant::now());
    assert_eq!(zone_of(&switch, switch.order(now, 0)[0]), "b");
    for number in [3, 4] {
        for _ in 0..CHECKS {
            switch.checked(address(number), false);
        }
    }
    assert_ne!(zone_of(&switch, switch.order(now, 0)[0]), "b");
    // It fails back when the zone is well again, and not after a single check.
    switch.checked(address(3), true);
    assert_ne!(zone_of(&switch, switch.order(now, 0)[0]), "b");
    switch.checked(address(3), true);
    assert_eq!(switch.order(now, 0)[0], address(3));
}

#[test]
fn what_fails_in_a_row_is_left_alone_for_longer_each_time() {
    let (mut switch, mut now) = (switch(None), Instant::now());
    let mut waits = Vec::new();
    for _ in 0..8 {
        while switch.states(now)[0].ejected.is_none() {
            switch.failed(address(1), now);
        }
        let wait = switch.states(now)[0].ejected.unwrap();
        assert_eq!(switch.order(now, 0).last(), Some(&address(1)));
        waits.push(wait.as_secs());
        now += wait;
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
    switch.connected(address(1));
    switch.failed(address(1), now);
    assert_eq!(switch.states(now)[0].ejected, None);
}

#[test]
fn a_drained_zone_gets_nothing_and_the_last_cannot_be_drained() {
    let (mut switch, now) = (switch(Some("a")), Instant::now());
    let zone = |name: &str| Which::Zone(name.to_owned());
    switch.drain(&zone("a"), true).unwrap();
    let zones: Vec<_> = switch.order(now, 0).into_iter().collect();
    assert!(zones.iter().all(|one| zone_of(&switch, *one) != "a"));
    switch.drain(&zone("b"), true).unwrap();
    switch.drain(&Which::Address(address(5)), true).unwrap();
    let last = Which::Address(address(6));
    assert_eq!(switch.drain(&last, true), Err(Refused::NothingLeft));
    assert_eq!(switch.drain(&zone("c"), true), Err(Refused::NothingLeft));
    assert_eq!(switch.order(now, 0), [address(6)]);
    switch.drain(&zone("a"), false).unwrap();
    assert_eq!(zone_of(&switch, switch.order(now, 0)[0]), "a");
    let unknown = switch.drain(&zone("d"), true);
    assert_eq!(unknown, Err(Refused::NoZone("d".to_owned())));
}

#[test]
fn at_most_half_are_left_alone_and_if_all_fail_all_are_tried() {
    let (mut switch, now) = (switch(None), Instant::now());
    for _ in 0..10 {
        for number in 1..=6 {
            switch.failed(address(number), now);
        }
    }
    let ejected = switch
        .states(now)
        .iter()
        .filter(|one| one.ejected.is_some())
        .count();
    assert_eq!(ejected, 3);
    for number in 1..=6 {
        switch.checked(address(number), false);
    }
    assert_eq!(switch.order(now, 3).len(), 6);
}

#[derive(Debug, Clone)]
enum Step {
    Connect(u64),
    Close(usize),
    Fail(u8),
    Check(u8, bool),
    Drain(u8, bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u64>().prop_map(Step::Connect),
        any::<usize>().prop_map(Step::Close),
        (0_u8..8).prop_map(Step::Fail),
        (0_u8..8, any::<bool>()).prop_map(|(who, well)| Step::Check(who, well)),
        (0_u8..8, any::<bool>()).prop_map(|(who, drained)| Step::Drain(who, drained)),
        (0_u64..400).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn there_is_always_somebody_who_is_not_drained(steps in prop::collection::vec(step(), 0..120)) {
        let (mut switch, mut now) = (switch(Some("a")), Instant::now());
        let mut open = Vec::new();
        for step in steps {
            match step {
                Step::Connect(draw) => {
                    let first = switch.order(now, draw)[0];
                    prop_assert!(!switch.is_drained(first));
                    let states = switch.states(now);
                    let fails = |one: &State| one.well == Some(false) || one.ejected.is_some();
                    let chosen = states.iter().find(|one| one.endpoint.address == first).unwrap();
                    let better = states.iter().any(|one| !one.drained && !fails(one));
                    prop_assert!(!fails(chosen) || !better);
                    switch.dialled(first);
                    switch.connected(first);
                    open.push(first);
                }
                Step::Close(at) if !open.is_empty() => {
                    let gone = open.swap_remove(at % open.len());
                    switch.closed(gone);
                }
                Step::Close(_) => {}
                Step::Fail(who) => switch.failed(address(who), now),
                Step::Check(who, well) => switch.checked(address(who), well),
                Step::Drain(who, drained) => {
                    let _refused = switch.drain(&Which::Address(address(who)), drained);
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            let total: usize = switch.states(now).iter().map(|one| one.connections).sum();
            prop_assert_eq!(total, open.len());
        }
    }
}
