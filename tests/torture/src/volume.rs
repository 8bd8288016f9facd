//! Small file systems on loop devices, whose raw image can be copied as a power cut would leave it.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};

/// How often an image is read again until it stands still.
const STILL_TRIES: u32 = 200;

/// Zeros of this many bytes become a hole.
const HOLE_BYTES: usize = 64 * 1024;

/// With fewer bytes than this left in memory, images lie on disk.
const MEMORY_MIN: u64 = 1 << 30;

/// How often unmounting is tried while something still lets go.
const UNMOUNT_TRIES: u32 = 100;

/// A mounted file system; unmounted when dropped.
pub(crate) struct Volume {
    image: Option<PathBuf>,
    mount: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

impl Volume {
    /// Makes an image of `megabytes` with an ext4 and mounts it.
    pub(crate) fn create(
        image: &Path,
        mount: &Path,
        megabytes: u64,
        make_options: &[&str],
        mount_options: &str,
    ) -> anyhow::Result<Self> {
        File::create(image)?.set_len(megabytes << 20)?;
        run("mkfs.ext4", &[&["-q", "-F"], make_options, &[text(image)?]].concat())?;
        Self::mount(image, mount, mount_options)
    }

    /// Mounts an image, which lets the file system recover.
    pub(crate) fn mount(image: &Path, mount: &Path, options: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(mount)?;
        let options = if options.is_empty() { "loop".to_owned() } else { format!("loop,{options}") };
        run("mount", &["-t", "ext4", "-o", &options, text(image)?, text(mount)?])?;
        Ok(Self { image: Some(image.to_owned()), mount: mount.to_owned() })
    }

    /// Mounts a file system in memory of `megabytes`.
    pub(crate) fn in_memory(mount: &Path, megabytes: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(mount)?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs", text(mount)?])?;
        Ok(Self { image: None, mount: mount.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// Copies the image as the device holds it at one moment: what the file system has not written is not there. The
    /// caller keeps every process off; the kernel's own writing is waited for by reading until nothing changes.
    pub(crate) fn copy_as_cut(&self, to: &Path) -> anyhow::Result<()> {
        let image = self.image.as_ref().context("a file system in memory has no image")?;
        let mut before = fs::read(image)?;
        for _ in 0..STILL_TRIES {
            let now = fs::read(image)?;
            if now == before {
                return write_sparse(to, &now);
            }
            before = now;
        }
        bail!("the image did not stand still")
    }

    /// Lets nothing be written any more.
    pub(crate) fn make_read_only(&self) -> anyhow::Result<()> {
        run("mount", &["-o", "remount,ro", text(&self.mount)?])
    }

    /// Unmounts.
    pub(crate) fn unmount(self) {
        drop(self);
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        for _ in 0..UNMOUNT_TRIES {
            let Ok(mount) = text(&self.mount) else { return };
            if run("umount", &[mount]).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn write_sparse(to: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = File::create(to)?;
    file.set_len(bytes.len() as u64)?;
    for (number, chunk) in (0_u64..).zip(bytes.chunks(HOLE_BYTES)) {
        if chunk.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start(number * HOLE_BYTES as u64))?;
            file.write_all(chunk)?;
        }
    }
    Ok(())
}

/// Why this machine can mount nothing; `None` if it can.
pub(crate) fn why_not(base: &Path) -> Option<String> {
    let volume = Volume::create(&base.join("try.img"), &base.join("try"), 8, &[], "");
    volume.err().map(|error| format!("no loop device can be mounted here: {error:#}"))
}

/// Where images lie: in memory, if there is enough of it, since they are copied again and again.
pub(crate) fn base() -> anyhow::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize));
    let made = if free > MEMORY_MIN { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    Ok(made?)
}
