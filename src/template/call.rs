//! The functions of Prometheus' templates: names, what they take, what they give.

mod methods;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::template::BYTES_OUT_MAX;
use crate::template::Context;
use crate::template::STEPS_MAX;
use crate::template::builtin;
use crate::template::builtin::compare;
use crate::template::humanize;
use crate::template::literal::quote;
use crate::template::pattern::Patterns;
use crate::template::pattern::replace_all;
use crate::template::printf;
use crate::template::text;
use crate::template::time;
use crate::template::value::Args;
use crate::template::value::Sample;
use crate::template::value::Value;

/// What one query costs; an evaluation is worth many steps of a template.
const QUERY_STEPS: usize = 1_000;
/// What compiling one pattern costs.
const COMPILE_STEPS: usize = 1_000;
/// How many `args` within each other. People write one.
const ARGS_DEPTH_MAX: usize = 100;

/// What functions may use besides their arguments.
#[derive(Debug)]
pub(super) struct Tools<'c, 'q> {
    pub context: &'c mut Context<'q>,
    patterns: Patterns,
    steps: usize,
}

impl<'c, 'q> Tools<'c, 'q> {
    pub fn new(context: &'c mut Context<'q>) -> Self {
        Self {
            context,
            patterns: Patterns::default(),
            steps: 0,
        }
    }

    /// Counts work done; an error past the bound, so that no template runs for long.
    pub fn spend(&mut self, steps: usize) -> Result<(), String> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            return Err(format!("the template takes more than {STEPS_MAX} steps"));
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &str, text: &str) -> Result<&regex::Regex, String> {
        if !self.patterns.knows(pattern) {
            self.spend(COMPILE_STEPS)?;
        }
        self.spend(text.len() / 16 * (1 + pattern.len() / 16))?;
        self.patterns.get(pattern)
    }
}

/// The type of a parameter.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    Any,
    Int,
    Text,
    Sample,
    Samples,
    Time,
    Duration,
}

impl Ty {
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Int => "int",
            Self::Text => "string",
            Self::Sample => "*template.sample",
            Self::Samples => "template.queryResult",
            Self::Time => "time.Time",
            Self::Duration => "time.Duration",
        }
    }
}

type Run = fn(&mut Tools<'_, '_>, &[Value]) -> Result<Value, String>;

/// A function or method. Arguments have the parameters' types when `run` gets them; a method's first is its receiver.
pub(super) struct Function {
    pub name: &'static str,
    pub params: &'static [Ty],
    /// The type of any number of further arguments.
    pub rest: Option<Ty>,
    pub run: Run,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn fixed(name: &'static str, params: &'static [Ty], run: Run) -> Function {
    Function {
        name,
        params,
        rest: None,
        run,
    }
}

const fn open(name: &'static str, params: &'static [Ty], run: Run) -> Function {
    Function {
        name,
        params,
        rest: Some(Ty::Any),
        run,
    }
}

/// The function of that name, or what Go says where there is none.
pub(super) fn function(name: &str) -> Result<&'static Function, String> {
    if name == "call" {
        return Err("function \"call\" is refused: these templates hold no function values".into());
    }
    FUNCTIONS
        .iter()
        .find(|function| function.name == name)
        .ok_or_else(|| format!("function {} not defined", quote(name)))
}

pub(super) use methods::method;

use Ty::Any;
use Ty::Sample as One;
use Ty::Samples as Many;
use Ty::Text;

static FUNCTIONS: &[Function] = &[
    // `and` and `or` decide themselves which arguments are evaluated; the evaluator knows them by name.
    open("and", &[Any], |_, args| Ok(args[args.len() - 1].clone())),
    open("or", &[Any], |_, args| Ok(args[args.len() - 1].clone())),
    fixed("not", &[Any], |_, args| Ok(Value::Bool(!args[0].truth()))),
    fixed("len", &[Any], |_, args| builtin::length(&args[0])),
    open("index", &[Any], |_, args| {
        builtin::index(&args[0], &args[1..])
    }),
    open("slice", &[Any], |_, args| {
        builtin::slice(&args[0], &args[1..])
    }),
    open("print", &[], |_, args| {
        printf::sprint(args, BYTES_OUT_MAX).map(Value::text)
    }),
    open("println", &[], |_, args| {
        printf::sprintln(args, BYTES_OUT_MAX).map(Value::text)
    }),
    open("printf", &[Text], |_, args| {
        printf::sprintf(string(&args[0]), &args[1..], BYTES_OUT_MAX).map(Value::text)
    }),
    open("html", &[], |_, args| builtin::escaped(args, text::html)),
    open("js", &[], |_, args| builtin::escaped(args, text::js)),
    open("urlquery", &[], |_, args| {
        builtin::escaped(args, text::query_escape)
    }),
    open("eq", &[Any], |_, args| {
        compare::any_equal(&args[0], &args[1..])
    }),
    fixed("ne", &[Any, Any], |_, args| {
        compare::equal(&args[0], &args[1]).map(|equal| Value::Bool(!equal))
    }),
    fixed("lt", &[Any, Any], |_, args| {
        compare::less(&args[0], &args[1]).map(Value::Bool)
    }),
    fixed("le", &[Any, Any], |_, args| {
        compare::less_or_equal(&args[0], &args[1]).map(Value::Bool)
    }),
    // As in Go, the inverses; so a NaN is greater than everything.
    fixed("gt", &[Any, Any], |_, args| {
        compare::less_or_equal(&args[0], &args[1]).map(|less| Value::Bool(!less))
    }),
    fixed("ge", &[Any, Any], |_, args| {
        compare::less(&args[0], &args[1]).map(|less| Value::Bool(!less))
    }),
    fixed("query", &[Text], |tools, args| {
        query(tools, string(&args[0]))
    }),
    fixed("first", &[Many], |_, args| {
        let first = samples(&args[0]).first().cloned().map(Value::Sample);
        first.ok_or_else(|| "first() called on vector with no elements".into())
    }),
    fixed("label", &[Text, One], |_, args| {
        let sample = sample(&args[1])?;
        Ok(Value::text(
            sample.labels.get(string(&args[0])).unwrap_or(""),
        ))
    }),
    fixed("value", &[One], |_, args| {
        Ok(Value::Float(sample(&args[0])?.value))
    }),
    fixed("strvalue", &[One], |_, args| {
        let sample = sample(&args[0])?;
        Ok(Value::text(sample.labels.get("__value__").unwrap_or("")))
    }),
    fixed("sortByLabel", &[Text, Many], |tools, args| {
        let (label, mut sorted) = (string(&args[0]), samples(&args[1]).to_vec());
        tools.spend(sorted.len())?;
        sorted.sort_by_cached_key(|sample| sample.labels.get(label).unwrap_or("").to_owned());
        Ok(Value::Samples(sorted.into()))
    }),
    open("args", &[], |_, args| collect(args)),
    fixed("reReplaceAll", &[Text, Text, Text], |tools, args| {
        let (pattern, with, text) = (string(&args[0]), string(&args[1]), string(&args[2]));
        let regex = tools.pattern(pattern, text)?;
        replace_all(regex, text, with, BYTES_OUT_MAX).map(Value::text)
    }),
    fixed("match", &[Text, Text], |tools, args| {
        let text = string(&args[1]);
        let regex = tools.pattern(string(&args[0]), text)?;
        Ok(Value::Bool(regex.is_match(text)))
    }),
    fixed("safeHtml", &[Text], |_, args| {
        Ok(Value::Html(string(&args[0]).into()))
    }),
    fixed("title", &[Text], |_, args| {
        Ok(Value::text(text::title(string(&args[0]))))
    }),
    fixed("toUpper", &[Text], |_, args| {
        Ok(Value::text(text::to_upper(string(&args[0]))))
    }),
    fixed("toLower", &[Text], |_, args| {
        Ok(Value::text(text::to_lower(string(&args[0]))))
    }),
    fixed("graphLink", &[Text], |_, args| Ok(link(&args[0], 0))),
    fixed("tableLink", &[Text], |_, args| Ok(link(&args[0], 1))),
    fixed("stripPort", &[Text], |_, args| {
        Ok(Value::text(text::strip_port(string(&args[0]))))
    }),
    fixed("stripDomain", &[Text], |_, args| {
        Ok(Value::text(text::strip_domain(string(&args[0]))))
    }),
    fixed("urlQueryEscape", &[Text], |_, args| {
        Ok(Value::text(text::query_escape(string(&args[0]))))
    }),
    fixed("pathPrefix", &[], |tools, _| {
        Ok(Value::text(text::path(tools.context.external_url)))
    }),
    fixed("externalURL", &[], |tools, _| {
        Ok(Value::text(tools.context.external_url))
    }),
    fixed("humanize", &[Any], |_, args| {
        number(args, |n| Ok(humanize::humanize(n)))
    }),
    fixed("humanize1024", &[Any], |_, args| {
        number(args, |n| Ok(humanize::humanize1024(n)))
    }),
    fixed("humanizeDuration", &[Any], |_, args| {
        number(args, |n| Ok(humanize::humanize_duration(n)))
    }),
    fixed("humanizePercentage", &[Any], |_, args| {
        number(args, |n| Ok(humanize::humanize_percentage(n)))
    }),
    fixed("humanizeTimestamp", &[Any], |_, args| {
        number(args, humanize::humanize_timestamp)
    }),
    fixed("now", &[], |tools, _| {
        Ok(Value::Float(tools.context.at.seconds()))
    }),
    fixed("toTime", &[Any], |_, args| {
        time::moment(humanize::number(&args[0])?).map(Value::Time)
    }),
    fixed("toDuration", &[Any], |_, args| {
        let seconds = humanize::number(&args[0])?;
        Ok(Value::Duration(time::truncate(seconds * 1e9)))
    }),
    fixed("parseDuration", &[Text], |_, args| {
        humanize::parse_duration(string(&args[0])).map(Value::Float)
    }),
];

fn number(
    args: &[Value],
    show: impl FnOnce(f64) -> Result<String, String>,
) -> Result<Value, String> {
    show(humanize::number(&args[0])?).map(Value::text)
}

fn link(expr: &Value, tab: u8) -> Value {
    let expr = text::query_escape(string(expr));
    Value::text(format!("/graph?g0.expr={expr}&g0.tab={tab}"))
}

fn query(tools: &mut Tools<'_, '_>, text: &str) -> Result<Value, String> {
    tools.spend(QUERY_STEPS)?;
    let at = tools.context.at;
    let vector = (tools.context.query)(text, at)?;
    let sample = |(labels, value)| Arc::new(Sample { labels, value });
    Ok(Value::Samples(vector.into_iter().map(sample).collect()))
}

fn collect(args: &[Value]) -> Result<Value, String> {
    let mut values = BTreeMap::new();
    let mut depth = 0;
    for (i, value) in args.iter().enumerate() {
        if let Value::Args(inner) = value {
            depth = depth.max(inner.depth);
        }
        values.insert(format!("arg{i}"), value.clone());
    }
    if depth == ARGS_DEPTH_MAX {
        return Err(format!("more than {ARGS_DEPTH_MAX} maps within each other"));
    }
    let depth = depth + 1;
    Ok(Value::Args(Arc::new(Args { values, depth })))
}

/// Of an argument whose parameter is a string.
fn string(value: &Value) -> &str {
    value.str().unwrap_or_default()
}

/// Of an argument whose parameter is a query's result.
fn samples(value: &Value) -> &[Arc<Sample>] {
    match value {
        Value::Samples(samples) => samples,
        _ => &[],
    }
}

/// Of an argument whose parameter is a sample, which may be nil.
fn sample(value: &Value) -> Result<&Sample, String> {
    match value {
        Value::Sample(sample) => Ok(sample),
        _ => Err("runtime error: invalid memory address or nil pointer dereference".into()),
    }
}
