//! Where engines listen.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::{Engine, Kind};

pub(super) fn found(variable: impl Fn(&str) -> Option<OsString>) -> Vec<Engine> {
    let mut engines: Vec<Engine> = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    let named = named(&variable);
    let usual = usual(&variable).into_iter().filter(|path| is_socket(path));
    for socket in named.into_iter().chain(usual) {
        // Podman's socket is often linked to where Docker's would be.
        let real = fs::canonicalize(&socket).unwrap_or_else(|_| socket.clone());
        if !seen.contains(&real) {
            engines.push(Engine::at(Kind::by_name(&real), socket));
            seen.push(real);
        }
    }
    engines
}

fn named(variable: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    ["DOCKER_HOST", "CONTAINER_HOST"]
        .into_iter()
        .filter_map(|name| {
            let value = variable(name)?.into_string().ok()?;
            let path = PathBuf::from(value.strip_prefix("unix://")?);
            path.is_absolute().then_some(path)
        })
        .collect()
}

fn usual(variable: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let mut paths = vec![
        PathBuf::from("/var/run/docker.sock"),
        PathBuf::from("/run/podman/podman.sock"),
    ];
    if let Some(runtime) = variable("XDG_RUNTIME_DIR").map(PathBuf::from) {
        paths.push(runtime.join("docker.sock"));
        paths.push(runtime.join("podman/podman.sock"));
    }
    paths
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn named_sockets_come_first_and_each_socket_once() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = directory.path();
        fs::create_dir(runtime.join("podman")).unwrap();
        let podman = runtime.join("podman/podman.sock");
        let _listening = UnixListener::bind(&podman).unwrap();
        symlink(&podman, runtime.join("docker.sock")).unwrap();
        let host = format!("unix://{}", runtime.join("nothing.sock").display());
        let engines = found(|name| match name {
            "DOCKER_HOST" => Some(host.clone().into()),
            "XDG_RUNTIME_DIR" => Some(runtime.into()),
            _ => None,
        });
        let here: Vec<_> = engines
            .iter()
            .filter(|engine| engine.socket.starts_with(runtime))
            .collect();
        assert_eq!(engines[0].socket, runtime.join("nothing.sock"));
        assert_eq!(here.len(), 2, "{engines:?}");
        assert_eq!(here[1].socket, runtime.join("docker.sock"));
        assert_eq!(here[1].kind, Kind::Podman, "by what the link leads to");
    }

    #[test]
    fn an_engine_on_another_machine_is_not_listed() {
        for host in ["tcp://127.0.0.1:2375", "ssh://host", "unix://relative", ""] {
            assert!(named(&|_| Some(host.into())).is_empty(), "{host}");
        }
    }
}
