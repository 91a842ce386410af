//! Tokens → the tree, by the grammar of Go's `text/template/parse` and with its messages.
//!
//! Functions and variables are resolved by name here, so an unknown one is a fault of the text, not of an expansion.

mod operand;

use std::collections::BTreeMap;

use crate::template::error::TemplateError;
use crate::template::lex::Kind;
use crate::template::lex::Lexed;
use crate::template::lex::Token;
use crate::template::lex::lex;
use crate::template::literal::quote;
use crate::template::literal::unquote;
use crate::template::node::Action;
use crate::template::node::Branch;
use crate::template::node::Invocation;
use crate::template::node::Node;

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
}

/// Whether a definition of such nodes counts as empty and gives way to another.
fn blank(node: &Node) -> bool {
    matches!(node, Node::Text(text) if text.trim_ascii().is_empty())
}
