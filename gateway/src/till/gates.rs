//! The gates of one life: which are free. Pure; who waits for one waits outside.
//!
//! A gate takes one authorization at a time. It is occupied until that one is decided: acknowledged, refused, or released
//! with the release acknowledged. Why: `docs/decisions/0002-gates.md`.

use schemas::subject::GATES;

/// Free and occupied gates, a bit each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gates {
    free: u64,
}

const _: () = assert!(GATES as u32 == u64::BITS, "a gate is a bit of a u64");

impl Default for Gates {
    fn default() -> Self {
        Self { free: u64::MAX }
    }
}

impl Gates {
    /// Occupies a free gate.
    pub fn take(&mut self) -> Option<u16> {
        if self.free == 0 {
            return None;
        }
        let k = self.free.trailing_zeros() as u16;
        self.free &= !(1 << k);
        Some(k)
    }

    /// What was in the gate is decided. False if the gate was free, which is a bug of the caller.
    pub fn give_back(&mut self, k: u16) -> bool {
        let bit = 1_u64.checked_shl(k.into()).unwrap_or(0);
        let occupied = bit != 0 && self.free & bit == 0;
        self.free |= bit;
        occupied
    }

    /// How many are free.
    pub fn free(&self) -> u32 {
        self.free.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_gate_is_given_twice(steps in prop::collection::vec(prop::option::of(0_u16..70), 0..300)) {
            let mut gates = Gates::default();
            let mut occupied = std::collections::BTreeSet::new();
            for step in steps {
                match step {
                    None => match gates.take() {
                        Some(k) => prop_assert!(occupied.insert(k) && k < GATES),
                        None => prop_assert_eq!(occupied.len(), usize::from(GATES)),
                    },
                    Some(k) => prop_assert_eq!(gates.give_back(k), occupied.remove(&k)),
                }
                prop_assert_eq!(gates.free() as usize + occupied.len(), usize::from(GATES));
            }
        }
    }
}
