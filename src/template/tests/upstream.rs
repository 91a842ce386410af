//! The cases of Prometheus' own table, restated: `template/template_test.go` of prometheus/prometheus (Apache-2.0,
//! Copyright The Prometheus Authors). Those in text mode; inputs that upstream passes as `.` come from `args`, and
//! numbers that no Go literal makes are left out.

use super::*;

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
