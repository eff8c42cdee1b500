//! The settings of the commands that do not serve: `call`, `explain`, `descriptors`.

use std::path::PathBuf;

use clap::Args;

use super::values::parse_parameter;

/// Settings of `call`.
#[derive(Args, Debug)]
pub struct CallSettings {
    /// Name of the action, for example DescribeDcdnService.
    pub action: String,
    /// Parameters of the action, each as Name=Value.
    #[arg(value_parser = parse_parameter)]
    pub parameters: Vec<(String, String)>,
    /// URL to which the request is sent.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub endpoint: String,
    /// API version. Default: the newest that has the action.
    #[arg(long)]
    pub api_version: Option<String>,
    /// The access key that signs the request.
    #[arg(long, env = "ALIBABA_CLOUD_ACCESS_KEY_ID")]
    pub access_key_id: String,
    /// File with the secret of the access key.
    #[arg(long, required_unless_present = "access_key_secret")]
    pub access_key_secret_file: Option<PathBuf>,
    /// The secret of the access key. It is read from the variable only: the value of a flag is
    /// visible to other users of the machine.
    #[arg(env = "ALIBABA_CLOUD_ACCESS_KEY_SECRET", long, hide = true, hide_env_values = true)]
    pub access_key_secret: Option<String>,
    /// File with the security token, if the access key is a temporary credential.
    #[arg(long)]
    pub security_token_file: Option<PathBuf>,
    /// The security token. It is read from the variable only.
    #[arg(env = "ALIBABA_CLOUD_SECURITY_TOKEN", long, hide = true, hide_env_values = true)]
    pub security_token: Option<String>,
    /// Signs with ACS3-HMAC-SHA256 instead of HMAC-SHA1.
    #[arg(long)]
    pub v3: bool,
    /// Requests XML instead of JSON.
    #[arg(long)]
    pub xml: bool,
    /// Prints the signed URL instead of sending the request. Cannot be combined with --v3, which
    /// signs headers.
    #[arg(long, conflicts_with_all = ["v3", "print_curl"])]
    pub print_url: bool,
    /// Prints a curl command instead of sending the request.
    #[arg(long)]
    pub print_curl: bool,
}

/// Settings of `descriptors`.
#[derive(Args, Debug)]
pub struct DescriptorsSettings {
    /// Prints an OpenAPI 3.1 description of the RPC query format in JSON instead.
    #[arg(long)]
    pub openapi: bool,
}

/// Settings of `explain`.
#[derive(Args, Debug)]
pub struct ExplainSettings {
    /// File with the secret of the access key. With the secret, the signature is compared with that
    /// of each known mistake.
    #[arg(long)]
    pub access_key_secret_file: Option<PathBuf>,
    /// The secret of the access key. It is read from the variable only: the value of a flag is
    /// visible to other users of the machine.
    #[arg(env = "ALIBABA_CLOUD_ACCESS_KEY_SECRET", long, hide = true, hide_env_values = true)]
    pub access_key_secret: Option<String>,
    /// File with the client's own string to sign, or its canonical request. It is compared with
    /// that of the server.
    #[arg(long)]
    pub string_to_sign_file: Option<PathBuf>,
    /// Language of the output: en or zh.
    #[arg(long, default_value = "en", value_parser = ["en", "zh"])]
    pub lang: String,
}
