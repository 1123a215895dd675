//! What the clients of a chaotic run ask: whole and streamed, short and long; some leave, some providers fail, some bill
//! more than they were allowed. Pure.

use std::time::Duration;

use crate::ask::{Ask, Leaves};
use crate::chance::Chance;
use crate::load::Turn;

/// The account that every second client asks for.
pub const HOT: usize = 0;
/// The limit of each answer, tokens.
const LIMIT: u64 = 100;

/// A client's turns, without end. It stays with one gateway, so that nobody waits for one that stands still but its own
/// clients; it asks for the hot account, or for any of the others.
pub fn turns(seed: u64, client: usize, gateways: usize, accounts: usize) -> impl Iterator<Item = Turn> + Send + use<> {
    let mut chance = Chance::new(seed, 1 + client as u64);
    let gateway = client % gateways;
    // Both kinds with each gateway.
    let hot = (client / gateways).is_multiple_of(2);
    std::iter::repeat_with(move || {
        let account = if hot { HOT } else { 1 + chance.below(accounts - 1) };
        Turn { gateway, account, ask: ask(&mut chance) }
    })
}

fn ask(chance: &mut Chance) -> Ask {
    let kind = chance.below(100);
    let (short, long) = (chance.between(10, 120), chance.between(800, 4_000));
    let chunks = chance.between(2, 10);
    let after = chance.between(1, chunks);
    let whole = || Ask::whole(short);
    let streamed = |milliseconds: u64| {
        let wishes = format!("chunks={chunks} chunk_ms={}", milliseconds / chunks);
        Ask { streamed: true, wishes, ..Ask::whole(0) }
    };
    let ask = match kind {
        0..36 => whole(),
        36..66 => streamed(short),
        66..69 => Ask::whole(long),
        69..72 => streamed(long),
        72..77 => streamed(short * 2).leaving(Leaves::AfterEvents(usize::try_from(after).unwrap_or(1))),
        77..80 => whole().leaving(Leaves::After(Duration::from_millis(short / 2))),
        80..84 => whole().wishing("status=500"),
        84..86 => streamed(short).wishing("status=429"),
        86..90 => streamed(short).wishing(&format!("cut_after={after}")),
        90..92 => whole().wishing("cut_after=1"),
        92..95 => streamed(short).wishing(&format!("error_after={after}")),
        95..97 => return beyond_its_hold(whole(), chance),
        _ => streamed(short).wishing("split=1 comment=1"),
    };
    let output = chance.between(1, LIMIT);
    Ask { completion_tokens: output, max_tokens: LIMIT, ..ask }.with_prompt_as_estimated()
}

/// The provider does not keep to the limit.
fn beyond_its_hold(ask: Ask, chance: &mut Chance) -> Ask {
    let output = LIMIT * chance.between(4, 8);
    Ask { completion_tokens: output, max_tokens: LIMIT, ..ask }.wishing("ignore_max=1").with_prompt_as_estimated()
}

/// Whether its provider was told to fail.
pub fn is_to_fail(ask: &Ask) -> bool {
    ["status=", "cut_after=", "error_after="].iter().any(|wish| ask.wishes.contains(wish))
}
