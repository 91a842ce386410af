//! A page's labels → the series' labels: the target's joined in, then `metric_relabel`.

use std::borrow::Cow;

use super::relabel::{Relabel, Working, apply};
use crate::model::Labels;
use crate::model::labels::NAME;

/// Before the name of a label that a page brings and the target has.
const EXPORTED: &str = "exported_";
/// Names that begin so are for relabelling only; `__name__` alone stays.
const INTERNAL: &str = "__";

/// What every series of one target goes through once.
#[derive(Clone, Debug)]
pub(super) struct Labelling {
    pub(super) target: Labels,
    pub(super) honor_labels: bool,
    pub(super) rules: Vec<Relabel>,
}

impl Labelling {
    /// The final labels; `None` when the rules drop the series, or leave it without a name.
    pub(super) fn apply(&self, page: &Labels) -> Option<Labels> {
        let joined = self.join(page);
        if self.rules.is_empty() {
            return Some(Labels::new(joined).strip()).filter(has_name);
        }
        let mut labels: Working = joined
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.to_owned()))
            .collect();
        if !apply(&self.rules, &mut labels) {
            return None;
        }
        Some(Labels::new(labels).strip()).filter(has_name)
    }

    /// Both label sets as one. Where both have a name, the page's value moves to `exported_…` or (honoured) wins.
    fn join<'a>(&'a self, page: &'a Labels) -> Vec<(Cow<'a, str>, &'a str)> {
        let mut joined: Vec<(Cow<str>, &str)> = Vec::with_capacity(16);
        if self.honor_labels {
            // Of equal names the last pair counts.
            joined.extend(self.target.iter().map(|(n, v)| (Cow::Borrowed(n), v)));
            joined.extend(page.iter().map(|(n, v)| (Cow::Borrowed(n), v)));
            return joined;
        }
        let mut conflicts: Vec<(&str, &str)> = Vec::new();
        for (name, value) in page {
            if self.target.get(name).is_some() {
                conflicts.push((name, value));
            } else {
                joined.push((Cow::Borrowed(name), value));
            }
        }
        joined.extend(self.target.iter().map(|(n, v)| (Cow::Borrowed(n), v)));
        // The shortest name first, so that `exported_job` makes room after `job` took it.
        conflicts.sort_by_key(|(name, _)| name.len());
        for (name, value) in conflicts {
            let mut renamed = format!("{EXPORTED}{name}");
            while joined.iter().any(|(taken, _)| *taken == renamed) {
                renamed.insert_str(0, EXPORTED);
            }
            joined.push((Cow::Owned(renamed), value));
        }
        joined
    }
}

fn has_name(labels: &Labels) -> bool {
    !labels.name().is_empty()
}

trait Strip {
    /// Without the labels that were for relabelling only.
    fn strip(self) -> Self;
}

impl Strip for Labels {
    fn strip(self) -> Self {
        let internal = |name: &str| name.starts_with(INTERNAL) && name != NAME;
        if self.iter().any(|(name, _)| internal(name)) {
            self.filter(|name| !internal(name))
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Action, Anchored};

    fn labels(text: &str) -> Labels {
        Labels::new(text.split(',').filter_map(|pair| pair.split_once('=')))
    }

    fn run(page: &str, target: &str, honor_labels: bool, rules: Vec<Relabel>) -> Option<String> {
        let labelling = Labelling {
            target: labels(target),
            honor_labels,
            rules,
        };
        labelling.apply(&labels(page)).map(|l| l.to_string())
    }

    #[test]
    fn f16_a_page_cannot_fake_the_targets_labels() {
        let target = "job=api,instance=a:1";
        for (page, honor, want) in [
            ("__name__=m", false, r#"m{instance="a:1",job="api"}"#),
            (
                "__name__=m,job=x",
                false,
                r#"m{exported_job="x",instance="a:1",job="api"}"#,
            ),
            ("__name__=m,job=x", true, r#"m{instance="a:1",job="x"}"#),
            (
                "__name__=m,instance=b:2",
                true,
                r#"m{instance="b:2",job="api"}"#,
            ),
            // What the page calls `exported_job` stays; the renamed one goes one further.
            (
                "__name__=m,job=x,exported_job=y",
                false,
                r#"m{exported_exported_job="x",exported_job="y",instance="a:1",job="api"}"#,
            ),
            // A name that looks like one of gated's own is a name like any other.
            (
                "__name__=gated_up",
                false,
                r#"gated_up{instance="a:1",job="api"}"#,
            ),
            (
                "__name__=m,__tmp=1",
                false,
                r#"m{instance="a:1",job="api"}"#,
            ),
        ] {
            assert_eq!(
                run(page, target, honor, vec![]).as_deref(),
                Some(want),
                "{page} {honor}"
            );
        }
    }

    #[test]
    fn names_taken_on_both_sides() {
        assert_eq!(
            run(
                "__name__=m,job=x,exported_job=y",
                "job=api,exported_job=t",
                false,
                vec![]
            )
            .as_deref(),
            Some(
                r#"m{exported_exported_exported_job="y",exported_exported_job="x",exported_job="t",job="api"}"#
            )
        );
    }

    #[test]
    fn relabelling_sees_the_targets_labels_and_may_end_a_series() {
        let rule = |action, source: &str, regex| Relabel {
            action,
            source_labels: vec![source.to_owned()],
            regex: Anchored::new(regex).unwrap(),
            ..Relabel::default()
        };
        let keep = || vec![rule(Action::Keep, "job", "api")];
        assert!(run("__name__=m", "job=api", false, keep()).is_some());
        assert!(run("__name__=m", "job=web", false, keep()).is_none());
        let nameless = vec![rule(Action::LabelDrop, "", "__name__")];
        assert!(run("__name__=m", "job=web", false, nameless).is_none());
    }
}
