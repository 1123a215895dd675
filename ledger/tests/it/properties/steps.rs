//! What may happen. A step names accounts, lives, requests and events by any number, which is taken modulo those that there
//! are: so every story can be told, also one of which steps were left out.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::maps::Maps;

/// Any number, for one of what there is.
pub(super) type Which = u8;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    OpenAccount,
    TopUp {
        account: Which,
        credits: i64,
        reference: u8,
    },
    /// `take`: what there is, and the rest is lost.
    Adjust {
        account: Which,
        credits: i64,
        reference: u8,
        take: bool,
    },
    Register,
    /// `unheard`: the reply to its last grant was lost.
    Lease {
        life: Which,
        account: Which,
        need: i64,
        more: i64,
        unheard: bool,
    },
    /// A life says something in the stream; some of it comes only later, or never.
    Authorize {
        life: Which,
        account: Which,
        hold: i64,
        comes: bool,
    },
    Use {
        request: Which,
        tokens: u64,
        by: Saying,
    },
    Deduct {
        request: Which,
        credits: i64,
        by: Saying,
    },
    /// `names`: the sequence number of its authorization, as of one that never comes.
    Release {
        request: Which,
        names: bool,
        by: Saying,
    },
    AuthorizeAgain {
        request: Which,
        hold: i64,
        by: Saying,
    },
    /// Room below the cap of the account's key is asked for: for a new request, or again for one; and what was promised to
    /// another and is not used is given back.
    Reserve {
        life: Which,
        account: Which,
        credits: i64,
        again: Option<Which>,
        back: Option<Which>,
    },
    /// A life authorizes what was promised to it.
    AuthorizeReserved {
        request: Which,
        comes: bool,
    },
    Return {
        life: Which,
        account: Which,
        credits: i64,
        comes: bool,
    },
    /// Something that was said comes: for the first time, or again.
    Comes {
        said: Which,
        recovered: bool,
    },
    /// All that was said and did not come yet comes, the last first.
    AllComeBackwards,
    /// Another event under a number that was given.
    Forge {
        said: Which,
    },
    Nonsense,
    /// What an operator does about something in the quarantine, of which the last ones are of more interest.
    Replay {
        kept: Which,
    },
    Dismiss {
        kept: Which,
    },
    BeginFence {
        life: Which,
    },
    CloseGates {
        life: Which,
        from: u16,
        to: u16,
    },
    CompleteFence {
        life: Which,
    },
    Expire {
        request: Which,
    },
    NextGeneration,
}

/// Who says something of a request, and whether it comes at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saying {
    /// Another life than the one that authorized it.
    pub(super) other_life: Option<Which>,
    /// Of another account than it is.
    pub(super) astray: Option<Which>,
    pub(super) comes: bool,
}

/// Steps of one batch, or what happens to the writer between two.
#[derive(Clone, Debug)]
pub(super) enum Transition {
    Batch(Vec<Step>),
    /// The process ends and begins again.
    Restart,
    /// Another ledger takes over; what the old one is told then changes nothing.
    TakeOver,
    /// PostgreSQL ends the writer's session.
    SessionEnds,
}

/// Stories begin with an account, a life and a lease.
pub(super) struct Story;

impl ReferenceStateMachine for Story {
    type State = Maps;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Maps> {
        let (account, life) = (0, 0);
        let beginning = Transition::Batch(vec![
            Step::NextGeneration,
            Step::OpenAccount,
            Step::TopUp { account, credits: 100, reference: 0 },
            Step::Register,
            Step::Lease { life, account, need: 40, more: 0, unheard: false },
        ]);
        Just(Maps::default().after(&beginning)).boxed()
    }

    fn transitions(_: &Maps) -> BoxedStrategy<Transition> {
        prop_oneof![
            60 => prop::collection::vec(step(), 1..4).prop_map(Transition::Batch),
            3 => prop::collection::vec(step(), 10..30).prop_map(Transition::Batch),
            2 => Just(Transition::Restart),
            1 => Just(Transition::TakeOver),
            1 => Just(Transition::SessionEnds),
        ]
        .boxed()
    }

    fn apply(maps: Maps, transition: &Transition) -> Maps {
        maps.after(transition)
    }
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<Which>;
    prop_oneof![
        1 => Just(Step::OpenAccount),
        3 => (which(), -1_i64..60, 0_u8..8).prop_map(|(account, credits, reference)| Step::TopUp { account, credits, reference }),
        4 => (which(), -40_i64..40, 0_u8..8, any::<bool>())
            .prop_map(|(account, credits, reference, take)| Step::Adjust { account, credits, reference, take }),
        2 => Just(Step::Register),
        10 => (which(), which(), 0_i64..40, 0_i64..40, rarely())
            .prop_map(|(life, account, need, more, unheard)| Step::Lease { life, account, need, more, unheard }),
        16 => (which(), which(), 0_i64..25, mostly())
            .prop_map(|(life, account, hold, comes)| Step::Authorize { life, account, hold, comes }),
        14 => (which(), 0_u64..14_000, saying()).prop_map(|(request, tokens, by)| Step::Use { request, tokens, by }),
        12 => (which(), -1_i64..25, saying()).prop_map(|(request, credits, by)| Step::Deduct { request, credits, by }),
        5 => (which(), any::<bool>(), saying()).prop_map(|(request, names, by)| Step::Release { request, names, by }),
        1 => (which(), 0_i64..25, saying()).prop_map(|(request, hold, by)| Step::AuthorizeAgain { request, hold, by }),
        10 => (which(), which(), -1_i64..25, seldom(), prop::option::weighted(0.2, which()))
            .prop_map(|(life, account, credits, again, back)| Step::Reserve { life, account, credits, again, back }),
        10 => (which(), mostly()).prop_map(|(request, comes)| Step::AuthorizeReserved { request, comes }),
        5 => (which(), which(), 0_i64..40, mostly())
            .prop_map(|(life, account, credits, comes)| Step::Return { life, account, credits, comes }),
        12 => (which(), rarely()).prop_map(|(said, recovered)| Step::Comes { said, recovered }),
        1 => Just(Step::AllComeBackwards),
        1 => which().prop_map(|said| Step::Forge { said }),
        1 => Just(Step::Nonsense),
        5 => kept().prop_map(|kept| Step::Replay { kept }),
        1 => kept().prop_map(|kept| Step::Dismiss { kept }),
        2 => which().prop_map(|life| Step::BeginFence { life }),
        3 => (which(), prop_oneof![Just((0, 64)), Just((0, 30)), Just((30, 64)), Just((20, 40))])
            .prop_map(|(life, (from, to))| Step::CloseGates { life, from, to }),
        1 => which().prop_map(|life| Step::CompleteFence { life }),
        4 => which().prop_map(|request| Step::Expire { request }),
        1 => Just(Step::NextGeneration),
    ]
}

fn kept() -> impl Strategy<Value = Which> {
    prop_oneof![3 => 0_u8..3, 1 => any::<Which>()]
}

fn seldom() -> impl Strategy<Value = Option<Which>> {
    prop_oneof![19 => Just(None), 1 => any::<Which>().prop_map(Some)]
}

fn saying() -> impl Strategy<Value = Saying> {
    (seldom(), seldom(), mostly()).prop_map(|(other_life, astray, comes)| Saying { other_life, astray, comes })
}

fn mostly() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.75)
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}
