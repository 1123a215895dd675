use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of sequence numbers, kept as inclusive ranges that neither touch nor overlap. Its text is PostgreSQL's `int8multirange`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeqSet {
    ranges: Vec<(u64, u64)>,
}

impl SeqSet {
    /// Adds a number; false if it was there.
    pub fn insert(&mut self, seq: u64) -> bool {
        // Almost always the next one: the end of the last range is looked at first.
        let after = match self.ranges.last() {
            Some((_, end)) if seq > *end => self.ranges.len(),
            _ => self.ranges.partition_point(|(start, _)| *start <= seq),
        };
        if after > 0 && self.ranges[after - 1].1 >= seq {
            return false;
        }
        let joins_left = after > 0 && self.ranges[after - 1].1 + 1 == seq;
        let joins_right = after < self.ranges.len() && self.ranges[after].0 == seq + 1;
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[after - 1].1 = self.ranges[after].1;
                self.ranges.remove(after);
            }
            (true, false) => self.ranges[after - 1].1 = seq,
            (false, true) => self.ranges[after].0 = seq,
            (false, false) => self.ranges.insert(after, (seq, seq)),
        }
        true
    }

    /// Whether the number is there.
    pub fn contains(&self, seq: u64) -> bool {
        let after = self.ranges.partition_point(|(start, _)| *start <= seq);
        after > 0 && self.ranges[after - 1].1 >= seq
    }

    /// Takes a number out.
    pub fn remove(&mut self, seq: u64) {
        let after = self.ranges.partition_point(|(start, _)| *start <= seq);
        if after == 0 || self.ranges[after - 1].1 < seq {
            return;
        }
        let (start, end) = self.ranges.remove(after - 1);
        if seq < end {
            self.ranges.insert(after - 1, (seq + 1, end));
        }
        if start < seq {
            self.ranges.insert(after - 1, (start, seq - 1));
        }
    }

    /// Adds all numbers of another set.
    pub fn extend(&mut self, other: &Self) {
        for (start, end) in &other.ranges {
            for seq in *start..=*end {
                self.insert(seq);
            }
        }
    }

    /// The largest number, or 0.
    pub fn max(&self) -> u64 {
        self.ranges.last().map_or(0, |(_, end)| *end)
    }

    /// The number up to which, from 1, none is missing.
    pub fn through(&self) -> u64 {
        match self.ranges.first() {
            Some((1, end)) => *end,
            _ => 0,
        }
    }

    /// The inclusive ranges that are missing between 1 and the largest number.
    pub fn holes(&self) -> Vec<(u64, u64)> {
        let mut next = 1;
        let mut holes = Vec::new();
        for (start, end) in &self.ranges {
            if *start > next {
                holes.push((next, start - 1));
            }
            next = end + 1;
        }
        holes
    }

    /// The inclusive ranges.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// The set of these inclusive ranges.
    pub fn from_ranges(ranges: &[(u64, u64)]) -> Self {
        let mut set = Self::default();
        let mut sorted = ranges.to_vec();
        sorted.sort_unstable();
        for (start, end) in sorted {
            match set.ranges.last_mut() {
                Some(last) if start <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => set.ranges.push((start, end)),
            }
        }
        set
    }
}

impl fmt::Display for SeqSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (start, end)) in self.ranges.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}[{start},{})", end + 1)?;
        }
        f.write_str("}")
    }
}

/// Not the text of an `int8multirange` of positive numbers.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a multirange of sequence numbers")]
pub struct NotASeqSet(String);

impl FromStr for SeqSet {
    type Err = NotASeqSet;
    fn from_str(text: &str) -> Result<Self, NotASeqSet> {
        let wrong = || NotASeqSet(text.to_owned());
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(wrong)?;
        let mut ranges = Vec::new();
        for range in inner.split_terminator(')') {
            let (start, end) =
                range.trim_start_matches(',').strip_prefix('[').and_then(|r| r.split_once(',')).ok_or_else(wrong)?;
            let (start, end): (u64, u64) = (start.parse().map_err(|_| wrong())?, end.parse().map_err(|_| wrong())?);
            ranges.push((start, end.checked_sub(1).ok_or_else(wrong)?));
        }
        Ok(Self::from_ranges(&ranges))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec((any::<bool>(), 1_u64..40), 0..80)) {
            let (mut set, mut reference) = (SeqSet::default(), BTreeSet::new());
            for (add, seq) in steps {
                if add {
                    prop_assert_eq!(set.insert(seq), reference.insert(seq));
                } else {
                    set.remove(seq);
                    reference.remove(&seq);
                }
                prop_assert_eq!(set.max(), reference.last().copied().unwrap_or(0));
                prop_assert_eq!((1..=set.max()).filter(|s| set.contains(*s)).collect::<BTreeSet<_>>(), reference.clone());
                let missing = set.holes().iter().flat_map(|(a, b)| *a..=*b).collect::<BTreeSet<_>>();
                prop_assert_eq!(missing, (1..=set.max()).filter(|s| !reference.contains(s)).collect());
                prop_assert_eq!(set.to_string().parse::<SeqSet>().unwrap(), set.clone());
            }
        }
    }
}
