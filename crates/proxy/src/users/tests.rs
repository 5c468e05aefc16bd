use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const EPOCH: Duration = Duration::from_secs(5);

fn member(user: u64) -> Member {
    // As a draw does, with bits that the parts do not use.
    let arm = match user >> 63 {
        0 => Arm::Experiment,
        _ => Arm::Control,
    };
    Member { arm, user }
}

fn answer(well: bool) -> Answered {
    Answered {
        well,
        ours: false,
        took: Duration::ZERO,
        member: None,
    }
}

fn begun(now: Instant) -> Census {
    let census = Census::new(1, EPOCH);
    census.begin(now);
    census
}

fn users(well: u64, badly: u64) -> Users {
    Users { well, badly }
}

/// What should be told, worked out from all answers at once: who came to whom in which epoch.
fn model(answers: &[(u64, u64, bool)], now: u64) -> [Users; 2] {
    let epoch = |ms: u64| ms / EPOCH.as_millis() as u64;
    let mut first: BTreeMap<u64, u64> = BTreeMap::new();
    for (at, user, _) in answers {
        let known = first.entry(*user).or_insert(u64::MAX);
        *known = (*known).min(epoch(*at));
    }
    let bad: BTreeSet<u64> = answers
        .iter()
        .filter(|(at, user, well)| !well && first[user] == epoch(*at))
        .map(|(_, user, _)| *user)
        .collect();
    let mut told = [Users::default(); 2];
    for (user, epoch_of) in first {
        if epoch_of < epoch(now) {
            let arm = &mut told[usize::from(member(user).arm == Arm::Experiment)];
            match bad.contains(&user) {
                true => arm.badly += 1,
                false => arm.well += 1,
            }
        }
    }
    told
}

proptest! {
    #[test]
    fn it_tells_what_a_set_of_all_users_would(
        answers in prop::collection::vec((0_u64..40_000, 0_u64..60, prop::bool::weighted(0.8)), 0..400),
    ) {
        let mut answers: Vec<_> = answers
            .into_iter()
            // Both arms, and many users in one part.
            .map(|(at, user, well)| (at, ((user % 2) << 63) | (user << 4), well))
            .collect();
        answers.sort_by_key(|(at, ..)| *at);
        let start = Instant::now();
        let census = begun(start);
        let mut before = [Users::default(); 2];
        for (number, (at, user, well)) in answers.iter().enumerate() {
            let now = start + Duration::from_millis(*at);
            census.answered(member(*user), &answer(*well), now);
            let told = census.counted(now);
            let now = [told.control, told.experiment];
            prop_assert_eq!(now, model(&answers[..=number], *at));
            for (now, before) in now.iter().zip(before) {
                prop_assert!(now.well >= before.well && now.badly >= before.badly);
            }
            before = now;
        }
        let told = census.counted(start + Duration::from_secs(60));
        prop_assert_eq!([told.control, told.experiment], model(&answers, 60_000));
        prop_assert_eq!(told.left_out, 0);
    }
}

#[test]
fn workers_together_count_a_user_once() {
    let start = Instant::now();
    let census = begun(start);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let census = &census;
            scope.spawn(move || {
                for user in 0..5000_u64 {
                    let user = (user << 3) | ((user % 2) << 63);
                    // One worker alone has bad news, for a tenth of the users.
                    let well = worker != 3 || (user >> 3) & 0xff > 25;
                    census.answered(member(user), &answer(well), start);
                }
            });
        }
    });
    let told = census.counted(start + EPOCH);
    let sum = |users: Users| users.well + users.badly;
    assert_eq!((sum(told.control), sum(told.experiment)), (2500, 2500));
    let bad = (0..5000_u64).filter(|user| user & 0xff <= 25).count() as u64;
    assert_eq!(told.control.badly + told.experiment.badly, bad);
}

#[test]
fn what_was_asked_before_it_began_is_not_counted() {
    let start = Instant::now();
    let census = Census::new(1, EPOCH);
    census.answered(member(1), &answer(false), start);
    census.begin(start);
    let late = start + Duration::from_secs(1);
    let earlier = Answered {
        took: Duration::from_secs(2),
        ..answer(false)
    };
    census.answered(member(2), &earlier, late);
    census.answered(member(3), &answer(true), late);
    let told = census.counted(start + EPOCH);
    assert_eq!(told.experiment, users(1, 0));
}

#[test]
fn an_epoch_is_told_when_it_is_over_and_not_taken_back() {
    let start = Instant::now();
    let census = begun(start);
    census.answered(member(1), &answer(true), start);
    let nearly = EPOCH - Duration::from_millis(1);
    assert_eq!(census.counted(start + nearly).experiment, users(0, 0));
    assert_eq!(census.counted(start + EPOCH).experiment, users(1, 0));
    // A worker whose time is behind, and a user's later misfortune.
    census.answered(member(1), &answer(false), start + nearly);
    census.answered(member(2), &answer(false), start + nearly);
    census.answered(member(1), &answer(false), start + EPOCH);
    assert_eq!(census.counted(start + EPOCH).experiment, users(1, 0));
    assert_eq!(census.counted(start + EPOCH * 2).experiment, users(1, 1));
}

#[test]
fn a_part_that_is_full_says_so_and_loses_users_of_both_arms() {
    let start = Instant::now();
    let census = begun(start);
    let most = PART_MOST as u64;
    for user in 0..most + 1000 {
        // All of one part, every other one in the other arm.
        let user = (user * PARTS as u64) | ((user % 2) << 63);
        census.answered(member(user), &answer(true), start);
    }
    let told = census.counted(start + EPOCH);
    assert_eq!(told.control, users(most / 2, 0));
    assert_eq!(told.experiment, users(most / 2, 0));
    assert_eq!(told.left_out, 1000);
    // Who is known is known still, and others have room.
    census.answered(member(0), &answer(true), start);
    census.answered(member(1), &answer(true), start);
    assert_eq!(census.counted(start + EPOCH * 2).left_out, 1000);
    assert_eq!(
        census.counted(start + EPOCH * 2).experiment,
        users(most / 2 + 1, 0)
    );
}
