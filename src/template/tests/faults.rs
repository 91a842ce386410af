//! What is said of texts that are no template, and of templates that do not expand.

use super::*;

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

const OF_AN_EXPANSION: &[(&str, &str)] = &[
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
];

#[test]
fn faults_of_an_expansion() {
    refuse(OF_AN_EXPANSION);
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
