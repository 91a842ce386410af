//! Text → typed rules.

use super::{Faults, Rules, Source};

/// One rules file as read.
pub type RulesText = Source;

/// # Errors
/// Every fault of every file.
pub fn load(_files: &[RulesText]) -> Result<Rules, Faults> {
    todo!()
}
