//! Ready-made bodies against receivers that behave as the services do, over real sockets; a template of the user's.
//!
//! What each service takes is written down from its own documents: Slack's incoming webhooks and block kit, Microsoft's
//! Adaptive Card schema as Alertmanager's `msteamsv2` posts it, PagerDuty's Events API v2, GitHub's REST description of
//! both dispatches, GitLab's pipeline triggers, Argo CD's `application.proto`, Argo Rollouts' `cmd/abort`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use gated::engine::Attempted;
use gated::model::{
    DecisionId, DeliveryKey, IncidentId, Notice, NoticeIncident, NoticeKind, Severity, Timestamp,
};
use gated::sink::{Hook, Own, Targets, Template, Webhook, WebhookConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{Posted, Receiver, Said};
use crate::body::rolled_back;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn request() -> Notice {
    static REQUEST: LazyLock<Notice> = LazyLock::new(|| {
        let mut all = rolled_back().into_iter();
        let request = all.find(|it| it.kind == NoticeKind::RollbackRequested);
        request.unwrap()
    });
    REQUEST.clone()
}

fn of(kind: NoticeKind) -> Notice {
    Notice { kind, ..request() }
}

/// A receiver that takes what `wrong` finds nothing wrong with, and the answer of one attempt.
struct Service {
    receiver: Receiver,
    hook: Hook,
    folder: TempDir,
}

impl Service {
    /// `judge` gives the status for a request.
    fn start(
        template: Template,
        path: &str,
        judge: impl Fn(&Posted) -> Result<u16, String> + Send + Sync + 'static,
    ) -> Self {
        let receiver = Receiver::start(move |_, posted| match judge(posted) {
            Ok(status) => Said::Status(status),
            Err(why) => {
                eprintln!("refused: {why}: {posted:?}");
                Said::Status(400)
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
        let url = receiver.url().replace("/hook", path);
        let webhook = Webhook::new(&WebhookConfig {
            template,
            token_file: Some(token_file),
            timeout: Duration::from_secs(30),
            ..WebhookConfig::new("it", url)
        });
        Self {
            receiver,
            hook: Hook::Webhook(Box::new(webhook.unwrap())),
            folder,
        }
    }

    async fn send(&self, body: Vec<u8>) -> Attempted {
        let (key, decision) = (DeliveryKey("msg_1".into()), DecisionId("dec_1".into()));
        let body = Bytes::from(body);
        let now = Timestamp::from_millis(1_780_000_000_000);
        self.hook.attempt(&key, &decision, body, now).await
    }

    /// What is stored never holds the token.
    async fn tell(&self, notice: &Notice) -> Attempted {
        let body = self.hook.render(notice);
        assert!(!String::from_utf8_lossy(&body).contains(TOKEN));
        self.send(body).await
    }

    fn last(&self) -> Value {
        let posted = self.receiver.posted();
        serde_json::from_str(&posted.last().unwrap().body).unwrap()
    }
}

fn status(outcome: &Attempted) -> u16 {
    match outcome {
        Attempted::Answered { status, .. } => *status,
        other => panic!("{other:?}"),
    }
}

fn parsed(posted: &Posted) -> Result<Value, String> {
    serde_json::from_str(&posted.body).map_err(|error| error.to_string())
}

fn hold(holds: bool, what: &str) -> Result<(), String> {
    holds.then_some(()).ok_or_else(|| what.to_owned())
}

fn line(posted: &Posted, line: &str) -> Result<(), String> {
    let found = posted.head.lines().any(|it| it.eq_ignore_ascii_case(line));
    hold(found, line)
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// As Slack refuses: text objects of a known type, not empty, not too long; ten fields; known blocks.
fn slack(posted: &Posted) -> Result<u16, String> {
    let body = parsed(posted)?;
    let text = |it: &Value, longest: usize| {
        let text = it["text"].as_str().unwrap_or_default();
        let kind = it["type"].as_str().unwrap_or_default();
        let known = ["plain_text", "mrkdwn"].contains(&kind);
        hold(
            known && !text.is_empty() && text.chars().count() <= longest,
            "text object",
        )
    };
    hold(
        body["text"].as_str().is_some_and(|it| !it.is_empty()),
        "text",
    )?;
    for block in body["blocks"].as_array().ok_or("blocks")? {
        match block["type"].as_str() {
            Some("header") => {
                hold(block["text"]["type"] == "plain_text", "header")?;
                text(&block["text"], 150)?;
            }
            Some("section") => {
                let fields = block["fields"].as_array();
                hold(block["text"].is_object() || fields.is_some(), "section")?;
                if block["text"].is_object() {
                    text(&block["text"], 3000)?;
                }
                let fields = fields.cloned().unwrap_or_default();
                hold(fields.len() <= 10, "fields")?;
                fields.iter().try_for_each(|it| text(it, 2000))?;
            }
            Some("context") => {
                let elements = block["elements"].as_array().ok_or("elements")?;
                elements.iter().try_for_each(|it| text(it, 3000))?;
            }
            other => return Err(format!("block {other:?}")),
        }
    }
    Ok(200)
}

/// A flow that takes Adaptive Cards of version 1.2 and nothing over 25 kB.
fn teams(posted: &Posted) -> Result<u16, String> {
    let body = parsed(posted)?;
    hold(posted.body.len() < 25_000, "size")?;
    hold(body["type"] == "message", "type")?;
    let [attachment] = &body["attachments"].as_array().ok_or("attachments")?[..] else {
        return Err("attachments".into());
    };
    let kind = "application/vnd.microsoft.card.adaptive";
    hold(attachment["contentType"] == kind, "contentType")?;
    hold(attachment["contentUrl"].is_null(), "contentUrl")?;
    let card = &attachment["content"];
    hold(
        card["type"] == "AdaptiveCard" && card["version"] == "1.2",
        "card",
    )?;
    for item in card["body"].as_array().ok_or("body")? {
        hold(item["type"] == "RichTextBlock", "item")?;
        for run in item["inlines"].as_array().ok_or("inlines")? {
            let text = run["text"].as_str().unwrap_or_default();
            hold(run["type"] == "TextRun" && !text.is_empty(), "run")?;
        }
    }
    for action in card["actions"].as_array().unwrap_or(&Vec::new()) {
        let url = action["url"].as_str().unwrap_or_default();
        hold(
            action["type"] == "Action.OpenUrl" && url.starts_with("http"),
            "action",
        )?;
    }
    Ok(202)
}

fn pagerduty(posted: &Posted) -> Result<u16, String> {
    let body = parsed(posted)?;
    let text = |value: &Value, longest: usize| {
        let text = value.as_str().unwrap_or_default();
        !text.is_empty() && text.chars().count() <= longest
    };
    hold(
        body["routing_key"]
            .as_str()
            .is_some_and(|it| it.len() == 32),
        "routing_key",
    )?;
    hold(text(&body["dedup_key"], 255), "dedup_key")?;
    hold(posted.body.len() < 512 * 1024, "size")?;
    match body["event_action"].as_str() {
        Some("trigger") => {
            let payload = &body["payload"];
            hold(text(&payload["summary"], 1024), "summary")?;
            hold(text(&payload["source"], 1024), "source")?;
            let severity = payload["severity"].as_str().unwrap_or_default();
            hold(
                ["critical", "error", "warning", "info"].contains(&severity),
                "severity",
            )?;
        }
        Some("acknowledge" | "resolve") => {}
        other => return Err(format!("event_action {other:?}")),
    }
    Ok(202)
}

fn github_dispatch(posted: &Posted) -> Result<u16, String> {
    hold(
        posted
            .head
            .starts_with("POST /repos/acme/shop/dispatches HTTP"),
        "path",
    )?;
    github_headers(posted)?;
    let body = parsed(posted)?;
    hold(keys(&body) == ["client_payload", "event_type"], "keys")?;
    let kind = body["event_type"].as_str().unwrap_or_default();
    hold((1..=100).contains(&kind.len()), "event_type")?;
    hold(keys(&body["client_payload"]).len() <= 10, "client_payload")?;
    Ok(204)
}

fn github_headers(posted: &Posted) -> Result<(), String> {
    line(posted, &format!("authorization: Bearer {TOKEN}"))?;
    line(posted, "accept: application/vnd.github+json")?;
    line(posted, "x-github-api-version: 2022-11-28")?;
    hold(
        posted
            .head
            .to_lowercase()
            .contains("\r\nuser-agent: gated/"),
        "user-agent",
    )
}

/// A workflow that declares these four inputs; others are refused with 422 by GitHub.
fn github_workflow(posted: &Posted) -> Result<u16, String> {
    let path = "POST /repos/acme/shop/actions/workflows/rollback.yml/dispatches HTTP";
    hold(posted.head.starts_with(path), "path")?;
    github_headers(posted)?;
    let body = parsed(posted)?;
    hold(
        keys(&body) == ["inputs", "ref"] && body["ref"].is_string(),
        "keys",
    )?;
    let inputs = &body["inputs"];
    hold(
        keys(inputs) == ["decision", "reason", "target", "version"],
        "inputs",
    )?;
    let all = inputs.as_object().unwrap().values();
    hold(all.clone().all(Value::is_string), "strings")?;
    Ok(204)
}

fn gitlab(posted: &Posted) -> Result<u16, String> {
    let path = "POST /api/v4/projects/acme%2Fshop/trigger/pipeline HTTP";
    hold(posted.head.starts_with(path), "path")?;
    let body = parsed(posted)?;
    if body["token"] != TOKEN {
        return Ok(404);
    }
    hold(body["ref"].is_string(), "ref")?;
    let variables = body["variables"].as_object().ok_or("variables")?;
    hold(variables.values().all(Value::is_string), "variables")?;
    Ok(201)
}

/// Knows the ids 40 to 42; auto-sync is off.
fn argo_cd(posted: &Posted) -> Result<u16, String> {
    hold(
        posted
            .head
            .starts_with("POST /api/v1/applications/shop/rollback HTTP"),
        "path",
    )?;
    line(posted, &format!("authorization: Bearer {TOKEN}"))?;
    let body = parsed(posted)?;
    hold(body["name"] == "shop", "name")?;
    hold(
        body["id"]
            .as_u64()
            .is_some_and(|id| (40..=42).contains(&id)),
        "id",
    )?;
    Ok(200)
}

fn targets(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    owned.collect()
}

#[tokio::test]
async fn slack_takes_every_kind() {
    let service = Service::start(Template::Slack, "/services/T/B/x", slack);
    for kind in NoticeKind::ALL {
        assert_eq!(status(&service.tell(&of(*kind)).await), 200, "{kind}");
    }
    let mut hostile = request();
    hostile.decision.reason = "<!channel> <http://evil|x> & ".repeat(1000);
    hostile.decision.trigger = "\u{1}\u{202e}".repeat(1000);
    hostile.rollout.as_mut().unwrap().version = "v".repeat(1000);
    assert_eq!(status(&service.tell(&hostile).await), 200);
    let body = service.last();
    assert!(!body["text"].as_str().unwrap().contains('<'), "{body}");
    // The way to the page that explains it, as the generic body has it.
    let page = request().decision.id.page(&request().external_url.unwrap());
    assert!(body.to_string().contains(&page), "{page}: {body}");
    let mut empty = request();
    empty.decision.reason = String::new();
    empty.external_url = None;
    assert_eq!(status(&service.tell(&empty).await), 200);
}

#[tokio::test]
async fn teams_takes_every_kind() {
    let service = Service::start(Template::Teams, "/flow?sig=x", teams);
    for kind in NoticeKind::ALL {
        assert_eq!(status(&service.tell(&of(*kind)).await), 202, "{kind}");
    }
    let mut hostile = request();
    hostile.decision.reason = "[x](http://evil) \"\u{7}".repeat(10_000);
    hostile.decision.condition = "\"".repeat(10_000);
    assert_eq!(status(&service.tell(&hostile).await), 202);
}

#[tokio::test]
async fn pagerduty_triggers_acknowledges_and_resolves_one_alert() {
    let service = Service::start(Template::PagerDuty, "/v2/enqueue", pagerduty);
    let about = |kind, by: Option<&str>| Notice {
        incident: Some(NoticeIncident {
            id: IncidentId("inc_7".into()),
            sequence: 1,
            level: Some(1),
            role: Some("on-call engineer".into()),
            acknowledged_by: by.map(str::to_owned),
        }),
        ..of(kind)
    };
    for (notice, action) in [
        (about(NoticeKind::EscalationRaised, None), "trigger"),
        (about(NoticeKind::Notification, Some("ops")), "acknowledge"),
        (about(NoticeKind::IncidentResolved, None), "resolve"),
        (about(NoticeKind::Notification, None), "trigger"),
    ] {
        assert_eq!(status(&service.tell(&notice).await), 202);
        let body = service.last();
        assert_eq!(
            (
                &body["event_action"],
                &body["dedup_key"],
                &body["routing_key"]
            ),
            (&action.into(), &"inc_7".into(), &TOKEN.into())
        );
    }
    for (severity, word) in [
        (Severity::P1, "critical"),
        (Severity::P2, "error"),
        (Severity::P3, "warning"),
        (Severity::P4, "info"),
    ] {
        let mut notice = of(NoticeKind::EscalationRaised);
        notice.decision.severity = severity;
        notice.decision.reason = "ä".repeat(5000);
        assert_eq!(status(&service.tell(&notice).await), 202);
        let body = service.last();
        assert_eq!(body["payload"]["severity"], word);
        assert_eq!(
            body["dedup_key"],
            notice.decision.id.as_str(),
            "without an incident"
        );
    }
}

#[tokio::test]
async fn github_is_told_the_version_to_go_back_to() {
    let path = "/repos/acme/shop/dispatches";
    let template = Template::GithubDispatch {
        event_type: "gated-rollback".into(),
        targets: Targets::or_version(BTreeMap::new()),
    };
    let service = Service::start(template, path, github_dispatch);
    assert_eq!(status(&service.tell(&request()).await), 204);
    assert_eq!(service.last()["client_payload"]["target"], "1.0.0");

    let path = "/repos/acme/shop/actions/workflows/rollback.yml/dispatches";
    let template = Template::GithubWorkflow {
        reference: "main".into(),
        targets: Targets::or_version(targets(&[("v1.0.0", "release-41")])),
    };
    let service = Service::start(template, path, github_workflow);
    assert_eq!(status(&service.tell(&request()).await), 204);
    let body = service.last();
    assert_eq!(body["inputs"]["target"], "release-41", "v1.0.0 is 1.0.0");
    assert_eq!(body["inputs"]["version"], "2.0.0");
}

#[tokio::test]
async fn gitlab_gets_a_pipeline_with_its_token_in_the_body() {
    let template = Template::Gitlab {
        reference: "main".into(),
        targets: Targets::or_version(BTreeMap::new()),
    };
    let path = "/api/v4/projects/acme%2Fshop/trigger/pipeline";
    let service = Service::start(template, path, gitlab);
    assert_eq!(status(&service.tell(&request()).await), 201);
    assert_eq!(service.last()["variables"]["GATED_TARGET"], "1.0.0");
    assert!(!service.receiver.posted()[0].head.contains(TOKEN));
}

fn argo(pairs: &[(&str, &str)]) -> Service {
    let template = Template::ArgoCd {
        application: "shop".into(),
        namespace: None,
        project: Some("default".into()),
        targets: Targets::listed(targets(pairs)),
    };
    Service::start(template, "/api/v1/applications/shop/rollback", argo_cd)
}

#[tokio::test]
async fn argo_cd_goes_back_to_an_id_of_its_history() {
    let service = argo(&[("1.0.0", "41"), ("0.9.0", "40")]);
    assert_eq!(status(&service.tell(&request()).await), 200);
    let body = service.last();
    let expected =
        json!({"name": "shop", "id": 41, "dryRun": false, "prune": false, "project": "default"});
    assert_eq!(body, expected);
    let unknown = argo(&[("1.0.0", "7")]);
    assert_eq!(
        status(&unknown.tell(&request()).await),
        400,
        "shown as it is"
    );
}

/// An undo is never a guess, and nothing but a rollback request is one.
#[tokio::test]
async fn without_a_known_target_nothing_is_sent_and_it_says_so() {
    let service = argo(&[("0.9.0", "40")]);
    let mut no_previous = request();
    no_previous.rollout.as_mut().unwrap().previous_version = None;
    for (notice, says) in [
        (request(), "`targets` says nothing for version `1.0.0`"),
        (no_previous, "the version to go back to is not known"),
        (
            of(NoticeKind::EscalationRaised),
            "`gated.escalation.raised` does not ask for that",
        ),
    ] {
        let Attempted::NoAnswer {
            reason,
            reached: false,
        } = service.tell(&notice).await
        else {
            panic!("{notice:?}");
        };
        assert!(reason.contains(says), "{reason}");
    }
    assert!(service.receiver.posted().is_empty());
}

/// Without a status of its own, the rollout is patched whole.
#[tokio::test]
async fn argo_rollouts_is_aborted_by_a_merge_patch() {
    const WHOLE: &str = "PATCH /apis/argoproj.io/v1alpha1/namespaces/prod/rollouts/shop";
    for has_status in [true, false] {
        let path = "/apis/argoproj.io/v1alpha1/namespaces/prod/rollouts/shop/status";
        let judge = move |posted: &Posted| {
            line(posted, "content-type: application/merge-patch+json")?;
            line(posted, &format!("authorization: Bearer {TOKEN}"))?;
            hold(
                parsed(posted)? == json!({"status": {"abort": true}}),
                "patch",
            )?;
            if posted.head.starts_with(&format!("{WHOLE}/status HTTP")) {
                return Ok(if has_status { 200 } else { 404 });
            }
            hold(posted.head.starts_with(&format!("{WHOLE} HTTP")), "path")?;
            Ok(200)
        };
        let service = Service::start(Template::ArgoRollouts, path, judge);
        assert_eq!(status(&service.tell(&request()).await), 200);
        let requests = service.receiver.posted().len();
        assert_eq!(requests, if has_status { 1 } else { 2 });
    }
}

/// 400, 404, 410, 429, 500: the engine is told what the service said.
#[tokio::test]
async fn refusals_come_through_as_they_are() {
    for said in [400, 403, 404, 410, 422, 429, 500] {
        let service = Service::start(Template::Slack, "/services/T/B/x", move |_| Ok(said));
        let outcome = service.tell(&request()).await;
        let told = Some(Duration::from_secs(1));
        let expected = Attempted::Answered {
            status: said,
            retry_after: told,
        };
        assert_eq!(outcome, expected);
    }
}

/// A service account's token is replaced every hour: the next attempt has the new one.
#[tokio::test]
async fn a_token_is_read_before_every_attempt() {
    let service = Service::start(Template::Generic, "/hook", |_| Ok(200));
    let file: PathBuf = service.folder.path().join("token");
    service.tell(&request()).await;
    fs::write(&file, "second\n").unwrap();
    service.tell(&request()).await;
    fs::remove_file(&file).unwrap();
    let lost = service.tell(&request()).await;
    assert!(
        matches!(lost, Attempted::NoAnswer { reached: false, .. }),
        "{lost:?}"
    );
    let posted = service.receiver.posted();
    assert_eq!(posted.len(), 2);
    line(&posted[0], &format!("authorization: Bearer {TOKEN}")).unwrap();
    line(&posted[1], "authorization: Bearer second").unwrap();
}

fn own(text: &str) -> Result<Template, String> {
    let shown = |fault: gated::sink::TemplateFault| format!("{fault}");
    let template = Template::Own(Own::new("chat.json.j2", text).map_err(shown)?);
    template.check(|_| true).map_err(shown)?;
    Ok(template)
}

#[test]
fn a_template_is_tried_when_it_is_read() {
    let good = own(
        r#"{"text": {{ type ~ ": " ~ data.reason }}, "who": {{ data.role }},
        "version": {% if data.rollout %}{{ data.rollout.version }}{% else %}null{% endif %},
        "labels": {{ data.labels }}, "value": {{ data.value|default(0) }}, "until": {{ expires_at }}}"#,
    );
    let good = good.unwrap();
    let body: Value = serde_json::from_slice(&good.render(&request()).unwrap()).unwrap();
    assert_eq!(body["version"], "2.0.0");
    for (text, says) in [
        (
            "{\"a\":\n {{ data.raeson }}}",
            "line 2: `data.raeson` is undefined",
        ),
        // Not every notice is about a rollout.
        (
            "{\"a\": {{ data.rollout.version }}}",
            "`data.rollout.version` is undefined",
        ),
        ("{\"a\": {{ data.reason }}", "no JSON"),
        ("{\"a\": \"{{ data.reason }}\"}", "no JSON"),
        ("{% for a in %}", "line 1: syntax error"),
        ("{{ data.reason|shout }}", "shout"),
        (
            "{% for a in range(100000) %}{% endfor %}{}",
            "too many steps",
        ),
        ("{\"a\": {{ 'x' * 100000 }}}", "64 kB"),
        ("{% include 'other' %}", "line 1"),
    ] {
        let fault = own(text).unwrap_err();
        assert!(
            fault.contains("chat.json.j2") && fault.contains(says),
            "{text}: {fault}"
        );
    }
}

/// Whatever stands in a label, what comes out is one JSON document with the template's keys.
#[test]
fn hostile_text_cannot_break_out_of_a_template() {
    let template = own(r#"{"reason": {{ data.reason }}, "trigger": {{ data.trigger }}}"#).unwrap();
    let pieces = [
        "\"",
        "}",
        "{{",
        "\\",
        "\u{0}",
        "\u{2028}",
        "</script>",
        "ä",
        "'",
        "\n",
    ];
    for n in 0..1000_usize {
        let mut notice = request();
        let text = |seed: usize| -> String {
            let digits = (0..4).map(|at| seed / 10_usize.pow(at) % 10);
            digits.map(|digit| pieces[digit]).collect()
        };
        notice.decision.reason = text(n);
        notice.decision.trigger = text(n * 7 + 3);
        let bytes = template.render(&notice).unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(keys(&body), ["reason", "trigger"]);
        assert_eq!(body["reason"], notice.decision.reason.as_str());
    }
}

/// What the samples did not show fails later: the receiver gets gated's own body, not nothing.
#[tokio::test]
async fn a_template_that_fails_at_run_time_falls_back_to_the_generic_body() {
    let text = r#"{"text": {{ data.labels.owner }}}"#;
    let template = Template::Own(Own::new("chat.json.j2", text).unwrap());
    let service = Service::start(template, "/hook", |_| Ok(200));
    let mut notice = request();
    notice.labels.insert("owner".into(), "team".into());
    assert_eq!(status(&service.tell(&notice).await), 200);
    assert_eq!(service.last(), json!({"text": "team"}));
    notice.labels.clear();
    assert_eq!(status(&service.tell(&notice).await), 200);
    assert_eq!(service.last()["type"], "gated.rollback.requested");
}
