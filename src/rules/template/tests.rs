//! What templates give. `UPSTREAM` and `UPSTREAM_ERRORS` restate the cases of Prometheus' own table, template/template_test.go of
//! prometheus/prometheus (Apache-2.0, Copyright The Prometheus Authors): those in text mode, numbers without a Go
//! literal left out; inputs that upstream passes as `.` come from `args`.

use proptest::prelude::*;

use super::*;

const URL: &str = "http://testhost:9090/path/prefix";

/// The text, or the error's message. Queries answer with `vector`.
fn expand_with(text: &str, vector: &[(&[(&str, &str)], f64)]) -> Result<String, TemplateError> {
    let template = Template::parse(text)?;
    let labels = Labels::new([
        ("__name__", "up"),
        ("instance", "a:80"),
        ("empty-ish", " "),
        ("job", "api"),
    ]);
    let mut query = |_: &str, _: Timestamp| {
        let elements = vector.iter();
        Ok(elements
            .map(|(labels, value)| (Labels::new(labels.iter().copied()), *value))
            .collect())
    };
    template.expand(&mut Context {
        labels: &labels,
        value: 11.0,
        external_labels: &Labels::new([("cluster", "eu")]),
        external_url: URL,
        at: Timestamp::from_millis(1_353_755_652_500),
        query: &mut query,
    })
}

fn expand(text: &str) -> Result<String, String> {
    expand_with(text, &[]).map_err(|error| error.message)
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(expand(text).as_deref(), Ok(*expected), "{text}");
    }
}

#[track_caller]
fn refuse(cases: &[(&str, &str)]) {
    for (text, message) in cases {
        assert_eq!(expand(text), Err((*message).to_owned()), "{text}");
    }
}

const UPSTREAM: &[(&str, &str)] = &[
    ("plain text", "plain text"),
    ("{{ 1 }}", "1"),
    (r#"{{ "<b>" }}"#, "<b>"),
    (
        r#"{{define "x"}}{{.arg0}} {{.arg1}}{{end}}{{template "x" (args 1 "2")}}"#,
        "1 2",
    ),
    (r#"{{ "foo.example.com" | stripPort }}"#, "foo.example.com"),
    (
        r#"{{ "foo.example.com:12345" | stripPort }}"#,
        "foo.example.com",
    ),
    (r#"{{ "192.0.2.1" | stripPort }}"#, "192.0.2.1"),
    (r#"{{ "192.0.2.1:12345" | stripPort }}"#, "192.0.2.1"),
    (r#"{{ "2001:0DB8::1" | stripPort }}"#, "2001:0DB8::1"),
    (
        r#"{{ "[2001:0DB8::1]:12345" | stripPort }}"#,
        "2001:0DB8::1",
    ),
    (
        r#"{{ "[2001:0DB8::1]::12345" | stripPort }}"#,
        "[2001:0DB8::1]::12345",
    ),
    ("{{ args.Foo }}", "<no value>"),
    (r#"{{ reReplaceAll "(a)b" "x$1" "ab" }}"#, "xa"),
    (
        "{{ range args 0.0 1.0 1234567.0 .12 }}{{ humanize . }}:{{ end }}",
        "0:1:1.235M:120m:",
    ),
    (
        r#"{{ range args "0.0" "1.0" "1234567.0" ".12" }}{{ humanize . }}:{{ end }}"#,
        "0:1:1.235M:120m:",
    ),
    (
        "{{ range args 0 -1 1 1234567 9223372036854775807 }}{{ humanize . }}:{{ end }}",
        "0:-1:1:1.235M:9.223E:",
    ),
    (
        "{{ range args 0.0 1.0 1048576.0 .12 }}{{ humanize1024 . }}:{{ end }}",
        "0:1:1Mi:0.12:",
    ),
    (
        r#"{{ range args "0.0" "1.0" "1048576.0" ".12" }}{{ humanize1024 . }}:{{ end }}"#,
        "0:1:1Mi:0.12:",
    ),
    (
        "{{ range args 0 -1 1 1234567 9223372036854775807 }}{{ humanize1024 . }}:{{ end }}",
        "0:-1:1:1.177Mi:8Ei:",
    ),
    (
        "{{ range args 0.0 1.0 60.0 3600.0 86400.0 90000.0 -183845.0 899.99 }}{{ humanizeDuration . }}:{{ end }}",
        "0s:1s:1m 0s:1h 0m 0s:1d 0h 0m 0s:1d 1h 0m 0s:-2d 3h 4m 5s:14m 59s:",
    ),
    (
        r#"{{ range args "0" "1" "60" "3600" "86400" }}{{ humanizeDuration . }}:{{ end }}"#,
        "0s:1s:1m 0s:1h 0m 0s:1d 0h 0m 0s:",
    ),
    (
        "{{ range args .1 .0001 .12345 60.1 60.5 1.2345 12.345 }}{{ humanizeDuration . }}:{{ end }}",
        "100ms:100us:123.5ms:1m 0s:1m 0s:1.234s:12.35s:",
    ),
    (
        r#"{{ range args ".1" ".0001" ".12345" "60.1" "60.5" "1.2345" "12.345" }}{{ humanizeDuration . }}:{{ end }}"#,
        "100ms:100us:123.5ms:1m 0s:1m 0s:1.234s:12.35s:",
    ),
    (
        "{{ range args 0 -1 1 1234567 }}{{ humanizeDuration . }}:{{ end }}",
        "0s:-1s:1s:14d 6h 56m 7s:",
    ),
    (
        r#"{{ range args "+Inf" "-Inf" "NaN" }}{{ humanize . }}:{{ humanize1024 . }}:{{ humanizeDuration . }}:{{humanizeTimestamp .}}:{{ end }}"#,
        "+Inf:+Inf:+Inf:+Inf:-Inf:-Inf:-Inf:-Inf:NaN:NaN:NaN:NaN:",
    ),
    (
        "{{ -0.22222 | humanizePercentage }}:{{ 0.0 | humanizePercentage }}:{{ 0.1234567 | humanizePercentage }}:{{ 1.23456 | humanizePercentage }}",
        "-22.22%:0%:12.35%:123.5%",
    ),
    (
        "{{ range args 0 -1 1 1234567 9223372036854775807 }}{{ humanizePercentage . }}:{{ end }}",
        "0%:-100%:100%:1.235e+08%:9.223e+20%:",
    ),
    (
        r#"{{ "-0.22222" | humanizePercentage }}:{{ "0.0" | humanizePercentage }}:{{ "0.1234567" | humanizePercentage }}:{{ "1.23456" | humanizePercentage }}"#,
        "-22.22%:0%:12.35%:123.5%",
    ),
    (
        "{{ range args 0 -1 1 1234567 9223372036 }}{{ humanizeTimestamp . }}:{{ end }}",
        "1970-01-01 00:00:00 +0000 UTC:1969-12-31 23:59:59 +0000 UTC:1970-01-01 00:00:01 +0000 UTC:1970-01-15 06:56:07 +0000 UTC:2262-04-11 23:47:16 +0000 UTC:",
    ),
    (
        "{{ 1435065584.128 | humanizeTimestamp }}",
        "2015-06-23 13:19:44.128 +0000 UTC",
    ),
    (
        r#"{{ "1435065584.128" | humanizeTimestamp }}"#,
        "2015-06-23 13:19:44.128 +0000 UTC",
    ),
    (r#"{{ (1435065584.128 | toTime).Format "2006" }}"#, "2015"),
    (r#"{{ ("1435065584.128" | toTime).Format "2006" }}"#, "2015"),
    ("{{ 1657155181 | toTime }}", "2022-07-07 00:53:01 +0000 UTC"),
    (r#"{{ "aa bb CC" | title }}"#, "Aa Bb CC"),
    (r#"{{ "aa bb CC" | toUpper }}"#, "AA BB CC"),
    (r#"{{ "aA bB CC" | toLower }}"#, "aa bb cc"),
    (
        r#"{{ match "a+" "aa" }} {{ match "a+" "b" }}"#,
        "true false",
    ),
    (r#"{{ graphLink "up" }}"#, "/graph?g0.expr=up&g0.tab=0"),
    (r#"{{ tableLink "up" }}"#, "/graph?g0.expr=up&g0.tab=1"),
    ("{{ pathPrefix }}", "/path/prefix"),
    ("{{ externalURL }}", URL),
    (
        r#"{{ printf "%0.2f" (parseDuration "1h2m10ms") }}"#,
        "3720.01",
    ),
    (r#"{{ "foo.example.com" | stripDomain }}"#, "foo"),
    (
        r#"{{ "foo.example.com:12345" | stripDomain }}"#,
        "foo:12345",
    ),
    (r#"{{ "192.0.2.1" | stripDomain }}"#, "192.0.2.1"),
    (
        r#"{{ "192.0.2.1:12345" | stripDomain }}"#,
        "192.0.2.1:12345",
    ),
    (r#"{{ "2001:0DB8::1" | stripDomain }}"#, "2001:0DB8::1"),
    (
        r#"{{ "[2001:0DB8::1]:12345" | stripDomain }}"#,
        "[2001:0DB8::1]:12345",
    ),
    (
        r#"{{ "[2001:0DB8::1]::12345" | stripDomain }}"#,
        "[2001:0DB8::1]::12345",
    ),
];

/// Upstream's errors: text, column in the text, what stands between the place and the end of the message.
const UPSTREAM_ERRORS: &[(&str, usize, &str)] = &[
    (
        r#"{{ query "missing" | first }}"#,
        21,
        "<first>: error calling first: first() called on vector with no elements",
    ),
    (
        r#"{{ (query "missing").banana }}"#,
        10,
        r#"<"missing">: can't evaluate field banana in type template.queryResult"#,
    ),
    (
        r#"{{ humanize "one" }}"#,
        3,
        r#"<humanize "one">: error calling humanize: strconv.ParseFloat: parsing "one": invalid syntax"#,
    ),
    (
        r#"{{ humanize1024 "one" }}"#,
        3,
        r#"<humanize1024 "one">: error calling humanize1024: strconv.ParseFloat: parsing "one": invalid syntax"#,
    ),
    (
        r#"{{ humanizeDuration "one" }}"#,
        3,
        r#"<humanizeDuration "one">: error calling humanizeDuration: strconv.ParseFloat: parsing "one": invalid syntax"#,
    ),
    (
        r#"{{ "one" | humanizePercentage }}"#,
        11,
        r#"<humanizePercentage>: error calling humanizePercentage: strconv.ParseFloat: parsing "one": invalid syntax"#,
    ),
    (
        "{{ range args -9223372036854775808 }}{{ humanizeTimestamp . }}:{{ end }}",
        40,
        "<humanizeTimestamp .>: error calling humanizeTimestamp: -9.223372036854776e+18 cannot be represented as a nanoseconds timestamp since it overflows int64",
    ),
    (
        "{{ toTime 1e300 }}",
        3,
        "<toTime 1e300>: error calling toTime: 1e+300 cannot be represented as a nanoseconds timestamp since it overflows int64",
    ),
];

#[test]
fn upstream_cases() {
    check(UPSTREAM);
}

#[test]
fn upstream_queries() {
    let one: &[(&[(&str, &str)], f64)] = &[(
        &[
            ("__name__", "metric"),
            ("instance", "a"),
            ("__value__", "v"),
        ],
        11.0,
    )];
    let two: &[(&[(&str, &str)], f64)] =
        &[(&[("instance", "b")], 21.0), (&[("instance", "a")], 11.0)];
    for (text, vector, expected) in [
        (r#"{{ query "1.5" | first | value }}"#, one, "11"),
        (
            r#"{{ query "metric{instance='a'}" | first | label "instance" }}"#,
            one,
            "a",
        ),
        (r#"{{ query "metric" | first | strvalue }}"#, one, "v"),
        (r#"{{ query "metric" | first | label "foo" }}"#, one, ""),
        (
            r#"{{ $x := query "metric" | first }}{{ $x.Labels.foo }}"#,
            one,
            "",
        ),
        (
            r#"{{ range query "metric" | sortByLabel "instance" }}{{.Labels.instance}}:{{.Value}}: {{end}}"#,
            two,
            "a:11: b:21: ",
        ),
        (
            r#"{{ $x := query "m" | first }}{{ $x }} {{ print $x }}"#,
            &two[..1],
            "{map[instance:b] 21} &{map[instance:b] 21}",
        ),
        (
            r#"{{ with query "m" }}{{ len . }}{{ (index . 1).Value }}{{ len (slice . 1) }}{{ end }}"#,
            two,
            "2111",
        ),
        (
            r#"{{ range $i, $s := query "m" }}{{ if $i }}, {{ end }}{{ $i }}={{ $s.Value }}{{ end }}"#,
            two,
            "0=21, 1=11",
        ),
        (
            r#"{{ with query "m" }}some{{ else }}none{{ end }}"#,
            &[],
            "none",
        ),
        (
            r#"{{ range query "m" }}{{ . }}{{ else }}none{{ end }}"#,
            &[],
            "none",
        ),
    ] {
        let expanded = expand_with(text, vector);
        assert_eq!(expanded.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn upstream_errors() {
    for (text, column, rest) in UPSTREAM_ERRORS {
        let error = expand_with(text, &[]).expect_err(text);
        let place = column + PRELUDE.len();
        let whole = format!(
            "error executing template __alert_A: template: __alert_A:1:{place}: executing \"__alert_A\" at {rest}"
        );
        assert_eq!(error.describe("A"), whole);
        assert_eq!(
            error.as_text("A"),
            format!("<error expanding template: {whole}>")
        );
        assert_eq!(error.offset, *column, "{text}");
    }
    for (text, offset, message) in [
        ("{{\u{a0}}}", 2, "unrecognized character in action: U+00A0"),
        ("{{", 2, "unclosed action"),
    ] {
        let error = Template::parse(text).expect_err(text);
        assert_eq!(error.offset, offset);
        assert_eq!(
            error.describe("A"),
            format!("error parsing template __alert_A: template: __alert_A:1: {message}")
        );
    }
}

#[test]
fn the_data() {
    check(&[
        (
            "{{ $value }} {{ .Value }} {{ $labels.job }} {{ .Labels.job }}",
            "11 11 api api",
        ),
        (
            "{{ $labels.nope }}|{{ .Labels.nope }}|{{ index $labels \"empty-ish\" }}",
            "|| ",
        ),
        (
            "{{ $externalLabels.cluster }} {{ .ExternalLabels.nope }}",
            "eu ",
        ),
        (
            "{{ $externalURL }} {{ .ExternalURL }}",
            "http://testhost:9090/path/prefix http://testhost:9090/path/prefix",
        ),
        (
            "{{ $labels }}",
            "map[__name__:up empty-ish:  instance:a:80 job:api]",
        ),
        (
            "{{ . }}",
            "{map[__name__:up empty-ish:  instance:a:80 job:api] map[cluster:eu] http://testhost:9090/path/prefix 11}",
        ),
        (
            "{{ now }} {{ now | toTime }}",
            "1.3537556525e+09 2012-11-24 11:14:12.5 +0000 UTC",
        ),
        (
            "{{ (now | toTime).Add (toDuration 3600) }}",
            "2012-11-24 12:14:12.5 +0000 UTC",
        ),
        (
            "{{ toDuration 90.5 }} {{ (toDuration \"90\").Seconds }} {{ toDuration 61 | humanizeDuration }}",
            "1m30.5s 90 1m 1s",
        ),
        (
            "{{ (toTime 0).Month }} {{ printf \"%d\" (toTime 0).Month }} {{ (toTime 0).Weekday }} {{ (toTime 86400).Unix }}",
            "January 1 Thursday 86400",
        ),
        (
            "{{ ((toTime 90).Sub (toTime 30)).Minutes }} {{ (toTime 1).After (toTime 0) }}",
            "1 true",
        ),
        (
            r#"{{ urlQueryEscape "up{a=\"b c\"}" }}"#,
            "up%7Ba%3D%22b+c%22%7D",
        ),
        (
            r#"{{ safeHtml "<b>" }}{{ html "<b>" 1 2 }}{{ js "'" }}{{ urlquery "a b" 1 }}"#,
            "<b>&lt;b&gt;1 2\\'a+b1",
        ),
    ]);
}

#[test]
fn the_language() {
    check(&[
        ("a {{- 1 -}} b", "a1b"),
        ("a\n{{- /* c */ -}}\n b{{/* d */}} c", "ab c"),
        ("{{-3}} {{- -3}}", "-3-3"),
        ("{{\n\t1\n}}", "1"),
        (
            "{{if 0}}a{{else if 0.0}}b{{else if \"\"}}c{{else}}d{{end}}",
            "d",
        ),
        ("{{if $labels.job}}{{$x := 1}}{{$x}}{{end}}", "1"),
        (
            "{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{end}}{{$x}}",
            "2",
        ),
        (
            "{{with 0}}a{{else with $labels.job}}{{.}}{{else}}c{{end}}",
            "api",
        ),
        ("{{with $x := 5}}{{$x}}{{.}}{{end}}", "55"),
        (
            "{{range 4}}{{if eq . 1}}{{continue}}{{end}}{{if eq . 3}}{{break}}{{end}}{{.}}{{end}}",
            "02",
        ),
        (
            "{{range $k, $v := $externalLabels}}{{$k}}={{$v}}{{end}}",
            "cluster=eu",
        ),
        ("{{range $x := args 1 2}}{{$x}}{{.}} {{end}}", "11 22 "),
        (
            "{{$i := 0}}{{$e := 0}}{{range $i, $e = args 7 8}}{{end}}{{$i}} {{$e}}",
            "arg1 8",
        ),
        (
            "{{range 0}}a{{else}}b{{end}}{{range nil | print | len}}c{{end}}",
            "bccccc",
        ),
        (
            r#"{{define "a"}}[{{.}}{{template "b"}}]{{end}}{{define "b"}}{{.}}{{end}}{{template "a" 1}}"#,
            "[1<no value>]",
        ),
        (
            r#"{{block "a" 1}}<{{.}}{{$}}>{{end}}{{template "a" 2}}"#,
            "<11><22>",
        ),
        (
            r#"{{define "a"}} {{end}}{{define "a"}}x{{end}}{{template "a"}}"#,
            "x",
        ),
        (
            r#"{{define "down"}}{{if .arg0}}{{.arg0}}{{template "down" (args (slice .arg0 1))}}{{end}}{{end}}{{template "down" (args "abc")}}"#,
            "abcbcc",
        ),
        (
            r#"{{ "a" | printf "%s-%s" "b" }} {{ ("x" | printf "%q") }} {{ (args 1).arg0 }}"#,
            "b-a \"x\" 1",
        ),
        (
            "{{ 'a' }} {{ 0x10 }} {{ 1_000 }} {{ 1e3 }} {{ true }} {{ `raw\\n` }} {{ 1.0 }}",
            "97 16 1000 1000 true raw\\n 1",
        ),
        (
            "{{ and 1 0 (index \"\" 9) }} {{ or 0 2 (index \"\" 9) }} {{ not 1 }} {{ 3 | and 1 }}",
            "0 2 false 3",
        ),
        (
            r#"{{ eq 1 2 1 }} {{ ne "a" "b" }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt "b" "a" }} {{ ge 1.0 2.0 }}"#,
            "true true true true true false",
        ),
        (
            r#"{{ eq $labels.job "web" "api" }} {{ eq $labels nil }} {{ gt $value 10.0 }}"#,
            "true false true",
        ),
        (
            r#"{{ len "é" }} {{ len $labels }} {{ index "ab" 1 }} {{ index $labels "job" }} {{ slice "hello" 1 3 }}"#,
            "2 4 98 api el",
        ),
        (
            r#"{{ print 1 2 "a" 3 nil }} {{ println "a" 1 }}"#,
            "1 2a3 <nil> a 1\n",
        ),
        (
            r#"{{ printf "%.2f%% %5.1f|%-4d|%v %s" $value $value 3 $labels.job "x" }}"#,
            "11.00%  11.0|3   |api x",
        ),
        (
            r#"{{ printf "%d %s" $value 1 }}"#,
            "%!d(float64=11) %!s(int=1)",
        ),
        (
            "{{ 1.5e-7 }} {{ 1000000.0 }} {{ humanize 1e30 }}",
            "1.5e-07 1e+06 1e+06Y",
        ),
    ]);
}

#[test]
fn faults_of_the_text() {
    refuse(&[
        ("{{ nope }}", "function \"nope\" not defined"),
        (
            "{{ call 1 }}",
            "function \"call\" is refused: these templates hold no function values",
        ),
        ("{{ $x }}", "undefined variable \"$x\""),
        (
            "{{ if 1 }}{{ $x := 1 }}{{ end }}{{ $x }}",
            "undefined variable \"$x\"",
        ),
        (
            "{{ define \"a\" }}{{ $labels }}{{ end }}",
            "undefined variable \"$labels\"",
        ),
        ("{{ if 1 }}", "unexpected EOF"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ else }}", "unexpected {{else}}"),
        (
            "{{ if 1 }}{{ else }}{{ else }}{{ end }}",
            "expected end; found {{else}}",
        ),
        ("{{ if }}{{ end }}", "missing value for if"),
        ("{{ }}", "missing value for command"),
        ("{{ 1 | 2 }}", "non executable command in pipeline stage 2"),
        ("{{ (1 }}", "unclosed left paren"),
        ("{{ 1) }}", "unexpected right paren"),
        ("{{ \"a }}", "unterminated quoted string"),
        ("{{ 'ab' }}", "malformed character constant: 'ab'"),
        ("{{ `a }}", "unterminated raw quoted string"),
        ("{{/* a }}", "unclosed comment"),
        ("{{/* a */ 1 }}", "comment ends before closing delimiter"),
        ("{{ $value+1 }}", "bad character U+002B '+'"),
        ("{{ 1a }}", "bad number syntax: \"1a\""),
        ("{{ 2i }}", "complex numbers are not supported"),
        ("{{ break }}", "{{break}} outside {{range}}"),
        (
            "{{ range 1 }}{{ block \"a\" . }}{{ continue }}{{ end }}{{ end }}",
            "{{continue}} outside {{range}}",
        ),
        ("{{ $a, $b := 1 }}", "too many declarations in command"),
        (
            "{{ range $a, $b, $c := 1 }}{{ end }}",
            "too many declarations in range",
        ),
        (
            "{{ range $a, 1 }}{{ end }}",
            "range can only initialize variables",
        ),
        ("{{ 1.Foo }}", "bad number syntax: \"1.F\""),
        ("{{ \"a\".Foo }}", "unexpected . after term \"\\\"a\\\"\""),
        (
            "{{ template foo }}",
            "unexpected \"foo\" in template clause",
        ),
        (
            "{{ define \"a\" }}x{{ end }}{{ define \"a\" }}y{{ end }}",
            "template: multiple definition of template \"a\"",
        ),
        (
            "{{ if 1 }}{{ define \"a\" }}{{ end }}{{ end }}",
            "unexpected <define> in command",
        ),
        ("{{ 1 , 2 }}", "unexpected \",\" in operand"),
        ("{{ $value : 1 }}", "expected :="),
    ]);
}

#[test]
fn faults_of_an_expansion() {
    refuse(&[
        (
            "{{ .Foo }}",
            "can't evaluate field Foo in type struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }",
        ),
        (
            "{{ $value.Foo }}",
            "can't evaluate field Foo in type float64",
        ),
        (
            "{{ $labels.job.foo }}",
            "can't evaluate field foo in type string",
        ),
        (
            "{{ .Labels 1 }}",
            "Labels has arguments but cannot be invoked as function",
        ),
        (
            "{{ $labels.job 1 }}",
            "job is not a method but has arguments",
        ),
        ("{{ 1 2 }}", "can't give argument to non-function 1"),
        ("{{ nil }}", "nil is not a command"),
        ("{{ toUpper 1 }}", "expected string; found 1"),
        (
            "{{ $value | toUpper }}",
            "wrong type for value; expected string; got float64",
        ),
        ("{{ toUpper nil }}", "cannot assign nil to string"),
        ("{{ args.x | toUpper }}", "invalid value; expected string"),
        (
            "{{ toUpper }}",
            "wrong number of args for toUpper: want 1 got 0",
        ),
        (
            "{{ len 1 2 }}",
            "wrong number of args for len: want 1 got 2",
        ),
        (
            "{{ printf }}",
            "wrong number of args for printf: want at least 1 got 0",
        ),
        (
            "{{ label \"a\" nil }}",
            "error calling label: runtime error: invalid memory address or nil pointer dereference",
        ),
        (
            "{{ first nil }}",
            "error calling first: first() called on vector with no elements",
        ),
        (
            "{{ first \"a\" }}",
            "can't handle \"a\" for arg of type template.queryResult",
        ),
        (
            "{{ humanize true }}",
            "error calling humanize: can't convert bool to float",
        ),
        (
            "{{ eq $value 1 }}",
            "error calling eq: incompatible types for comparison: float64 and int",
        ),
        (
            "{{ gt $value 1 }}",
            "error calling gt: incompatible types for comparison: float64 and int",
        ),
        (
            "{{ lt true false }}",
            "error calling lt: invalid type for comparison",
        ),
        (
            "{{ eq 1 }}",
            "error calling eq: missing argument for comparison",
        ),
        (
            "{{ eq $labels $labels }}",
            "error calling eq: non-comparable type map[__name__:up empty-ish:  instance:a:80 job:api]: map[string]string",
        ),
        (
            "{{ index \"ab\" 3 }}",
            "error calling index: index out of range: 3",
        ),
        (
            "{{ index \"ab\" \"x\" }}",
            "error calling index: cannot index slice/array with type string",
        ),
        (
            "{{ index $labels 1 }}",
            "error calling index: value has type int; should be string",
        ),
        (
            "{{ index 1 1 }}",
            "error calling index: can't index item of type int",
        ),
        (
            "{{ slice \"ab\" 2 1 }}",
            "error calling slice: invalid slice index: 2 > 1",
        ),
        ("{{ len 1 }}", "error calling len: len of type int"),
        ("{{ range 1.5 }}{{ end }}", "range can't iterate over 1.5"),
        ("{{ template \"a\" }}", "template \"a\" not defined"),
        (
            "{{ parseDuration \"x\" }}",
            "error calling parseDuration: not a valid duration string: \"x\"",
        ),
        (
            "{{ toTime \"NaN\" }}",
            "error calling toTime: value is NaN or Inf",
        ),
        (
            "{{ 9223372036854775808 }}",
            "9223372036854775808 overflows int",
        ),
    ]);
    let bad = expand("{{ reReplaceAll \"(\" \"\" \"\" }}");
    assert!(
        bad.is_err_and(|m| m.starts_with("error calling reReplaceAll: error parsing regexp: "))
    );
}

#[test]
fn a_failing_query_and_a_defined_template_are_named() {
    let template =
        Template::parse("a\n{{define \"t\"}}\n {{query \"up\"}}{{end}}{{template \"t\"}}");
    let mut query = |text: &str, at: Timestamp| Err(format!("{text} at {at}"));
    let text = template.expect("a template").expand_text(
        "Down",
        &mut Context {
            labels: &Labels::empty(),
            value: 0.0,
            external_labels: &Labels::empty(),
            external_url: "",
            at: Timestamp::EPOCH,
            query: &mut query,
        },
    );
    assert_eq!(
        text,
        "<error expanding template: error executing template __alert_Down: template: __alert_Down:3:3: \
         executing \"t\" at <query \"up\">: error calling query: up at 1970-01-01T00:00:00.000Z>"
    );
}

#[test]
fn bounds_hold() {
    let long = "a".repeat(BYTES_MAX);
    assert_eq!(expand(&long), Ok(long.clone()));
    assert!(Template::parse(&format!("{long}a")).is_err());
    let nested = |n: usize| format!("{}1{}", "{{if 1}}".repeat(n), "{{end}}".repeat(n));
    assert_eq!(expand(&nested(100)).as_deref(), Ok("1"));
    assert_eq!(
        expand(&nested(101)),
        Err("max expression depth exceeded".into())
    );
    let parens = |n: usize| format!("{{{{{}1{}}}}}", "(".repeat(n), ")".repeat(n));
    assert_eq!(expand(&parens(100)).as_deref(), Ok("1"));
    assert_eq!(
        expand(&parens(101)),
        Err("max expression depth exceeded".into())
    );
    let chain = "{{if 0}}{{else ".to_owned() + &"if 0}}{{else ".repeat(200) + "}}{{end}}";
    assert_eq!(expand(&chain), Err("max expression depth exceeded".into()));
    let steps = format!("the template takes more than {STEPS_MAX} steps");
    let long = format!("text is longer than {BYTES_OUT_MAX} bytes");
    let deep = |text: &str| expand(text).expect_err(text);
    for text in [
        r#"{{define "a"}}{{template "a"}}{{end}}{{template "a"}}"#,
        r#"{{define "a"}}{{if 1}}{{if 1}}{{with 1}}{{template "a"}}{{end}}{{end}}{{end}}{{end}}{{template "a"}}"#,
        r#"{{define "a"}}{{with (((((((1)))))))}}{{template "a"}}{{end}}{{end}}{{template "a"}}"#,
    ] {
        assert!(
            deep(text).starts_with("exceeded maximum template depth"),
            "{text}"
        );
    }
    assert_eq!(deep("{{range 9000000000000000000}}{{end}}"), steps);
    assert_eq!(
        deep("{{range 10000}}{{query \"up\"}}{{end}}"),
        format!("error calling query: {steps}")
    );
    assert_eq!(
        deep("{{$x := \"aaaa\"}}{{range 100}}{{$x = print $x $x}}{{end}}"),
        format!("error calling print: {long}")
    );
    assert_eq!(deep("{{range 100}}{{printf \"%90000d\" 1}}{{end}}"), long);
    assert_eq!(
        deep("{{$x := args}}{{range 300}}{{$x = args $x $x}}{{end}}"),
        "error calling args: more than 100 maps within each other"
    );
    assert_eq!(
        deep("{{$x := args}}{{range 90}}{{$x = args $x $x}}{{end}}{{$x}}"),
        long
    );
    let text = r#"{{$x := printf "%500000s" ""}}{{range 9000}}{{$y := reReplaceAll "(a|b)*c" "" $x}}{{end}}"#;
    assert!(deep(text).ends_with(&steps));
    assert_eq!(
        deep(r#"{{$x := printf "%500000s" ""}}{{reReplaceAll "" $x $x}}"#),
        format!("error calling reReplaceAll: {long}")
    );
}

/// Pieces of templates, to reach further than random characters do.
fn piece() -> impl Strategy<Value = String> {
    let words: Vec<String> = "{{ }} {{- -}} if else end range with define template block break continue nil true . $ \
        $labels $value .Labels .Value := = , | ( ) \"a\" `b` 'c' 1 -2.5 0x1p3 1e9 query first label args printf \
        \"%v%d%-5.2[1]q%*x\" print index slice len eq lt and or not html js reReplaceAll match humanize toTime \
        toDuration .Format .Sub sortByLabel /* */ é \\ \n"
        .split(' ')
        .map(str::to_owned)
        .collect();
    prop_oneof![6 => proptest::sample::select(words), 1 => ".{0,3}"]
}

proptest! {
    #[test]
    fn any_text_is_answered(text in ".{0,80}") {
        let _ = expand(&text);
    }

    #[test]
    fn any_pieces_are_answered(pieces in proptest::collection::vec(piece(), 0..20), spaced in any::<bool>()) {
        let text = pieces.join(if spaced { " " } else { "" });
        let within = format!("{{{{ {text} }}}}");
        for text in [text, within] {
            if let Err(error) = expand_with(&text, &[(&[("a", "b")], 1.0)]) {
                prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset));
                prop_assert!(!error.describe("A").is_empty());
            }
        }
    }

    #[test]
    fn any_format_is_answered(format in "(%[-+# 0]{0,3}[0-9]{0,2}(\\.[0-9]{0,2})?[a-zA-Z%é\\[*]?){0,4}.{0,3}", value in any::<f64>()) {
        use crate::rules::template::printf::sprintf;
        let values = [Value::Float(value), Value::text("é\"\n"), Value::Int(-7), Value::Missing];
        let _ = sprintf(&format, &values, 10_000);
    }
}
