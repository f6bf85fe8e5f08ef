//! The programs that a test part needs: found, else installed with apt when this runs as root, else named.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The first of these programs that is on the `PATH`.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// One of these programs, installed from the package if need be.
///
/// # Errors
/// What to install, when it could not be installed.
pub fn program(names: &[&str], package: &str) -> Result<PathBuf, String> {
    if let Some(found) = find(names) {
        return Ok(found);
    }
    install(package);
    find(names).ok_or_else(|| format!("{} is missing: install the package {package}", names.join(" or ")))
}

/// Node of version 20 or later and npm.
///
/// # Errors
/// What to install.
pub fn node() -> Result<PathBuf, String> {
    let missing = || {
        "Node.js 20 or later with npm is missing: install it (nodejs.org or the package nodejs)".to_owned()
    };
    let node = program(&["node"], "nodejs").map_err(|_| missing())?;
    program(&["npm"], "npm").map_err(|_| missing())?;
    let version = output(&node.display().to_string(), &["--version"]).unwrap_or_default();
    let major =
        version.trim_start_matches('v').split('.').next().and_then(|major| major.trim().parse::<u32>().ok());
    match major {
        Some(20..) => Ok(node),
        _ => Err(format!("{} (found {})", missing(), version.trim())),
    }
}

/// Python 3 with the module venv.
///
/// # Errors
/// What to install.
pub fn python() -> Result<PathBuf, String> {
    let python = program(&["python3"], "python3")?;
    // Debian has the part of venv that installs pip in a package of its own.
    if output(&python.display().to_string(), &["-c", "import ensurepip, venv"]).is_none() {
        install("python3-venv");
    }
    Ok(python)
}

/// A browser with the DevTools protocol: `CHROME`, else Chromium or Chrome on the `PATH`.
///
/// # Errors
/// What to install.
pub fn chromium() -> Result<PathBuf, String> {
    if let Some(chosen) = std::env::var_os("CHROME") {
        return Ok(PathBuf::from(chosen));
    }
    program(&["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"], "chromium")
}

/// Whether the headers of OpenSSL are here, installed if need be.
pub fn openssl() -> bool {
    let found = || output("pkg-config", &["--exists", "openssl"]).is_some();
    if !found() {
        install("pkg-config");
        install("libssl-dev");
    }
    found()
}

/// What a program prints, when it ends well.
pub fn output(name: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(name).args(arguments).stdin(Stdio::null()).output().ok()?;
    if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
}

/// Installs a Debian package, when this runs as root on a system with apt.
pub fn install(package: &str) {
    let root = output("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    if !root || find(&["apt-get"]).is_none() {
        return;
    }
    println!("installing {package} with apt");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !apt(&["install", "-y", "-qq", "--no-install-recommends", package]) {
        apt(&["update", "-qq"]);
        apt(&["install", "-y", "-qq", "--no-install-recommends", package]);
    }
}
