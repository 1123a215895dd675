//! Each protective rule, broken on purpose: the checker must find that it was needed.

use model::check::refute;
use model::setup::Mutant;
use model::worlds::of_mutant;

const BACKED: &str = "no provider is called for money that is not set aside";
const COUNTS: &str = "what a provider is called for is set aside";
const CHARGED: &str = "an answered request is charged once, exactly, when all is delivered";
const STUCK: &str = "nothing is stuck";
const BELIEVES: &str = "no gateway believes in more than its lease has";

fn is_found(mutant: Mutant, rules: &[&str]) {
    let checked = refute(&of_mutant(mutant));
    let (rule, actions, _) = checked.broken.unwrap_or_else(|| panic!("{mutant:?} is not refuted"));
    // Which of several harms is met first is a matter of how the checker's threads are scheduled.
    assert!(
        rules.contains(&rule) || rule == STUCK,
        "{mutant:?} was refuted by another rule than expected: {rule}\n{actions:#?}"
    );
}

macro_rules! broken {
    ($($test:ident: $mutant:ident, $rules:expr;)*) => {
        $(#[test]
        fn $test() {
            is_found(Mutant::$mutant, &$rules);
        })*

        #[test]
        fn no_rule_is_left_out() {
            assert_eq!(Mutant::ALL, [$(Mutant::$mutant),*]);
        }
    };
}

broken! {
    no_gate_on_the_publish: NoGate, [COUNTS];
    a_gate_that_expects_nothing: GateExpectsZero, [COUNTS];
    a_stream_made_anew_under_its_old_name: StreamUnderItsOldName, [CHARGED, BELIEVES];
    an_undecided_authorization_sent_again_without_its_gate: UndecidedSentWithoutGate, [COUNTS];
    a_usage_after_its_deduction_taken_for_late: UsageAfterDeductionIsLate, [CHARGED];
    the_same_life_going_on_after_its_fence: LifeGoesOnAfterItsFence, [COUNTS];
    the_provider_called_before_the_acknowledgement: CalledBeforeAcknowledgement, [BACKED, COUNTS];
    reclaimed_before_the_last_fence_message_is_read_back: ReclaimBeforeReadBack, [COUNTS];
    the_rest_of_a_hold_used_before_its_deduction_is_acknowledged: RestUsedBeforeDeduction, [BELIEVES, CHARGED];
    a_return_counted_after_the_fence: ReturnCountedAfterFence, [
        "the books refuse nothing that a gateway says", "leases and holds are what the account says of them"
    ];
    a_charge_that_is_not_capped_at_its_hold: ChargeNotCapped, [
        "the account adds up and is never charged more than it bought", "a hold ends once"
    ];
    events_applied_twice: EventsAppliedTwice, [BELIEVES, "leases and holds are what the account says of them"];
    holes_that_hold_back_what_follows: HolesHoldBack, [COUNTS, CHARGED];
    what_a_fence_named_as_not_coming_forgotten_by_its_gateway: NamedAsMissingIsForgotten, [CHARGED];
}
