//! `[[webhook]]` and `[[command]]` as they are configured: what each service wants, and every fault with its remedy.

use std::fs;
use std::time::Duration;

use gated::engine::OnDoubt;
use gated::model::NoticeKind;
use gated::run::config::{Config, Held};
use gated::runbook::{Faults, Rules, Source};

const BASE: &str = r#"
[service]
name = "shop"
[alertmanager]
urls = ["http://127.0.0.1:9093"]
"#;

fn load(text: &str) -> Result<Config, Faults> {
    let source = Source {
        path: "gated.toml".into(),
        text: format!("{BASE}{text}"),
    };
    Config::load(source, &|_| None)
}

fn hook(settings: &str) -> String {
    format!("[rollback]\nhook = \"it\"\n[[webhook]]\nname = \"it\"\n{settings}")
}

/// Where the only webhook is reached.
fn url(text: &str) -> String {
    let config = load(text).unwrap_or_else(|faults| panic!("{text}\n{faults}"));
    let url = config.webhooks[0].sender(Held::default()).url;
    url.expose().to_owned()
}

#[test]
fn each_service_is_reached_where_its_documents_say() {
    for (settings, expected) in [
        (
            "template = \"pagerduty\"\nrouting_key_file = \"/k\"",
            "https://events.pagerduty.com/v2/enqueue",
        ),
        (
            "template = \"github\"\nrepository = \"acme/shop\"\ntoken_file = \"/t\"",
            "https://api.github.com/repos/acme/shop/dispatches",
        ),
        (
            "template = \"github-workflow\"\nurl = \"https://ghe.example.com/api/v3/\"\nrepository = \"acme/shop\"\n\
             workflow = \"roll back.yml\"\nref = \"main\"\ntoken_file = \"/t\"",
            "https://ghe.example.com/api/v3/repos/acme/shop/actions/workflows/roll%20back.yml/dispatches",
        ),
        (
            "template = \"gitlab\"\nproject = \"acme/shop\"\nref = \"main\"\ntoken_file = \"/t\"",
            "https://gitlab.com/api/v4/projects/acme%2Fshop/trigger/pipeline",
        ),
        (
            "template = \"argocd\"\nurl = \"https://argo.example.com\"\napplication = \"../x?y\"\n\
             token_file = \"/t\"\ntargets = { \"1.9.0\" = \"41\" }",
            "https://argo.example.com/api/v1/applications/..%2Fx%3Fy/rollback",
        ),
        (
            "template = \"argo-rollouts\"\nnamespace = \"prod\"\nrollout = \"shop\"",
            "https://kubernetes.default.svc/apis/argoproj.io/v1alpha1/namespaces/prod/rollouts/shop/status",
        ),
    ] {
        // Who tells people cannot be the rollback hook's only purpose, but may be it.
        let events = if settings.contains("pagerduty") {
            "\nevents = [\"gated.rollback.requested\"]"
        } else {
            ""
        };
        assert_eq!(url(&hook(&format!("{settings}{events}"))), expected);
    }
}

#[test]
fn what_undoes_is_held_in_doubt_and_what_tells_people_is_sent_again() {
    let text = "[rollback]\nhook = \"undo\"\nallow_commands = [\"undo\"]\n\
        [[command]]\nname = \"undo\"\nrun = [\"kubectl\", \"rollout\", \"undo\", \"deployment/api\", \"--to-revision={target}\"]\n\
        targets = { \"1.9.0\" = \"41\" }\nconfirm = \"5m\"\n\
        [[webhook]]\nname = \"chat\"\nurl_file = \"/u\"\ntemplate = \"slack\"\n\
        [[webhook]]\nname = \"pager\"\ntemplate = \"pagerduty\"\nrouting_key_file = \"/k\"\n";
    let config = load(text).unwrap();
    let settings = config.settings(std::sync::Arc::new(Rules::default()));
    let [chat, pager, undo] = &settings.receivers[..] else {
        panic!("{settings:?}");
    };
    assert_eq!(
        (chat.on_doubt, pager.on_doubt),
        (OnDoubt::Resend, OnDoubt::Resend)
    );
    assert_eq!(
        (undo.on_doubt, undo.confirm_within),
        (OnDoubt::Hold, Some(Duration::from_secs(300)))
    );
    assert!(undo.takes(NoticeKind::RollbackRequested) && !undo.takes(NoticeKind::EscalationRaised));
    assert!(
        pager.takes(NoticeKind::EscalationRaised) && !pager.takes(NoticeKind::RollbackAnnounced)
    );
    let argo = load(&hook(
        "template = \"argo-rollouts\"\nnamespace = \"p\"\nrollout = \"r\"",
    ))
    .unwrap();
    assert_eq!(argo.webhooks[0].on_doubt, OnDoubt::Hold);
}

#[test]
fn each_fault_of_a_receiver_says_what_to_write() {
    let command = |settings: &str| {
        format!(
            "[rollback]\nhook = \"it\"\nallow_commands = [\"it\"]\n[[command]]\nname = \"it\"\n{settings}"
        )
    };
    for (text, message, help) in [
        (hook("template = \"slak\"\nurl = \"http://a\""), "`slak` is not known", "did you mean \"slack\"?"),
        (hook("template = \"slack\""), "`url` is missing", "write url ="),
        (hook("template = \"slack\"\nurl = \"http://a\"\nurl_file = \"/u\""), "cannot both be", "remove one"),
        (hook("template = \"slack\"\ntemplate_file = \"/t\"\nurl = \"http://a\""), "cannot both be", "remove one"),
        (hook("template = \"pagerduty\""), "`routing_key_file` is missing", "/etc/gated/pagerduty.key"),
        (hook("template = \"github\"\ntoken_file = \"/t\""), "`repository` is missing", "owner/name"),
        (hook("template = \"github\"\ntoken_file = \"/t\"\nrepository = \"shop\""), "`shop` is no repository", "owner/name"),
        (hook("template = \"github\"\nrepository = \"a/b\""), "`token_file` is missing", "github.token"),
        (hook("template = \"github-workflow\"\nrepository = \"a/b\"\ntoken_file = \"/t\"\nref = \"main\""), "`workflow` is missing", "rollback.yml"),
        (hook("template = \"github-workflow\"\nrepository = \"a/b\"\ntoken_file = \"/t\"\nworkflow = \"w\""), "`ref` is missing", "main"),
        (hook("template = \"gitlab\"\nproject = \"\"\nref = \"main\"\ntoken_file = \"/t\""), "`project` is empty", "group/project"),
        (hook("template = \"argocd\"\nurl = \"http://a\"\napplication = \"x\"\ntoken_file = \"/t\""), "`targets` names none", "1.9.0"),
        (hook("template = \"argocd\"\nurl = \"http://a\"\napplication = \"x\"\ntoken_file = \"/t\"\ntargets = { a = \"b\" }"), "no id of a history", "1.9.0"),
        (hook("template = \"argocd\"\nurl = \"http://a\"\napplication = \"x\"\ntoken_file = \"/t\"\ntargets = { a = \"-1\" }"), "cannot be a target", "revision"),
        (hook("template = \"argo-rollouts\"\nrollout = \"x\""), "`namespace` is missing", "production"),
        (hook("url = \"http://a\"\nrouting_key_file = \"/k\""), "unknown key `routing_key_file`", "keys known here"),
        (hook("url = \"http://169.254.169.254/\""), "`deny_cidr` forbids", "a list of what stays forbidden"),
        (hook("url = \"http://a\"\ndeny_cidr = [\"10.0.0.0/40\"]"), "no block of addresses", "169.254.0.0/16"),
        (hook("url = \"http://a\"\non_doubt = \"maybe\""), "`maybe` is not known as `on_doubt`", "\"resend\" or \"hold\""),
        (
            "[[webhook]]\nname = \"it\"\ntemplate = \"argo-rollouts\"\nnamespace = \"p\"\nrollout = \"r\"".into(),
            "`argo-rollouts` undoes a release, and [rollback] hook is not `it`",
            "write hook = \"it\"",
        ),
        (command(""), "`run` is missing", "kubectl"),
        (command("run = [\"{target}\"]"), "the program must stand there", "its path"),
        (command("run = [\"k\", \"{targt}\"]"), "`{targt}` stands for nothing", "did you mean `{target}`?"),
        (command("run = [\"k\", \"{target}\"]"), "`{target}` needs `targets`", "{previous_version}"),
        (command("run = [\"k\"]\ntimeout = \"0s\""), "lets no attempt succeed", "5s"),
        (
            "[rollback]\nhook = \"it\"\n[[command]]\nname = \"it\"\nrun = [\"k\"]".into(),
            "the command `it` is not allowed to run",
            "allow_commands = [\"it\"]",
        ),
        (
            "[rollback]\nallow_commands = [\"it\"]\n[[command]]\nname = \"it\"\nrun = [\"k\"]".into(),
            "[rollback] hook is not `it`",
            "write hook = \"it\"",
        ),
        (
            "[rollback]\nallow_commands = [\"undo\"]\n".into(),
            "there is no [[command]] named `undo`",
            "remove it",
        ),
        (
            command("run = [\"k\"]") + "\n[[webhook]]\nname = \"it\"\nurl = \"http://a\"",
            "`it` is the name of another receiver too",
            "another name",
        ),
    ] {
        let faults = load(&text).expect_err(&text).faults;
        let found = faults.iter().any(|it| it.message.contains(message) && it.help.contains(help));
        assert!(found, "{text}\n{message} / {help}\n{faults:#?}");
    }
}

/// What is undefined is found when the configuration is read, at its place in the template.
#[test]
fn a_template_file_is_tried_when_the_configuration_loads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.json.j2");
    let shown = file.display();
    let text =
        format!("[[webhook]]\nname = \"chat\"\nurl = \"http://a\"\ntemplate_file = \"{shown}\"\n");
    let config = load(&text).unwrap();
    let missing = config.templates(false).unwrap_err();
    assert!(missing.contains("chat.json.j2 cannot be read"), "{missing}");
    fs::write(&file, "{\n  \"text\": {{ data.raeson }}\n}\n").unwrap();
    let fault = config.templates(false).unwrap_err();
    for part in [
        "`data.raeson` is undefined",
        "chat.json.j2:2:14",
        "^^^^^^^^^^^",
    ] {
        assert!(fault.contains(part), "{fault}");
    }
    fs::write(&file, "{\"text\": {{ data.reason }}}").unwrap();
    assert_eq!(config.templates(false).unwrap().len(), 1);
    // The rollback hook is told of nothing but rollbacks, which all have a rollout.
    fs::write(&file, "{\"v\": {{ data.rollout.version }}}").unwrap();
    assert!(config.templates(false).is_err());
    let hook = load(&format!("[rollback]\nhook = \"chat\"\n{text}")).unwrap();
    assert_eq!(hook.templates(false).unwrap().len(), 1);
}

/// What the README shows loads, and its template makes what it should.
#[test]
fn the_examples_of_the_readme_load() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("### What is sent").unwrap();
    let (section, _) = section.split_once("### HTTP").unwrap();
    let block = |kind: &str| {
        let (_, rest) = section.split_once(&format!("```{kind}\n")).unwrap();
        rest.split_once("```").unwrap().0
    };
    let config = load(block("toml")).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((config.webhooks.len(), config.commands.len()), (2, 1));
    let own = gated::sink::Own::new("readme", block("jinja")).unwrap();
    gated::sink::Template::Own(own).check(|_| true).unwrap();
}

/// A key that is mistyped, a URL that is none: what is shown beside the fault is not the secret.
#[test]
fn no_secret_is_shown_beside_a_fault() {
    for settings in [
        "url = \"ftp://user:canary@host/canary?canary\"",
        "ulr = \"https://host/canary\"\nurl = \"http://a\"",
        "url = \"http://a\"\nheaders = { \"X Key\" = \"canary\" }",
        "url = \"http://a\"\nheader = { Key = [\"canary\"] }",
        "url = \"http://a\"\nhealth = \"host/canary\"",
        "url = \"https://host/canary",
        "url = \"http://a\"\nheaders = { Key = \"canary\"",
    ] {
        let shown = load(&hook(settings)).unwrap_err().render(false);
        assert!(!shown.contains("canary") && shown.contains('*'), "{shown}");
    }
}
