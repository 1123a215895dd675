/// One of these, each by its share of the weights; `None` of none. Whoever has no weight is taken only where nobody has.
/// The same number chooses the same one.
pub(super) fn choose(candidates: impl Iterator<Item = (usize, u32)> + Clone, random: u64) -> Option<usize> {
    let total: u64 = candidates.clone().map(|(_, weight)| u64::from(weight)).sum();
    let count = candidates.clone().count() as u64;
    // Without weights all are alike.
    let weigh = |weight: u32| if total == 0 { 1 } else { u64::from(weight) };
    let mut place = random.checked_rem(if total == 0 { count } else { total })?;
    for (index, weight) in candidates {
        let weight = weigh(weight);
        if place < weight {
            return Some(index);
        }
        place -= weight;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_taken_by_its_share_exactly(weights in prop::collection::vec(0_u32..20, 0..8)) {
            let candidates = || weights.iter().copied().enumerate().map(|(index, weight)| (index + 3, weight));
            let total: u32 = weights.iter().sum();
            let count = u32::try_from(weights.len()).unwrap();
            let rounds = if total == 0 { count } else { total };
            let mut taken = vec![0; weights.len()];
            for random in 0..rounds {
                taken[choose(candidates(), random.into()).unwrap() - 3] += 1;
            }
            let expected = if total == 0 { vec![1; weights.len()] } else { weights.clone() };
            prop_assert_eq!(taken, expected);
            prop_assert_eq!(choose(candidates(), u64::MAX).is_none(), weights.is_empty());
        }
    }
}
