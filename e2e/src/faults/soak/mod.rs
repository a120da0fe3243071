//! The soak: what a day brings happens in minutes, and nothing may grow by it.
//!
//! `day` says what happens, `stage` has the processes and does it, `sample` counts what they take meanwhile, and `verdict`
//! compares the second quarter of the run with its last one.

mod day;
mod looks;
mod sample;
mod stage;
mod verdict;

use anyhow::{Context, bail};

use super::cast::ProgramArgs;
use super::dice::Dice;
use crate::say::Say;
use day::Event;
use stage::Stage;

/// How often everything is counted; divisible by four.
const SAMPLES: usize = 80;
/// Fewer say nothing about a quarter.
const FEWEST: usize = 400;

/// What a soak can be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Events in all: re-scans, updates and reconnects of the agent in the proportion of a day
    #[arg(long, default_value_t = day::EVENTS, value_parser = at_least_fewest)]
    events: usize,
    /// Decides their order; drawn and printed where not given
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    programs: ProgramArgs,
}

fn at_least_fewest(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(events) if events >= FEWEST => Ok(events),
        _ => Err(format!("give a whole number from {FEWEST} on: fewer say nothing")),
    }
}

/// Runs the soak to its end.
///
/// # Errors
/// With what grew, or broke.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let say = Say::start();
    let seed = args.seed.unwrap_or_else(Dice::fresh_seed);
    let programs = args.programs.find().await?;
    let events = day::events(args.events, &mut Dice::new(seed));
    let of = |event| events.iter().filter(|other| **other == event).count();
    say.step(format_args!(
        "{} events: {} re-scans, {} updates, {} reconnects of the agent; seed {seed}",
        events.len(),
        of(Event::Rescan),
        of(Event::Update),
        of(Event::Reconnect),
    ));
    let mut stage = Stage::start(programs).await?;
    let mut samples = Vec::new();
    for (number, event) in events.iter().enumerate() {
        stage.happens(*event).await.with_context(|| format!("event {number}, {event:?}"))?;
        // The last of them falls on the last event.
        if (number + 1) * SAMPLES / events.len() > samples.len() {
            samples.push(stage.sample(samples.first()).await?);
            if samples.len() % (SAMPLES / 4) == 0 {
                say.detail(format_args!("{} events", number + 1));
            }
        }
    }
    stage.report(&say);
    let verdicts = verdict::of(&samples);
    say.table(verdict::HEADINGS, &verdicts.iter().map(verdict::Verdict::row).collect::<Vec<_>>());
    say.detail(verdict::RULE);
    let grown: Vec<&str> =
        verdicts.iter().filter(|verdict| verdict.grows()).map(|verdict| verdict.what).collect();
    if !grown.is_empty() {
        bail!("not flat: {}; seed {seed}", grown.join(", "));
    }
    say.step(format_args!("flat after {} events", events.len()));
    Ok(())
}
