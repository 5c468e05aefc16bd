use std::path::PathBuf;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

fn members(numbers: impl IntoIterator<Item = u8>) -> BTreeSet<Member> {
    let member = |number: u8| Member::Cgroup(PathBuf::from(number.to_string()));
    numbers.into_iter().map(member).collect()
}

/// The first `hit` of a population that begins at `from`.
fn footprint(from: u8, population: u8, hit: u8) -> Footprint {
    Footprint {
        hit: members(from..from + hit),
        population: members(from..from + population),
    }
}

fn share_max(percent: f64) -> BlastRadius {
    BlastRadius {
        percent_of_healthy: Some(percent),
        ..BlastRadius::default()
    }
}

fn remaining_min(needed: u64) -> BlastRadius {
    BlastRadius {
        healthy_remaining_min: Some(needed),
        ..BlastRadius::default()
    }
}

fn targets_max(most: u64) -> BlastRadius {
    BlastRadius {
        targets_max: Some(most),
        ..BlastRadius::default()
    }
}

#[test]
fn shares_are_rounded_down() {
    assert_eq!(share(6, 34.0), 2);
    assert_eq!(share(5, 39.9), 1);
    assert_eq!(share(2, 34.0), 0);
    assert_eq!(share(100, 29.0), 29);
    assert_eq!(share(3, 100.0), 3);
    assert_eq!(share(0, 50.0), 0);
}

#[test]
fn each_limit_refuses_with_its_own_reason() {
    let check =
        |radius: BlastRadius, population, hit| radius.check(&footprint(0, population, hit), &[]);
    assert!(check(targets_max(1), 6, 1).is_ok());
    let refused = check(targets_max(1), 6, 2);
    assert!(matches!(refused, Err(Refused::TooMany { .. })));
    assert!(check(share_max(34.0), 6, 2).is_ok());
    let refused = check(share_max(34.0), 5, 2);
    assert!(matches!(refused, Err(Refused::TooLargeShare { .. })));
    assert!(check(remaining_min(4), 6, 2).is_ok());
    let refused = check(remaining_min(4), 6, 3);
    assert!(matches!(refused, Err(Refused::TooFewRemain { .. })));
}

#[test]
fn two_faults_that_are_each_within_a_limit_can_be_beyond_it_together() {
    let (first, second) = (
        footprint(0, 6, 2),
        Footprint {
            hit: members([2, 3]),
            population: members(0..6),
        },
    );
    for (radius, what) in [
        (targets_max(3), "4 targets are more than targets-max, 3"),
        (
            share_max(50.0),
            "4 of 6 is more than percent-of-healthy 50 %",
        ),
        (remaining_min(3), "2 of 6 would remain"),
    ] {
        assert!(radius.check(&first, &[]).is_ok());
        assert!(radius.check(&second, &[]).is_ok());
        let refused = radius
            .check(&second, std::slice::from_ref(&first))
            .unwrap_err();
        assert!(refused.to_string().starts_with(what), "{refused}");
    }
}

#[test]
fn a_population_is_not_thinned_by_faults_on_another_one() {
    let (web, store) = (footprint(0, 3, 1), footprint(10, 3, 1));
    assert!(
        share_max(34.0)
            .check(&web, std::slice::from_ref(&store))
            .is_ok()
    );
    assert!(
        remaining_min(2)
            .check(&web, std::slice::from_ref(&store))
            .is_ok()
    );
    assert!(targets_max(1).check(&web, &[store]).is_err());
}

fn any_footprint() -> impl Strategy<Value = Footprint> {
    (btree_set(0_u8..24, 1..8), btree_set(0_u8..24, 0..8)).prop_map(|(hit, healthy)| Footprint {
        population: members(hit.iter().chain(&healthy).copied()),
        hit: members(hit),
    })
}

fn any_radius() -> impl Strategy<Value = BlastRadius> {
    let limit = || proptest::option::of(0_u64..20);
    (limit(), proptest::option::of(0.0..100.0), limit()).prop_map(
        |(targets_max, percent_of_healthy, healthy_remaining_min)| BlastRadius {
            targets_max,
            percent_of_healthy,
            healthy_remaining_min,
        },
    )
}

proptest! {
    #[test]
    fn what_is_allowed_beside_others_is_allowed_alone(
        radius in any_radius(), own in any_footprint(), others in vec(any_footprint(), 0..4),
    ) {
        if radius.check(&own, &others).is_ok() {
            prop_assert!(radius.check(&own, &[]).is_ok());
        }
    }

    #[test]
    fn distinct_targets_of_all_faults_are_never_more_than_targets_max(
        most in 0_u64..20, all in vec(any_footprint(), 1..5),
    ) {
        // One after the other, each beside those that were allowed before.
        let mut in_force: Vec<Footprint> = Vec::new();
        for one in all {
            if targets_max(most).check(&one, &in_force).is_ok() {
                in_force.push(one);
            }
        }
        let hit: BTreeSet<_> = in_force.iter().flat_map(|one| &one.hit).collect();
        prop_assert!(hit.len() as u64 <= most);
    }

    #[test]
    fn in_one_population_the_sum_of_all_faults_keeps_each_limit(
        radius in any_radius(), hits in vec(btree_set(0_u8..12, 1..6), 1..6),
    ) {
        let population = members(0..12);
        let mut in_force: Vec<Footprint> = Vec::new();
        for hit in hits {
            let one = Footprint { hit: members(hit), population: population.clone() };
            if radius.check(&one, &in_force).is_ok() {
                in_force.push(one);
            }
        }
        let hit: BTreeSet<_> = in_force.iter().flat_map(|one| &one.hit).collect();
        let most = radius.percent_of_healthy.map_or(12, |percent| share(12, percent));
        prop_assert!(hit.len() <= most);
        if !in_force.is_empty() {
            prop_assert!(12 - hit.len() as u64 >= radius.healthy_remaining_min.unwrap_or(0));
        }
    }

    #[test]
    fn a_fault_on_what_others_hit_already_adds_nothing(
        radius in any_radius(), one in any_footprint(), others in vec(any_footprint(), 0..4),
    ) {
        let mut twice = others.clone();
        twice.push(one.clone());
        prop_assert_eq!(radius.check(&one, &others), radius.check(&one, &twice));
    }

    #[test]
    fn the_order_of_the_others_does_not_matter(
        radius in any_radius(), own in any_footprint(), others in vec(any_footprint(), 0..4),
    ) {
        let reversed: Vec<_> = others.iter().rev().cloned().collect();
        prop_assert_eq!(radius.check(&own, &others), radius.check(&own, &reversed));
    }
}
