//! The words of the language, for guessing which one was meant.

/// Names less like a function's than this are no help.
const LIKENESS_MIN: f64 = 0.8;

/// Everything that is called with brackets.
pub(in crate::promql) const FUNCTIONS: [&str; 98] = [
    "abs",
    "absent",
    "absent_over_time",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "avg",
    "avg_over_time",
    "bottomk",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "cos",
    "cosh",
    "count",
    "count_over_time",
    "count_values",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "deg",
    "delta",
    "deriv",
    "double_exponential_smoothing",
    "end",
    "exp",
    "first_over_time",
    "floor",
    "group",
    "histogram_fraction",
    "histogram_quantile",
    "histogram_quantiles",
    "hour",
    "idelta",
    "increase",
    "info",
    "irate",
    "label_join",
    "label_replace",
    "last_over_time",
    "limit_ratio",
    "limitk",
    "ln",
    "log10",
    "log2",
    "mad_over_time",
    "max",
    "max_of",
    "max_over_time",
    "min",
    "min_of",
    "min_over_time",
    "minute",
    "month",
    "pi",
    "predict_linear",
    "present_over_time",
    "quantile",
    "quantile_over_time",
    "rad",
    "range",
    "rate",
    "resets",
    "round",
    "scalar",
    "sgn",
    "sin",
    "sinh",
    "sort",
    "sort_by_label",
    "sort_by_label_desc",
    "sort_desc",
    "sqrt",
    "start",
    "stddev",
    "stddev_over_time",
    "stdvar",
    "stdvar_over_time",
    "step",
    "sum",
    "sum_over_time",
    "tan",
    "tanh",
    "time",
    "timestamp",
    "topk",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "vector",
    "year",
];

/// Words that labels in brackets follow.
pub(super) const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

pub(super) const AGGREGATIONS: [&str; 14] = [
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "quantile",
    "topk",
    "bottomk",
    "limitk",
    "limit_ratio",
    "count_values",
];

/// Words between two operands.
pub(super) const BETWEEN: [&str; 4] = ["and", "or", "unless", "atan2"];

/// The function whose name is most like this one.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let alike = FUNCTIONS
        .iter()
        .map(|it| (strsim::jaro_winkler(it, name), *it));
    let near = alike.filter(|(likeness, _)| *likeness > LIKENESS_MIN);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, it)| it)
}

/// How a function is called, for those that are called wrongly most.
pub(super) fn signature(name: &str) -> &'static str {
    match name {
        "histogram_quantile" => "write histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))",
        "label_replace" => "write label_replace(v, \"to\", \"$1\", \"from\", \"(.*)\")",
        "label_join" => "write label_join(v, \"to\", \"-\", \"a\", \"b\")",
        "quantile_over_time" => "write quantile_over_time(0.95, x[5m])",
        "predict_linear" => "write predict_linear(x[1h], 3600)",
        "clamp" => "write clamp(v, least, most)",
        "clamp_min" | "clamp_max" => "write the vector, then the bound",
        _ => "",
    }
}
