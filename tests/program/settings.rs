//! Help, settings and shells, which need no data.

use std::fs;

use crate::common::{TINY, WORLD, commands, done, failed, json, set, stackgan, training};

/// Commands that only have subcommands.
const GROUPS: [&str; 5] = ["data", "text", "model", "runs", "config"];

#[test]
fn every_help_opens_with_examples() {
    let dir = tempfile::tempdir().unwrap();
    let commands = commands(dir.path(), "");
    assert!(commands.len() > 30 && commands.iter().any(|c| c == "data import"), "{commands:?}");
    for command in commands.iter().filter(|command| !GROUPS.contains(&command.as_str())) {
        let mut args: Vec<&str> = command.split_whitespace().collect();
        args.push("--help");
        let help = done(dir.path(), &args);
        assert_eq!(help.lines().next(), Some("Examples:"), "{command}");
        let examples = help.split("\n\n").next().unwrap_or_default().lines();
        let begins = format!("stackgan {command}");
        let own = examples.filter(|line| line.trim().starts_with(&begins)).count();
        assert!(own >= 2, "{command} has {own} examples");
    }
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &["man", "--out", "pages"]);
    for command in commands(dir.path(), "") {
        let file = dir.path().join(format!("pages/stackgan-{}.1", command.replace(' ', "-")));
        let page = fs::read_to_string(&file).unwrap();
        let shown =
            GROUPS.contains(&command.as_str()) || page.contains(".SH EXAMPLES\n.nf\nstackgan");
        assert!(
            shown && page.contains(".SH SYNOPSIS") && page.contains("\\-\\-device"),
            "{command}"
        );
    }
    let program = fs::read_to_string(dir.path().join("pages/stackgan.1")).unwrap();
    assert!(program.contains("Exit codes") && program.contains(".TH stackgan 1"), "{program}");
}

#[test]
fn exit_codes_are_in_the_help() {
    let dir = tempfile::tempdir().unwrap();
    let help = done(dir.path(), &["--help"]);
    for code in [
        "0 done",
        "2 usage",
        "3 data",
        "4 something",
        "6 storage",
        "7 training",
        "75 time",
        "130, 143",
    ] {
        assert!(
            help.split_whitespace().collect::<Vec<_>>().join(" ").contains(code),
            "{code}: {help}"
        );
    }
}

#[test]
fn settings_come_in_layers_and_say_from_where() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.toml"), "[optim]\nbatch = 3\nlr_g = 1e-3\n").unwrap();
    let args = [
        "config",
        "show",
        "--config",
        "mine.toml",
        "--set",
        "optim.lr_d=0.002",
        "--seed",
        "9",
        "--origin",
    ];
    let output = stackgan(dir.path(), &args).env("STACKGAN__OPTIM__BATCH", "5").output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let line = |key: &str| {
        let line = shown.lines().find(|l| l.starts_with(&format!("{key} "))).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("optim.batch"), "optim.batch = 5 # environment STACKGAN__OPTIM__BATCH");
    assert_eq!(line("optim.lr_g"), "optim.lr_g = 0.001 # mine.toml");
    assert_eq!(line("optim.lr_d"), "optim.lr_d = 0.002 # --set");
    assert_eq!(line("seed"), "seed = 9 # --seed");
    assert_eq!(line("net.gf"), "net.gf = 16 # preset toy-stage1");
}

#[test]
fn what_config_show_prints_is_a_complete_configuration() {
    let dir = tempfile::tempdir().unwrap();
    for (preset, stage) in
        [("toy", "1"), ("photo-projected", "2"), ("cub", "2"), ("oxford", "1"), ("coco", "2")]
    {
        let shown = done(dir.path(), &["config", "show", "--preset", preset, "--stage", stage]);
        fs::write(dir.path().join("shown.toml"), shown).unwrap();
        done(dir.path(), &["config", "check", "shown.toml"]);
    }
    let names = done(dir.path(), &["config", "presets"]);
    assert_eq!(names.lines().count(), 12);
    for name in names.lines().map(|l| l.split_whitespace().next().unwrap()) {
        fs::write(
            dir.path().join("preset.toml"),
            done(dir.path(), &["config", "presets", "--print", name]),
        )
        .unwrap();
        done(dir.path(), &["config", "check", "preset.toml"]);
    }
}

#[test]
fn doctor_and_completions_work() {
    let dir = tempfile::tempdir().unwrap();
    let doctor = json(dir.path(), &["doctor", "--json"]);
    assert!(doctor["gflops"].as_f64().unwrap() > 0.0);
    assert!(doctor["checks"].as_array().unwrap().iter().all(|c| c["ok"] == true));
    for shell in ["bash", "zsh", "fish"] {
        assert!(done(dir.path(), &["completions", shell]).contains("generate"), "{shell}");
    }
}

#[test]
fn a_batch_in_parts_is_said_and_what_fits_no_machine_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dry = |more: &[&'static str]| [&["train", "--stage", "1", "--dry-run"][..], more].concat();
    let said = done(dir.path(), &dry(&["--micro-batch", "4"]));
    assert!(said.contains("6000 steps of 16 pictures in parts of 4"), "{said}");
    assert!(said.contains("which is drawn first"), "{said}");
    let (code, error) = failed(dir.path(), &dry(&["--micro-batch", "5"]));
    assert!(code == 2 && error.contains("give `--micro-batch 4`"), "{code}: {error}");
    let huge = dry(&["--set", "optim.batch=65536"]);
    let (code, error) = failed(dir.path(), &huge);
    // Even parts of the batch do not fit, because of its pictures: a smaller batch does.
    assert!(code == 2 && error.contains("does not fit into memory"), "{code}: {error}");
    assert!(error.contains("`--set optim.batch="), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// An invalid value is reported with its key and its origin, not with a position in a generated
/// text.
#[test]
fn a_wrong_value_is_said_with_its_key_and_origin() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.toml"), "[optim]\nbatch = \"many\"\n").unwrap();
    let cases: [(&[&str], &str, &str); 5] = [
        (
            &["--set", "net.recipe=foo"],
            "net.recipe",
            "expected `residual` or `plain`, found \"foo\"",
        ),
        (&["--set", "data.flip=maybe"], "data.flip", "expected `true` or `false`"),
        (&["--set", "optim.decay.kind=foo"], "optim.decay", "from: --set"),
        (
            &["--set", "knobs.diff_augment=zoom"],
            "knobs.diff_augment",
            "`colour`, `translation` and `cutout`",
        ),
        (&["--config", "mine.toml"], "optim.batch", "from: mine.toml"),
    ];
    for (args, key, said) in cases {
        let (code, error) = failed(dir.path(), &[&["config", "show"], args].concat());
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(&format!("setting `{key}")) && error.contains(said), "{error}");
        assert!(!error.contains("line 3") && !error.contains("TOML parse"), "{error}");
    }
}

/// The layers below are those of the stage that is asked for.
#[test]
fn a_setting_of_the_other_stage_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for command in [&["config", "show"][..], &["train", "-n"]] {
        let args = [command, &["--stage", "1", "--set", "stage=2"]].concat();
        let (code, error) = failed(dir.path(), &args);
        assert_eq!(code, 2, "{error}");
        for part in ["setting `stage`", "from: --set", "found 2", "`--stage 2`"] {
            assert!(error.contains(part), "{error}");
        }
        done(dir.path(), &[&args[..args.len() - 2], &["--set", "stage=1"]].concat());
    }
}

/// A dry run reads the data and Stage-I: it reports how long a run takes, and what would be
/// refused.
#[test]
fn a_dry_run_says_what_a_run_would() {
    let dir = tempfile::tempdir().unwrap();
    let birds = WORLD.birds().display().to_string();
    let small = [&["train", "-n", "--data", &birds], &set(TINY)[..]].concat();
    let epochs = ["--stage", "1", "--set", "optim.steps=0", "--set", "optim.epochs=7"];
    let said = done(dir.path(), &[&small[..], &epochs].concat());
    let pictures = said.split_once(" pictures to train on").unwrap().0.rsplit(' ').next().unwrap();
    let batch = said.split_once(" of ").unwrap().1.split_once(' ').unwrap().0;
    let steps = pictures.parse::<u64>().unwrap() / batch.parse::<u64>().unwrap() * 7;
    assert!(said.contains(&format!("; {steps} steps in about")), "{said}");

    let run = dir.path().join("runs/mine");
    done(dir.path(), &training("1", "1", &run));
    let said = done(dir.path(), &[&small[..], &["--stage", "2"]].concat());
    assert!(said.contains("runs/mine"), "a run with a name is found: {said}");
    let other = ["--stage", "2", "--set", "net.z_dim=11"];
    let (code, error) = failed(dir.path(), &[&small[..], &other].concat());
    assert!(code == 2 && error.contains("net.z_dim"), "{error}");
    let other = ["--stage", "2", "--set", "net.text_dim=7"];
    let (code, error) = failed(dir.path(), &[&small[..], &other].concat());
    assert!(code == 2 && error.contains("net.text_dim = 128"), "{error}");
    let other = ["--stage", "1", "--set", "net.gf=8", "--init-from", "runs/mine"];
    let (code, error) = failed(dir.path(), &[&small[..], &other].concat());
    assert!(code == 2 && error.contains("--init-from"), "{error}");

    fs::create_dir(dir.path().join("junk")).unwrap();
    fs::write(dir.path().join("junk/a.png"), "").unwrap();
    let junk = [&["train", "-n", "--stage", "1", "--data", "junk"], &set(TINY)[..]].concat();
    let (code, error) = failed(dir.path(), &junk);
    assert!(code == 4 || code == 3, "{error}");
}

/// Commands that compute nothing need no GPU.
#[test]
fn what_computes_nothing_wants_no_device() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["runs", "ls"][..], &["config", "presets"]] {
        let out = stackgan(dir.path(), args).env("STACKGAN_DEVICE", "cuda:7").output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

/// As in other programs, an empty variable is one that is not set.
#[test]
fn empty_variables_count_as_unset() {
    let dir = tempfile::tempdir().unwrap();
    let show = ["config", "show", "--stage", "1"];
    let whole = done(dir.path(), &show);
    let names = [
        "STACKGAN_CONFIG",
        "STACKGAN_DEVICE",
        "STACKGAN_THREADS",
        "STACKGAN_PRECISION",
        "STACKGAN_HOME",
    ];
    for name in names {
        for args in [&show[..], &["doctor"]] {
            let output = stackgan(dir.path(), args).env(name, "").output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{name} {args:?}: {said}");
            assert!(args != show || output.stdout == whole.as_bytes(), "{name}");
        }
        if name != "STACKGAN_HOME" {
            let output = stackgan(dir.path(), &show).env(name, "no such").output().unwrap();
            assert!(!output.status.success(), "{name} is read");
        }
    }
}

/// A number below zero is the value of the option before it, not an option of its own.
#[test]
fn a_negative_number_is_refused_with_its_option_and_what_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let generate = ["generate", "-m", "x", "-p", "a bird"];
    for (more, parts) in [
        (["--seeds", "-1"], ["--seeds", "0-7"]),
        (["--z-scale", "-1"], ["--z-scale", "0 to 4"]),
        (["--stage", "-1"], ["--stage", "1 or 2"]),
    ] {
        let (code, said) = failed(dir.path(), &[&generate[..], &more].concat());
        assert!(code == 2 && parts.iter().all(|part| said.contains(part)), "{said}");
    }
    let (code, said) = failed(dir.path(), &["config", "show", "--set", "net.gf=-3"]);
    assert!(code == 2 && said.contains("expected a whole number from 0, found -3"), "{said}");
}
