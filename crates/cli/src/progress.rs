//! Bars for people who wait, on standard error and only if that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a bar moves when nothing else moves it.
const TICK: std::time::Duration = std::time::Duration::from_millis(100);

/// A bar over so many bytes, or a count of bytes if nobody knows how many there will be.
pub(crate) fn bar(message: &'static str, bytes: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
    let template = match bytes {
        Some(_) => "{msg} [{bar:30}] {bytes}/{total_bytes} {elapsed}",
        None => "{msg} {spinner} {bytes} {elapsed}",
    };
    // INVARIANT: both templates are well-formed; a bar in the default style would do as well.
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(message);
    bar.enable_steady_tick(TICK);
    bar
}
