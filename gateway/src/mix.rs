//! Steele, Lea and Flood's mixer (SplitMix64): neighbouring numbers come out as if they had nothing to do with each other.

/// The step between two numbers: odd, and with bits all over.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A multiple of the step, mixed.
pub(crate) fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the published generator for the seed 1234567.
    #[test]
    fn it_is_the_published_one() {
        let outputs = (1..=3_u64).map(|n| mixed(1_234_567_u64.wrapping_add(n.wrapping_mul(STEP))));
        let known = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert!(outputs.eq(known));
    }
}
