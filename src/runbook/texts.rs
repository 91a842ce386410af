//! What rules were read from: enough to read the same rules again, somewhere else and later. Deliberately absent: where the
//! files lie, which may be another machine.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Component;
use super::Env;
use super::Faults;
use super::Rules;
use super::Source;
use super::file::load_with;

/// The texts of rules files, with what was put into them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// In the order in which they were read.
    pub files: Vec<Source>,
    /// The variables of the environment that the files name, those that are set.
    pub variables: BTreeMap<String, String>,
    /// What the configuration has added: see [`Rules::watching`].
    pub components: Vec<Component>,
}

impl Texts {
    /// The same rules.
    ///
    /// # Errors
    /// Every fault of every file: another version of gated may read them otherwise.
    pub fn load(&self) -> Result<Rules, Faults> {
        let env = |name: &str| self.variables.get(name).cloned();
        let (rules, _) = load_with(&self.files, &env, None)?;
        Ok(rules.watching(&self.components))
    }
}

/// An environment that notes what it is asked for.
pub(super) struct Asked<'e> {
    env: Env<'e>,
    found: RefCell<BTreeMap<String, String>>,
}

impl<'e> Asked<'e> {
    pub fn new(env: Env<'e>) -> Self {
        let found = RefCell::default();
        Self { env, found }
    }

    pub fn get(&self, name: &str) -> Option<String> {
        let value = (self.env)(name)?;
        let mut found = self.found.borrow_mut();
        found.insert(name.to_owned(), value.clone());
        Some(value)
    }

    /// What was asked for and set.
    pub fn found(self) -> BTreeMap<String, String> {
        self.found.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runbook::Known;
    use crate::runbook::load_knowing;

    const RULES: &str = r#"
clock = "rollout"
[signals.errors]
expr = 'rate(bad{team="${TEAM}"}[1m])'
unit = "ratio"
[[phase]]
name = "watch"
from = "0s"
[[phase.trigger]]
name = "errors"
when = "errors > ${SHARE:-1%} or component:gateway == 0"
do = "escalate"
severity = "P1"
"#;

    #[test]
    fn the_same_rules_come_of_it_anywhere() {
        let file = Source {
            path: "rules.toml".to_owned(),
            text: RULES.to_owned(),
        };
        let env = |name: &str| match name {
            "TEAM" => Some("api".to_owned()),
            "SECRET" => Some("nobody asks for it".to_owned()),
            _ => None,
        };
        let component = |name: &str| Component {
            name: name.to_owned(),
            critical: Some(Duration::from_secs(30)),
        };
        let components = [component("gateway"), component("store")];
        let known = Known {
            components: Some(vec!["gateway".to_owned(), "store".to_owned()]),
            ..Known::default()
        };
        let (rules, _) = load_knowing(&[file], &env, &known).unwrap();
        let rules = rules.watching(&components);
        let again = rules.texts.load().unwrap();
        assert_eq!(format!("{rules:?}"), format!("{again:?}"));
        assert_eq!(again.phases[0].triggers.len(), 3);
        let variables: Vec<_> = rules.texts.variables.iter().collect();
        assert_eq!(variables, [(&"TEAM".to_owned(), &"api".to_owned())]);
    }
}
