//! The clients in Python: grpcio, with and without the service config, directly and through haproxy.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::haproxy::Haproxy;
use super::tally::Tally;
use super::world::World;

/// A running Python.
pub struct Grpcio(Child);

impl Grpcio {
    /// Starts the clients. They end when their standard input ends.
    pub fn start(
        python: &Path,
        service_config: &Path,
        world: &World,
        proxy: &Haproxy,
    ) -> anyhow::Result<Self> {
        let directly: Vec<_> = world.addresses().map(|addresses| addresses.grpc).collect();
        let directly = directly.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/rollout/grpcio_calls.py"));
        command.arg(service_config).arg(directly).arg(proxy.grpc.to_string());
        command.arg(world.accounts[0].0.to_string()).env("TOKEN", &world.token);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self(command.spawn().context("Python does not start")?))
    }

    /// Ends the clients, and returns what became of their calls.
    pub fn end(self) -> anyhow::Result<Vec<Tally>> {
        let output = self.0.wait_with_output()?; // closes the standard input first
        ensure!(output.status.success(), "the clients in Python ended with {}", output.status);
        let text = String::from_utf8(output.stdout)?;
        text.lines().map(told).collect()
    }
}

/// Reads a line about one kind of client.
fn told(line: &str) -> anyhow::Result<Tally> {
    let parts: Vec<_> = line.splitn(4, '\t').collect();
    let [name, calls, failed, first] = parts[..] else { bail!("no line of a client: {line}") };
    let first_failure = (!first.is_empty()).then(|| first.to_owned());
    Ok(Tally {
        name: name.to_owned(),
        calls: calls.parse()?,
        failed: failed.parse()?,
        first_failure,
    })
}
