//! Within an action: pipelines, their commands, and the operands of those.

use crate::template::call::function;
use crate::template::lex::Kind;
use crate::template::lex::Token;
use crate::template::literal::Number;
use crate::template::literal::quote;
use crate::template::node::Command;
use crate::template::node::Expr;
use crate::template::node::ExprKind;
use crate::template::node::Pipe;
use crate::template::parse::Parse;
use crate::template::parse::Parser;

impl Parser<'_> {
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parse<Pipe> {
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
