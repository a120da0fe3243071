//! What a campaign has shown, for people.

use super::{Campaign, GOAL};
use crate::say::{bytes, ms};

impl Campaign {
    pub(super) fn report(&mut self, events: usize, bursts: usize) {
        let rows: Vec<[String; 2]> =
            self.counts.iter().map(|(name, count)| [(*name).to_owned(), count.to_string()]).collect();
        self.say.table(["FAULT", "TIMES"], &rows);
        self.backs.sort_by_key(|(back, _)| *back);
        let at = |share: usize| ms(self.backs[(self.backs.len() - 1) * share / 100].0);
        if let Some((longest, after)) = self.backs.last() {
            let late = self.backs.iter().filter(|(back, _)| *back > GOAL).count();
            self.say.detail(format_args!(
                "back after the last fault of a burst: median {}, 95 % {}, longest {} (after {after:?}); {late} of {bursts} \
                 later than {}",
                at(50),
                at(95),
                ms(*longest),
                ms(GOAL),
            ));
        }
        self.say.detail(format_args!(
            "{} lists held against the contract; headers of who ran undisturbed took {} at most",
            self.contract.lists,
            ms(self.contract.longest_headers),
        ));
        if self.engine_deaths > 0 {
            self.say.detail(format_args!(
                "{} times the engine died by itself after SIGCONT (docs/security.md, \"Limits\"), and was started again",
                self.engine_deaths,
            ));
        }
        if self.starved > 0 {
            self.say.detail(format_args!(
                "{} times a process that got no more memory ended, and was started again",
                self.starved,
            ));
        }
        let (handler, proxy) = self.most_memory;
        self.say.detail(format_args!("most memory: handler {}, proxy {}", bytes(handler), bytes(proxy)));
        self.say.step(format_args!("{events} faults in {bursts} bursts, {} things broke", self.broken));
    }
}
