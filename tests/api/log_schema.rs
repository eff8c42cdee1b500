//! Every line that `serve` writes fits the schema in `docs/operating.md`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::support::database::Database;
use crate::support::process::Program;
use crate::support::raw_grpc::framed;
use crate::support::rest::query;
use crate::support::serve_process::Deployment;

const PAGE: &str = include_str!("../../docs/operating.md");

/// Returns the types of each field, from the tables of the page.
fn schema() -> BTreeMap<&'static str, Vec<&'static str>> {
    let (_, section) = PAGE.split_once("\n## The log\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("the next section");
    let mut schema: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split(" | ").collect();
        let names: Vec<_> = cells[0].split('`').skip(1).step_by(2).collect();
        let types: Vec<_> = cells[1].split(", ").collect();
        for (index, name) in names.into_iter().enumerate() {
            let of_name = if types.len() > 1 { types[index] } else { types[0] };
            schema.entry(name).or_default().push(of_name);
        }
    }
    schema
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        _ => "another type",
    }
}

/// Checks that all fields are in the schema with their types, and that the line has those of every
/// line.
fn assert_fits(line: &Map<String, Value>, schema: &BTreeMap<&str, Vec<&str>>) {
    for (name, value) in line {
        let types =
            schema.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not listed: {line:?}"));
        assert!(types.contains(&type_of(value)), "{name} is not {types:?}: {line:?}");
    }
    for name in ["timestamp", "level", "target"] {
        assert!(line.contains_key(name), "{name}: {line:?}");
    }
    if line.contains_key("action") {
        for name in ["request_id", "wire", "milliseconds", "code"] {
            assert!(line.contains_key(name), "{name}: {line:?}");
        }
        let took = line["milliseconds"].as_f64().expect("a number");
        assert!(took > 0.0 && took < 60_000.0, "{line:?}");
    }
}

#[tokio::test]
async fn every_line_fits_the_documented_schema() {
    let database = Database::fresh().await;
    let deployment = Deployment::new(&database);
    let mut program = Program::spawn(deployment.serve(&[("LOG_ONE_IN", "1")]));
    let api = program.ready().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    // Refusals on both wires, before and after the method, and a fault.
    let again = api.get(&key, "Action=OpenCdnService").await;
    assert_eq!(again.status, 400);
    let mut wrong = api.sign(&key, "GET", api.common(&key, "Action=DescribeCdnService"));
    wrong.insert("Signature".to_owned(), "wrong".to_owned());
    assert_eq!(api.send_get(&query(&wrong)).await.status, 400);
    let grpc = api.raw_grpc().await;
    let path = "/activation.cdn.v1.CdnService/OpenCdnService";
    let metadata = [("authorization", "Bearer wrong"), ("x-request-id", "Ticket-4711")];
    grpc.send(path, &metadata, framed(&[])).await;
    grpc.call(path, &[("x-account-id", "abc")], &[]).await;
    grpc.call(path, &[], &[0xff]).await;
    database.execute("ALTER TABLE instances RENAME TO elsewhere").await;
    assert_eq!(api.get(&key, "Action=DescribeCdnService").await.status, 500);
    let addresses = api.addresses.clone();
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let schema = schema();
    let on_stdout = ended.stdout.lines().skip(1); // the line that says `ready`
    let lines: Vec<Map<String, Value>> = ended
        .stderr
        .lines()
        .chain(on_stdout)
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    for line in &lines {
        assert_fits(line, &schema);
    }
    let has = |name: &str, value: &str| {
        let found = lines.iter().find(|line| line.get(name).is_some_and(|is| is == value));
        found.unwrap_or_else(|| panic!("no {name} {value}: {lines:?}"))
    };
    assert_eq!(has("correlation_id", "Ticket-4711")["code"], "ServiceUnauthenticated");
    assert_eq!(has("code", "SignatureDoesNotMatch")["access_key_id"], key.id.as_str());
    assert_eq!(has("code", "CdnService.HasOpened")["account_id"], key.account_id);
    assert_eq!(has("code", "CdnService.HasOpened")["peer"], "127.0.0.1");
    assert!(has("code", "InternalError").contains_key("cause"));
    let life: Vec<_> = lines.iter().filter(|line| line.contains_key("version")).collect();
    let expected = ["starting", "ready", "draining", "stopped"];
    assert_eq!(life.len(), expected.len(), "{life:?}");
    for (line, begins) in life.iter().zip(expected) {
        assert!(line["message"].as_str().is_some_and(|says| says.starts_with(begins)), "{line:?}");
        assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
        let bound = [("grpc", addresses.grpc), ("rest", addresses.rest), ("ops", addresses.ops)];
        for (name, address) in bound {
            assert_eq!(line[name], address.to_string());
        }
    }
}
