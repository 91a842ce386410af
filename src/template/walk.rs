//! Executes a template's nodes in turn and writes the text.

use crate::template::BYTES_OUT_MAX;
use crate::template::TEMPLATES_MAX;
use crate::template::builtin::action_text;
use crate::template::eval::Expand;
use crate::template::eval::Expansion;
use crate::template::literal::quote;
use crate::template::node::Branch;
use crate::template::node::Invocation;
use crate::template::node::Node;
use crate::template::value::Value;

/// Whether the nodes behind this one are executed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
}

impl<'t> Expansion<'t, '_, '_> {
    pub fn nodes(&mut self, dot: &Value, nodes: &'t [Node]) -> Expand<Flow> {
        self.deeper(|inner| {
            for node in nodes {
                let flow = inner.node(dot, node)?;
                if flow != Flow::On {
                    return Ok(flow);
                }
            }
            Ok(Flow::On)
        })
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Expand<Flow> {
        self.spend(1)?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(action) => {
                self.at(action);
                let value = self.pipeline(dot, &action.0)?;
                if action.0.variables.is_empty() {
                    self.at(action);
                    self.print(&value)?;
                }
            }
            Node::If(branch) => return self.choose(dot, branch, false),
            Node::With(branch) => return self.choose(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template(invocation) => self.invoke(dot, invocation)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn write(&mut self, text: &str) -> Expand<()> {
        if self.out.len() + text.len() > BYTES_OUT_MAX {
            return self.fail(format!("text is longer than {BYTES_OUT_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn print(&mut self, value: &Value) -> Expand<()> {
        if let Some(text) = value.str() {
            return self.write(text);
        }
        match action_text(value, BYTES_OUT_MAX) {
            Ok(text) => {
                // A large map in a loop is work even where the output's bound is not reached.
                self.spend(text.len() / 16)?;
                self.write(&text)
            }
            Err(message) => self.fail(message),
        }
    }

    /// `if`, and with `moves` `with`, which makes the value the dot of its body.
    fn choose(&mut self, dot: &Value, branch: &'t Branch, moves: bool) -> Expand<Flow> {
        let known = self.variables.len();
        self.at(branch);
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = match (value.truth(), &branch.otherwise) {
            (true, _) if moves => self.nodes(&value, &branch.body)?,
            (true, _) => self.nodes(dot, &branch.body)?,
            (false, Some(otherwise)) => self.nodes(dot, otherwise)?,
            (false, None) => Flow::On,
        };
        self.variables.truncate(known);
        Ok(flow)
    }

    fn range(&mut self, dot: &Value, branch: &'t Branch) -> Expand<Flow> {
        let known = self.variables.len();
        self.at(branch);
        let value = self.pipeline(dot, &branch.pipe)?;
        let any = match &value {
            Value::Samples(samples) => {
                let elements = samples.iter().zip(0..);
                self.each(
                    branch,
                    elements.map(|(sample, i)| (Value::Int(i), Value::Sample(sample.clone()))),
                )?
            }
            Value::Labels(labels) => {
                let elements = labels.iter();
                self.each(
                    branch,
                    elements.map(|(n, v)| (Value::text(n), Value::text(v))),
                )?
            }
            Value::Args(args) => {
                let elements = args.values.iter();
                self.each(
                    branch,
                    elements.map(|(name, value)| (Value::text(name.as_str()), value.clone())),
                )?
            }
            Value::Int(_) if branch.pipe.variables.len() > 1 => {
                let shown = action_text(&value, BYTES_OUT_MAX).unwrap_or_default();
                return self.fail(format!(
                    "can't use {shown} to iterate over more than one variable"
                ));
            }
            Value::Int(count) => {
                let elements = (0..*count).map(|i| (Value::Int(i), Value::Int(i)));
                self.each(branch, elements)?
            }
            Value::Missing => false,
            _ => {
                let shown = action_text(&value, BYTES_OUT_MAX).unwrap_or_default();
                return self.fail(format!("range can't iterate over {shown}"));
            }
        };
        let flow = match &branch.otherwise {
            Some(otherwise) if !any => self.nodes(dot, otherwise)?,
            _ => Flow::On,
        };
        self.variables.truncate(known);
        Ok(flow)
    }

    /// One turn per element, given as index and value. Whether there was any.
    fn each(
        &mut self,
        branch: &'t Branch,
        elements: impl Iterator<Item = (Value, Value)>,
    ) -> Expand<bool> {
        let known = self.variables.len();
        let mut any = false;
        for (index, element) in elements {
            any = true;
            self.spend(1)?;
            let names = &branch.pipe.variables;
            if branch.pipe.assigns {
                if let [first, second] = names.as_slice() {
                    self.assign(first, index)?;
                    self.assign(second, element.clone())?;
                } else if let [only] = names.as_slice() {
                    self.assign(only, element.clone())?;
                }
            } else {
                // The pipeline declared them; they are the last ones.
                let declared = known - names.len();
                if let [.., (_, value)] = &mut self.variables[declared..] {
                    *value = element.clone();
                }
                if let [(_, value), _] = &mut self.variables[declared..] {
                    *value = index;
                }
            }
            let flow = self.nodes(&element, &branch.body)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(any)
    }

    fn invoke(&mut self, dot: &Value, invocation: &'t Invocation) -> Expand<()> {
        self.at(invocation);
        let Some((name, body)) = self.template.parsed.defined.get_key_value(&invocation.name)
        else {
            let name = quote(&invocation.name);
            return self.fail(format!("template {name} not defined"));
        };
        if self.templates == TEMPLATES_MAX {
            return self.fail(format!("exceeded maximum template depth ({TEMPLATES_MAX})"));
        }
        let dot = match &invocation.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Missing,
        };
        // A template sees nothing of the variables where it is invoked.
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let caller = self.name.replace(name);
        self.templates += 1;
        self.nodes(&dot, body)?;
        self.templates -= 1;
        self.name = caller;
        self.variables = variables;
        Ok(())
    }
}
