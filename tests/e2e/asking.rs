//! What analysts are asked on a terminal, what they may answer, and what a terminal is spared.

use serde_json::json;

use crate::harness::{CTRL_C, CTRL_D, Cert, Daemon, Place, Terminal, bundle, id_of, indicator, two_peers};

const LIST: &str = "evil[.]example\n198[.]18[.]7[.]7\n";

/// The signal that Ctrl-C sends.
const SIGINT: i32 = 2;

/// Whether a text has a colour, bold or faint in it; progress bars move the cursor, which is none of these.
fn is_styled(screen: &str) -> bool {
    screen
        .split("\u{1b}[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}

#[test]
fn what_no_flag_says_is_asked_for_and_a_wrong_answer_is_asked_again() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let _daemons = [pk, cn].map(Daemon::start);
    let file = place.write("list.txt", LIST);
    let mut terminal = Terminal::run(&pk.home, &["push", &file], false);
    terminal.shows("TLP level of what carries none [as configured]: ").types("pink\n");
    terminal.shows("write clear, green, amber").shows("TLP level").types("green\n");
    terminal.shows("Sectors, with commas between [none]: ").types("energy, banking\n");
    terminal.shows("Good for, such as 30d [without end]: ").types("a while\n");
    terminal.shows("Good for, such as 30d [without end]: ").types("30d\n");
    terminal.shows("Confidence, 0 to 100 [unsaid]: ").types("101\n");
    terminal.shows("write a number from 0 to 100").shows("Confidence").types("70\n");
    // What was made of it is shown before the last question.
    terminal.shows("domain-name:value = 'evil.example'").shows("2 objects made");
    // So is who would get it.
    terminal.shows("cn    2        green threat").shows("2 would be stored").shows("Send it? [y/N] ");
    assert_eq!(pk.objects(), 0, "something was sent before somebody said so");
    let screen = terminal.types("y\n").exits(0);
    assert!(screen.contains("2 stored, 0 duplicate, 0 refused"), "{screen}");
    assert!(!is_styled(&screen), "colours although NO_COLOR is set: {screen}");
    let found = pk.run(&["search", "evil.example", "--json"]).exits(0).last();
    let object = &found["object"];
    assert_eq!((&object["sectors"], &object["confidence"]), (&json!(["banking", "energy"]), &json!(70)));
    assert!(object["valid_until"].is_string() && object["object_marking_refs"].is_array(), "{object}");
    assert_eq!(found["releases"][0]["label"].as_str().unwrap().split(' ').next(), Some("green"), "{found}");
}

#[test]
fn only_what_is_not_said_is_asked_for_and_nothing_where_nobody_wants_it() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    let file = place.write("list.txt", LIST);
    let all = ["--tlp", "clear", "--sector", "energy", "--expires", "1d", "--confidence", "5"];
    let mut terminal = Terminal::run(&pk.home, &[&["push", &file][..], &all].concat(), true);
    let screen = terminal.shows("Send it? [y/N] ").types("yes\n").exits(0);
    assert!(!screen.contains("TLP level") && !screen.contains("Confidence,"), "{screen}");
    assert!(is_styled(&screen), "no colours on a terminal: {screen}");
    // Answers may be empty: nothing is said then.
    let other = place.write("other.txt", "bad[.]example\n");
    let mut terminal = Terminal::run(&pk.home, &["push", &other, "--tlp", "clear"], false);
    terminal.shows("Sectors").types("\n").shows("Good for").types("\n").shows("Confidence").types("\n");
    terminal.shows("Send it?").types("y\n").exits(0);
    let object = pk.run(&["search", "bad.example", "--json"]).exits(0).last()["object"].clone();
    assert!(["sectors", "valid_until", "confidence"].iter().all(|name| object[name].is_null()), "{object}");
    // Nobody is asked who says --yes, looks only, pushes STIX, or pipes the list in.
    let third = place.write("third.txt", "worse[.]example\n");
    let stix = place.write("bundle.json", bundle(&[indicator(1, 1)]));
    for args in [&["push", &third, "-n"][..], &["push", &third, "--yes"], &["push", &stix]] {
        let screen = Terminal::run(&pk.home, args, false).exits(0);
        assert!(!screen.contains("[y/N]") && !screen.contains("TLP level"), "{args:?}: {screen}");
    }
    let piped = pk.push("worst[.]example\n", &[]).exits(0);
    assert!(!piped.stderr.contains("TLP level") && !is_styled(&piped.stdout), "{piped:#?}");
}

#[test]
fn whoever_says_no_or_leaves_has_sent_nothing() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    let file = place.write("list.txt", LIST);
    let said = ["push", &file, "--tlp", "clear", "--sector", "x", "--expires", "1d", "--confidence", "5"];
    for answer in ["n\n", "\n", "maybe\n", CTRL_D] {
        let screen = Terminal::run(&pk.home, &said, false).shows("Send it? [y/N] ").types(answer).exits(1);
        assert!(screen.contains("nothing was sent"), "{answer:?}: {screen}");
    }
    for prompts in [&["TLP level"][..], &["TLP level", "Sectors"], &["TLP level", "Sectors", "Good for", "Confidence"]]
    {
        let mut terminal = Terminal::run(&pk.home, &["push", &file], false);
        let (last, before) = prompts.split_last().unwrap();
        for prompt in before {
            terminal.shows(prompt).types("\n");
        }
        let screen = terminal.shows(last).types(CTRL_D).exits(1);
        assert!(screen.contains("\r\nnothing was sent") && !screen.contains("Send it?"), "{prompts:?}: {screen}");
    }
    for prompt in ["TLP level", "Send it?"] {
        let args = if prompt == "Send it?" { &said[..] } else { &said[..2] };
        Terminal::run(&pk.home, args, false).shows(prompt).types(CTRL_C).is_ended_by(SIGINT);
    }
    let mut terminal = Terminal::run(&pk.home, &["push", &file], false);
    for _ in 0..3 {
        terminal.shows("TLP level of what carries none").types("mauve\n");
    }
    assert!(terminal.exits(2).contains("MQ-6006"), "three wrong answers are enough");
    assert_eq!(pk.objects(), 0);
}

#[test]
fn a_terminal_is_spared_what_hostile_objects_hold() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\u{9b}31m=cmd|' /C calc'!A0\r\n";
    let mut object = indicator(1, 1);
    object["name"] = json!(evil);
    object["description"] = json!(evil);
    let list = place.write(
        "list.csv",
        format!("value,description\n\"ev\u{1b}[2Jil.example\",\"{evil}\"\ngood.example,\"{evil}\"\n"),
    );
    pk.push(bundle(std::slice::from_ref(&object)), &[]).exits(0);
    let id = id_of(&object);
    let commands: [&[&str]; 7] = [
        &["show", &id],
        &["show", &id, "--json"],
        &["search", "--since", "1h"],
        &["search", "--since", "1h", "--json"],
        &["tail", "--since-start", "--lines", "1"],
        &["push", &list, "-n"],
        &["search", evil],
    ];
    for args in commands {
        let (_, screen) = Terminal::run(&pk.home, args, false).ends();
        // The bar of a push moves the cursor to the start of its line and clears that.
        let screen = screen.replace("\u{1b}[2K", "").replace("\u{1b}[1A", "");
        let obeyed = |c: char| matches!(c, '\u{7}' | '\u{1b}' | '\u{202e}' | '\u{9b}');
        assert!(!screen.contains(obeyed), "{args:?}: {screen:?}");
    }
}
