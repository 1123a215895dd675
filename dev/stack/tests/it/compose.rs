//! `docker-compose.yml` is well-formed and has no default for a secret. Checked where a compose program is installed.

use std::process::{Command, Output};

use anyhow::{Result, ensure};

const SECRETS: [&str; 8] = [
    "AI_GATEWAY_API_KEY",
    "LAYERS_ADMIN_KEY",
    "LAYERS_ANALYST_DATABASE_PASSWORD",
    "LAYERS_CHECKPOINT_KEY",
    "LAYERS_GATEWAY_DATABASE_PASSWORD",
    "LAYERS_PROJECTOR_DATABASE_PASSWORD",
    "NATS_PASSWORD",
    "POSTGRES_PASSWORD",
];

/// `None` where there is no compose program.
fn config(secrets: impl Iterator<Item = &'static str>) -> Option<Output> {
    let file = stack::place::checkout().join("docker-compose.yml");
    let secrets: Vec<_> = secrets.map(|name| (name, "secret")).collect();
    [&["docker", "compose"][..], &["docker-compose"]].into_iter().find_map(|compose| {
        let is_there = Command::new(compose[0]).args(&compose[1..]).arg("version").output().ok()?.status.success();
        let mut command = Command::new(compose[0]);
        command.args(&compose[1..]).arg("-f").arg(&file).args([
            "--profile",
            "simulator",
            "--profile",
            "observability",
            "config",
        ]);
        for name in SECRETS {
            command.env_remove(name);
        }
        is_there.then(|| command.envs(secrets.clone()).output().ok()).flatten()
    })
}

#[test]
fn it_is_complete_with_all_secrets_and_refused_without_any_one_of_them() -> Result<()> {
    let Some(complete) = config(SECRETS.into_iter()) else {
        eprintln!("neither `docker compose` nor `docker-compose` is installed: not checked");
        return Ok(());
    };
    ensure!(complete.status.success(), "{}", String::from_utf8_lossy(&complete.stderr));
    for missing in SECRETS {
        if let Some(output) = config(SECRETS.into_iter().filter(|name| *name != missing)) {
            ensure!(!output.status.success(), "it starts without {missing}");
        }
    }
    Ok(())
}
