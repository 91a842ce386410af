//! The files in `deploy/`, each checked by the tool that will read it, and each tool by a file that it must refuse.
//! The image cannot be built without a container engine: its Dockerfile is read and held to rules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The oldest Kubernetes with native sidecars on by default, and the newest with a schema.
const KUBERNETES: [&str; 2] = ["1.29", "1.37"];

/// Exposure in tenths, as `systemd-analyze security` counts it.
const EXPOSURE_MAX: &str = "20";

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(deploy(file)).unwrap()
}

/// Runs a tool; one that is missing fails the test and names the package that has it.
#[track_caller]
fn run(tool: &str, package: &str, arguments: &[&str]) -> Output {
    Command::new(tool)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{tool}: {error}: tests/run installs it ({package})"))
}

#[track_caller]
fn passes(output: &Output) -> String {
    let text = said(output);
    assert!(output.status.success(), "{text}");
    text
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), b"\n", &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

// ── Alertmanager ─────────────────────────────────────────────────────────────────────────────────────────────────

fn amtool(arguments: &[&str]) -> Output {
    run("amtool", "Debian: prometheus-alertmanager", arguments)
}

#[test]
fn alertmanager_accepts_its_configuration() {
    let file = deploy("alertmanager.yml");
    passes(&amtool(&["check-config", file.to_str().unwrap()]));
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.yml");
    fs::write(
        &broken,
        read("alertmanager.yml").replace("name: chat", "name: talk"),
    )
    .unwrap();
    assert!(
        !amtool(&["check-config", broken.to_str().unwrap()])
            .status
            .success()
    );
}

#[test]
fn alerts_of_gated_reach_who_they_are_for() {
    let flag = format!("--config.file={}", deploy("alertmanager.yml").display());
    let receiver = |labels: &[&str]| {
        let mut arguments = vec!["config", "routes", "test", flag.as_str()];
        arguments.extend(labels);
        let output = amtool(&arguments);
        passes(&output);
        let told = String::from_utf8(output.stdout).unwrap();
        // All go to gated too, which hears from its own that Alertmanager lives.
        told.trim().strip_prefix("gated,").unwrap().to_owned()
    };
    for (severity, expected) in [
        ("P1", "pager-and-chat"),
        ("P2", "pager-and-chat"),
        ("P3", "chat"),
        ("P4", "chat"),
    ] {
        let severity = format!("severity={severity}");
        assert_eq!(
            receiver(&["source=gated", "alertname=latency", &severity]),
            expected
        );
    }
    let watchdog = ["source=gated", "alertname=Watchdog", "severity=none"];
    assert_eq!(receiver(&watchdog), "dead-mans-switch");
    assert_eq!(
        receiver(&["alertname=Watchdog", "severity=none"]),
        "chat",
        "another's watchdog"
    );
}

// ── Kubernetes ───────────────────────────────────────────────────────────────────────────────────────────────────

fn manifests() -> String {
    let folder = deploy("kubernetes");
    let arguments = ["kustomize", folder.to_str().unwrap()];
    let output = run("kubectl", "Debian: kubernetes-client", &arguments);
    passes(&output);
    String::from_utf8(output.stdout).unwrap()
}

/// Validates against the published schemas. The tool's exit code says nothing; its words do.
fn validate(text: &str, version: &str) -> Result<(), String> {
    let tools = std::env::var_os("GATED_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools"),
        PathBuf::from,
    );
    let tool = tools.join("bin/kubernetes-validate");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifests.yaml");
    fs::write(&file, text).unwrap();
    let arguments = ["-k", version, "--strict", file.to_str().unwrap()];
    let output = run(
        tool.to_str().unwrap(),
        "PyPI: kubernetes-validate",
        &arguments,
    );
    let said = said(&output);
    let passed = said
        .lines()
        .filter(|line| line.contains(" passed for resource "))
        .count();
    if output.status.success() && !said.contains("ERROR") && passed == text.split("\n---\n").count()
    {
        Ok(())
    } else {
        Err(said)
    }
}

#[test]
fn the_manifests_fit_the_schemas_of_kubernetes() {
    let text = manifests();
    for version in KUBERNETES {
        validate(&text, version).unwrap_or_else(|said| panic!("{version}: {said}"));
    }
    let wrong = text.replace("restartPolicy: Always", "restartPolicies: Always");
    assert_ne!(wrong, text);
    let refused = validate(&wrong, KUBERNETES[0]).unwrap_err();
    assert!(refused.contains("restartPolicies"), "{refused}");
}

fn deployment() -> Value {
    serde_saphyr::from_multiple::<Value>(&manifests())
        .unwrap()
        .into_iter()
        .find(|manifest| manifest["kind"] == "Deployment")
        .unwrap()
}

#[test]
fn the_sidecar_is_hardened_and_never_in_the_way() {
    let deployment = deployment();
    let template = &deployment["spec"]["template"];
    let pod = &template["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );

    let gated = &pod["initContainers"][0];
    assert_eq!(gated["name"], "gated");
    assert_eq!(gated["restartPolicy"], "Always", "a native sidecar");
    let context = &gated["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert!(gated["resources"]["limits"]["memory"].is_string());
    assert!(
        gated["resources"]["limits"]["cpu"].is_null(),
        "a throttled judge sees late"
    );
    for probe in ["startupProbe", "readinessProbe"] {
        assert!(
            gated[probe].is_null(),
            "{probe}: the service would wait for its judge"
        );
    }
    assert_eq!(gated["livenessProbe"]["httpGet"]["path"], "/-/healthy");
    for image in [&gated["image"], &pod["containers"][0]["image"]] {
        let image = image.as_str().unwrap();
        let tag = image.rsplit('/').next().unwrap().split(':').nth(1);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{image}");
    }
}

/// Every volume is mounted and every mount has its volume; the version comes from the annotation that is there.
#[test]
fn the_sidecar_is_wired() {
    let deployment = deployment();
    let template = &deployment["spec"]["template"];
    let gated = &template["spec"]["initContainers"][0];
    let names = |list: &Value| {
        let list = list.as_array().unwrap();
        let mut names: Vec<String> = list
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&gated["volumeMounts"]),
        names(&template["spec"]["volumes"])
    );
    assert!(
        gated["volumeMounts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["subPath"].is_null())
    );
    for variable in gated["env"].as_array().unwrap() {
        let path = variable["valueFrom"]["fieldRef"]["fieldPath"]
            .as_str()
            .unwrap();
        let key = path
            .strip_prefix("metadata.annotations['")
            .unwrap()
            .strip_suffix("']")
            .unwrap();
        assert!(
            template["metadata"]["annotations"][key].is_string(),
            "{key}"
        );
    }
    let mounted = |path: &str| {
        let mounts = gated["volumeMounts"].as_array().unwrap();
        mounts
            .iter()
            .any(|it| path.starts_with(it["mountPath"].as_str().unwrap()))
    };
    for argument in gated["args"].as_array().unwrap() {
        let (flag, value) = argument.as_str().unwrap().split_once('=').unwrap();
        assert!(
            flag == "--listen" || mounted(value),
            "{flag}: nothing is mounted at {value}"
        );
    }
    let config = read("kubernetes/gated.toml");
    let secret = config
        .lines()
        .find_map(|line| line.strip_prefix("secret_file = "));
    assert!(mounted(secret.unwrap().trim_matches('"')));
}

// ── systemd ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// The unit with a program that exists here: systemd looks for it.
fn unit(change: impl Fn(String) -> String) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gated.service");
    let text = read("gated.service").replace("/usr/local/bin/gated", env!("CARGO_BIN_EXE_gated"));
    fs::write(&file, change(text)).unwrap();
    let name = file.to_str().unwrap().to_owned();
    (folder, name)
}

fn systemd(arguments: &[&str]) -> Output {
    run("systemd-analyze", "Debian: systemd", arguments)
}

#[test]
fn systemd_accepts_the_unit() {
    let (_folder, file) = unit(|text| text);
    let output = systemd(&["verify", "--man=no", &file]);
    let said = passes(&output);
    // An unknown key is only a warning to systemd, and a hole to us.
    assert!(!said.contains("gated.service:"), "{said}");
    let (_folder, misspelt) = unit(|text| text.replace("ProtectHome=", "ProtectHouse="));
    assert!(said_of(&misspelt).contains("ProtectHouse"));
}

fn said_of(file: &str) -> String {
    said(&systemd(&["verify", "--man=no", file]))
}

#[test]
fn the_unit_is_hardened() {
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let secure =
        |file: &str| systemd(&["security", "--offline=true", "--no-pager", &threshold, file]);
    let (_folder, file) = unit(|text| text);
    passes(&secure(&file));
    let (_folder, open) = unit(|text| {
        let keep = |line: &&str| !line.starts_with("SystemCall") && !line.starts_with("Protect");
        text.lines().filter(keep).collect::<Vec<_>>().join("\n")
    });
    assert!(
        !secure(&open).status.success(),
        "the measure lets everything pass"
    );
}

// ── Image ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Instructions and their arguments, continued lines joined.
fn instructions(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\\\n", " ")
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(word, rest)| (word.to_uppercase(), rest.trim().to_owned()))
        .collect()
}

/// What is wrong with a Dockerfile.
fn lint(text: &str) -> Vec<&'static str> {
    let all = instructions(text);
    let of = |word: &str| -> Vec<&str> {
        all.iter()
            .filter(|(name, _)| name == word)
            .map(|(_, rest)| rest.as_str())
            .collect()
    };
    let stages = of("FROM");
    let last = all
        .iter()
        .rposition(|(name, _)| name == "FROM")
        .unwrap_or_default();
    let mut wrong = Vec::new();
    let mut refuse = |when: bool, what| {
        if when {
            wrong.push(what);
        }
    };
    let pinned = |stage: &&str| {
        let image = stage.split(' ').next().unwrap_or_default();
        image == "scratch"
            || image
                .split_once(':')
                .is_some_and(|(_, tag)| tag.starts_with(char::is_numeric))
    };
    refuse(!stages.iter().all(pinned), "an image without a version");
    refuse(
        stages.last().is_none_or(|stage| *stage != "scratch"),
        "the result is not empty below gated",
    );
    let user = all[last..].iter().find(|(name, _)| name == "USER");
    refuse(
        user.is_none_or(|(_, user)| user != "65532:65532"),
        "not the user 65532",
    );
    refuse(
        all[last..].iter().any(|(name, _)| name == "RUN"),
        "nothing can run in an empty image",
    );
    refuse(!of("ADD").is_empty(), "ADD fetches and unpacks: use COPY");
    refuse(
        !of("RUN")
            .iter()
            .any(|run| run.contains("cargo build") && run.contains("--locked")),
        "not --locked",
    );
    let exec = |word| {
        of(word)
            .iter()
            .all(|rest| rest.starts_with('[') && rest.ends_with(']'))
    };
    refuse(
        !exec("ENTRYPOINT") || !exec("CMD"),
        "there is no shell to read this",
    );
    refuse(of("ENTRYPOINT").len() != 1, "no ENTRYPOINT");
    wrong
}

#[test]
fn the_image_is_empty_but_for_gated() {
    let text = read("Dockerfile");
    assert_eq!(lint(&text), [""; 0]);
    for (from, to) in [
        ("rust:1.95-alpine", "rust:latest"),
        ("rust:1.95-alpine", "rust"),
        ("FROM scratch", "FROM alpine:3.22"),
        ("USER 65532:65532", "USER root"),
        ("USER 65532:65532\n", ""),
        ("--locked", ""),
        ("[\"/gated\"]", "/gated"),
        ("EXPOSE 9755", "RUN chmod +x /gated"),
    ] {
        let broken = text.replace(from, to);
        assert_ne!(broken, text, "{from}");
        assert_ne!(lint(&broken), [""; 0], "{from} → {to:?} is not seen");
    }
}

/// The image's arguments are ones that gated takes.
#[test]
fn gated_takes_the_arguments_of_every_file() {
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let image = instructions(&read("Dockerfile"));
    let command = &image.iter().find(|(name, _)| name == "CMD").unwrap().1;
    let unit = read("gated.service");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/gated"));
    let sidecar = deployment()["spec"]["template"]["spec"]["initContainers"][0]["args"].clone();
    for arguments in [
        serde_json::from_str::<Vec<String>>(command).unwrap(),
        words(start.unwrap()),
        serde_json::from_value(sidecar).unwrap(),
    ] {
        let line = ["gated".to_owned()].into_iter().chain(arguments);
        let read = gated::run::cli::Cli::read(line).unwrap();
        assert!(read.command.is_none());
        assert_eq!(read.global.data.unwrap(), Path::new("/var/lib/gated"));
    }
}

// ── gated itself ─────────────────────────────────────────────────────────────────────────────────────────────────

/// With what a pod's annotations give it, the sidecar's configuration is sound and says nothing needs a second look.
#[test]
fn gated_accepts_the_sidecars_configuration() {
    let pod = |name: &str| match name {
        "APP_VERSION" => Some("1.4.0".to_owned()),
        "ROLLED_OUT_AT" => Some("2026-12-01T01:00:00Z".to_owned()),
        _ => None,
    };
    let config = deploy("kubernetes/gated.toml");
    let rules = [deploy("kubernetes/rules")];
    let report = gated::run::check::config(&config, &rules, &pod, false);
    assert_eq!(report.code, 0, "{}", report.text);
    assert!(report.text.ends_with(" 0 warnings\n"), "{}", report.text);

    // A pod without the annotation: refused, and it says which variable.
    let report = gated::run::check::config(&config, &rules, &|_| None, false);
    assert_eq!(report.code, 1);
    assert!(report.text.contains("APP_VERSION"), "{}", report.text);
}
