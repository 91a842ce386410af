//! The command line read: help that fits and teaches, flags where people put them, misuse refused.

use super::*;
use clap::Command as Clap;

fn read(line: &str) -> Result<Cli, ErrorKind> {
    Cli::read(line.split(' ')).map_err(|error| error.kind())
}

#[test]
fn clap_finds_it_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_fits_eighty_columns_and_teaches_by_example() {
    fn walk(command: &mut Clap, seen: &mut Vec<String>) {
        for help in [command.render_long_help(), command.render_help()] {
            for line in help.to_string().lines() {
                assert!(
                    line.chars().count() <= 80,
                    "{}: {line:?}",
                    command.get_name()
                );
            }
        }
        seen.push(command.get_name().to_owned());
        command
            .get_subcommands_mut()
            .for_each(|child| walk(child, seen));
    }
    let mut command = Cli::command();
    command.build();
    let mut seen = Vec::new();
    walk(&mut command, &mut seen);
    let expected = "gated init check config rules metrics test backtest rollout start finish list incidents ack status explain freeze thaw veto observe attest checklist report announce deliveries ack resend demo";
    assert_eq!(seen.join(" "), expected);
    let test = command.find_subcommand_mut("test").unwrap();
    let help = test.render_long_help().to_string();
    for text in ["gated_test:", "--run", "--junit", "2 a file that cannot"] {
        assert!(help.contains(text), "{help}");
    }
    let help = command.render_long_help().to_string();
    for text in ["gated demo", "curl -f", "exit 0 go", "GATED_CONFIG"] {
        assert!(help.contains(text), "{help}");
    }
}

#[test]
fn global_flags_stand_before_or_after() {
    for line in [
        "gated --config c --rules a --rules b --listen [::1]:1 check config",
        "gated check config --config c --rules a --rules b --listen [::1]:1",
        "gated check --config c --rules a,b config --listen [::1]:1",
    ] {
        let cli = read(line).unwrap();
        assert_eq!(cli.global.config, PathBuf::from("c"), "{line}");
        assert_eq!(
            cli.global.rules,
            [PathBuf::from("a"), PathBuf::from("b")],
            "{line}"
        );
        assert_eq!(cli.global.listen, "[::1]:1".parse().ok(), "{line}");
        assert!(
            matches!(cli.command, Some(Command::Check(Check::Config))),
            "{line}"
        );
    }
    let bare = read("gated").unwrap();
    assert!(bare.command.is_none() && !bare.look.dry_run);
    assert_eq!(bare.global.config, PathBuf::from("config/gated.toml"));
    assert_eq!(bare.global.rules, [PathBuf::from("rules")]);
}

#[test]
fn a_dry_run_with_everything() {
    let line = "gated --dry-run --phase preflight --for 30s --format junit --strict --data d";
    let cli = read(line).unwrap();
    assert!(cli.look.dry_run && cli.look.strict);
    assert_eq!(cli.look.phase.as_deref(), Some("preflight"));
    assert_eq!(cli.look.look_for, Some(Duration::from_secs(30)));
    assert_eq!(cli.look.format, Format::Junit);
    assert_eq!(read("gated --dry-run").unwrap().look.format, Format::Table);
}

#[test]
fn rollouts_and_the_rest() {
    let line = "gated rollout start --version 2 --previous 1 --irreversible --id x --started-at 1800000000";
    let Some(Command::Rollout(Rollout::Start(start))) = read(line).unwrap().command else {
        panic!("{line}");
    };
    assert_eq!(
        (start.version.as_str(), start.previous.as_deref()),
        ("2", Some("1"))
    );
    assert!(start.irreversible && start.id.as_deref() == Some("x"));
    assert_eq!(
        start.started_at,
        Some(Timestamp::from_millis(1_800_000_000_000))
    );
    let line = "gated ack 3f2a --by ada --note looking";
    let Some(Command::Ack(ack)) = read(line).unwrap().command else {
        panic!("{line}");
    };
    assert_eq!((&*ack.id, ack.speaker.by.as_deref()), ("3f2a", Some("ada")));
    assert_eq!(ack.note.as_deref(), Some("looking"));
    let listed = read("gated incidents --all --format json").unwrap().command;
    assert!(matches!(listed, Some(Command::Incidents(it)) if it.all));
    let keep = read("gated demo --keep").unwrap().command;
    assert!(matches!(
        keep,
        Some(Command::Demo(Demo {
            keep: true,
            journal: None
        }))
    ));
    let page = read("gated check metrics --format openmetrics")
        .unwrap()
        .command;
    let open = Some(PageFormat::Openmetrics);
    assert!(matches!(page, Some(Command::Check(Check::Metrics { format })) if format == open));
}

#[test]
fn misuse_is_refused() {
    use ErrorKind::ArgumentConflict as Conflict;
    use ErrorKind::InvalidValue;
    use ErrorKind::MissingRequiredArgument as Missing;
    use ErrorKind::UnknownArgument as Unknown;
    use ErrorKind::ValueValidation as Invalid;
    for (line, kind) in [
        ("gated --dry-run demo", Conflict),
        ("gated --strict", Missing),
        ("gated --phase x", Missing),
        ("gated --format json", Missing),
        ("gated --dry-run --for soon", Invalid),
        ("gated --dry-run --format yaml", InvalidValue),
        ("gated --listen nowhere", Invalid),
        ("gated check rules", Missing),
        ("gated rollout start", Missing),
        ("gated ack", Missing),
        ("gated incidents --format yaml", InvalidValue),
        ("gated rollout start --version 1 --started-at soon", Invalid),
        ("gated --nonsense", Unknown),
        ("gated incident", ErrorKind::InvalidSubcommand),
        ("gated freeze", Missing),
        ("gated freeze --for 1h", Missing),
        ("gated freeze --reason x", Missing),
        ("gated freeze --for soon --reason x", Invalid),
        ("gated veto --reason x", Missing),
        ("gated veto dec_1", Missing),
        ("gated explain --format yaml", InvalidValue),
        ("gated deliveries ack --reason x", Missing),
        ("gated deliveries --open ack x --reason y", Conflict),
    ] {
        assert_eq!(read(line).map(|_| ()), Err(kind), "{line}");
    }
    let code = Cli::read(["gated", "--nonsense"]).unwrap_err().exit_code();
    assert_eq!(code, 2);
    assert_eq!(Cli::read(["gated", "--help"]).unwrap_err().exit_code(), 0);
}

#[test]
fn what_people_say() {
    let line = "gated freeze --for 1h30m --reason failover --by ada --listen [::1]:1";
    let cli = read(line).unwrap();
    let Some(Command::Freeze(freeze)) = cli.command else {
        panic!("{line}");
    };
    assert_eq!(freeze.hold, Duration::from_secs(5400));
    assert_eq!(freeze.said.reason, "failover");
    assert_eq!(freeze.said.speaker.by.as_deref(), Some("ada"));
    let Some(Command::Thaw(thaw)) = read("gated thaw").unwrap().command else {
        panic!("thaw");
    };
    assert_eq!(
        (thaw.reason.as_str(), thaw.speaker.by),
        ("no reason given", None)
    );
    let Some(Command::Explain(explain)) = read("gated explain --format json").unwrap().command
    else {
        panic!("explain");
    };
    assert_eq!((explain.id, explain.format), (None, ExplainFormat::Json));
    let line = "gated deliveries resend msg_1 --reason lost";
    let Some(Command::Deliveries(Deliveries {
        open: false,
        word: Some(DeliveryWord::Resend(settle)),
    })) = read(line).unwrap().command
    else {
        panic!("{line}");
    };
    assert_eq!(settle.id, "msg_1");
}
