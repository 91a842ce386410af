//! Aggregations: which, by which labels, with which parameter.

use promql_parser::parser::token;
use promql_parser::parser::{self, AggregateExpr, LabelModifier};

use super::{Reader, bare, node};
use crate::promql::aggregate::{Aggregate, Operation};
use crate::promql::dynamic::CountValues;
use crate::promql::layout::Grouping;
use crate::promql::lex::ParseError;
use crate::promql::node::{Kind, Node};
use crate::promql::notes::{Place, Slate};

impl Reader<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Node, ParseError> {
        let operation = match aggregate.op.id() {
            token::T_SUM => Operation::Sum,
            token::T_AVG => Operation::Avg,
            token::T_MIN => Operation::Min,
            token::T_MAX => Operation::Max,
            token::T_COUNT => Operation::Count,
            token::T_GROUP => Operation::Group,
            token::T_STDDEV => Operation::Stddev,
            token::T_STDVAR => Operation::Stdvar,
            token::T_QUANTILE => Operation::Quantile,
            token::T_TOPK => Operation::Topk,
            token::T_BOTTOMK => Operation::Bottomk,
            token::T_LIMITK => Operation::Limitk,
            token::T_LIMIT_RATIO => Operation::LimitRatio,
            token::T_COUNT_VALUES => return self.count_values(aggregate),
            _ => return Err(self.operator(aggregate.op)),
        };
        let place = match operation {
            Operation::Quantile => self.places("quantile").place(0),
            Operation::LimitRatio => self.places("limit_ratio").place(0),
            _ => Place::default(),
        };
        let parameter = match &aggregate.param {
            Some(parameter) => Some(self.scalar(parameter)?),
            None => None,
        };
        match (operation, &parameter) {
            (Operation::Quantile, Some(quantile)) => self.note_quantile(quantile, place),
            (Operation::LimitRatio, Some(ratio)) => self.note_ratio(ratio, place),
            _ => {}
        }
        let grouping = grouping(aggregate.modifier.as_ref(), Grouping::By(Vec::new()));
        let of = self.vector(&aggregate.expr)?;
        node(Kind::Aggregate(Box::new(Aggregate::new(
            operation,
            grouping,
            parameter,
            of,
            Slate::new(place, place),
        ))))
    }

    pub(super) fn count_values(&mut self, aggregate: &AggregateExpr) -> Result<Node, ParseError> {
        let label = match aggregate.param.as_deref().map(bare) {
            Some(parser::Expr::StringLiteral(text)) => text.val.clone(),
            _ => return Err(self.wrong("`count_values` wants the name of a label", "count_values")),
        };
        if label.is_empty() {
            return Err(self.wrong(format!("invalid label name {label:?}"), "count_values"));
        }
        let grouping = grouping(aggregate.modifier.as_ref(), Grouping::By(Vec::new()));
        let of = self.vector(&aggregate.expr)?;
        self.dynamic = true;
        node(Kind::CountValues(Box::new(CountValues::new(
            grouping, label, of,
        ))))
    }
}

pub(super) fn grouping(modifier: Option<&LabelModifier>, default: Grouping) -> Grouping {
    match modifier {
        Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels.clone()),
        Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels.clone()),
        None => default,
    }
}
