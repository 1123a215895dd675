//! `make run`: the whole system in the foreground until Ctrl-C.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::local::{Account, Provider, Stack, StackOptions, read_private, write_private};
use crate::process::write_whole;
use crate::servers::Lock;
use crate::{place, port, servers};

const DEMO_TIER: &str = "team";
const DEMO_CREDITS: &str = "1000";
const MODEL: &str = "anthropic/claude-haiku-4.5";

/// What the user can choose.
#[derive(Debug, Clone, clap::Args)]
pub struct RunOptions {
    /// How many gateways, on consecutive ports.
    #[arg(long, env = "GATEWAYS", default_value_t = 1)]
    pub gateways: u16,
    /// Port of the first gateway on 127.0.0.1.
    #[arg(long, env = "LAYERS_PORT", default_value_t = 8080)]
    pub port: u16,
    /// Where it lives.
    #[command(flatten)]
    pub data: Data,
}

/// Where the data of a run lies.
#[derive(Debug, Clone, clap::Args)]
pub struct Data {
    /// Folder for data, logs and secrets [default: .layers in the checkout].
    #[arg(long = "data")]
    dir: Option<PathBuf>,
}

impl Data {
    fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| place::checkout().join(".layers"))
    }
}

/// Runs until Ctrl-C or SIGTERM, then stops everything in order.
///
/// # Errors
/// When another `make run` is there, a port is taken, or something does not start.
pub fn run(options: &RunOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dir = options.data.dir();
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    // Keys and passwords lie here; PostgreSQL's user must be able to walk through.
    fs::set_permissions(&dir, Permissions::from_mode(0o711))?;
    let Some(_lock) = Lock::now(&dir.join("lock"))? else {
        bail!("another `make run` is running on {}: stop it first (Ctrl-C in its terminal)", dir.display());
    };
    let env_file = dir.join("env");
    let _ = fs::remove_file(&env_file);
    check_ports(options)?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (done, started) = tokio::sync::oneshot::channel();
        let (start_dir, start_options) = (dir.clone(), options.clone());
        // Nobody waits any more: then everything ends anyway.
        std::thread::spawn(move || drop(done.send(start(&start_dir, &start_options))));
        let (stack, demo) = tokio::select! {
            started = started => started.context("the start was given up")??,
            // What was started so far dies with this process.
            _ = interrupt.recv() => bail!("stopped before everything was ready"),
            _ = terminate.recv() => bail!("stopped before everything was ready"),
        };
        write_env(&env_file, &stack, &demo)?;
        say(&summary(&stack, &demo));
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        say("\nstopping …\n");
        let _ = fs::remove_file(&env_file);
        stack.stop()?;
        say("stopped; `make run` goes on where this ended, `make clean-data` removes everything\n");
        Ok(())
    })
}

/// Removes the data of `make run`, also what had to lie elsewhere.
///
/// # Errors
/// When a `make run` is there, or something cannot be removed.
pub fn clean_data(data: &Data) -> Result<()> {
    let dir = data.dir();
    if !dir.exists() {
        return Ok(());
    }
    let Some(_lock) = Lock::now(&dir.join("lock"))? else {
        bail!("`make run` is running: stop it first");
    };
    let postgres = servers::postgres_data_dir(&dir.join("postgres"))?;
    for path in [postgres, dir] {
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        // The folder elsewhere was made for this alone; any other is not empty and stays.
        if let Some(parent) = path.parent().filter(|parent| parent.starts_with("/var/tmp")) {
            let _ = fs::remove_dir(parent);
        }
    }
    Ok(())
}

fn check_ports(options: &RunOptions) -> Result<()> {
    if options.gateways == 0 {
        bail!("GATEWAYS must be at least 1");
    }
    for port in options.port..options.port.saturating_add(options.gateways) {
        if !port::is_free(port) {
            bail!("port {port} on 127.0.0.1 is taken: choose another with `make run LAYERS_PORT=…`");
        }
    }
    Ok(())
}

fn start(dir: &Path, options: &RunOptions) -> Result<(Stack, Account)> {
    let stack = Stack::start_with(StackOptions {
        gateways: options.gateways.into(),
        first_port: Some(options.port),
        supervise: true,
        fsync: true,
        kept: Some(dir.to_path_buf()),
        provider: provider(),
        keep_env: true,
        ..StackOptions::default()
    })?;
    let file = dir.join("demo.json");
    if file.is_file() {
        return Ok((stack, read_private(&file)?));
    }
    let demo = stack.open_account(DEMO_TIER, DEMO_CREDITS).context("opening the demo account")?;
    write_private(&file, &demo)?;
    Ok((stack, demo))
}

fn provider() -> Option<Provider> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let api_key = variable("AI_GATEWAY_API_KEY")?;
    Some(Provider { api_key, base_url: variable("AI_GATEWAY_BASE_URL") })
}

/// Written when everything is ready, removed when it ends. Shell syntax.
fn write_env(file: &Path, stack: &Stack, demo: &Account) -> Result<()> {
    let urls: Vec<String> = (0..stack.gateways()).map(|index| format!("{}/v1", stack.gateway_url(index))).collect();
    let variables = [
        ("LAYERS_BASE_URL", urls[0].clone()),
        ("LAYERS_BASE_URLS", urls.join(" ")),
        ("LAYERS_API_KEY", demo.key.clone()),
        ("LAYERS_TEST_API_KEY", demo.sandbox_key.clone()),
        ("LAYERS_ADMIN_KEY", stack.admin_key().to_owned()),
        ("LAYERS_CHECKPOINT_VERIFIER_KEY", stack.checkpoint_verifier_key().to_owned()),
        ("LAYERS_ACCOUNT_ID", demo.account_id.clone()),
        ("DATABASE_URL", stack.database_url()),
        ("ANALYST_DATABASE_URL", stack.database_url_as("layers_analyst")),
        ("NATS_URL", stack.nats_url()),
        ("LAYERS_SIMULATOR_URL", stack.simulator().url()),
    ];
    let text: String = variables.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    let beside = file.with_extension("tmp");
    fs::write(&beside, "").and_then(|()| fs::set_permissions(&beside, Permissions::from_mode(0o600)))?;
    write_whole(file, &text)
}

fn summary(stack: &Stack, demo: &Account) -> String {
    let url = stack.gateway_url(0);
    let others: String =
        (1..stack.gateways()).map(|index| format!("           {}/v1\n", stack.gateway_url(index))).collect();
    let live = match provider() {
        Some(_) => "live keys are answered by your AI_GATEWAY_API_KEY's provider, test keys by the simulator",
        None => "AI_GATEWAY_API_KEY is not set: the simulator answers live keys too, and nothing costs real money",
    };
    format!(
        "\nLayers is ready: {live}\n\n\
         gateway    {url}/v1\n{others}\
         console    {url}/console (sign in with the live key, or with LAYERS_ADMIN_KEY of {dir}/env)\n\
         live key   {key}\n\
         test key   {sandbox_key}\n\
         account    {account} (tier {DEMO_TIER}, opened with {DEMO_CREDITS} credits)\n\
         database   {database}\n\
         analyst    {analyst}\n\
         NATS       {nats}\n\
         simulator  {simulator}\n\
         logs       {dir}/log, processes {dir}/run, all of this for a shell: . {dir}/env\n\n\
         try it:\n\n\
         curl {url}/v1/chat/completions \\\n  \
           -H 'authorization: Bearer {key}' -H 'content-type: application/json' \\\n  \
           -d '{{\"model\": \"{MODEL}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n\n\
         Ctrl-C stops everything.\n",
        key = demo.key,
        sandbox_key = demo.sandbox_key,
        account = demo.account_id,
        database = stack.database_url(),
        analyst = stack.database_url_as("layers_analyst"),
        nats = stack.nats_url(),
        simulator = stack.simulator().url(),
        dir = stack.dir().display(),
    )
}

/// A closed terminal is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
