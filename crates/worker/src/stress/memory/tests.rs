use proptest::prelude::*;

use super::*;

fn load(amount: MemoryAmount, total: bool, reserve: u64) -> MemoryLoad {
    MemoryLoad {
        amount,
        total,
        reserve: Some(reserve),
    }
}

proptest! {
    #[test]
    fn the_reserve_stays_whatever_others_do(
        whole in 1_u64..1 << 45,
        before in 0.0_f64..=1.0,
        later in prop::collection::vec(0.0_f64..=1.0, 1..20),
        percent in 0.1_f64..=100.0,
        reserve in 0_u64..1 << 40,
        total in any::<bool>(),
    ) {
        let amount = MemoryAmount::Percent { percent, of: PercentOf::Total };
        let others = |share: f64| (whole as f64 * share) as u64;
        let start = Surroundings { total: whole, available: whole - others(before).min(whole) };
        let Ok(goal) = load(amount, total, reserve).goal(&start, 0) else { return Ok(()); };
        let mut held = 0_u64;
        for share in later {
            // What others take shrinks to what is left beside the load.
            let taken = others(share).min(whole - held);
            let now = Surroundings { total: whole, available: whole - held - taken };
            held = goal.bounded(&now, held);
            let available = whole.saturating_sub(held + taken);
            prop_assert!(available >= reserve || held == 0);
            if let Level::Total(level) = goal.level {
                prop_assert!(held == 0 || held + taken <= level);
            }
        }
    }

    #[test]
    fn a_total_level_is_met_from_either_side(
        taken in 0_u64..800, held in 0_u64..200, level in 1_u64..900,
    ) {
        let goal = Goal { level: Level::Total(level), own: 0, reserve: 100 };
        let now = Surroundings { total: 1000, available: 1000 - taken - held };
        prop_assert_eq!(goal.bounded(&now, held) + taken, level.max(taken));
    }

    #[test]
    fn a_percentage_outside_its_range_is_refused(percent in prop_oneof![
        Just(f64::NAN), -100.0_f64..=0.0, 100.001_f64..1e9,
    ]) {
        let amount = MemoryAmount::Percent { percent, of: PercentOf::Total };
        prop_assert!(load(amount, false, 0).validate().is_err());
    }
}

#[test]
fn a_level_of_what_is_available_is_refused() {
    let amount = MemoryAmount::Percent {
        percent: 50.0,
        of: PercentOf::Available,
    };
    assert!(load(amount, true, 0).validate().is_err());
    assert!(load(amount, false, 0).validate().is_ok());
    assert!(load(MemoryAmount::Bytes(0), false, 0).validate().is_err());
}

#[test]
fn more_than_fits_beside_the_reserve_is_refused() {
    let before = Surroundings {
        total: 1000,
        available: 500,
    };
    let asked = |bytes, total| load(MemoryAmount::Bytes(bytes), total, 100).goal(&before, 0);
    assert!(asked(400, false).is_ok());
    assert!(matches!(
        asked(401, false),
        Err(StressError::NoRoom { free: 400, .. })
    ));
    assert!(matches!(
        asked(500, true),
        Err(StressError::AlreadyFuller { used: 500, .. })
    ));
}

#[test]
fn what_is_held_grows_and_shrinks_to_the_page() {
    let mut held = Held::new();
    held.grow(70 << 20).unwrap();
    assert_eq!(held.bytes(), 70 << 20);
    held.shrink_to(65 << 20).unwrap();
    assert_eq!(held.bytes(), 65 << 20);
    held.shrink_to((3 << 20) + 100).unwrap();
    assert_eq!(held.bytes(), 3 << 20);
    held.shrink_to(0).unwrap();
    assert_eq!(held.bytes(), 0);
}
