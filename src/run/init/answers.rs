//! What `gated init` has to know: flags, questions on a terminal, defaults. Each answer is checked as it comes. Deliberately
//! absent: what is written.

use std::io::{BufRead, Write};

use crate::model::Timestamp;
use crate::run::cli::Init;
use crate::sink::SecretUrl;

/// Which rules to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Rollout,
    Day1,
}

/// `None`: what the shipped file says stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    pub service: String,
    pub metrics: String,
    pub hook: Option<String>,
    pub alertmanager: Option<String>,
    pub timezone: String,
    pub go_live: Option<Timestamp>,
    pub rules: Start,
}

/// A flag whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: {why}; for example: {flag} {example}")]
pub struct Bad {
    pub flag: &'static str,
    pub why: String,
    pub example: &'static str,
}

/// One thing to know.
struct Question {
    flag: &'static str,
    asked: &'static str,
    example: &'static str,
    /// Shown as what an empty answer means.
    unsaid: &'static str,
    check: fn(&str) -> Result<(), String>,
}

const SERVICE: Question = Question {
    flag: "--service",
    asked: "name of the service",
    example: "shop",
    unsaid: "api",
    check: service,
};
const METRICS: Question = Question {
    flag: "--metrics",
    asked: "URL of its page of metrics",
    example: "http://127.0.0.1:8080/metrics",
    unsaid: "http://127.0.0.1:8080/metrics",
    check: url,
};
const HOOK: Question = Question {
    flag: "--hook",
    asked: "URL that is asked for a rollback",
    example: "https://deploy.example.com/rollback",
    unsaid: "$ROLLBACK_URL when gated starts",
    check: url,
};
const ALERTMANAGER: Question = Question {
    flag: "--alertmanager",
    asked: "URL of the Alertmanager that calls people",
    example: "http://127.0.0.1:9093",
    unsaid: "http://127.0.0.1:9093",
    check: url,
};
const TIMEZONE: Question = Question {
    flag: "--timezone",
    asked: "time zone",
    example: "Europe/Berlin",
    unsaid: "UTC",
    check: timezone,
};
const RULES: Question = Question {
    flag: "--rules",
    asked: "rules to start from, rollout (ships often) or day1 (a go-live)",
    example: "day1",
    unsaid: "rollout",
    check: |text| start(text).map(drop),
};
const GO_LIVE: Question = Question {
    flag: "--go-live",
    asked: "when it goes live",
    example: "2026-12-01T00:00:00+01:00",
    unsaid: "$GO_LIVE when gated starts",
    check: |text| go_live(text).map(drop),
};

/// Where questions are put, if anywhere.
pub type Terminal<'a> = Option<(&'a mut dyn BufRead, &'a mut dyn Write)>;

/// Everything, or every flag whose value cannot be used. `rules`: the word behind `--rules`.
pub fn answers(
    flags: &Init,
    rules: Option<&str>,
    mut terminal: Terminal<'_>,
) -> Result<Answers, Vec<Bad>> {
    let given = [
        (&SERVICE, flags.service.as_deref()),
        (&METRICS, flags.metrics.as_deref()),
        (&HOOK, flags.hook.as_deref()),
        (&ALERTMANAGER, flags.alertmanager.as_deref()),
        (&TIMEZONE, flags.timezone.as_deref()),
        (&RULES, rules),
        (&GO_LIVE, flags.go_live.as_deref()),
    ];
    let bad = given.iter().filter_map(|(question, said)| {
        let why = (question.check)((*said)?).err()?;
        Some(Bad {
            flag: question.flag,
            why,
            example: question.example,
        })
    });
    let bad: Vec<Bad> = bad.collect();
    if !bad.is_empty() {
        return Err(bad);
    }
    let mut told = |question: &Question, said: Option<&str>| match said {
        Some(said) => Some(said.trim().to_owned()),
        None => ask(question, &mut terminal),
    };
    let service = told(&SERVICE, flags.service.as_deref());
    let metrics = told(&METRICS, flags.metrics.as_deref());
    let hook = told(&HOOK, flags.hook.as_deref());
    let alertmanager = told(&ALERTMANAGER, flags.alertmanager.as_deref());
    let timezone = told(&TIMEZONE, flags.timezone.as_deref());
    // Who says when it goes live has said which rules are meant.
    let implied = flags.go_live.is_some().then_some("day1");
    let rules = told(&RULES, rules.or(implied));
    let rules = rules.and_then(|it| start(&it).ok());
    let rules = rules.unwrap_or(Start::Rollout);
    let at = match rules {
        Start::Day1 => told(&GO_LIVE, flags.go_live.as_deref()),
        Start::Rollout => flags.go_live.clone(),
    };
    Ok(Answers {
        service: service.unwrap_or_else(|| SERVICE.unsaid.to_owned()),
        metrics: metrics.unwrap_or_else(|| METRICS.unsaid.to_owned()),
        hook,
        alertmanager,
        timezone: timezone.unwrap_or_else(|| TIMEZONE.unsaid.to_owned()),
        go_live: at.and_then(|it| go_live(&it).ok()),
        rules,
    })
}

/// Asks until the answer can be used; an empty one, or the end of what is typed, means the default.
fn ask(question: &Question, terminal: &mut Terminal<'_>) -> Option<String> {
    let (typed, shown) = terminal.as_mut()?;
    loop {
        let _ = write!(shown, "{} [{}]: ", question.asked, question.unsaid);
        let _ = shown.flush();
        let mut line = String::new();
        if typed.read_line(&mut line).ok()? == 0 {
            let _ = writeln!(shown);
            return None;
        }
        let answer = line.trim();
        if answer.is_empty() {
            return None;
        }
        match (question.check)(answer) {
            Ok(()) => return Some(answer.to_owned()),
            Err(why) => {
                let _ = writeln!(shown, "  {why}; for example {}", question.example);
            }
        }
    }
}

fn service(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("a service has a name".to_owned());
    }
    if text.chars().any(crate::model::text::acts) || text.chars().count() > 200 {
        return Err("a name is short and has no control characters".to_owned());
    }
    Ok(())
}

fn url(text: &str) -> Result<(), String> {
    let good = SecretUrl::parse(text).is_some() && !text.trim().contains(char::is_control);
    good.then_some(())
        .ok_or_else(|| "it is no http or https URL".to_owned())
}

fn timezone(text: &str) -> Result<(), String> {
    jiff::tz::db()
        .get(text.trim())
        .map(drop)
        .map_err(|_| format!("there is no time zone `{}`", text.escape_debug()))
}

fn start(text: &str) -> Result<Start, String> {
    match text.trim() {
        "rollout" => Ok(Start::Rollout),
        "day1" => Ok(Start::Day1),
        other => Err(format!(
            "gated ships the rules `rollout` and `day1`, not `{}`",
            other.escape_debug()
        )),
    }
}

fn go_live(text: &str) -> Result<Timestamp, String> {
    let at = text.trim().parse::<jiff::Timestamp>();
    let at = at.map_err(|_| format!("`{}` is no RFC 3339 time", text.escape_debug()))?;
    Ok(Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Init {
        Init {
            service: None,
            metrics: None,
            hook: None,
            alertmanager: None,
            timezone: None,
            go_live: None,
            dir: ".".into(),
            force: false,
        }
    }

    fn typed(lines: &str, flags: &Init) -> (Answers, String) {
        let (mut input, mut output) = (lines.as_bytes(), Vec::new());
        let found = answers(flags, None, Some((&mut input, &mut output))).unwrap();
        (found, String::from_utf8(output).unwrap())
    }

    #[test]
    fn without_a_terminal_nothing_is_asked() {
        let found = answers(&flags(), None, None).unwrap();
        assert_eq!(found.service, "api");
        assert_eq!((found.rules, found.hook), (Start::Rollout, None));
    }

    #[test]
    fn what_is_missing_is_asked_until_it_can_be_used() {
        let flags = Init {
            service: Some("shop".into()),
            ..flags()
        };
        let lines = "shop:8080\nhttp://shop/metrics\n\n\nMars\nEurope/Berlin\nday1\nsoon\n2026-12-01T00:00:00Z\n";
        let (found, shown) = typed(lines, &flags);
        assert_eq!(found.metrics, "http://shop/metrics");
        assert_eq!((found.hook, found.alertmanager), (None, None));
        assert_eq!(found.timezone, "Europe/Berlin");
        assert_eq!(found.rules, Start::Day1);
        assert_eq!(found.go_live, "2026-12-01T00:00:00Z".parse().ok());
        assert!(!shown.contains("name of the service"), "{shown}");
        for part in [
            "no http or https URL; for example http://",
            "no time zone `Mars`",
            "[UTC]",
            "`soon` is no RFC 3339 time",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        // Typing ends: the defaults.
        let (found, _) = typed("", &flags);
        assert_eq!((found.timezone.as_str(), found.go_live), ("UTC", None));
    }

    #[test]
    fn every_bad_flag_is_named_with_an_example() {
        let bad = Init {
            service: Some(" ".into()),
            metrics: Some("shop:8080".into()),
            hook: Some("ftp://x".into()),
            alertmanager: Some(String::new()),
            timezone: Some("Mars".into()),
            go_live: Some("tomorrow".into()),
            ..flags()
        };
        let found = answers(&bad, Some("week"), None).unwrap_err();
        let said: Vec<String> = found.iter().map(Bad::to_string).collect();
        let flags = "--service --metrics --hook --alertmanager --timezone --rules --go-live";
        for (flag, said) in flags.split(' ').zip(&said) {
            let example = format!("; for example: {flag} ");
            assert!(said.starts_with(flag) && said.contains(&example), "{said}");
        }
        assert_eq!(said.len(), 7);
    }
}
