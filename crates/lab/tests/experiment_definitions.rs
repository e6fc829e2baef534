//! Definitions: those that are built in, what may stand in one, and what a profile makes of it.

use weir_lab::experiment::{
    catalogue,
    definition::{Definition, Profile},
    schedule,
};
use weir_results::cell::Placement;

/// A definition that is right; tests change a line of it.
const MINE: &str = r#"
name = "mine"
title = "t"
question = "q"
runs = 3
clients = 2

[grid]
invalid_percent = [0, 99]
packets = [10, 1000]

[[placements]]
placement = "user"
filter = "simple-socket-filter"
toolkit = "aya"
hook = "socket"

[[placements]]
id = "theirs"
placement = "kernel"
filter = "valid-command"
toolkit = "aya"
hook = "socket"
external_server = "theirs"
external_client = "loud"

[external_server.theirs]
command = ["./server", "-p", "{port}"]

[external_client.loud]
command = ["./client", "{address}:{port}", "{packets}", "{percent}", "{behaviour}"]

[profiles.standard]
runs = 7
packets = [5]
placements = ["theirs"]
"#;

fn parse(text: &str) -> Result<Definition, String> {
    Definition::parse(text, "mine.toml").map_err(|error| error.to_string())
}

#[test]
fn every_built_in_definition_is_sound_and_has_quick_and_standard_profiles() {
    let names: Vec<_> = catalogue::built_in().unwrap().iter().map(|row| row.name.clone()).collect();
    assert_eq!(
        names,
        [
            "kernel-or-user",
            "mix",
            "wake-ups",
            "hooks",
            "toolkits",
            "guard",
            "rate",
            "size",
            "filter-cost",
            "background",
            "who-pays",
            "runs",
            "buffers",
            "paper-throughput",
            "paper-loss",
        ]
    );
    for definition in catalogue::built_in().unwrap() {
        for profile in [Profile::Quick, Profile::Standard] {
            definition.resolve(Some(profile), None).unwrap();
        }
    }
}

/// Runs and distinct cells of a profile.
fn check_size(name: &str, profile: Profile, runs: usize, cells: usize) {
    let resolved = catalogue::find(name).unwrap().resolve(Some(profile), None).unwrap();
    let schedule = schedule::of(&resolved.definition, 1);
    let distinct: std::collections::HashSet<_> = schedule.iter().map(|run| &run.cell).collect();
    assert_eq!((schedule.len(), distinct.len()), (runs, cells), "{name} {profile}");
}

#[test]
fn the_profiles_have_the_grids_that_they_promise() {
    check_size("kernel-or-user", Profile::Quick, (6 + 1) * 3 * 2, 3 * 2);
    check_size("kernel-or-user", Profile::Standard, (10 + 2) * 6 * 2 * 3, 6 * 2 * 3);
    check_size("mix", Profile::Quick, (6 + 1) * 3 * 2, 3 * 2);
    check_size("mix", Profile::Standard, (6 + 1) * 2 * 6 * 2 * 2, 2 * 6 * 2 * 2);
    check_size("wake-ups", Profile::Standard, (10 + 1) * 3 * 2 * 2 * 2, 3 * 2 * 2 * 2);
    check_size("toolkits", Profile::Quick, (6 + 1) * 3 * 3, 3 * 3);
    check_size("paper-throughput", Profile::Paper, (6 + 1) * 5 * 6 * 3, 5 * 6 * 3);
    check_size("rate", Profile::Standard, (6 + 1) * 5 * 3 * 2, 5 * 3 * 2);
    check_size("who-pays", Profile::Standard, (6 + 1) * 3 * 3 * 2, 3 * 3 * 2);
    check_size("runs", Profile::Standard, (50 + 9) * 2, 2);
    check_size("filter-cost", Profile::Standard, (10 + 2) * 4, 4);
    check_size("paper-loss", Profile::Paper, (10 + 2) * 5 * 6 * 2, 5 * 6 * 2);
}

#[test]
fn the_quick_kernel_or_user_leaves_plain_out_and_the_standard_one_has_it() {
    let placements = |profile| {
        let resolved = catalogue::find("kernel-or-user").unwrap().resolve(Some(profile), None).unwrap();
        resolved.definition.placements.iter().map(|row| row.placement).collect::<Vec<_>>()
    };
    assert_eq!(placements(Profile::Quick), [Placement::User, Placement::Kernel]);
    assert_eq!(placements(Profile::Standard), [Placement::Plain, Placement::User, Placement::Kernel]);
}

#[test]
fn a_profile_overrides_and_the_rest_stays() {
    let resolved = parse(MINE).unwrap().resolve(Some(Profile::Standard), None).unwrap().definition;
    assert_eq!((resolved.runs, resolved.clients), (7, 2));
    assert_eq!(resolved.grid.packets, [5]);
    assert_eq!(resolved.grid.invalid_percent, [0, 99]);
    assert_eq!(resolved.placements.iter().map(|row| row.id()).collect::<Vec<_>>(), ["theirs"]);
}

#[test]
fn runs_of_the_command_line_override_the_profile() {
    let resolved = parse(MINE).unwrap().resolve(Some(Profile::Standard), Some(2)).unwrap();
    assert_eq!(resolved.definition.runs, 2);
}

#[test]
fn without_a_quick_profile_the_default_is_the_definition_as_it_is_written() {
    let resolved = parse(MINE).unwrap().resolve(None, None).unwrap();
    assert_eq!((resolved.profile, resolved.definition.runs), (None, 3));
    assert_eq!(resolved.definition.placements.len(), 2);
}

#[test]
fn a_missing_profile_is_refused_with_those_there_are() {
    let error = parse(MINE).unwrap().resolve(Some(Profile::Paper), None).unwrap_err().to_string();
    assert_eq!(error, "experiment 'mine' has no profile 'paper'; there are: standard");
}

#[test]
fn what_is_run_reads_back_as_it_was_written() {
    for definition in catalogue::built_in().unwrap().into_iter().chain([parse(MINE).unwrap()]) {
        let resolved = definition.resolve(Some(Profile::Standard), None).unwrap().definition;
        let text = toml::to_string(&resolved).unwrap();
        assert_eq!(parse(&text).unwrap(), resolved);
    }
}

/// Replaces `old` by `new` in [`MINE`], and looks for `expected` in the refusal.
fn check_refused(old: &str, new: &str, expected: &str) {
    assert!(MINE.contains(old), "{old} is not in the text");
    let error = parse(&MINE.replacen(old, new, 1)).unwrap_err();
    assert!(error.contains("mine.toml"), "the file is named: {error}");
    assert!(error.contains(expected), "'{expected}' in: {error}");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let guarded = |row: &str| format!("external_client = \"loud\"\n{row}");
    let check_guard =
        |row: &str, expected| check_refused("external_client = \"loud\"", &guarded(row), expected);
    check_guard("guard = \"bag\"", "names guard.bag, which isn't defined");
    check_guard("guard = \"bag\"\n[guard]\nbag = \"\"", "before weir's own server");
    check_refused("runs = 3", "runs = 3\nserver_flags = [\"--guard=x\"]", "a placement has its guard");
    check_refused("clients = 2", "clients = 0", "at least one must send");
    check_refused("clients = 2", "client = 2", "unknown field `client`");
    check_refused("runs = 3", "runs = 0", "runs = 0: every cell needs at least one run");
    check_refused("runs = 3", "runs = -1", "invalid value");
    check_refused("runs = 3", "", "missing field `runs`");
    check_refused("runs = 3", "runs = 3\nserver = \"fast\"", "unknown server 'fast'");
    check_refused("runs = 3", "runs = 3\nserver = \"print-server\"", "placement 'user'");
    check_refused("runs = 3", "runs = 3\nbehaviour = \"thor\"", "an experiment can use: frigg, frey, load");
    check_refused("runs = 3", "runs = 3\nbehaviour = \"frey\"", "use frigg");
    check_refused("runs = 3", "runs = 3\nready_within_s = 0", "ready_within_s");
    check_refused("name = \"mine\"", "name = \"a/b\"", "without '/'");
}

#[test]
fn a_grid_that_makes_no_sense_is_refused() {
    check_refused("[0, 99]", "[0, 101]", "101 is more than 100 percent");
    check_refused("[0, 99]", "[]", "grid.invalid_percent is empty");
    check_refused("[0, 99]", "[5, 5]", "5 stands there twice");
    check_refused("[10, 1000]", "[0]", "grid.packets: 0 measures nothing");
    check_refused("[10, 1000]", "[10]\ninvalid_sizes = [3]", "unknown field `invalid_sizes`");
    check_refused("[10, 1000]", "[10]\nmix = [\"rounds:0\"]", "unknown mix 'rounds:0'");
    check_refused("[10, 1000]", "[10]\nmix = [\"random\", \"random\"]", "random stands there twice");
    check_refused("[10, 1000]", "[10]\nmix = [\"random\"]", "an external client has its own order");
    check_refused("packets = [5]", "packets = []", "profiles.standard.packets is empty");
    check_refused("runs = 7", "runs = 0", "profiles.standard.runs = 0");
    let twice = "packets = [5]\nbackground = [\"both\", \"both\"]";
    check_refused("packets = [5]", twice, "profiles.standard.background: both stands there twice");
    let no_time = "packets = [5]\nrate = [100]\nduration_s = 0";
    check_refused("packets = [5]", no_time, "profiles.standard.duration_s = 0");
    let steered = "packets = [5]\nreceive_work = [\"server\"]";
    check_refused("packets = [5]", steered, "profiles.standard.receive_work: what loopback receives");
    check_refused("profiles.standard", "profiles.huge", "huge");
    check_refused("[10, 1000]", "[10]\nrate = [0]", "grid.rate: 0 measures nothing");
    let buffer = "placement 'theirs' isn't weir's own server, and has a buffer of its own";
    check_refused("[10, 1000]", "[10]\nreceive_buffer = [9000]", buffer);
    let buffered = "packets = [5]\nreceive_buffer = [9000]";
    check_refused("packets = [5]", buffered, "profiles.standard.receive_buffer: placement 'theirs'");
    check_refused("[10, 1000]", "[10]\nreceive_work = [\"server\"]", "loopback receives can't be steered");
    check_refused("[10, 1000]", "[10]\ntopology = [\"ring\"]", "unknown variant `ring`");
    check_refused("runs = 3", "runs = 3\nduration_s = 2", "it goes with grid.rate");
    check_refused("runs = 3", "runs = 3\naudit_every = 0", "leave it out for no audit");
    check_refused("runs = 3", "runs = 3\ngets_percent = 5", "they are for behaviour = \"load\"");
    let load = "runs = 3\nbehaviour = \"load\"\ngets_percent = 101";
    check_refused("runs = 3", load, "more than 100 percent");
}

#[test]
fn a_placement_that_makes_no_sense_is_refused() {
    check_refused("toolkit = \"aya\"", "toolkit = \"rust\"", "simple-socket-filter with rust at socket");
    check_refused(
        "filter = \"simple-socket-filter\"\ntoolkit = \"aya\"",
        "filter = \"parameterized-filter\"\ntoolkit = \"cbpf\"",
        "placement 'user': parameterized-filter with cbpf at socket: classic BPF has no maps",
    );
    check_refused("\"valid-command\"", "\"nothing\"", "unknown filter 'nothing'");
    check_refused("id = \"theirs\"", "id = \"user\"", "user stands there twice");
    check_refused("[external_server.theirs]", "[external_server.other]", "external_server.theirs");
    check_refused("[external_client.loud]", "[external_client.other]", "external_client.loud");
    check_refused("[\"./server\", \"-p\", \"{port}\"]", "[]", "external_server.theirs.command is empty");
    check_refused("{port}", "{prot}", "unknown placeholder '{prot}'");
    check_refused("placements = [\"theirs\"]", "placements = [\"plain\"]", "there are: user, theirs");
    check_refused("runs = 3\nclients = 2", "runs = 3\nbehaviour = \"frey\"", "external client");
}

#[test]
fn a_port_is_one_and_known_to_all_who_are_not_weirs_own() {
    let fixed = MINE.replacen("{address}:{port}", "127.0.0.1:12345", 1);
    let untold = "placement 'theirs': external_client.loud isn't told the port";
    check_refused("{address}:{port}", "127.0.0.1:12345", untold);
    check_refused("\"-p\", \"{port}\"", "\"-v\"", "external_server.theirs isn't told the port");
    for (old, new) in [
        ("runs = 3", "runs = 3\nport = 12345"),
        ("[external_server.theirs]", "[external_server.theirs]\nport = 12345"),
    ] {
        let definition = parse(&fixed.replacen(old, new, 1)).unwrap();
        assert_eq!(definition.port_of(Some("theirs")), Some(12345));
        assert_eq!(definition.port_of(None), definition.port);
    }
    let two = MINE.replacen("runs = 3", "runs = 3\nport = 12345", 1);
    let two = two.replacen("[external_server.theirs]", "[external_server.theirs]\nport = 5", 1);
    let error = parse(&two).unwrap_err();
    assert!(
        error.contains("external_server.theirs.port = 5, and port = 12345: a run has one port"),
        "{error}"
    );
    check_refused("runs = 3", "runs = 3\nport = 0", "port = 0: leave it out");
    check_refused("runs = 3", "runs = 3\nport = 70000", "port");
    let listen = "runs = 3\nserver_flags = [\"--listen\", \"127.0.0.1:12345\"]";
    check_refused("runs = 3", listen, "server_flags: --listen is the harness's own; port = 12345");
}

fn check_not_found(name: &str, expected: &str) {
    let error = catalogue::find(name).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn an_unknown_experiment_is_refused_with_those_there_are() {
    check_not_found("kernel", "there are: kernel-or-user, mix, wake-ups, hooks, toolkits, guard, rate, size");
    check_not_found("./nowhere.toml", "reading the experiment ./nowhere.toml: No such file");
    check_not_found("nowhere.toml", "reading the experiment nowhere.toml");
}

/// A rule with `figure`, `compare` and `at` as given, at the end of [`MINE`].
fn check_rule(figure: &str, compare: &str, at: &str, expected: Result<(), &str>) {
    let rule = format!(
        "\n[[verdicts]]\nhypothesis = 'Q'\nclaim = 'It is so'\nfigure = '{figure}'\ncompare = '{compare}'\n\
         direction = 'above'\nsmallest_effect = 5.0\nat = {{ {at} }}\n"
    );
    match (parse(&format!("{MINE}{rule}")), expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(expected)) => assert!(error.contains(expected), "'{expected}' in: {error}"),
        (found, expected) => panic!("{rule}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn a_rule_chooses_cells_by_what_there_is() {
    check_rule("wall", "kernel-user", "invalid_percent = 99, placement = 'kernel', pinned = true", Ok(()));
    let known = "a verdict can't choose cells by 'percent'; there are: placement, hook, toolkit, topology, receive_work, background";
    check_rule("wall", "kernel-user", "percent = 99", Err(known));
    check_rule("ndr", "kernel-user", "invalid_percent = 99", Ok(()));
    check_rule(
        "pdr",
        "packets",
        "",
        Err("figure 'pdr', which a search finds, can be compared 'kernel-user' only"),
    );
    check_rule("speed", "kernel-user", "", Err("unknown variant `speed`"));
}
