//! What the rules files say, typed. Deliberately absent: reading files (`run` does) and judging (`rules` does).

mod component;
mod condition;
mod fault;
mod file;
mod group;
mod lint;
mod page;
mod phase;
mod prometheus;
mod quantity;
mod reader;
mod signal;
mod spot;
mod syntax;
mod template_queries;
mod threshold;
pub(crate) mod yaml;

pub use component::{Component, component_of};
pub(crate) use condition::nearest;
pub use fault::{Fault, Faults, Grade, Place, Source};
pub use file::{RulesText, load, load_knowing, load_with};
pub use group::{AlertRule, GroupRule, GroupRuleKind, RuleGroup};
pub use lint::Known;
pub use page::Page;
pub use phase::{Clock, Hold, NoData, Phase, Rules, Target, Trigger, When};
pub use prometheus::is_rule_file;
pub use reader::Env;
pub(crate) use reader::{Item, Reader, Scalar, Section, Text};
pub use signal::Signal;
pub use template_queries::is_about_keeping;
pub use threshold::{Bound, Condition, Op, Threshold};
