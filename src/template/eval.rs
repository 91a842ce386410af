//! Pipelines, commands and operands → values, by the rules of Go's `text/template`.
//!
//! The place that a message points at is the last one looked at, as in Go; that is not always the one at fault.

use crate::template::BYTES_OUT_MAX;
use crate::template::DEPTH_MAX;
use crate::template::Template;
use crate::template::call::Function;
use crate::template::call::Tools;
use crate::template::call::Ty;
use crate::template::call::method;
use crate::template::error::TemplateError;
use crate::template::node::Command;
use crate::template::node::Expr;
use crate::template::node::ExprKind;
use crate::template::node::Pipe;
use crate::template::node::Place;
use crate::template::value::Value;

pub(super) type Expand<T> = Result<T, TemplateError>;

/// One expansion under way.
pub(super) struct Expansion<'t, 'c, 'q> {
    pub template: &'t Template,
    /// The defined template that is executed; `None` in the text's own body.
    pub name: Option<&'t str>,
    pub out: String,
    /// Names with their `$`; the last of a name counts.
    pub variables: Vec<(&'t str, Value)>,
    /// Templates within each other.
    pub templates: usize,
    at: Option<&'t dyn Place>,
    depth: usize,
    tools: Tools<'c, 'q>,
}

/// Arguments of a call as they stand in the text: what follows the function, and the value piped into it.
pub(super) struct Given<'t> {
    operands: &'t [Expr],
    piped: Option<Value>,
}

impl Given<'_> {
    const NONE: Self = Self {
        operands: &[],
        piped: None,
    };

    fn any(&self) -> bool {
        !self.operands.is_empty() || self.piped.is_some()
    }
}

impl<'t, 'c, 'q> Expansion<'t, 'c, 'q> {
    pub fn new(template: &'t Template, dot: Value, tools: Tools<'c, 'q>) -> Self {
        Self {
            template,
            name: None,
            out: String::new(),
            variables: vec![("$", dot)],
            templates: 0,
            at: None,
            depth: 0,
            tools,
        }
    }

    pub fn at(&mut self, place: &'t dyn Place) {
        self.at = Some(place);
    }

    pub fn fail<T>(&self, message: impl Into<String>) -> Expand<T> {
        let (text, message) = (&self.template.text, message.into());
        Err(match self.at {
            Some(place) => TemplateError::executing(text, place, self.name, message),
            None => TemplateError::parsing(text, text.len(), message),
        })
    }

    pub fn spend(&mut self, steps: usize) -> Expand<()> {
        self.tools
            .spend(steps)
            .or_else(|message| self.fail(message))
    }

    /// Within one more body or pipeline; bounded, because each takes a piece of the stack.
    pub fn deeper<T>(&mut self, go: impl FnOnce(&mut Self) -> Expand<T>) -> Expand<T> {
        if self.depth == DEPTH_MAX {
            return self.fail(format!("exceeded maximum template depth ({DEPTH_MAX})"));
        }
        self.depth += 1;
        let done = go(self);
        self.depth -= 1;
        done
    }

    fn variable(&self, name: &str) -> Expand<Value> {
        let found = self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name);
        match found {
            Some((_, value)) => Ok(value.clone()),
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    pub fn assign(&mut self, name: &str, value: Value) -> Expand<()> {
        let found = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name);
        match found {
            Some((_, old)) => *old = value,
            None => return self.fail(format!("undefined variable: {name}")),
        }
        Ok(())
    }

    pub fn pipeline(&mut self, dot: &Value, pipe: &'t Pipe) -> Expand<Value> {
        self.at(pipe);
        let value = self.deeper(|inner| inner.commands(dot, &pipe.commands))?;
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn commands(&mut self, dot: &Value, commands: &'t [Command]) -> Expand<Value> {
        let mut piped = None;
        for command in commands {
            self.spend(1)?;
            piped = Some(self.command(dot, command, piped)?);
        }
        Ok(piped.unwrap_or(Value::Missing))
    }

    fn command(
        &mut self,
        dot: &Value,
        command: &'t Command,
        piped: Option<Value>,
    ) -> Expand<Value> {
        let (first, operands) = (&command.operands[0], &command.operands[1..]);
        let given = Given { operands, piped };
        match &first.kind {
            ExprKind::Field(names) => {
                self.at(first);
                self.fields(dot, dot.clone(), first, names, given)
            }
            ExprKind::Chain(inner, names) => self.chain(dot, first, inner, names, given),
            ExprKind::Variable(names) => self.variable_fields(dot, first, names, given),
            ExprKind::Function(function) => {
                self.at(first);
                self.call(dot, function, None, command, given)
            }
            ExprKind::Pipe(pipe) => {
                self.no_arguments(first, &given)?;
                self.pipeline(dot, pipe)
            }
            ExprKind::Bool(_)
            | ExprKind::Dot
            | ExprKind::Nil
            | ExprKind::Number(_)
            | ExprKind::Text { .. } => {
                self.at(first);
                self.no_arguments(first, &given)?;
                if matches!(first.kind, ExprKind::Nil) {
                    return self.fail("nil is not a command");
                }
                self.literal(dot, first)
            }
        }
    }

    fn no_arguments(&self, of: &Expr, given: &Given<'_>) -> Expand<()> {
        if given.any() {
            return self.fail(format!("can't give argument to non-function {of}"));
        }
        Ok(())
    }

    /// A literal where no type is asked for.
    fn literal(&self, dot: &Value, expr: &Expr) -> Expand<Value> {
        match &expr.kind {
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::Dot => Ok(dot.clone()),
            ExprKind::Text { text, .. } => Ok(Value::text(text.as_str())),
            ExprKind::Number(number) if number.float_by_syntax => Ok(Value::Float(number.float)),
            ExprKind::Number(number) => match number.int {
                Some(int) => Ok(Value::Int(int)),
                None => self.fail(format!("{} overflows int", number.text)),
            },
            _ => self.fail(format!("can't evaluate command {expr}")),
        }
    }

    fn chain(
        &mut self,
        dot: &Value,
        whole: &'t Expr,
        inner: &'t Expr,
        names: &'t [String],
        given: Given<'t>,
    ) -> Expand<Value> {
        self.at(whole);
        let receiver = self.argument(dot, Ty::Any, inner)?;
        self.fields(dot, receiver, whole, names, given)
    }

    fn variable_fields(
        &mut self,
        dot: &Value,
        whole: &'t Expr,
        names: &'t [String],
        given: Given<'t>,
    ) -> Expand<Value> {
        self.at(whole);
        let value = self.variable(&names[0])?;
        if names.len() == 1 {
            self.no_arguments(whole, &given)?;
            return Ok(value);
        }
        self.fields(dot, value, whole, &names[1..], given)
    }

    /// `.X.Y.Z`, possibly followed by arguments, which the last one gets.
    fn fields(
        &mut self,
        dot: &Value,
        receiver: Value,
        whole: &'t Expr,
        names: &'t [String],
        given: Given<'t>,
    ) -> Expand<Value> {
        let (last, before) = names.split_last().expect("a chain has a name");
        let mut receiver = receiver;
        for name in before {
            receiver = self.field(dot, receiver, whole, name, Given::NONE)?;
        }
        self.field(dot, receiver, whole, last, given)
    }

    fn field(
        &mut self,
        dot: &Value,
        receiver: Value,
        whole: &'t Expr,
        name: &str,
        given: Given<'t>,
    ) -> Expand<Value> {
        if let Some(method) = method(&receiver, name) {
            return self.call(dot, method, Some(receiver), whole, given);
        }
        let field = match (&receiver, name) {
            (Value::Missing, _) => return Ok(Value::Missing),
            (Value::Labels(_) | Value::Args(_), _) if given.any() => {
                return self.fail(format!("{name} is not a method but has arguments"));
            }
            (Value::Labels(labels), _) => return Ok(Value::text(labels.get(name).unwrap_or(""))),
            (Value::Args(args), _) => {
                return Ok(args.values.get(name).cloned().unwrap_or(Value::Missing));
            }
            (Value::Sample(sample), "Labels") => Value::Labels(sample.labels.clone()),
            (Value::Sample(sample), "Value") => Value::Float(sample.value),
            (Value::NoSample, "Labels" | "Value") => {
                return self.fail(format!("nil pointer evaluating *template.sample.{name}"));
            }
            (Value::Data(data), "Labels") => Value::Labels(data.labels.clone()),
            (Value::Data(data), "ExternalLabels") => Value::Labels(data.external_labels.clone()),
            (Value::Data(data), "ExternalURL") => Value::Text(data.external_url.clone()),
            (Value::Data(data), "Value") => Value::Float(data.value),
            _ => {
                let of = receiver.type_name();
                return self.fail(format!("can't evaluate field {name} in type {of}"));
            }
        };
        if given.any() {
            return self.fail(format!(
                "{name} has arguments but cannot be invoked as function"
            ));
        }
        Ok(field)
    }

    fn call(
        &mut self,
        dot: &Value,
        function: &'static Function,
        receiver: Option<Value>,
        place: &'t dyn Place,
        given: Given<'t>,
    ) -> Expand<Value> {
        let Function { name, params, .. } = function;
        let count = given.operands.len() + usize::from(given.piped.is_some());
        if function.rest.is_some() && count < params.len() {
            let (least, got) = (params.len(), given.operands.len());
            return self.fail(format!(
                "wrong number of args for {name}: want at least {least} got {got}"
            ));
        } else if function.rest.is_none() && count != params.len() {
            let want = params.len();
            return self.fail(format!(
                "wrong number of args for {name}: want {want} got {count}"
            ));
        }
        if receiver.is_none() && matches!(*name, "and" | "or") {
            return self.decide(dot, *name == "or", given);
        }
        let ty = |i: usize| params.get(i).copied().or(function.rest).unwrap_or(Ty::Any);
        let mut args = Vec::with_capacity(1 + count);
        args.extend(receiver);
        for (i, operand) in given.operands.iter().enumerate() {
            args.push(self.argument(dot, ty(i), operand)?);
        }
        if let Some(piped) = given.piped {
            args.push(self.fit(piped, ty(count - 1))?);
        }
        let result = self.run(function, &args);
        result.or_else(|message| {
            self.at(place);
            self.fail(format!("error calling {name}: {message}"))
        })
    }

    fn run(&mut self, function: &Function, args: &[Value]) -> Result<Value, String> {
        let bytes: usize = args.iter().map(Value::weight).sum();
        self.tools.spend(1 + bytes / 16)?;
        let result = (function.run)(&mut self.tools, args)?;
        if result.str().is_some_and(|text| text.len() > BYTES_OUT_MAX) {
            return Err(format!("text is longer than {BYTES_OUT_MAX} bytes"));
        }
        Ok(result)
    }

    /// `and` and `or` evaluate no further than they need.
    fn decide(&mut self, dot: &Value, until: bool, given: Given<'t>) -> Expand<Value> {
        let mut value = Value::Missing;
        for operand in given.operands {
            value = self.argument(dot, Ty::Any, operand)?;
            if value.truth() == until {
                return Ok(value);
            }
        }
        Ok(given.piped.unwrap_or(value))
    }

    fn argument(&mut self, dot: &Value, ty: Ty, expr: &'t Expr) -> Expand<Value> {
        self.at(expr);
        let value = match &expr.kind {
            ExprKind::Dot => dot.clone(),
            ExprKind::Nil if matches!(ty, Ty::Int | Ty::Text | Ty::Time | Ty::Duration) => {
                return self.fail(format!("cannot assign nil to {}", ty.name()));
            }
            ExprKind::Nil => Value::Missing,
            ExprKind::Field(names) => self.fields(dot, dot.clone(), expr, names, Given::NONE)?,
            ExprKind::Variable(names) => self.variable_fields(dot, expr, names, Given::NONE)?,
            ExprKind::Pipe(pipe) => self.pipeline(dot, pipe)?,
            ExprKind::Function(function) => self.call(dot, function, None, expr, Given::NONE)?,
            ExprKind::Chain(inner, names) => self.chain(dot, expr, inner, names, Given::NONE)?,
            ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::Text { .. } => {
                return self.constant(dot, ty, expr);
            }
        };
        self.fit(value, ty)
    }

    /// A literal as an argument of type `ty`.
    fn constant(&self, dot: &Value, ty: Ty, expr: &Expr) -> Expand<Value> {
        match (ty, &expr.kind) {
            (Ty::Any, _) | (Ty::Text, ExprKind::Text { .. }) => self.literal(dot, expr),
            (Ty::Text, _) => self.fail(format!("expected string; found {expr}")),
            (Ty::Duration, ExprKind::Number(number)) if number.int.is_some() => {
                Ok(Value::Duration(number.int.unwrap_or(0)))
            }
            (Ty::Int, ExprKind::Number(number)) if number.int.is_some() => {
                Ok(Value::Int(number.int.unwrap_or(0)))
            }
            (Ty::Int | Ty::Duration, _) => self.fail(format!("expected integer; found {expr}")),
            (Ty::Sample | Ty::Samples | Ty::Time, _) => {
                let of = ty.name();
                self.fail(format!("can't handle {expr} for arg of type {of}"))
            }
        }
    }

    /// The value as an argument of type `ty`.
    fn fit(&self, value: Value, ty: Ty) -> Expand<Value> {
        match (ty, &value) {
            (Ty::Any, _)
            | (Ty::Int, Value::Int(_))
            | (Ty::Text, Value::Text(_))
            | (Ty::Sample, Value::Sample(_) | Value::NoSample)
            | (Ty::Samples, Value::Samples(_))
            | (Ty::Time, Value::Time(_))
            | (Ty::Duration, Value::Duration(_)) => Ok(value),
            (Ty::Sample, Value::Missing) => Ok(Value::NoSample),
            (Ty::Samples, Value::Missing) => Ok(Value::Samples([].into())),
            (_, Value::Missing) => self.fail(format!("invalid value; expected {}", ty.name())),
            _ => {
                let (want, got) = (ty.name(), value.type_name());
                self.fail(format!("wrong type for value; expected {want}; got {got}"))
            }
        }
    }
}
