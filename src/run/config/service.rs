//! `[[webhook]] template`: what each service wants to know, and where it is reached. Paths are made here, from the
//! configuration alone.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{path, targets};
use crate::model::NoticeKind;
use crate::runbook::{Section, Text};
use crate::sink::{SecretUrl, Targets, Template};

/// Where Kubernetes puts the token and the authority of a pod's service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Of what PagerDuty is told unless `events` says otherwise: what somebody must look at, and that it is over.
pub(super) const PAGED: [NoticeKind; 5] = [
    NoticeKind::EscalationRaised,
    NoticeKind::RollbackIneffective,
    NoticeKind::RollbackUnverified,
    NoticeKind::IncidentResolved,
    NoticeKind::Notification,
];

/// What a webhook is sent.
#[derive(Clone, Debug)]
pub enum Form {
    Ready(Template),
    /// A template of the user's, by its path.
    File(PathBuf),
}

/// A `[[webhook]]`'s form and whereabouts.
pub(super) struct Service {
    pub form: Form,
    /// The whole of it, path included. `None`: a fault was reported, or `url_file` holds it.
    pub url: Option<SecretUrl>,
    pub url_file: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy)]
enum Word {
    Generic,
    Slack,
    Teams,
    PagerDuty,
    GithubDispatch,
    GithubWorkflow,
    Gitlab,
    ArgoCd,
    ArgoRollouts,
}

const WORDS: [(&str, Word); 10] = [
    ("generic", Word::Generic),
    ("slack", Word::Slack),
    ("teams", Word::Teams),
    ("pagerduty", Word::PagerDuty),
    ("github", Word::GithubDispatch),
    ("github-dispatch", Word::GithubDispatch),
    ("github-workflow", Word::GithubWorkflow),
    ("gitlab", Word::Gitlab),
    ("argocd", Word::ArgoCd),
    ("argo-rollouts", Word::ArgoRollouts),
];

pub(super) fn service(section: &mut Section) -> Service {
    let place = section.key_place("template");
    let said = section.has("template");
    let word = section.word("template", &WORDS).unwrap_or(Word::Generic);
    if let Some(file) = path(section, "template_file") {
        if said {
            let message = "`template` and `template_file` cannot both be";
            section.reader.fault(&place, message, "remove one of them");
        }
        return told(section, Form::File(file));
    }
    match word {
        Word::Generic => told(section, Form::Ready(Template::Generic)),
        Word::Slack => told(section, Form::Ready(Template::Slack)),
        Word::Teams => told(section, Form::Ready(Template::Teams)),
        Word::PagerDuty => {
            let key = required_path(section, "routing_key_file", "/etc/gated/pagerduty.key");
            Service {
                form: Form::Ready(Template::PagerDuty),
                url: at(section, Some("https://events.pagerduty.com/v2/enqueue"), ""),
                url_file: None,
                token_file: key,
                ca_file: path(section, "ca_file"),
            }
        }
        Word::GithubDispatch | Word::GithubWorkflow => github(section, word),
        Word::Gitlab => gitlab(section),
        Word::ArgoCd => argo_cd(section),
        Word::ArgoRollouts => argo_rollouts(section),
    }
}

/// A receiver that is posted to at the URL as it stands.
fn told(section: &mut Section, form: Form) -> Service {
    let place = section.key_place("url_file");
    let url_file = path(section, "url_file");
    if url_file.is_some() && section.has("url") {
        let message = "`url` and `url_file` cannot both be";
        section.reader.fault(&place, message, "remove one of them");
    }
    Service {
        form,
        url: if url_file.is_some() {
            at(section, Some(""), "")
        } else {
            at(section, None, "")
        },
        url_file,
        token_file: path(section, "token_file"),
        ca_file: path(section, "ca_file"),
    }
}

fn github(section: &mut Section, word: Word) -> Service {
    let place = section.key_place("repository");
    let repository = name(section, "repository", "\"owner/name\"");
    let parts: Vec<&str> = repository.split('/').filter(|it| !it.is_empty()).collect();
    if !repository.is_empty() && parts.len() != 2 {
        let message = format!("`{repository}` is no repository");
        let help = "write its owner and its name: \"owner/name\"";
        section.reader.fault(&place, message, help);
    }
    let parts: Vec<String> = parts.into_iter().map(piece).collect();
    let repository = parts.join("/");
    let targets = Targets::or_version(targets(section).into_iter().collect());
    let (form, path_below) = if let Word::GithubWorkflow = word {
        let workflow = piece(&name(section, "workflow", "\"rollback.yml\""));
        let reference = name(section, "ref", "\"main\"");
        let path = format!("/repos/{repository}/actions/workflows/{workflow}/dispatches");
        (Template::GithubWorkflow { reference, targets }, path)
    } else {
        let event_type = section.told("event_type");
        let event_type = event_type.map_or("gated-rollback".to_owned(), |it| it.value);
        let path = format!("/repos/{repository}/dispatches");
        let form = Template::GithubDispatch {
            event_type,
            targets,
        };
        (form, path)
    };
    Service {
        form: Form::Ready(form),
        url: at(section, Some("https://api.github.com"), &path_below),
        url_file: None,
        token_file: required_path(section, "token_file", "/etc/gated/github.token"),
        ca_file: path(section, "ca_file"),
    }
}

fn gitlab(section: &mut Section) -> Service {
    let project = piece(&name(section, "project", "\"group/project\" or its number"));
    let reference = name(section, "ref", "\"main\"");
    let targets = Targets::or_version(targets(section).into_iter().collect());
    let below = format!("/api/v4/projects/{project}/trigger/pipeline");
    Service {
        form: Form::Ready(Template::Gitlab { reference, targets }),
        url: at(section, Some("https://gitlab.com"), &below),
        url_file: None,
        token_file: required_path(section, "token_file", "/etc/gated/gitlab.token"),
        ca_file: path(section, "ca_file"),
    }
}

fn argo_cd(section: &mut Section) -> Service {
    const HELP: &str =
        "write versions and ids of `argocd app history`: targets = { \"1.9.0\" = \"41\" }";
    let application = name(section, "application", "\"api\"");
    let place = section.key_place("targets");
    let targets = targets(section);
    if targets.is_empty() {
        let message = "`argocd` goes back to an id of the history, and `targets` names none";
        section.reader.missing(&place, message, HELP);
    }
    for (version, id) in &targets {
        if id.parse::<u64>().is_err() {
            let message = format!("the target of `{version}` is no id of a history");
            section.reader.fault(&place, message, HELP);
        }
    }
    let text = |it: Option<Text>| it.map(|it| it.value);
    let below = format!("/api/v1/applications/{}/rollback", piece(&application));
    Service {
        form: Form::Ready(Template::ArgoCd {
            application,
            namespace: text(section.told("app_namespace")),
            project: text(section.told("project")),
            targets: Targets::listed(targets.into_iter().collect()),
        }),
        url: at(section, None, &below),
        url_file: None,
        token_file: required_path(section, "token_file", "/etc/gated/argocd.token"),
        ca_file: path(section, "ca_file"),
    }
}

fn argo_rollouts(section: &mut Section) -> Service {
    let namespace = piece(&name(section, "namespace", "\"production\""));
    let rollout = piece(&name(section, "rollout", "\"api\""));
    let in_cluster = !section.has("url");
    let below =
        format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/{rollout}/status");
    let account = |file: &str| PathBuf::from(format!("{ACCOUNT}/{file}"));
    let ca_file = path(section, "ca_file");
    let ca_file = ca_file.or_else(|| in_cluster.then(|| account("ca.crt")));
    Service {
        form: Form::Ready(Template::ArgoRollouts),
        url: at(section, Some("https://kubernetes.default.svc"), &below),
        url_file: None,
        token_file: Some(path(section, "token_file").unwrap_or_else(|| account("token"))),
        ca_file,
    }
}

/// The configured URL (else `unsaid`) with `below` added to its path.
fn at(section: &mut Section, unsaid: Option<&str>, below: &str) -> Option<SecretUrl> {
    let text = match unsaid {
        Some(_) => section.told("url"),
        None => section.required("url", "\"https://deploy.example.com/rollback\""),
    };
    let written = match (&text, unsaid) {
        (Some(text), _) => {
            super::notify::http_url(section.reader, text);
            text.value.as_str()
        }
        (None, unsaid) => unsaid?,
    };
    Some(SecretUrl::parse(written)?.below(below))
}

/// A text that must be there and not be empty; empty after a fault was reported.
fn name(section: &mut Section, key: &'static str, example: &str) -> String {
    let text = section.required(key, example);
    if let Some(empty) = text.as_ref().filter(|it| it.value.trim().is_empty()) {
        let help = format!("write {key} = {example}");
        section
            .reader
            .fault(&empty.place, format!("`{key}` is empty"), help);
    }
    text.map_or(String::new(), |it| it.value)
}

fn required_path(section: &mut Section, key: &'static str, example: &str) -> Option<PathBuf> {
    let text = section.required(key, &format!("\"{example}\""))?;
    Some(PathBuf::from(text.value))
}

/// One piece of a path: whatever is no plain letter, digit or `-._~` is written as its bytes.
fn piece(text: &str) -> String {
    let mut piece = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            piece.push(byte.into());
        } else {
            let _ = write!(piece, "%{byte:02X}");
        }
    }
    // The only pieces that lead elsewhere.
    match piece.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => piece,
    }
}
