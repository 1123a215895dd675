//! A chaotic run, from an empty system to its proof.
//!
//! | phase | ends when |
//! |---|---|
//! | start | three gateways, two ledgers and the rest run, and all accounts are open |
//! | load and faults | the time is over |
//! | recovery | every process is back and each gateway has completed new requests |
//! | quiet | nothing runs, is held or is leased any more |
//! | proof | – |

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use stack::local::StackOptions;

use crate::ask::Ask;
use crate::client::{Ended, Heard};
use crate::load::{Load, Told};
use crate::mix::{self, HOT};
use crate::proof::Evidence;
use crate::schedule::{Harm, Setting, Target, schedule};
use crate::strike::{Striker, Struck};
use crate::table::Figures;
use crate::world::{CREDITS, World};

/// A gateway that is silent for longer is fenced.
const LEASE: Duration = Duration::from_secs(2);
/// Longer than any answer of the mix and any fault together.
const EXPIRES: Duration = Duration::from_secs(25);
/// A machine that others load may take its time: what is judged is what comes out.
const PATIENCE: Duration = Duration::from_secs(240);
/// Clients a gateway.
const CLIENTS: usize = 10;
/// What gateways say in these words is what they should say while something is away.
/// So long a gateway that could not settle an answer has waited at least before it says so.
const SETTLES_FOR: Duration = Duration::from_secs(10);
const SETTLED_LATER: &str = "settlement_unconfirmed";
const AWAY: [&str; 2] = ["authorization_unavailable", "authentication_unavailable"];
const TOO_LITTLE: [&str; 2] = ["insufficient_credits", "credits_held"];

/// What is run.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// Of faults and load.
    pub seed: u64,
    /// Under faults.
    pub length: Duration,
    /// Accounts beside the hot one.
    pub others: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// For people.
    pub table: String,
    /// Each a sentence; none should be there.
    pub violations: Vec<String>,
}

const SETTING: Setting = Setting { gateways: 3, ledgers: 2, lease: LEASE };

/// The system of a run.
pub fn options() -> StackOptions {
    StackOptions {
        gateways: SETTING.gateways,
        standby: true,
        supervise: true,
        lease_seconds: Some(LEASE.as_secs()),
        authorization_expires_seconds: Some(EXPIRES.as_secs()),
        ..StackOptions::default()
    }
}

/// The hot account never runs dry; some of the others do within a minute, some later, some never.
pub fn credits(others: usize) -> Vec<i64> {
    std::iter::once(CREDITS).chain((0..others).map(|number| 1 + number as i64 % 40)).collect()
}

/// Runs it in a world with [`options`] and [`credits`].
///
/// # Errors
/// When it could not be carried out or judged. That is a violation too.
pub async fn run(world: &mut World, course: &Course) -> Result<Outcome> {
    world.patience = PATIENCE;
    let world = &*world;
    let clients = (0..SETTING.gateways * CLIENTS)
        .map(|client| mix::turns(course.seed, client, SETTING.gateways, world.accounts.len()));
    let load = Load::begin_with(world, clients);
    let faults = schedule(course.seed, course.length, &SETTING);
    let struck = Striker::new(world, &load).carry_out(&faults, course.length).await?;
    load.goes_on(world, "after all faults").await?;
    let told = load.end_told().await;
    let evidence = world.evidence().await?;

    let heard: Vec<&Heard> = told.iter().map(|told| &told.heard).collect();
    let wrong = evidence.wrong(&heard, |id| lost_while_asleep(id, &told, &struck));
    let mut violations: Vec<String> = wrong.iter().map(|wrong| format!("{wrong:#}")).collect();
    violations.extend(told.iter().filter_map(|told| odd(world, &evidence, told).err().map(|odd| odd.to_string())));
    violations.extend(ended_by_themselves(world));
    let table = Figures::collect(world, course, &told, &struck, &evidence).await?.to_string();
    Ok(Outcome { table, violations })
}

/// Whether the request was with a gateway that slept while NATS lost its data: then nobody could say its authorization again
/// before that gateway was fenced, and P2 promises nothing.
fn lost_while_asleep(id: &str, told: &[Told], struck: &[Struck]) -> bool {
    let losses = || struck.iter().filter(|struck| struck.fault.harm.loses_data());
    let robbed = |sleep: &&Struck| {
        sleep.fault.harm == Harm::PausedLong && losses().any(|loss| (sleep.began..sleep.over).contains(&loss.began))
    };
    let was_with = |told: &Told| {
        let end = told.asked + told.heard.took;
        struck.iter().filter(robbed).any(|sleep| {
            sleep.fault.target == Target::Gateway(told.turn.gateway) && told.asked < sleep.over && end > sleep.began
        })
    };
    told.iter().any(|told| told.heard.request_id.as_deref() == Some(id) && was_with(told))
}

/// What a client should not hear, whatever goes wrong.
fn odd(world: &World, evidence: &Evidence, told: &Told) -> Result<()> {
    let ask = &told.turn.ask;
    let says = || format!("{:?} to {ask:?}", told.heard);
    match &told.heard.ended {
        Ended::Refused { code, needed, .. } if TOO_LITTLE.contains(&code.as_str()) => {
            ensure!(told.turn.account != HOT, "the hot account has credits enough: {}", says());
            let left = evidence.left.get(&world.accounts[told.turn.account].account_id).copied().unwrap_or_default();
            let for_ever = code == TOO_LITTLE[0];
            ensure!(!for_ever || needed.is_some_and(|needed| needed > left), "{left} are left: {}", says());
        }
        Ended::Refused { code, .. } if code.starts_with("upstream_") => {
            ensure!(mix::is_to_fail(ask), "its provider did not fail: {}", says());
        }
        Ended::Refused { code, .. } if code == SETTLED_LATER => ensure!(told.heard.took > SETTLES_FOR, "{}", says()),
        Ended::Refused { code, .. } => ensure!(AWAY.contains(&code.as_str()), "{}", says()),
        Ended::Broken(why) if why.starts_with("the stream says") && why.contains(SETTLED_LATER) => {
            ensure!(told.heard.took > SETTLES_FOR, "{}", says());
        }
        Ended::Broken(why) if why.starts_with("the stream says") => {
            ensure!(mix::is_to_fail(ask) && why.contains("upstream_error"), "{}", says());
        }
        Ended::Complete { .. } => ensure!(!is_never_complete(ask), "its provider failed: {}", says()),
        _ => {}
    }
    Ok(())
}

fn is_never_complete(ask: &Ask) -> bool {
    mix::is_to_fail(ask)
}

/// Only a ledger may: one that has lost its epoch or its connection to PostgreSQL ends, and is started again.
fn ended_by_themselves(world: &World) -> Vec<String> {
    let processes = world.stack.processes();
    let ended = processes.iter().filter(|process| process.restarts() > 0 && !process.name().starts_with("ledger"));
    ended.map(|process| format!("{} ended by itself {} times", process.name(), process.restarts())).collect()
}

/// A seed that nobody chose.
pub fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (now.as_secs() << 20)
}
