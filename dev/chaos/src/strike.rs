//! Carries a schedule out. Whatever is struck is brought back when its time is over, and a supervisor looks after whatever
//! ends by itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use stack::process::Process;
use stack::servers::NatsServer;
use tokio::time::{Instant, sleep_until};

use crate::load::Load;
use crate::schedule::{Fault, Harm, Target};
use crate::world::{World, blocking};

/// A fault that happened.
#[derive(Debug, Clone, Copy)]
pub struct Struck {
    /// What was planned.
    pub fault: Fault,
    /// When it happened.
    pub began: Instant,
    /// When its process was brought back.
    pub over: Instant,
}

/// Strikes, and brings back.
#[derive(Debug)]
pub struct Striker<'a> {
    world: &'a World,
    load: &'a Load,
    /// What is away or stands still, and until when.
    open: Vec<Struck>,
    done: Vec<Struck>,
}

impl<'a> Striker<'a> {
    /// Of a running system under load.
    pub fn new(world: &'a World, load: &'a Load) -> Self {
        Self { world, load, open: Vec::new(), done: Vec::new() }
    }

    /// Carries out all of it that begins within `length`, and brings back whoever is away then.
    ///
    /// # Errors
    /// When a process cannot be brought back, or no calm comes.
    pub async fn carry_out(mut self, faults: &[Fault], length: Duration) -> Result<Vec<Struck>> {
        let begin = Instant::now();
        // Each calm that was waited for makes all later faults later.
        let mut shift = Duration::ZERO;
        for fault in faults {
            self.bring_back_until(begin + fault.at + shift).await?;
            if fault.after_calm {
                let since = Instant::now();
                self.calm().await.with_context(|| format!("no calm before {} {}", fault.target, fault.harm.name()))?;
                shift += since.elapsed();
            }
            if begin.elapsed() > length {
                break;
            }
            self.strike(fault)?;
        }
        self.bring_back_all().await?;
        Ok(self.done)
    }

    fn strike(&mut self, fault: &Fault) -> Result<()> {
        let (process, nats) = (self.process(fault.target), self.nats());
        self.world.says(&match fault.harm {
            Harm::Copied => "NATS's data is copied".to_owned(),
            harm => format!("{} {} for {:?}", fault.target, harm.name(), fault.lasts),
        });
        let began = Instant::now();
        blocking(|| match fault.harm {
            Harm::Killed => {
                process.take_down();
                Ok(())
            }
            Harm::Paused | Harm::PausedLong => {
                process.pause();
                Ok(())
            }
            Harm::Copied => {
                nats.pause();
                let copied = self.copy();
                nats.resume();
                copied
            }
            Harm::Wiped => nats.wipe_data(),
            Harm::Restored => nats.restore_data(&self.copy_dir()),
        })?;
        self.open.push(Struck { fault: *fault, began, over: Instant::now() + fault.lasts });
        Ok(())
    }

    /// Brings back whoever's time is over by then, each in its time.
    async fn bring_back_until(&mut self, then: Instant) -> Result<()> {
        while let Some(first) = (0..self.open.len()).min_by_key(|index| self.open[*index].over) {
            if self.open[first].over > then {
                break;
            }
            let struck = self.open.swap_remove(first);
            sleep_until(struck.over).await;
            self.bring_back(struck)?;
        }
        sleep_until(then).await;
        Ok(())
    }

    async fn bring_back_all(&mut self) -> Result<()> {
        match self.open.iter().map(|struck| struck.over).max() {
            Some(last) => self.bring_back_until(last).await,
            None => Ok(()),
        }
    }

    fn bring_back(&mut self, struck: Struck) -> Result<()> {
        let process = self.process(struck.fault.target);
        match struck.fault.harm {
            Harm::Paused | Harm::PausedLong => process.resume(),
            Harm::Copied => {}
            Harm::Killed | Harm::Wiped | Harm::Restored => blocking(|| process.start())?,
        }
        self.world.says(&format!("{} is back", struck.fault.target));
        self.done.push(Struck { over: Instant::now(), ..struck });
        Ok(())
    }

    /// Everybody is there and well, and all that was said is appended: see [`Fault::after_calm`].
    async fn calm(&mut self) -> Result<()> {
        self.bring_back_all().await?;
        // Whoever completes requests has noticed what happened to its connections.
        self.load.goes_on(self.world, "before the next fault").await?;
        for gateway in 0..self.world.stack.gateways() {
            let owes_nothing_old = async || {
                let well = self.world.health(gateway)?["status"] == "ok";
                Ok((well && self.world.metric(gateway, "layers_lives")? == 1).then_some(()))
            };
            self.world.until(&format!("gateway {gateway} has one life, which is well"), owes_nothing_old).await?;
        }
        let mut known = None;
        self.world
            .until("all that was said is appended", async || {
                let (generation, read) = self.world.read_up_to().await?;
                let last = match known {
                    Some((of, last)) if of == generation => last,
                    _ => self.world.last_in_stream(generation).await?,
                };
                known = Some((generation, last));
                Ok((read >= last).then_some(()))
            })
            .await
    }

    fn process(&self, target: Target) -> Arc<Process> {
        let stack = &self.world.stack;
        match target {
            Target::Gateway(index) => stack.gateway(index).clone(),
            Target::Ledger(index) => stack.ledger_number(index).clone(),
            Target::Projector => stack.projector().clone(),
            Target::Nats => self.nats().process().clone(),
            Target::Postgres => stack.postgres().process().clone(),
        }
    }

    fn nats(&self) -> &NatsServer {
        &self.world.stack.nats()[0]
    }

    fn copy_dir(&self) -> PathBuf {
        self.world.stack.dir().join("nats-copy")
    }

    fn copy(&self) -> Result<()> {
        let copy = self.copy_dir();
        if copy.exists() {
            std::fs::remove_dir_all(&copy).with_context(|| format!("cannot remove {}", copy.display()))?;
        }
        self.nats().snapshot_data(&copy)
    }
}
