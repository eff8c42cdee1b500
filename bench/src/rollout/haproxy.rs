//! haproxy before the replicas: HTTP/2 for gRPC, and for REST once as a TCP proxy and once as an
//! HTTP proxy. It removes a replica whose `/readyz` does not answer 200, and retries nothing.

use std::fmt::Write;
use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::time::sleep;

use super::world::{World, free};
use crate::attack::wire::get;

/// A running haproxy, and the addresses of its frontends.
pub struct Haproxy {
    child: Child,
    pub grpc: SocketAddr,
    pub rest_tcp: SocketAddr,
    pub rest_http: SocketAddr,
}

/// On a busy machine one look may be late, so a replica is removed after two failed ones.
const DEFAULTS: &str = "global
    maxconn 512
defaults
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout check 5s
    retries 0
    balance roundrobin
    option httpchk GET /readyz
    default-server check inter 200ms fastinter 100ms fall 2 rise 1
";

impl Haproxy {
    /// Starts it.
    pub fn start(world: &World) -> anyhow::Result<Self> {
        let (grpc, rest_tcp, rest_http) = (free()?, free()?, free()?);
        let mut text = DEFAULTS.to_owned();
        for (name, mode, at, protocol) in [
            ("grpc", "http", grpc, " proto h2"),
            ("rest-tcp", "tcp", rest_tcp, ""),
            ("rest-http", "http", rest_http, ""),
        ] {
            write!(text, "listen {name}\n    mode {mode}\n    bind {at}{protocol}\n")?;
            for (number, addresses) in world.addresses().enumerate() {
                let to = if name == "grpc" { addresses.grpc } else { addresses.rest };
                let ops = addresses.ops.port();
                writeln!(
                    text,
                    "    server replica-{number} {to}{protocol} port {ops} check-proto h1"
                )?;
            }
        }
        let file = world.directory.0.join("haproxy.cfg");
        std::fs::write(&file, text)?;
        let log = File::create(world.directory.0.join("haproxy.log"))?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("haproxy is missing")?;
        Ok(Self { child, grpc, rest_tcp, rest_http })
    }

    /// Waits until it passes requests on.
    pub async fn wait_until_it_serves(&self, world: &World) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            // Without parameters, the service refuses with 400 or 404, and haproxy with 503.
            let tcp = get(self.rest_tcp, "/").await.map_or(503, |(status, _)| status);
            let http = get(self.rest_http, "/").await.map_or(503, |(status, _)| status);
            if tcp < 500 && http < 500 {
                return Ok(());
            }
            let log = || std::fs::read_to_string(world.directory.0.join("haproxy.log"));
            ensure!(begun.elapsed() < Duration::from_secs(20), "{}", log().unwrap_or_default());
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
