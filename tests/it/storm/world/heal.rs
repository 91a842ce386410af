//! After the storm: everything works, time goes by, and nothing may be left open.

use gated::engine::{Call, Word};
use gated::model::{DeliveryKey, Timestamp};

use super::{Happens, World};
use crate::storm::laws;

impl World {
    /// Everything works from here on, and all must settle.
    pub fn heal(&mut self) {
        self.say("everything heals");
        self.healing = true;
        self.agenda.retain(|_, it| {
            matches!(
                it,
                Happens::Scrape(_) | Happens::Commit | Happens::Arrives(_)
            )
        });
        self.fleet.heal();
        self.hooks.heal();
        self.disk.heal();
        if self.unsaid {
            self.crash("to read the ledger afresh");
            self.agenda.retain(|_, it| matches!(it, Happens::Scrape(_)));
        }
        if self.life.is_none() {
            self.start();
        }
        self.reload(self.first.clone());
        self.go_on_until(self.now + 20_000);
        // What is left is a matter of time alone.
        self.agenda
            .retain(|_, it| !matches!(it, Happens::Scrape(_)));
        self.go_on_until(self.now + 600_000);
        let now = Timestamp::from_millis(self.now);
        laws::every_deadline_of_an_escalation_is_kept(
            &self.disk.memory,
            &self.settings.people,
            now,
        );
        laws::people_hear_of_rollbacks_that_do_not_arrive(&self.disk.memory);
        self.a_last_word();
        self.go_on_until(self.now + 600_000);
        // A call is repeated for as long as nobody takes the incident: the last one may be on its way.
        while self.is_on_its_way() {
            self.go_on_until(self.now + 100);
        }
        laws::everything_settles(&self.disk.memory);
        let shown = self.life.as_ref().expect("nobody kills it any more");
        let shown = shown.engine.snapshot(Timestamp::from_millis(self.now));
        laws::what_is_shown_is_recorded(&shown, &self.disk.memory);
        self.bury();
    }

    fn is_on_its_way(&self) -> bool {
        let mut agenda = self.agenda.values();
        agenda.any(|it| matches!(it, Happens::Commit | Happens::Arrives(_)))
    }

    /// What waits for a person gets a word.
    fn a_last_word(&mut self) {
        let waiting: Vec<DeliveryKey> = self
            .disk
            .memory
            .deliveries
            .iter()
            .filter(|it| !it.is_settled())
            .map(|it| it.key.clone())
            .collect();
        for delivery in waiting {
            self.call(Call::Settle {
                delivery,
                arrived: true,
                said: Word::default(),
            });
        }
    }
}
