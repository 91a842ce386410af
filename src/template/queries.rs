//! What a template passes to `query`, as far as its text says.

use crate::template::Template;
use crate::template::node::Command;
use crate::template::node::Expr;
use crate::template::node::ExprKind;
use crate::template::node::Node;
use crate::template::node::Pipe;

/// The strings of a template that are, or may become, expressions of `query`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    /// Passed as they stand: `query "up"`, `"up" | query`.
    pub written: Vec<String>,
    /// `query` takes something else too, that is known only when the template is expanded.
    pub built: bool,
    /// Every string of the template: what is built is built of these.
    pub literals: Vec<String>,
}

impl Template {
    /// What it asks by `query`, in the order of its text.
    #[must_use]
    pub fn queries(&self) -> Queries {
        let mut found = Queries::default();
        let defined = self.parsed.defined.values();
        for nodes in std::iter::once(&self.parsed.body).chain(defined) {
            found.nodes(nodes);
        }
        found
    }
}

impl Queries {
    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            match node {
                Node::Action(action) => self.pipe(&action.0),
                Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                    self.pipe(&branch.pipe);
                    self.nodes(&branch.body);
                    self.nodes(branch.otherwise.as_deref().unwrap_or_default());
                }
                Node::Template(invocation) => {
                    if let Some(pipe) = &invocation.pipe {
                        self.pipe(pipe);
                    }
                }
                Node::Text(_) | Node::Break | Node::Continue => {}
            }
        }
    }

    fn pipe(&mut self, pipe: &Pipe) {
        let mut before: Option<&Command> = None;
        for command in &pipe.commands {
            if let ExprKind::Function(function) = &command.operands[0].kind
                && function.name == "query"
            {
                let piped = before.map(|it| &it.operands[..]);
                let asked = match (&command.operands[1..], piped) {
                    ([asked], None) | ([], Some([asked])) => literal(asked),
                    _ => None,
                };
                match asked {
                    Some(text) => self.written.push(text.to_owned()),
                    None => self.built = true,
                }
            }
            for operand in &command.operands {
                self.operand(operand);
            }
            before = Some(command);
        }
    }

    fn operand(&mut self, operand: &Expr) {
        match &operand.kind {
            ExprKind::Text { text, .. } => self.literals.push(text.clone()),
            ExprKind::Pipe(pipe) => self.pipe(pipe),
            ExprKind::Chain(inner, _) => self.operand(inner),
            ExprKind::Bool(_)
            | ExprKind::Dot
            | ExprKind::Nil
            | ExprKind::Number(_)
            | ExprKind::Field(_)
            | ExprKind::Variable(_)
            | ExprKind::Function(_) => {}
        }
    }
}

/// A string, also one in parentheses.
fn literal(operand: &Expr) -> Option<&str> {
    match &operand.kind {
        ExprKind::Text { text, .. } => Some(text),
        ExprKind::Pipe(pipe) => match (&pipe.commands[..], &pipe.variables[..]) {
            ([command], []) => match &command.operands[..] {
                [only] => literal(only),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_to_query() {
        for (text, written, built) in [
            ("up {{ $value }} query", &[][..], false),
            ("{{ query \"up\" | first | value }}", &["up"], false),
            ("{{ \"a\" | query }}{{ query (`b`) }}", &["a", "b"], false),
            ("{{ query \"a{b=\\\"c\\\"}\" }}", &["a{b=\"c\"}"], false),
            (
                "{{ with query \"a\" }}{{ . | first }}{{ else }}{{ query \"b\" }}{{ end }}",
                &["a", "b"],
                false,
            ),
            (
                "{{ range query \"a\" }}{{ end }}{{ if (query \"b\") }}{{ end }}",
                &["a", "b"],
                false,
            ),
            (
                "{{ define \"x\" }}{{ query \"a\" }}{{ end }}{{ template \"x\" (query \"b\") }}",
                &["b", "a"],
                false,
            ),
            (
                "{{ with printf \"m{job='%s'}\" $labels.job | query }}{{ end }}",
                &[],
                true,
            ),
            ("{{ $q := \"sum(m)\" }}{{ query $q }}", &[], true),
            (
                "{{ query (print \"m\" \"n\") }}{{ query \"a\" }}",
                &["a"],
                true,
            ),
        ] {
            let found = Template::parse(text).unwrap().queries();
            assert_eq!(found.written, written, "{text}");
            assert_eq!(found.built, built, "{text}");
        }
        let text = "{{ printf \"%s{a='%s'}\" \"m\" (args \"x\").arg0 | query }}";
        let found = Template::parse(text).unwrap().queries();
        assert_eq!(found.literals, ["%s{a='%s'}", "m", "x"]);
    }
}
