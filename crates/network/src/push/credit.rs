//! Credit: the arithmetic of both ends, without a network.
//!
//! Invariant of the receiver: what is under way or held, and what the open channel may still send, never exceed what was set
//! (except right after it was lowered). Totals of a channel only grow, so a record that says a total may be lost to a later one.

/// Items and bytes. Bytes are those of headers and bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// How many items.
    pub items: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Credit {
    /// One item of so many bytes.
    pub(crate) const fn item(bytes: u64) -> Self {
        Self { items: 1, bytes }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self { items: self.items.saturating_add(other.items), bytes: self.bytes.saturating_add(other.bytes) }
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self { items: self.items.saturating_sub(other.items), bytes: self.bytes.saturating_sub(other.bytes) }
    }

    pub(crate) const fn covers(self, other: Self) -> bool {
        self.items >= other.items && self.bytes >= other.bytes
    }
}

/// A channel's totals, as either end counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) granted: Credit,
    pub(crate) spent: Credit,
}

impl Totals {
    pub(crate) const fn left(&self) -> Credit {
        self.granted.minus(self.spent)
    }

    /// Take the credit of one item, if there is enough.
    pub(crate) fn spend(&mut self, bytes: u64) -> bool {
        let item = Credit::item(bytes);
        let enough = self.left().covers(item);
        if enough {
            self.spent = self.spent.plus(item);
        }
        enough
    }

    /// Undo a [`Totals::spend`] of which the other side never hears.
    pub(crate) fn unspend(&mut self, bytes: u64) {
        self.spent = self.spent.minus(Credit::item(bytes));
    }

    /// A total that the other side said; it never falls.
    pub(crate) fn raise(&mut self, granted: Credit) {
        self.granted.items = self.granted.items.max(granted.items);
        self.granted.bytes = self.granted.bytes.max(granted.bytes);
    }
}

/// What one peer may have of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Purse {
    /// Set by the application.
    pub(crate) budget: Credit,
    /// Under way or held, on whatever channel.
    pub(crate) used: Credit,
    /// Of the open channel.
    pub(crate) totals: Totals,
}

impl Purse {
    /// Grant what can be granted; the channel's new total.
    pub(crate) fn grant(&mut self) -> Credit {
        let free = self.budget.minus(self.used).minus(self.totals.left());
        self.totals.granted = self.totals.granted.plus(free);
        self.totals.granted
    }

    /// A new channel takes the place of the one before.
    pub(crate) fn reopen(&mut self) -> Credit {
        self.totals = Totals::default();
        self.grant()
    }

    pub(crate) fn spend(&mut self, bytes: u64) -> bool {
        let enough = self.totals.spend(bytes);
        if enough {
            self.used = self.used.plus(Credit::item(bytes));
        }
        enough
    }

    pub(crate) fn release(&mut self, bytes: u64) -> Credit {
        self.used = self.used.minus(Credit::item(bytes));
        self.grant()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Send(u64),
        Release(usize),
        Reopen,
        Budget(u64, u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0u64..300).prop_map(Step::Send),
            3 => any::<usize>().prop_map(Step::Release),
            1 => Just(Step::Reopen),
            1 => (0u64..20, 0u64..1000).prop_map(|(items, bytes)| Step::Budget(items, bytes)),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn no_order_of_events_lets_a_peer_hold_more_than_was_ever_set_and_all_comes_back(steps in steps()) {
            let mut purse = Purse { budget: Credit { items: 4, bytes: 500 }, ..Purse::default() };
            let mut sender = Totals { granted: purse.reopen(), ..Totals::default() };
            let mut most = purse.budget;
            let mut held: Vec<u64> = Vec::new();
            for step in steps {
                match step {
                    Step::Send(bytes) => {
                        let may = sender.spend(bytes);
                        prop_assert_eq!(may, purse.spend(bytes), "both ends count alike");
                        if may {
                            held.push(bytes);
                        }
                    }
                    Step::Release(which) if !held.is_empty() => {
                        let bytes = held.swap_remove(which % held.len());
                        sender.raise(purse.release(bytes));
                    }
                    Step::Release(_) => {}
                    Step::Reopen => sender = Totals { granted: purse.reopen(), ..Totals::default() },
                    Step::Budget(items, bytes) => {
                        purse.budget = Credit { items, bytes };
                        most = Credit { items: most.items.max(items), bytes: most.bytes.max(bytes) };
                        sender.raise(purse.grant());
                    }
                }
                prop_assert_eq!(sender, purse.totals);
                prop_assert_eq!(purse.used, Credit { items: held.len() as u64, bytes: held.iter().sum() });
                prop_assert!(most.covers(purse.used));
                prop_assert!(most.covers(purse.used.plus(purse.totals.left())));
            }
            for bytes in held {
                sender.raise(purse.release(bytes));
            }
            prop_assert_eq!(purse.used, Credit::default());
            prop_assert!(sender.left().covers(purse.budget), "what is released can be spent again");
        }
    }
}
