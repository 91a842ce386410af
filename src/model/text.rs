//! Text that others chose: labels of targets, reasons of people.

/// Whether a character does something to the text around it: control characters, and those that turn its direction
/// or take no room. Whoever shows the text shows them, or leaves them out.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
