//! What a world is made of, what may go wrong in it, and which rule is broken in it.

/// How large a world is.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Gateway processes.
    pub gateways: usize,
    /// Lives that all of them may begin together, the first ones included.
    pub lives: usize,
    /// Gates that a life uses. The others count as closed from the start: nothing ever goes through them.
    pub gates: u16,
    /// What the account bought, smallest units.
    pub bought: i64,
    /// The hold of each request, smallest units.
    pub holds: Vec<i64>,
    /// What a provider may bill for a request, smallest units.
    pub costs: Vec<i64>,
    /// What may go wrong, and how often.
    pub faults: Faults,
    /// A rule that is broken on purpose.
    pub mutant: Option<Mutant>,
}

/// How often each thing may go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A gateway process dies. It comes back as a new process.
    pub crashes: u8,
    /// A life is fenced although it lives.
    pub fences: u8,
    /// An acknowledgement is lost; or the message itself is on its way for longer than its sender waits.
    pub lost_acknowledgements: u8,
    /// A message to the stream is lost.
    pub lost_messages: u8,
    /// The same message is sent through its gate again.
    pub repeats: u8,
    /// An undecided authorization is given up.
    pub impatience: u8,
    /// An answer of the ledger is lost, or given twice.
    pub lost_replies: u8,
    /// The word how far the ledger has appended is lost.
    pub lost_words: u8,
    /// The ledger process dies.
    pub restarts: u8,
    /// A gateway's connection is made anew.
    pub reconnects: u8,
    /// NATS loses its disk or comes back older.
    pub losses: u8,
    /// A life gives back what is free.
    pub returns: u8,
    /// A hold expires though its settlement is still on its way.
    pub early_expiries: u8,
    /// The gates of a fenced life are purged.
    pub purges: u8,
    /// The provider fails before it answers anything.
    pub provider_failures: u8,
}

/// A protective rule, broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// An authorization is published without a condition.
    NoGate,
    /// Gates have no `open` message: an authorization expects nothing on its gate's subject.
    GateExpectsZero,
    /// A lost stream is made anew under its old name, and read on from where the old one was left.
    StreamUnderItsOldName,
    /// An undecided authorization is sent again without its gate, and that acknowledgement counts.
    UndecidedSentWithoutGate,
    /// A usage that is read after its deduction is late: the hold is released and the account pays from what is free.
    UsageAfterDeductionIsLate,
    /// A refused life looks up its gate's last sequence and goes on.
    LifeGoesOnAfterItsFence,
    /// The provider is called when the authorization is sent.
    CalledBeforeAcknowledgement,
    /// Leases are taken back when the last `closed` is written.
    ReclaimBeforeReadBack,
    /// The rest of a hold is free when its charge is known.
    RestUsedBeforeDeduction,
    /// `LeaseReturned` moves credits although the lease was taken back.
    ReturnCountedAfterFence,
    /// The account pays what the provider bills.
    ChargeNotCapped,
    /// A repeat is applied as if it were new.
    EventsAppliedTwice,
    /// An event waits for all that its emitter said before it.
    HolesHoldBack,
    /// A gateway forgets what a fence has named as not coming. (It was so until this model found it.)
    NamedAsMissingIsForgotten,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NoGate,
        Self::GateExpectsZero,
        Self::StreamUnderItsOldName,
        Self::UndecidedSentWithoutGate,
        Self::UsageAfterDeductionIsLate,
        Self::LifeGoesOnAfterItsFence,
        Self::CalledBeforeAcknowledgement,
        Self::ReclaimBeforeReadBack,
        Self::RestUsedBeforeDeduction,
        Self::ReturnCountedAfterFence,
        Self::ChargeNotCapped,
        Self::EventsAppliedTwice,
        Self::HolesHoldBack,
        Self::NamedAsMissingIsForgotten,
    ];
}

impl Setup {
    /// Whether this rule is broken.
    pub fn breaks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// The same world with a rule broken.
    pub fn with(mut self, mutant: Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }
}
