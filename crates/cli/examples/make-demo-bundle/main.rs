//! Prints the sample bundle that `mithaq demo` pushes.
//!
//! `cargo run -p mithaq-cli --example make-demo-bundle > crates/cli/src/demo/bundle.json` makes the committed file
//! anew; a test holds the two together.

use std::io::Write;

mod bundle;

fn main() -> anyhow::Result<()> {
    Ok(std::io::stdout().lock().write_all(&bundle::text()?)?)
}
