//! `model check` looks at every state of the worlds; `model simulate` walks larger ones by chance.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use model::check::{Checked, check, refute};
use model::setup::Mutant;
use model::simulate::walk;
use model::world::Seen;
use model::worlds;

/// The rules of leases, holds, gates and fences, proved in small worlds.
#[derive(Parser)]
enum Arguments {
    /// Every state of each world; then that each broken rule is found.
    Check {
        /// The large worlds, too.
        #[arg(long)]
        large: bool,
        /// Takes so many steps in a world at most.
        #[arg(long)]
        states: Option<usize>,
        /// Only the worlds whose name has this in it.
        #[arg(long)]
        only: Option<String>,
        /// Prints the way to each broken rule's harm.
        #[arg(long)]
        ways: bool,
    },
    /// Larger worlds, each walked once by chance.
    Simulate {
        /// So many, one seed after the other.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// Begins with this seed; alone, it is the only one.
        #[arg(long)]
        seed: Option<u64>,
    },
}

fn main() -> ExitCode {
    match Arguments::parse() {
        Arguments::Check { large, states, only, ways } => check_all(large, states, only.as_deref(), ways),
        Arguments::Simulate { seeds, seed } => {
            let seeds = seed.map_or(0..seeds, |seed| seed..seed + 1);
            simulate(seeds)
        }
    }
}

fn check_all(large: bool, states: Option<usize>, only: Option<&str>, ways: bool) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let chosen = |name: &str| only.is_none_or(|part| name.contains(part));
    let mut all = worlds::small_worlds();
    if large {
        all.extend(worlds::large_worlds());
    }
    println!("{:<44} {:>10} {:>5} {:>8}", "world", "states", "depth", "time");
    for world in all.iter().filter(|world| chosen(world.name)) {
        let checked = check(&world.setup, world.reaches, 2, states);
        print(world.name, &checked);
        if let Some((rule, actions, last)) = &checked.broken {
            println!("  broken: {rule}\n{actions:#?}\n{last:#?}");
            code = ExitCode::FAILURE;
        }
        if !checked.unreached.is_empty() && checked.complete {
            println!("  never reached: {:?}", checked.unreached);
            code = ExitCode::FAILURE;
        }
    }
    println!("\n{:<44} {:>10} {:>5} {:>8}  refuted by", "broken rule", "states", "steps", "time");
    for mutant in Mutant::ALL.into_iter().filter(|mutant| chosen(&format!("{mutant:?}"))) {
        let checked = refute(&worlds::of_mutant(mutant));
        let steps = checked.broken.as_ref().map_or(0, |(_, actions, _)| actions.len());
        let rule = checked.broken.as_ref().map_or("NOT REFUTED", |(rule, ..)| *rule);
        let name = format!("{mutant:?}");
        println!("{name:<44} {:>10} {steps:>5} {:>7.1}s  {rule}", checked.states, checked.took.as_secs_f64());
        if let (true, Some((_, actions, last))) = (ways, &checked.broken) {
            println!("{actions:#?}\n{last:#?}");
        }
        if checked.broken.is_none() {
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn print(name: &str, checked: &Checked) {
    let rest = if checked.complete { "" } else { "  (not all of it)" };
    println!("{name:<44} {:>10} {:>5} {:>7.1}s{rest}", checked.states, checked.depth, checked.took.as_secs_f64());
}

fn simulate(seeds: std::ops::Range<u64>) -> ExitCode {
    let began = Instant::now();
    let (mut walked, mut steps, mut answered, mut seen) = (0_u64, 0, 0, Seen::default());
    for seed in seeds {
        match walk(seed, None) {
            Ok(of) => {
                walked += 1;
                steps += of.steps;
                answered += of.answered;
                seen.and(&of.seen);
            }
            Err(broken) => {
                println!("seed {seed}: {}\n{:#?}\n{:#?}", broken.rule, broken.steps, broken.world);
                println!("seed {seed} broke after {} steps: {}", broken.steps.len(), broken.rule);
                return ExitCode::FAILURE;
            }
        }
    }
    let took = began.elapsed().max(Duration::from_millis(1)).as_secs_f64();
    let rate = walked as f64 * 60.0 / took;
    println!("{walked} schedules in {took:.1} s ({rate:.0} a minute), {steps} steps, {answered} requests answered");
    println!("{seen:?}");
    ExitCode::SUCCESS
}
