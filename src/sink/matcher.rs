//! Which alerts are meant, as `amtool` takes it: `severity="critical" team=~"api|web"`. Deliberately absent: matching,
//! which Alertmanager does.

/// One matcher, as Alertmanager's `filter` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher(String);

impl Matcher {
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Matchers separated by spaces or commas, within braces or not; values with quotes or, where nothing in them ends
/// them, without. The error says what is missing.
pub fn matchers(text: &str) -> Result<Vec<Matcher>, &'static str> {
    let mut rest = text.trim();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner.strip_suffix('}').ok_or("a brace is not closed")?;
    }
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        let (name, after) = rest.split_at(end.ok_or("a label has no value")?);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("a label's name is missing");
        }
        let after = after.trim_start();
        let mut signs = ["=~", "!~", "!=", "="].iter();
        let sign = signs.find(|it| after.starts_with(**it));
        let sign = sign.ok_or("after a label comes =, !=, =~ or !~")?;
        let (value, left) = value(after[sign.len()..].trim_start())?;
        found.push(Matcher(format!("{name}{sign}{value}")));
        rest = left;
    }
    if found.is_empty() {
        return Err("there is none");
    }
    Ok(found)
}

/// The value in quotes, and what comes after it.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut escaped = false;
        for (at, c) in inner.char_indices() {
            match c {
                '"' if !escaped => {
                    let (value, rest) = (&inner[..at], &inner[at + 1..]);
                    return Ok((format!("\"{value}\""), rest));
                }
                '\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        return Err("a quote is not closed");
    }
    let end = text.find(|c: char| c.is_whitespace() || c == ',');
    let (value, rest) = text.split_at(end.unwrap_or(text.len()));
    if value.is_empty() {
        return Err("a label has no value");
    }
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    Ok((format!("\"{quoted}\""), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_read_as_amtool_reads_them() {
        for (text, expected) in [
            (r#"severity="critical""#, &[r#"severity="critical""#][..]),
            ("severity=critical", &[r#"severity="critical""#]),
            (
                r#"{severity=~"crit.*|page", team!=db}"#,
                &[r#"severity=~"crit.*|page""#, r#"team!="db""#],
            ),
            (
                r#" a != "x, \"y\"" b!~ z "#,
                &[r#"a!="x, \"y\"""#, r#"b!~"z""#],
            ),
        ] {
            let found = matchers(text).unwrap();
            let found: Vec<&str> = found.iter().map(Matcher::text).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "", "{}", "critical", "=x", "9a=x", "a", "a=", "a=\"x", "{a=x", "a~x", "a==",
        ] {
            // `==` gives a value of `=`, as amtool has it.
            assert_eq!(matchers(bad).is_err(), bad != "a==", "{bad}");
        }
    }
}
