//! Which instance holds what.

/// Which of `count` instances, counted from 0, holds what this number stands for: the one with the
/// highest draw for it.
///
/// Replicas of all versions must agree, so this function never changes. An instance that is added at the
/// end of the list takes over its share, and moves nothing else.
///
/// # Panics
///
/// Without instances.
pub(crate) fn place(number: u64, count: usize) -> usize {
    let number = mix(number);
    let highest = (0..count).max_by_key(|place| mix(number ^ mix(*place as u64)));
    highest.expect("there is an instance")
}

/// The finalizer of `SplitMix64`.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_stays_where_other_replicas_look_for_it() {
        let places = |count| (1..=12).map(|number| place(number, count)).collect::<Vec<_>>();
        assert_eq!(places(1), [0; 12]);
        assert_eq!(places(2), [1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 0]);
        assert_eq!(places(3), [1, 2, 2, 2, 0, 2, 0, 1, 0, 1, 0, 0]);
    }

    #[test]
    fn it_is_spread_evenly_and_moves_only_to_a_new_instance() {
        let mut counts = [0_u32; 4];
        for number in 1_000_000..1_040_000 {
            let (before, after) = (place(number, 3), place(number, 4));
            assert!(after == before || after == 3);
            counts[after] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }
}
