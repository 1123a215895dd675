use std::time::Duration;

use schemas::money::Nanocredits;

/// Two of these are looked at: what was spent in the current one and in the one before.
const SPAN: Duration = Duration::from_secs(2);

/// What was charged in the last few seconds, roughly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spending {
    span: u64,
    before: i64,
    current: i64,
}

impl Spending {
    /// So much was charged just now.
    pub fn add(&mut self, amount: Nanocredits, now: Duration) {
        self.turn(now);
        self.current = self.current.saturating_add(amount.get());
    }

    /// Charged in the last 2 to 4 seconds, credits.
    pub fn recent(&mut self, now: Duration) -> Nanocredits {
        self.turn(now);
        Nanocredits::new(self.before.saturating_add(self.current))
    }

    fn turn(&mut self, now: Duration) {
        let span = now.as_secs() / SPAN.as_secs();
        match span.saturating_sub(self.span) {
            0 => return,
            1 => self.before = self.current,
            _ => self.before = 0,
        }
        self.current = 0;
        self.span = span;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_a_few_seconds_is_forgotten() {
        let mut spending = Spending::default();
        let at = Duration::from_millis;
        spending.add(Nanocredits::new(5), at(1_000));
        spending.add(Nanocredits::new(7), at(2_500));
        assert_eq!(spending.recent(at(3_900)), Nanocredits::new(12));
        assert_eq!(spending.recent(at(4_000)), Nanocredits::new(7));
        assert_eq!(spending.recent(at(9_000)), Nanocredits::ZERO);
    }
}
