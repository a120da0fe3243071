//! The fault campaign: everything is killed, stopped, starved and robbed in random order, and nothing may show.
//!
//! `campaign` draws faults (`fault`, from the seeded `dice`), does them to the processes (`cast`) and directories
//! (`place`), undoes them, and measures how long it takes until a change of the devices reaches the agent again. The agent is
//! played by a process of its own (`agent`), so that it can be killed and stopped, too; it says what it sees line by line
//! (`said`), and `contract` holds each line against what Akri's real agent needs. `leaks` compares what is there with
//! what was there at the beginning.
//!
//! `soak` has the same players, and no faults: a day's events in minutes, and what they leave behind.

mod agent;
mod campaign;
mod cast;
mod configurations;
mod contract;
mod dice;
mod fault;
mod leaks;
mod place;
mod said;
mod soak;

use anyhow::bail;

use crate::say::Say;
use campaign::{Campaign, Settings};
use cast::ProgramArgs;
use dice::Dice;

/// Kills, stops, starves and robs the real proxy, the real handler under WasmEdge and a played agent in random order, and
/// checks the contract with the agent at every message.
///
/// Examples:
///   faults run --events 100                        a short round with one proxy, and one with two
///   faults run --events 1000 --seed 7              a long one; the same seed draws the same faults
///   faults soak --events 2000                      a short soak
///
/// As root in a mount namespace of its own (scripts/faults makes one) the exchange can be full, too.
/// Exit codes: 0 nothing broke, 1 something did, or grew (the messages say what), 2 wrong usage.
#[derive(Debug, clap::Parser)]
#[command(name = "faults", version, max_term_width = 110, verbatim_doc_comment)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The program's commands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run the campaign
    Run(RunArgs),
    /// A day's events in minutes, and nothing may grow by them
    Soak(soak::Args),
    /// Play the agent, and say what is seen as lines of JSON
    #[command(hide = true)]
    Agent(agent::Args),
}

/// What a campaign can be told.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Faults, for each number of proxies
    #[arg(long, default_value_t = 100)]
    events: usize,
    /// Decides which faults, when and in what order; drawn and printed where not given
    #[arg(long)]
    seed: Option<u64>,
    /// Proxies that share the exchange (repeatable)
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u8).range(1..=4))]
    proxies: Vec<u8>,
    #[command(flatten)]
    programs: ProgramArgs,
    /// Say every fault
    #[arg(long, short)]
    verbose: bool,
}

/// Runs the command to its end.
///
/// # Errors
/// With what broke.
pub async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Agent(args) => agent::play(args).await,
        Command::Run(args) => campaigns(args).await,
        Command::Soak(args) => soak::run(args).await,
    }
}

async fn campaigns(args: RunArgs) -> anyhow::Result<()> {
    let say = Say::start();
    let seed = args.seed.unwrap_or_else(Dice::fresh_seed);
    say.step(format_args!("seed {seed}: `faults run --seed {seed} --events {}` draws the same", args.events));
    let programs = args.programs.find().await?;
    let mut broken = 0;
    for &proxies in &args.proxies {
        let settings = Settings {
            events: args.events,
            proxies: proxies.into(),
            verbose: args.verbose,
            programs: programs.clone(),
        };
        broken += Campaign::start(settings, Dice::new(seed), say).await?.run().await?;
    }
    if broken > 0 {
        bail!("{broken} things broke; seed {seed}");
    }
    Ok(())
}
