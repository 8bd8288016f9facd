//! What the machine can do, and what a process has used of it.

use std::{
    fs::{self, File},
    io::Write,
    net::UdpSocket,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{count, count_u64};

/// How often a small limit is measured.
const ROUNDS: u32 = 300;

/// Seconds that one `fdatasync` of a 1 KiB append takes in the folder, on average.
pub(crate) fn fdatasync_seconds(dir: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(dir.join("fdatasync.probe"))?;
    let started = Instant::now();
    for _ in 0..ROUNDS {
        file.write_all(&[b'x'; 1024])?;
        file.sync_data()?;
    }
    Ok(started.elapsed().as_secs_f64() / f64::from(ROUNDS))
}

/// Megabytes a second of appending in pieces of 1 MiB with one `fdatasync` at the end.
pub(crate) fn append_mb_per_second(dir: &Path) -> anyhow::Result<f64> {
    const PIECES: usize = 128;
    let path = dir.join("append.probe");
    let mut file = File::create(&path)?;
    let piece = vec![b'x'; 1 << 20];
    let started = Instant::now();
    for _ in 0..PIECES {
        file.write_all(&piece)?;
    }
    file.sync_data()?;
    let seconds = started.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(count(PIECES * piece.len()) / 1e6 / seconds)
}

/// Seconds that a UDP datagram takes to a second thread and back over loopback, on average.
pub(crate) fn round_trip_seconds() -> anyhow::Result<f64> {
    let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    for socket in [&here, &there] {
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    }
    here.connect(there.local_addr()?)?;
    there.connect(here.local_addr()?)?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let mut buffer = [0; 64];
        for _ in 0..ROUNDS {
            let length = there.recv(&mut buffer)?;
            there.send(&buffer[..length])?;
        }
        Ok(())
    });
    let mut buffer = [0; 64];
    let started = Instant::now();
    for _ in 0..ROUNDS {
        here.send(b"ping")?;
        here.recv(&mut buffer)?;
    }
    let seconds = started.elapsed().as_secs_f64() / f64::from(ROUNDS);
    echo.join().ok().context("the echo failed")??;
    Ok(seconds)
}

/// Seconds of CPU that a process has used, user and system.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    /// `sysconf(_SC_CLK_TCK)` on every Linux of today.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name, in parentheses, may hold blanks; what follows it has none.
    let fields: Vec<&str> = stat.rsplit_once(')').context("a strange /proc/PID/stat")?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok(count_u64(ticks(11) + ticks(12)) / TICKS_PER_SECOND)
}

/// The most memory that a process has had resident, in MB.
pub(crate) fn peak_rss_mb(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(count_u64(kib) * 1024.0 / 1e6)
}

/// The value at a percentile of sorted values.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or(0.0)
}
