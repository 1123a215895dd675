//! What a run was like, in figures.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use sqlx::Row;

use crate::client::Ended;
use crate::load::Told;
use crate::mix::HOT;
use crate::proof::Evidence;
use crate::run::Course;
use crate::schedule::{Harm, Target};
use crate::strike::Struck;
use crate::world::World;

const KINDS: [&str; 5] = ["gateway", "ledger", "projector", "nats", "postgres"];
const HARMS: [Harm; 5] = [Harm::Killed, Harm::Paused, Harm::PausedLong, Harm::Wiped, Harm::Restored];

/// All of them.
#[derive(Debug)]
pub struct Figures {
    course: Course,
    /// How many, and how long each took to recover, by what was done to whom.
    faults: BTreeMap<(Harm, &'static str), Vec<Duration>>,
    /// Of the hot account and of all others.
    ends: BTreeMap<String, [u64; 2]>,
    /// How requests ended in the books.
    endings: BTreeMap<String, u64>,
    counts: Vec<(&'static str, i64)>,
    notes: Value,
    /// Nanocredits.
    charged: i64,
    lost: i64,
}

impl Figures {
    /// Of a run that is over.
    pub(crate) async fn collect(
        world: &World,
        course: &Course,
        told: &[Told],
        struck: &[Struck],
        evidence: &Evidence,
    ) -> Result<Self> {
        let mut faults: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for struck in struck.iter().filter(|struck| struck.fault.harm != Harm::Copied) {
            let recovered = recovery(struck, told, world.stack.gateways());
            faults.entry((struck.fault.harm, struck.fault.target.kind())).or_default().extend(recovered);
        }
        let mut ends: BTreeMap<String, [u64; 2]> = BTreeMap::new();
        for told in told {
            let end = match &told.heard.ended {
                Ended::Broken(_) => "broken".to_owned(),
                ended => ended.name(),
            };
            ends.entry(end).or_default()[usize::from(told.turn.account != HOT)] += 1;
        }
        let mut endings: BTreeMap<String, u64> = BTreeMap::new();
        for line in evidence.lines.values() {
            *endings.entry(line.ending.clone().unwrap_or_else(|| "none".to_owned())).or_default() += 1;
        }
        let row = sqlx::query(
            "select (select count(*) from ledger.lives) as lives,
                    (select count(*) from ledger.emitters where fenced) as fences, generation, epoch
             from ledger.head",
        )
        .fetch_one(&mut world.db().await?)
        .await?;
        let restarts: u32 = world.stack.processes().iter().map(|process| process.restarts()).sum();
        let lines = || evidence.lines.values();
        let count = |which: &dyn Fn(&&crate::proof::Line) -> bool| lines().filter(which).count() as i64;
        let unheard = evidence
            .bill
            .iter()
            .filter(|(id, billed)| {
                billed["status"] == "completed" && evidence.lines.get(*id).is_some_and(|line| line.usage.is_none())
            })
            .count() as i64;
        let counts = vec![
            ("lives of gateways", row.get("lives")),
            ("fences", row.get("fences")),
            ("generations of the stream", row.get("generation")),
            ("epochs of the ledger", row.get("epoch")),
            ("times that a ledger gave up by itself", restarts.into()),
            ("events", evidence.report["events"].as_i64().unwrap_or_default()),
            ("charges", count(&|line| line.charged.is_some_and(|charged| charged > 0))),
            (
                "of them estimated",
                count(&|line| line.logged.as_ref().is_some_and(|logged| logged.source.as_deref() == Some("estimated"))),
            ),
            ("of them beyond their hold", count(&|line| line.charged.is_some() && line.lost() > 0)),
            ("late usages", count(&|line| line.late)),
            ("authorizations read after their fence", count(&|line| !line.counts && line.hold > 0)),
            ("answered to a gateway that died", unheard),
        ];
        Ok(Self {
            course: *course,
            faults,
            ends,
            endings,
            counts,
            notes: evidence.report["notes"].clone(),
            charged: lines().map(|line| line.paid()).sum(),
            lost: lines().map(|line| line.lost()).sum(),
        })
    }
}

/// From the moment when it is back until each gateway that it concerns has completed a request which began after that;
/// whatever else goes wrong meanwhile.
fn recovery(struck: &Struck, told: &[Told], gateways: usize) -> Option<Duration> {
    let concerned = match struck.fault.target {
        Target::Gateway(index) => index..index + 1,
        _ => 0..gateways,
    };
    let first = |gateway: usize| {
        let after = told.iter().filter(|told| told.turn.gateway == gateway && told.asked >= struck.over);
        after.filter(|told| told.heard.complete().is_some()).map(|told| told.asked + told.heard.took).min()
    };
    let mut last = struck.over;
    for gateway in concerned {
        last = last.max(first(gateway)?);
    }
    Some(last - struck.over)
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Course { seed, length, others } = self.course;
        writeln!(out, "seed {seed}, {} s, one hot account and {others} others\n", length.as_secs())?;

        write!(out, "{:38}", "faults")?;
        KINDS.iter().try_for_each(|kind| write!(out, "{kind:>10}"))?;
        for harm in HARMS {
            write!(out, "\n{:38}", harm.name())?;
            for kind in KINDS {
                let many = self.faults.get(&(harm, kind)).map_or(String::new(), |all| all.len().to_string());
                write!(out, "{many:>10}")?;
            }
        }

        write!(out, "\n\n{:38}{:>10}{:>10}{:>10}", "recovery, seconds", "median", "most", "faults")?;
        for ((harm, kind), took) in &self.faults {
            let mut took = took.clone();
            took.sort_unstable();
            let (Some(median), Some(most)) = (took.get(took.len() / 2), took.last()) else { continue };
            let what = format!("{kind} {}", harm.name());
            let (median, most) = (median.as_secs_f64(), most.as_secs_f64());
            write!(out, "\n{what:38}{median:>10.2}{most:>10.2}{:>10}", took.len())?;
        }

        write!(out, "\n\n{:38}{:>10}{:>10}", "clients heard", "hot", "others")?;
        for (end, [hot, others]) in &self.ends {
            write!(out, "\n{end:38}{hot:>10}{others:>10}")?;
        }

        write!(out, "\n\nbooks")?;
        for (ending, many) in &self.endings {
            write!(out, "\n{:38}{many:>10}", format!("requests {ending}"))?;
        }
        for (what, many) in &self.counts {
            write!(out, "\n{what:38}{many:>10}")?;
        }
        write!(out, "\n{:38}{:>10}", "charged, credits", Credits(self.charged))?;
        write!(out, "\n{:38}{:>10}", "borne by the platform, credits", Credits(self.lost))?;
        writeln!(out, "\n{:38}{}", "notes", self.notes)
    }
}

/// Nanocredits, as credits.
struct Credits(i64);

impl fmt::Display for Credits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&format!("{}.{:03}", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000_000))
    }
}
