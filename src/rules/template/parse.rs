//! Tokens → the tree, by the grammar of Go's `text/template/parse` and with its messages.
//!
//! Functions and variables are resolved by name here, so an unknown one is a fault of the text, not of an expansion.

use std::collections::BTreeMap;

use crate::rules::template::call::function;
use crate::rules::template::error::TemplateError;
use crate::rules::template::lex::Kind;
use crate::rules::template::lex::Lexed;
use crate::rules::template::lex::Token;
use crate::rules::template::lex::lex;
use crate::rules::template::literal::Number;
use crate::rules::template::literal::quote;
use crate::rules::template::literal::unquote;
use crate::rules::template::node::Action;
use crate::rules::template::node::Branch;
use crate::rules::template::node::Command;
use crate::rules::template::node::Expr;
use crate::rules::template::node::ExprKind;
use crate::rules::template::node::Invocation;
use crate::rules::template::node::Node;
use crate::rules::template::node::Pipe;

/// Controls and parentheses within each other. Go allows 10 000 parentheses; people write fewer than ten.
const NESTING_MAX: usize = 100;

/// What a text holds: its own body, and what it defines by name.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub body: Vec<Node>,
    pub defined: BTreeMap<String, Vec<Node>>,
}

pub(super) fn parse(text: &str) -> Result<Parsed, TemplateError> {
    let mut parser = Parser {
        text,
        lexed: lex(text),
        at: 0,
        variables: vec!["$"],
        ranges: 0,
        nesting: 0,
        defined: BTreeMap::new(),
    };
    let body = parser.top()?;
    Ok(Parsed {
        body,
        defined: parser.defined,
    })
}

struct Parser<'t> {
    text: &'t str,
    lexed: Lexed<'t>,
    /// The token that comes next; may lie past the last one, which then repeats.
    at: usize,
    /// Known at this place, each with its `$`.
    variables: Vec<&'t str>,
    /// How many `range` stand around this place.
    ranges: usize,
    nesting: usize,
    defined: BTreeMap<String, Vec<Node>>,
}

type Parse<T> = Result<T, TemplateError>;

/// What ends a list of nodes.
enum Stop {
    End,
    /// `{{else}}`, or `{{else` before `if` or `with`, which comes next.
    Else,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        let last = self.lexed.tokens.len() - 1;
        self.lexed.tokens[self.at.min(last)]
    }

    fn next(&mut self) -> Token<'t> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn next_word(&mut self) -> Token<'t> {
        self.skip_space();
        self.next()
    }

    fn peek_word(&mut self) -> Token<'t> {
        self.skip_space();
        self.peek()
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
    }

    fn fail<T>(&self, token: Token<'_>, message: impl Into<String>) -> Parse<T> {
        Err(TemplateError::parsing(self.text, token.pos, message.into()))
    }

    fn unexpected<T>(&self, token: Token<'_>, context: &str) -> Parse<T> {
        if token.kind == Kind::Error {
            return self.fail(token, self.lexed.error.clone());
        }
        self.fail(token, format!("unexpected {} in {context}", token.shown()))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parse<()> {
        let token = self.next_word();
        if token.kind == kind {
            Ok(())
        } else {
            self.unexpected(token, context)
        }
    }

    fn deeper<T>(
        &mut self,
        token: Token<'_>,
        parse: impl FnOnce(&mut Self) -> Parse<T>,
    ) -> Parse<T> {
        if self.nesting == NESTING_MAX {
            return self.fail(token, "max expression depth exceeded");
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    fn top(&mut self) -> Parse<Vec<Node>> {
        let mut body = Vec::new();
        while self.peek().kind != Kind::Eof {
            let before = self.at;
            if self.next().kind == Kind::LeftDelim && self.next_word().kind == Kind::Define {
                self.define()?;
                continue;
            }
            self.at = before;
            let token = self.peek();
            match self.text_or_action()? {
                Ok(node) => body.push(node),
                Err(Stop::End) => return self.fail(token, "unexpected {{end}}"),
                Err(Stop::Else) => return self.fail(token, "unexpected {{else}}"),
            }
        }
        Ok(body)
    }

    fn define(&mut self) -> Parse<()> {
        const CONTEXT: &str = "define clause";
        let name = self.name(CONTEXT)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        self.definition(name, CONTEXT)
    }

    /// The body of `define` or `block`, which knows no variables from outside.
    fn definition(&mut self, name: String, context: &str) -> Parse<()> {
        let variables = std::mem::replace(&mut self.variables, vec!["$"]);
        let ranges = std::mem::take(&mut self.ranges);
        let token = self.peek();
        let (body, stop) = self.deeper(token, Self::list)?;
        if matches!(stop, Stop::Else) {
            return self.fail(self.peek(), format!("unexpected {{{{else}}}} in {context}"));
        }
        self.variables = variables;
        self.ranges = ranges;
        let known = self.defined.get(&name);
        if known.is_none_or(|known| known.iter().all(blank)) {
            self.defined.insert(name, body);
        } else if !body.iter().all(blank) {
            let name = quote(&name);
            return self.fail(
                token,
                format!("template: multiple definition of template {name}"),
            );
        }
        Ok(())
    }

    fn name(&mut self, context: &str) -> Parse<String> {
        let token = self.next_word();
        match token.kind {
            Kind::Str | Kind::RawString => self.string(token),
            _ => self.unexpected(token, context),
        }
    }

    fn string(&self, token: Token<'_>) -> Parse<String> {
        match unquote(token.text) {
            Some(text) => Ok(text),
            None => self.fail(token, "invalid syntax"),
        }
    }

    fn list(&mut self) -> Parse<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        while self.peek_word().kind != Kind::Eof {
            match self.text_or_action()? {
                Ok(node) => nodes.push(node),
                Err(stop) => return Ok((nodes, stop)),
            }
        }
        self.fail(self.peek(), "unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parse<Result<Node, Stop>> {
        let token = self.next_word();
        match token.kind {
            Kind::Text => Ok(Ok(Node::Text(token.text.to_owned()))),
            Kind::LeftDelim => self.action(),
            _ => self.unexpected(token, "input"),
        }
    }

    fn action(&mut self) -> Parse<Result<Node, Stop>> {
        let token = self.peek_word();
        self.at += 1;
        match token.kind {
            Kind::Block => self.block().map(Ok),
            Kind::Break => self.leave(token, Node::Break).map(Ok),
            Kind::Continue => self.leave(token, Node::Continue).map(Ok),
            Kind::Else => {
                if !matches!(self.peek_word().kind, Kind::If | Kind::With) {
                    self.expect(Kind::RightDelim, "else")?;
                }
                Ok(Err(Stop::Else))
            }
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                Ok(Err(Stop::End))
            }
            Kind::If => Ok(Ok(Node::If(self.branch("if")?))),
            Kind::Range => Ok(Ok(Node::Range(self.branch("range")?))),
            Kind::With => Ok(Ok(Node::With(self.branch("with")?))),
            Kind::Template => self.template().map(Ok),
            _ => {
                self.at -= 1;
                let pipe = self.pipeline("command", Kind::RightDelim)?;
                Ok(Ok(Node::Action(Action(pipe))))
            }
        }
    }

    fn leave(&mut self, token: Token<'_>, node: Node) -> Parse<Node> {
        let word = token.text;
        self.expect(Kind::RightDelim, &format!("{{{{{word}}}}}"))?;
        if self.ranges == 0 {
            return self.fail(token, format!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn block(&mut self) -> Parse<Node> {
        const CONTEXT: &str = "block clause";
        let pos = self.peek_word().pos;
        let name = self.name(CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        self.definition(name.clone(), CONTEXT)?;
        Ok(Node::Template(Invocation {
            pos,
            name,
            pipe: Some(pipe),
        }))
    }

    fn template(&mut self) -> Parse<Node> {
        const CONTEXT: &str = "template clause";
        let pos = self.peek_word().pos;
        let name = self.name(CONTEXT)?;
        let pipe = if self.peek_word().kind == Kind::RightDelim {
            self.at += 1;
            None
        } else {
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        Ok(Node::Template(Invocation { pos, name, pipe }))
    }

    fn branch(&mut self, word: &'static str) -> Parse<Branch> {
        let known = self.variables.len();
        let token = self.peek();
        let pipe = self.pipeline(word, Kind::RightDelim)?;
        let range = usize::from(word == "range");
        self.ranges += range;
        let (body, stop) = self.deeper(token, Self::list)?;
        self.ranges -= range;
        let otherwise = match stop {
            Stop::End => None,
            Stop::Else => Some(self.deeper(token, |parser| parser.otherwise(word))?),
        };
        self.variables.truncate(known);
        Ok(Branch {
            word,
            pipe,
            body,
            otherwise,
        })
    }

    /// Behind `{{else`: with `if` or `with` the chain goes on, and one `{{end}}` closes all of it.
    fn otherwise(&mut self, word: &str) -> Parse<Vec<Node>> {
        let token = self.peek();
        match (word, token.kind) {
            ("if", Kind::If) => {
                self.at += 1;
                Ok(vec![Node::If(self.branch("if")?)])
            }
            ("with", Kind::With) => {
                self.at += 1;
                Ok(vec![Node::With(self.branch("with")?)])
            }
            _ => match self.list()? {
                (nodes, Stop::End) => Ok(nodes),
                (_, Stop::Else) => self.fail(token, "expected end; found {{else}}"),
            },
        }
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parse<Pipe> {
        let mut pipe = Pipe {
            pos: self.peek_word().pos,
            assigns: false,
            variables: Vec::new(),
            commands: Vec::new(),
        };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.peek_word();
            match token.kind {
                kind if kind == end => {
                    self.at += 1;
                    self.check(&pipe, token, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::Str
                | Kind::Variable
                | Kind::LeftParen => pipe.commands.push(self.command()?),
                _ => return self.unexpected(token, context),
            }
        }
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parse<()> {
        while self.peek_word().kind == Kind::Variable {
            let before = self.at;
            let variable = self.next();
            let next = self.next_word();
            let comma = next.kind == Kind::Char && next.text == ",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                self.at = before;
                return Ok(());
            }
            pipe.variables.push(variable.text.to_owned());
            self.variables.push(variable.text);
            if !comma {
                pipe.assigns = next.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipe.variables.len() > 1 {
                return self.fail(next, format!("too many declarations in {context}"));
            }
            let after = self.peek_word();
            if !matches!(
                after.kind,
                Kind::Variable | Kind::RightDelim | Kind::RightParen
            ) {
                return self.fail(after, "range can only initialize variables");
            }
        }
        Ok(())
    }

    fn check(&self, pipe: &Pipe, token: Token<'_>, context: &str) -> Parse<()> {
        if pipe.commands.is_empty() {
            return self.fail(token, format!("missing value for {context}"));
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            let literal = matches!(
                command.operands[0].kind,
                ExprKind::Bool(_)
                    | ExprKind::Dot
                    | ExprKind::Nil
                    | ExprKind::Number(_)
                    | ExprKind::Text { .. }
            );
            if literal {
                let stage = i + 1;
                return self.fail(
                    token,
                    format!("non executable command in pipeline stage {stage}"),
                );
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parse<Command> {
        let pos = self.peek_word().pos;
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            operands.extend(self.operand()?);
            let token = self.peek();
            match token.kind {
                Kind::Space => self.at += 1,
                Kind::RightDelim | Kind::RightParen => break,
                Kind::Pipe => {
                    self.at += 1;
                    break;
                }
                _ => return self.unexpected(token, "operand"),
            }
        }
        if operands.is_empty() {
            return self.fail(self.peek(), "empty command");
        }
        Ok(Command { pos, operands })
    }

    /// A term with fields behind it; `None` if no term stands here.
    fn operand(&mut self) -> Parse<Option<Expr>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let first = self.peek();
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.next().text[1..].to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        let kind = match term.kind {
            ExprKind::Field(mut names) => {
                names.append(&mut fields);
                ExprKind::Field(names)
            }
            ExprKind::Variable(mut names) => {
                names.append(&mut fields);
                ExprKind::Variable(names)
            }
            ExprKind::Function(_) | ExprKind::Chain(..) | ExprKind::Pipe(_) => {
                ExprKind::Chain(Box::new(term), fields)
            }
            ExprKind::Bool(_)
            | ExprKind::Dot
            | ExprKind::Nil
            | ExprKind::Number(_)
            | ExprKind::Text { .. } => {
                let term = quote(&term.to_string());
                return self.fail(first, format!("unexpected . after term {term}"));
            }
        };
        Ok(Some(Expr {
            pos: first.pos,
            kind,
        }))
    }

    fn term(&mut self) -> Parse<Option<Expr>> {
        let token = self.peek_word();
        self.at += 1;
        let kind = match token.kind {
            Kind::Identifier => match function(token.text) {
                Ok(function) => ExprKind::Function(function),
                Err(message) => return self.fail(token, message),
            },
            Kind::Dot => ExprKind::Dot,
            Kind::Nil => ExprKind::Nil,
            Kind::Bool => ExprKind::Bool(token.text == "true"),
            Kind::Variable if !self.variables.contains(&token.text) => {
                let name = quote(token.text);
                return self.fail(token, format!("undefined variable {name}"));
            }
            Kind::Variable => ExprKind::Variable(vec![token.text.to_owned()]),
            Kind::Field => ExprKind::Field(vec![token.text[1..].to_owned()]),
            Kind::CharConstant | Kind::Number => match Number::parse(token.text) {
                Ok(number) => ExprKind::Number(number),
                Err(message) => return self.fail(token, message),
            },
            Kind::LeftParen => {
                const CONTEXT: &str = "parenthesized pipeline";
                let pipe =
                    self.deeper(token, |parser| parser.pipeline(CONTEXT, Kind::RightParen))?;
                return Ok(Some(Expr {
                    pos: pipe.pos,
                    kind: ExprKind::Pipe(Box::new(pipe)),
                }));
            }
            Kind::Str | Kind::RawString => ExprKind::Text {
                quoted: token.text.to_owned(),
                text: self.string(token)?,
            },
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Expr {
            pos: token.pos,
            kind,
        }))
    }
}

/// Whether a definition of such nodes counts as empty and gives way to another.
fn blank(node: &Node) -> bool {
    matches!(node, Node::Text(text) if text.trim_ascii().is_empty())
}
