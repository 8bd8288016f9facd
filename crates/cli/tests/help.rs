//! The help of every command is part of what users rely on.

#[test]
fn help_of_every_command() {
    let pages = mithaq_cli::help_of_every_command();
    let pages: Vec<String> = pages.into_iter().map(|(name, help)| format!("$ {name} --help\n{help}")).collect();
    let lines: Vec<String> = pages.join("\n\n").lines().map(|line| line.trim_end().to_owned()).collect();
    insta::assert_snapshot!("help", lines.join("\n"));
}
