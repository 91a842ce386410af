//! The parsed template, and how Go writes each part of it in messages.

use std::fmt;

use crate::template::call::Function;
use crate::template::literal::Number;

/// What a message can point at: a place in the text, printed in Go's canonical form.
pub(super) trait Place: fmt::Display {
    /// Byte of the whole text, the prelude included.
    fn pos(&self) -> usize;
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Action(Action),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Invocation),
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(super) struct Action(pub Pipe);

/// `if`, `with` or `range`.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub word: &'static str,
    pub pipe: Pipe,
    pub body: Vec<Node>,
    pub otherwise: Option<Vec<Node>>,
}

#[derive(Clone, Debug)]
pub(super) struct Invocation {
    pub pos: usize,
    pub name: String,
    pub pipe: Option<Pipe>,
}

#[derive(Clone, Debug)]
pub(super) struct Pipe {
    pub pos: usize,
    /// `=` rather than `:=`.
    pub assigns: bool,
    /// Names with their `$`; two at most, and two in `range` only.
    pub variables: Vec<String>,
    pub commands: Vec<Command>,
}

/// Operands side by side; the first may be a function. Never empty.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub pos: usize,
    pub operands: Vec<Expr>,
}

#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub pos: usize,
    pub kind: ExprKind,
}

#[derive(Clone, Debug)]
pub(super) enum ExprKind {
    Bool(bool),
    Dot,
    Nil,
    Number(Number),
    Text {
        quoted: String,
        text: String,
    },
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`: the first is the name with its `$`.
    Variable(Vec<String>),
    Function(&'static Function),
    /// `(…).a.b`
    Chain(Box<Expr>, Vec<String>),
    Pipe(Box<Pipe>),
}

impl Place for Action {
    fn pos(&self) -> usize {
        self.0.pos
    }
}

impl Place for Branch {
    fn pos(&self) -> usize {
        self.pipe.pos
    }
}

impl Place for Invocation {
    fn pos(&self) -> usize {
        self.pos
    }
}

impl Place for Pipe {
    fn pos(&self) -> usize {
        self.pos
    }
}

impl Place for Command {
    fn pos(&self) -> usize {
        self.pos
    }
}

impl Place for Expr {
    fn pos(&self) -> usize {
        self.pos
    }
}

fn list(f: &mut fmt::Formatter<'_>, nodes: &[Node]) -> fmt::Result {
    nodes.iter().try_for_each(|node| write!(f, "{node}"))
}

fn dotted(f: &mut fmt::Formatter<'_>, fields: &[String]) -> fmt::Result {
    fields.iter().try_for_each(|field| write!(f, ".{field}"))
}

fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, parts: &[T], by: &str) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        let by = if i == 0 { "" } else { by };
        write!(f, "{by}{part}")?;
    }
    Ok(())
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Action(action) => action.fmt(f),
            Self::If(branch) | Self::With(branch) | Self::Range(branch) => branch.fmt(f),
            Self::Template(invocation) => invocation.fmt(f),
            Self::Break => f.write_str("{{break}}"),
            Self::Continue => f.write_str("{{continue}}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{{}}}}}", self.0)
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{{} {}}}}}", self.word, self.pipe)?;
        list(f, &self.body)?;
        if let Some(otherwise) = &self.otherwise {
            f.write_str("{{else}}")?;
            list(f, otherwise)?;
        }
        f.write_str("{{end}}")
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = crate::template::literal::quote(&self.name);
        write!(f, "{{{{template {name}")?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            joined(f, &self.variables, ", ")?;
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        joined(f, &self.commands, " | ")
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, operand) in self.operands.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            match &operand.kind {
                ExprKind::Pipe(pipe) => write!(f, "{space}({pipe})")?,
                _ => write!(f, "{space}{operand}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Number(number) => f.write_str(&number.text),
            ExprKind::Text { quoted, .. } => f.write_str(quoted),
            ExprKind::Field(fields) => dotted(f, fields),
            ExprKind::Variable(names) => joined(f, names, "."),
            ExprKind::Function(function) => f.write_str(function.name),
            ExprKind::Chain(inner, fields) => {
                match &inner.kind {
                    ExprKind::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => write!(f, "{inner}")?,
                }
                dotted(f, fields)
            }
            ExprKind::Pipe(pipe) => pipe.fmt(f),
        }
    }
}
