//! Random expressions over a few series: for holding gated beside another evaluator. One seed, one sequence.

/// Rolls numbers (xorshift) and makes expressions of them.
pub struct Dice {
    state: u64,
    /// Also what only a Prometheus 3 knows.
    modern: bool,
}

impl Dice {
    pub fn new(seed: u64, modern: bool) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { state, modern }
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from((self.state >> 11) % sides as u64).unwrap()
    }

    pub fn of(&mut self, list: &[&str]) -> String {
        list[self.roll(list.len())].to_owned()
    }

    fn selector(&mut self) -> String {
        self.of(&[
            "requests_total",
            "requests_total{code=\"500\"}",
            "requests_total{code=~\"4..|5..\",path!=\"/a\"}",
            "temperature",
            "temperature{path=\"/b\"}",
            "temperature{code!~\"2..\"}",
            "limit",
            "comes_and_goes",
            "not_a_number",
            "{__name__=~\"temp.*|limit\",path=\"/a\"}",
            "nothing_here",
        ])
    }

    /// A range that no sample lies on the edge of, asked for at a half second or, in a subquery, at a whole one.
    fn range(&mut self, within: bool) -> String {
        let whole = ["5s", "12s", "20s"];
        let half = ["5500ms", "12500ms", "20500ms"];
        self.of(if within { &half } else { &whole })
    }

    fn over_time(&mut self, within: bool) -> String {
        let range = self.range(within);
        let selector = self.selector();
        let offset = if self.roll(4) == 0 { " offset 5s" } else { "" };
        let function = self.of(&[
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "deriv",
            "changes",
            "resets",
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "sum_over_time",
            "count_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "present_over_time",
            "last_over_time",
        ]);
        if self.modern && self.roll(4) == 0 {
            let function = self.of(&[
                "first_over_time",
                "mad_over_time",
                "ts_of_max_over_time",
                "ts_of_first_over_time",
            ]);
            let at = self.of(&["", " @ 300", " @ end()", " @ start() offset -20s"]);
            return format!("{function}({selector}[{range}]{at})");
        }
        match self.roll(8) {
            0 => format!("quantile_over_time(0.7, {selector}[{range}]{offset})"),
            1 => format!("predict_linear({selector}[{range}]{offset}, 60)"),
            2 if !within => {
                let inner = self.vector(1, true);
                format!("{function}(({inner})[10s:2s]{offset})")
            }
            _ => format!("{function}({selector}[{range}]{offset})"),
        }
    }

    fn grouping(&mut self) -> String {
        self.of(&[
            "",
            " by (path)",
            " by (code)",
            " without (code)",
            " by (path, code)",
            " without (path, instance)",
        ])
    }

    /// `within`: in a subquery, whose moments are whole seconds.
    pub fn vector(&mut self, depth: usize, within: bool) -> String {
        if depth == 0 {
            return match self.roll(3) {
                0 => self.over_time(within),
                1 if self.roll(3) == 0 => format!("{} offset 7s", self.selector()),
                _ => self.selector(),
            };
        }
        let of = self.vector(depth - 1, within);
        match self.roll(9) {
            0 | 1 => {
                let grouping = self.grouping();
                let op = self.of(&[
                    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar",
                ]);
                if op.starts_with("std") && !self.modern {
                    // What a 2.x makes of the variance of an infinity is not what a 3.x does.
                    return format!("{op}{grouping} (temperature)");
                }
                format!("{op}{grouping} ({of})")
            }
            2 => {
                let grouping = self.grouping();
                match self.roll(3) {
                    0 => format!("quantile{grouping} (0.3, {of})"),
                    1 if self.modern => format!("limitk{grouping} (2, {of})"),
                    // Equal values would leave it open which of them are taken.
                    1 => format!("topk{grouping} (2, temperature)"),
                    _ => format!("count_values{grouping} (\"v\", round({of}))"),
                }
            }
            3 => {
                let function = self.of(&[
                    "abs", "ceil", "floor", "round", "sqrt", "exp", "ln", "sgn", "sin", "-",
                    "absent", "sort",
                ]);
                format!("{function}({of})")
            }
            4 => {
                let op = self.of(&[
                    "+", "-", "*", "/", "%", "^", ">", "<=", "== bool", "!= bool", "> bool",
                ]);
                let number = self.of(&["0", "2", "20.5", "-3", "1e3"]);
                if self.roll(2) == 0 {
                    format!("({of}) {op} {number}")
                } else {
                    format!("{number} {op} ({of})")
                }
            }
            5 => {
                let other = self.vector(depth - 1, within);
                let op = self.of(&["+", "-", "/", "> bool", "<"]);
                let mut on = self.of(&[
                    "on (path, code)",
                    "ignoring (code)",
                    "on (path) group_left ()",
                    "on (path) group_right ()",
                    "",
                ]);
                if self.modern {
                    on += &self.of(&["", " fill (3)", " fill_left (0)", " fill_right (-1)"]);
                }
                format!("({of}) {op} {on} ({other})")
            }
            6 => {
                let other = self.vector(depth - 1, within);
                let op = self.of(&["and", "or", "unless"]);
                let on = self.of(&["on (path)", "ignoring (code)", "", "on ()"]);
                format!("({of}) {op} {on} ({other})")
            }
            7 if self.modern && self.roll(3) == 0 => match self.roll(4) {
                0 => format!("clamp_min({of}, {})", self.of(&["Inf", "3", "NaN"])),
                1 => format!("clamp_max({of}, {})", self.of(&["-Inf", "3", "NaN"])),
                2 => {
                    let lower = self.of(&["-Inf", "-2", "0", "0.3"]);
                    let upper = self.of(&["0.05", "0.7", "1", "20", "Inf"]);
                    let grouping = self.of(&["le, path", "le", "le, __name__"]);
                    format!(
                        "histogram_fraction({lower}, {upper}, sum by ({grouping}) (seconds_bucket))"
                    )
                }
                _ => self.of(&[
                    "absent(temperature{path=~\"/z\",path=\"/z\"})",
                    "absent(temperature{path=\"/z\",path=~\"/z\",code=\"1\"})",
                    "histogram_quantile(0.5, {__name__=~\"seconds_bucket|limit\"})",
                ]),
            },
            7 => match self.roll(3) {
                0 => format!("label_replace({of}, \"copy\", \"$1-x\", \"path\", \"/(.*)\")"),
                1 => format!("clamp({of}, 2, 21)"),
                _ => format!(
                    "histogram_quantile(0.8317, sum by (le, path) (rate(seconds_bucket[{}])))",
                    self.range(within)
                ),
            },
            _ => format!("({of}) * scalar(limit{{path=\"/a\"}}) + time() % 7"),
        }
    }
}
