//! Who is cut from whom: pure, from the number of groups and one's own to what does not pass.

use std::collections::BTreeSet;

/// How the groups are parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// No group talks with another.
    Symmetric,
    /// The first hears nothing from the others; what it says arrives.
    OneWay,
    /// Each talks only with its two neighbours in the circle.
    Ring,
    /// The last talks with all, the others not among themselves.
    Bridge,
    /// Each talks with a majority, and no two with the same one.
    Majorities,
}

/// Groups, by their places, whose packets do not pass here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// From which nothing is heard.
    pub(super) deaf: BTreeSet<usize>,
    /// To which nothing is said.
    pub(super) mute: BTreeSet<usize>,
}

impl Shape {
    /// The fewest groups among which it cuts anything.
    pub(super) fn fewest(self) -> usize {
        match self {
            Self::Symmetric | Self::OneWay => 2,
            Self::Bridge => 3,
            Self::Ring | Self::Majorities => 4,
        }
    }

    /// What is cut at group `own` of `count`.
    pub(super) fn cut(self, own: usize, count: usize) -> Cut {
        let others = || (0..count).filter(move |other| *other != own);
        match self {
            Self::OneWay if own == 0 => Cut {
                deaf: others().collect(),
                mute: BTreeSet::new(),
            },
            Self::OneWay => Cut {
                deaf: BTreeSet::new(),
                mute: BTreeSet::from([0]),
            },
            Self::Symmetric => Cut::both(others().collect()),
            Self::Bridge => {
                let bridge = count.saturating_sub(1);
                let parted = others().filter(|other| own != bridge && *other != bridge);
                Cut::both(parted.collect())
            }
            Self::Ring => Cut::both(beyond(own, count, 1)),
            // With itself, a majority takes so many on either side.
            Self::Majorities => Cut::both(beyond(own, count, (count / 2).div_ceil(2))),
        }
    }
}

impl Cut {
    fn both(groups: BTreeSet<usize>) -> Self {
        Self {
            deaf: groups.clone(),
            mute: groups,
        }
    }
}

/// Those further away in the circle than so many places.
fn beyond(own: usize, count: usize, places: usize) -> BTreeSet<usize> {
    let away = |other: usize| {
        let apart = own.abs_diff(other);
        apart.min(count - apart)
    };
    (0..count).filter(|other| away(*other) > places).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Shape; 5] = [
        Shape::Symmetric,
        Shape::OneWay,
        Shape::Ring,
        Shape::Bridge,
        Shape::Majorities,
    ];

    /// Whether packets pass, as the two hosts together have it: who is not told cannot hear.
    fn passes(shape: Shape, from: usize, to: usize, count: usize) -> bool {
        !shape.cut(from, count).mute.contains(&to) && !shape.cut(to, count).deaf.contains(&from)
    }

    fn talks(shape: Shape, one: usize, other: usize, count: usize) -> bool {
        passes(shape, one, other, count) && passes(shape, other, one, count)
    }

    /// Every shape with every number of groups that it can have, up to 16.
    fn every_case() -> impl Iterator<Item = (Shape, usize)> {
        let counts = |shape: Shape| (shape.fewest()..=16).map(move |count| (shape, count));
        ALL.into_iter().flat_map(counts)
    }

    #[test]
    fn both_ends_agree_on_what_is_cut() {
        for (shape, count) in every_case() {
            for from in 0..count {
                for to in 0..count {
                    let said = !shape.cut(from, count).mute.contains(&to);
                    let heard = !shape.cut(to, count).deaf.contains(&from);
                    assert_eq!(said, heard, "{shape:?} of {count}: {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn nobody_is_cut_from_itself_and_everything_cuts_something() {
        for (shape, count) in every_case() {
            assert!((0..count).all(|own| passes(shape, own, own, count)));
            let cut = |own| shape.cut(own, count) != Cut::default();
            assert!((0..count).any(cut), "{shape:?} of {count}");
        }
    }

    #[test]
    fn all_shapes_but_the_one_way_cut_both_ways() {
        for (shape, count) in every_case() {
            let mutual = (0..count).all(|own| {
                let cut = shape.cut(own, count);
                cut.deaf == cut.mute
            });
            assert_eq!(mutual, shape != Shape::OneWay, "{shape:?} of {count}");
        }
    }

    #[test]
    fn a_symmetric_partition_leaves_no_two_groups_together() {
        for count in 2..=16 {
            for own in 0..count {
                let with = (0..count).filter(|other| talks(Shape::Symmetric, own, *other, count));
                assert_eq!(with.collect::<Vec<_>>(), [own]);
            }
        }
    }

    #[test]
    fn one_way_the_first_is_heard_and_hears_nothing() {
        for count in 2..=16 {
            for other in 1..count {
                assert!(passes(Shape::OneWay, 0, other, count));
                assert!(!passes(Shape::OneWay, other, 0, count));
                assert!((1..count).all(|third| passes(Shape::OneWay, other, third, count)));
            }
        }
    }

    #[test]
    fn a_bridge_joins_those_that_do_not_talk() {
        for count in 3..=16 {
            let bridge = count - 1;
            for own in 0..bridge {
                assert!(talks(Shape::Bridge, own, bridge, count));
                let apart = |other| other == own || !talks(Shape::Bridge, own, other, count);
                assert!((0..bridge).all(apart));
            }
        }
    }

    #[test]
    fn in_a_ring_each_has_two_neighbours() {
        for count in 4..=16 {
            for own in 0..count {
                let with = (0..count).filter(|other| talks(Shape::Ring, own, *other, count));
                assert_eq!(with.count(), 3, "{own} of {count}");
                assert!(talks(Shape::Ring, own, (own + 1) % count, count));
            }
        }
    }

    #[test]
    fn every_group_talks_with_a_majority_and_no_two_with_the_same() {
        for count in 4..=16 {
            let seen = |own: usize| -> BTreeSet<usize> {
                (0..count)
                    .filter(|other| talks(Shape::Majorities, own, *other, count))
                    .collect()
            };
            let majorities: BTreeSet<BTreeSet<usize>> = (0..count).map(seen).collect();
            assert_eq!(majorities.len(), count, "two of {count} see the same");
            for majority in majorities {
                assert!(majority.len() > count / 2, "{majority:?} of {count}");
                assert!(majority.len() < count, "{majority:?} is all of {count}");
            }
        }
    }
}
