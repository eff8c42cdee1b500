//! Runs `serve` as a process that a test can kill.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use cdn_activation::proto::cdn::v1::cdn_service_client::CdnServiceClient;
use cdn_activation::proto::cdn::v1::{OpenCdnServiceRequest, OpenCdnServiceResponse};
use tonic::{Request, Response, Status};

use super::database::Database;
use super::process::command;
use super::scratch::{Scratch, write_secret};
use super::{SEALING_KEY, TOKEN, callers};

/// The files of a deployment, and the variables that name them.
pub struct Deployment {
    scratch: Scratch,
    database_url: String,
}

impl Deployment {
    /// Creates a deployment on this database.
    pub fn new(database: &Database) -> Self {
        let scratch = Scratch::new();
        scratch.file("key", SEALING_KEY);
        Self { scratch, database_url: database.url.clone() }
    }

    /// Returns the command line, with any ports and these further variables.
    pub fn serve(&self, variables: &[(&str, &str)]) -> Command {
        let mut command = command(["serve"], variables);
        command
            .env("DATABASE_URL", &self.database_url)
            .env("SEALING_KEY_FILE", self.scratch.0.join("key"))
            .envs(callers::files(&self.scratch.0));
        for address in ["GRPC_ADDR", "REST_ADDR", "OPS_ADDR"] {
            if !variables.iter().any(|(name, _)| *name == address) {
                command.env(address, "127.0.0.1:0");
            }
        }
        command
    }
}

/// A running `serve`. Dropping it kills the process.
pub struct Process {
    child: Child,
    grpc: String,
    files: PathBuf,
}

impl Process {
    /// Starts `serve` on a database, with these further variables, and waits until it is ready.
    pub async fn start(database_url: &str, variables: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cdn-activation-process-{}-{number}", std::process::id());
        let files = std::env::temp_dir().join(name);
        std::fs::create_dir(&files).expect("a new directory");
        write_secret(&files.join("key"), SEALING_KEY);
        let mut command = Command::new(env!("CARGO_BIN_EXE_cdn-activation"));
        command
            .arg("serve")
            .env("DATABASE_URL", database_url)
            .env("SEALING_KEY_FILE", files.join("key"))
            .envs(callers::files(&files))
            .env("GRPC_ADDR", "127.0.0.1:0")
            .env("REST_ADDR", "127.0.0.1:0")
            .env("OPS_ADDR", "127.0.0.1:0")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let ready = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).expect("a line");
            // The log is read, too, because a full pipe would block the process.
            std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
            line
        });
        let ready = ready.await.expect("no panic");
        let grpc = ready.split(' ').find_map(|word| word.strip_prefix("grpc="));
        let grpc = grpc.unwrap_or_else(|| panic!("not ready: {ready:?}")).to_owned();
        Self { child, grpc, files }
    }

    /// Returns the address of its gRPC listener.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// Opens CDN for an account.
    pub async fn open_cdn(
        &self,
        account_id: i64,
    ) -> Result<Response<OpenCdnServiceResponse>, Status> {
        let endpoint = format!("http://{}", self.grpc);
        let mut client = CdnServiceClient::connect(endpoint).await.expect("it listens");
        let mut request = Request::new(OpenCdnServiceRequest::default());
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {TOKEN}").parse().expect("visible"));
        metadata.insert("x-account-id", account_id.to_string().parse().expect("visible"));
        client.open_cdn_service(request).await
    }

    /// Ends the process abruptly with SIGKILL, as a power failure would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.files).ok();
    }
}
