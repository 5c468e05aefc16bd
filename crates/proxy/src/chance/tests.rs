use super::*;

/// Pearson's statistic of draws in 256 cells; with 255 degrees of freedom it is above 377 once in
/// a million times.
fn statistic(draws: impl Iterator<Item = f64>) -> f64 {
    let mut cells = [0_u32; 256];
    let mut n = 0;
    for draw in draws {
        cells[(draw * 256.0) as usize] += 1;
        n += 1;
    }
    let expected = f64::from(n) / 256.0;
    let square = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
    cells.iter().map(square).sum()
}

#[test]
fn draws_are_even_over_connections_offsets_faults_and_seeds() {
    const N: u64 = 200_000;
    let by_connection = (0..N).map(|c| Chance::new(7).of(c).named("latency").unit());
    assert!(statistic(by_connection) < 377.0);
    let by_offset = (0..N).map(|o| Chance::new(7).of(3).named("latency").of(o * 1460).unit());
    assert!(statistic(by_offset) < 377.0);
    let by_seed = (0..N).map(|s| Chance::new(s).of(3).named("latency").unit());
    assert!(statistic(by_seed) < 377.0);
    let by_name = (0..N).map(|n| Chance::new(7).named(&format!("fault {n}")).unit());
    assert!(statistic(by_name) < 377.0);
}

#[test]
fn draws_of_neighbours_know_nothing_of_each_other() {
    const N: u64 = 200_000;
    let pairs = (0..N).map(|c| {
        let chance = Chance::new(1).of(c);
        let (a, b) = (chance.named("a").unit(), chance.named("b").unit());
        // The fractional part of a sum is even if either is, given the other.
        (a + b).fract()
    });
    assert!(statistic(pairs) < 377.0);
    let next = (0..N).map(|c| {
        let (a, b) = (Chance::new(1).of(c).unit(), Chance::new(1).of(c + 1).unit());
        (a + b).fract()
    });
    assert!(statistic(next) < 377.0);
}

#[test]
fn the_order_of_what_a_draw_is_about_matters() {
    let chance = Chance::new(0);
    assert_ne!(chance.of(1).of(2), chance.of(2).of(1));
    assert_ne!(chance.named("ab").named("c"), chance.named("a").named("bc"));
    assert_ne!(chance.named(""), chance);
    assert_ne!(chance.named("a"), chance.named("a\0"));
}

#[test]
fn never_is_never_and_always_is_always() {
    assert!((0..10_000).all(|c| !Chance::new(0).of(c).happens(0.0)));
    assert!((0..10_000).all(|c| Chance::new(0).of(c).happens(1.0)));
    assert!((0..10_000).all(|c| Chance::new(0).of(c).below(7) < 7));
    assert_eq!(Chance::new(0).below(0), 0);
}

/// A seed that is written down has to mean the same next year.
#[test]
fn a_seed_keeps_its_meaning() {
    let draw = Chance::new(42).of(0).named("latency_downstream").of(0);
    assert_eq!(draw.bits(), 12_557_344_997_785_533_285);
}
