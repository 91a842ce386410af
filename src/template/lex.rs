//! Template text → tokens, as Go's `text/template/parse` cuts them: text outside of `{{ }}`, words within.
//!
//! Deliberately absent: what the tokens mean together (`parse`), and other delimiters than `{{` and `}}`.

use crate::template::literal::quote;
use crate::template::literal::unicode;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Assign,
    Block,
    Bool,
    Break,
    /// Any other printable character of ASCII, for example a comma.
    Char,
    CharConstant,
    Continue,
    Declare,
    Define,
    Dot,
    Else,
    End,
    Eof,
    /// Always the last token; [`Lexed::error`] says what is wrong.
    Error,
    Field,
    Identifier,
    If,
    LeftDelim,
    LeftParen,
    Nil,
    Number,
    Pipe,
    Range,
    RawString,
    RightDelim,
    RightParen,
    Space,
    Str,
    Template,
    Text,
    Variable,
    With,
}

const KEYWORDS: &[(&str, Kind)] = &[
    ("block", Kind::Block),
    ("break", Kind::Break),
    ("continue", Kind::Continue),
    ("define", Kind::Define),
    ("else", Kind::Else),
    ("end", Kind::End),
    ("false", Kind::Bool),
    ("if", Kind::If),
    ("nil", Kind::Nil),
    ("range", Kind::Range),
    ("template", Kind::Template),
    ("true", Kind::Bool),
    ("with", Kind::With),
];

#[derive(Copy, Clone, Debug)]
pub(super) struct Token<'t> {
    pub kind: Kind,
    /// First byte of the token in the text.
    pub pos: usize,
    pub text: &'t str,
}

impl Token<'_> {
    /// How Go's messages name a token: keywords in angle brackets, long ones cut after ten characters.
    pub fn shown(&self) -> String {
        let keyword = self.kind == Kind::Dot
            || (self.kind != Kind::Bool && KEYWORDS.iter().any(|(_, kind)| *kind == self.kind));
        if self.kind == Kind::Eof {
            "EOF".to_owned()
        } else if keyword {
            format!("<{}>", self.text)
        } else if self.text.len() > 10 {
            let start: String = self.text.chars().take(10).collect();
            format!("{}...", quote(&start))
        } else {
            quote(self.text)
        }
    }
}

/// The tokens of a text. The last one is [`Kind::Eof`] or [`Kind::Error`].
#[derive(Debug)]
pub(super) struct Lexed<'t> {
    pub tokens: Vec<Token<'t>>,
    /// What is wrong at the last token; empty if nothing is.
    pub error: String,
}

pub(super) fn lex(text: &str) -> Lexed<'_> {
    let mut lexer = Lexer {
        text,
        pos: 0,
        start: 0,
        open: 0,
        tokens: Vec::new(),
    };
    let error = match lexer.run() {
        Ok(()) => String::new(),
        Err(message) => {
            lexer.push(Kind::Error);
            message
        }
    };
    Lexed {
        tokens: lexer.tokens,
        error,
    }
}

struct Lexer<'t> {
    text: &'t str,
    pos: usize,
    /// Where the token begins that is being read.
    start: usize,
    /// Parentheses open within the action.
    open: usize,
    tokens: Vec<Token<'t>>,
}

fn space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// `- ` behind `{{`.
fn trims_left(rest: &str) -> bool {
    let mut chars = rest.chars();
    chars.next() == Some('-') && chars.next().is_some_and(space)
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, valid: &str) -> bool {
        let found = self.peek().is_some_and(|c| valid.contains(c));
        if found {
            self.next();
        }
        found
    }

    fn skip(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&keep) {
            self.next();
        }
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token {
            kind,
            pos: self.start,
            text: &self.text[self.start..self.pos],
        });
        self.start = self.pos;
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(ahead) = self.rest().find("{{") {
            let left = self.pos + ahead;
            let trimmed = trims_left(&self.text[left + 2..]);
            let before = &self.text[self.start..left];
            let kept = if trimmed {
                before.trim_end_matches(space)
            } else {
                before
            };
            self.pos = self.start + kept.len();
            if !kept.is_empty() {
                self.push(Kind::Text);
            }
            self.start = left;
            self.pos = left + 2;
            let after = if trimmed { 2 } else { 0 };
            if self.text[self.pos + after..].starts_with("/*") {
                self.pos += after;
                self.comment()?;
            } else {
                self.push(Kind::LeftDelim);
                self.pos += after;
                self.start = self.pos;
                self.open = 0;
                self.action()?;
            }
        }
        self.pos = self.text.len();
        if self.pos > self.start {
            self.push(Kind::Text);
        }
        self.push(Kind::Eof);
        Ok(())
    }

    fn comment(&mut self) -> Result<(), String> {
        let Some(end) = self.rest()[2..].find("*/") else {
            return Err("unclosed comment".into());
        };
        self.pos += 2 + end + 2;
        let Some(trimmed) = self.right_delim() else {
            return Err("comment ends before closing delimiter".into());
        };
        self.pos += if trimmed { 4 } else { 2 };
        self.trim(trimmed);
        Ok(())
    }

    /// Whether `}}` stands here, and if so whether a trim marker stands before it.
    fn right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with("}}") {
            return Some(false);
        }
        let marked = rest
            .strip_prefix(space)
            .is_some_and(|behind| behind.starts_with("-}}"));
        marked.then_some(true)
    }

    /// Text begins here, behind the white space if a marker trims that.
    fn trim(&mut self, trimmed: bool) {
        if trimmed {
            self.skip(space);
        }
        self.start = self.pos;
    }

    fn action(&mut self) -> Result<(), String> {
        loop {
            if let Some(trimmed) = self.right_delim() {
                if self.open > 0 {
                    return Err("unclosed left paren".into());
                }
                if trimmed {
                    self.pos += 2;
                    self.start = self.pos;
                }
                self.pos += 2;
                self.push(Kind::RightDelim);
                self.trim(trimmed);
                return Ok(());
            }
            self.token()?;
        }
    }

    fn token(&mut self) -> Result<(), String> {
        let Some(c) = self.next() else {
            return Err("unclosed action".into());
        };
        match c {
            _ if space(c) => {
                // The last space may belong to a marker that trims.
                while self.right_delim().is_none() && self.peek().is_some_and(space) {
                    self.next();
                }
                self.push(Kind::Space);
            }
            '=' => self.push(Kind::Assign),
            ':' if self.accept("=") => self.push(Kind::Declare),
            ':' => return Err("expected :=".into()),
            '|' => self.push(Kind::Pipe),
            '"' => self.quoted('"', Kind::Str, "unterminated quoted string")?,
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant")?,
            '`' => {
                let Some(end) = self.rest().find('`') else {
                    return Err("unterminated raw quoted string".into());
                };
                self.pos += end + 1;
                self.push(Kind::RawString);
            }
            '$' => self.name(Kind::Variable, Kind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.name(Kind::Dot, Kind::Field)?;
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.pos = self.start;
                self.number()?;
            }
            _ if word(c) => {
                self.skip(word);
                self.terminated()?;
                let text = &self.text[self.start..self.pos];
                let keyword = KEYWORDS.iter().find(|(name, _)| *name == text);
                self.push(keyword.map_or(Kind::Identifier, |(_, kind)| *kind));
            }
            '(' => {
                self.push(Kind::LeftParen);
                self.open += 1;
            }
            ')' => {
                if self.open == 0 {
                    return Err("unexpected right paren".into());
                }
                self.push(Kind::RightParen);
                self.open -= 1;
            }
            ' '..='~' => self.push(Kind::Char),
            _ => {
                return Err(format!(
                    "unrecognized character in action: {}",
                    unicode(c, true)
                ));
            }
        }
        Ok(())
    }

    /// `alone` if nothing follows the `$` or `.`, else `named`.
    fn name(&mut self, alone: Kind, named: Kind) -> Result<(), String> {
        if self.at_terminator() {
            self.push(alone);
            return Ok(());
        }
        self.skip(word);
        self.terminated()?;
        self.push(named);
        Ok(())
    }

    fn terminated(&self) -> Result<(), String> {
        match self.peek() {
            Some(c) if !self.at_terminator() => Err(format!("bad character {}", unicode(c, true))),
            _ => Ok(()),
        }
    }

    fn at_terminator(&self) -> bool {
        self.rest().starts_with("}}")
            || self.peek().is_none_or(|c| space(c) || ".,|:)(".contains(c))
    }

    fn quoted(&mut self, end: char, kind: Kind, message: &str) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') if self.next().is_some_and(|c| c != '\n') => {}
                Some(c) if c == end => break,
                None | Some('\\' | '\n') => return Err(message.to_owned()),
                Some(_) => {}
            }
        }
        self.push(kind);
        Ok(())
    }

    /// Takes more than is a number; reading its value refuses the rest.
    fn number(&mut self) -> Result<(), String> {
        self.accept("+-");
        let (mut digits, mut exponent) = ("0123456789_", "eE");
        if self.accept("0") {
            if self.accept("xX") {
                (digits, exponent) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.accept("oO") {
                (digits, exponent) = ("01234567_", "");
            } else if self.accept("bB") {
                (digits, exponent) = ("01_", "");
            }
        }
        self.skip(|c| digits.contains(c));
        if self.accept(".") {
            self.skip(|c| digits.contains(c));
        }
        if self.accept(exponent) {
            self.accept("+-");
            self.skip(|c| "0123456789_".contains(c));
        }
        let imaginary = self.accept("i");
        if self.peek().is_some_and(word) {
            self.next();
            let text = &self.text[self.start..self.pos];
            return Err(format!("bad number syntax: {}", quote(text)));
        }
        if imaginary {
            return Err("complex numbers are not supported".into());
        }
        self.push(Kind::Number);
        Ok(())
    }
}
