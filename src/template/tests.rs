//! What templates give.

mod faults;
mod upstream;

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
            "{{ (now | toTime).Truncate (toDuration 3600) }} {{ (now | toTime).Round (toDuration 60) }}",
            "2012-11-24 11:00:00 +0000 UTC 2012-11-24 11:14:00 +0000 UTC",
        ),
        (
            // From the year 1, a Monday, and not from the epoch, a Thursday.
            "{{ ((now | toTime).Truncate (toDuration 604800)).Weekday }} {{ ((toTime -1).Round (toDuration 2)).Unix }} {{ ((toTime 90).Round (toDuration 0)).Unix }}",
            "Monday 0 90",
        ),
        (
            "{{ (toDuration 90.5).Round (toDuration 60) }} {{ (toDuration -90.5).Round 60000000000 }} {{ (toDuration -90.5).Truncate (toDuration 60) }} {{ (toDuration 90).Truncate 0 }}",
            "2m0s -2m0s -1m0s 1m30s",
        ),
        (
            "{{ (now | toTime).AddDate 0 1 0 }} {{ ((toTime 2592000).AddDate 1 1 0).Format \"2006-01-02\" }} {{ ((toTime 0).AddDate 0 -1 -31).Format \"2006-01-02\" }} {{ ((toTime 951782400).AddDate 4 0 1).Format \"2006-01-02\" }}",
            "2012-12-24 11:14:12.5 +0000 UTC 1971-03-03 1969-10-31 2004-03-01",
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
        (
            "{{range args 1}}{{$.Value}} {{$.Labels.job}}{{end}}",
            "11 api",
        ),
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
            "{{range 0}}a{{else}}b{{end}}{{range print nil | len}}c{{end}}",
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
    let (open, close) = ("print (".repeat(90), ")".repeat(90));
    let text = format!(
        "{{{{define \"a\"}}}}{{{{if 1}}}}{{{{with {open}1{close}}}}}{{{{template \"a\"}}}}{{{{end}}}}{{{{end}}}}{{{{end}}}}{{{{template \"a\"}}}}"
    );
    assert!(deep(&text).starts_with("exceeded maximum template depth"));
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
        use crate::template::printf::sprintf;
        let values = [Value::Float(value), Value::text("é\"\n"), Value::Int(-7), Value::Missing];
        let _ = sprintf(&format, &values, 10_000);
    }
}
