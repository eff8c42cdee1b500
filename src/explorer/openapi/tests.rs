//! The document has every action and only schemas that exist.

use super::*;
use crate::rest::Dispatch;

/// Calls `visit` with each `$ref` of the document.
fn for_each_reference(value: &Value, visit: &mut dyn FnMut(&str)) {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        visit(reference);
    }
    match value {
        Value::Object(members) => {
            members.values().for_each(|member| for_each_reference(member, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| for_each_reference(item, visit)),
        _ => {}
    }
}

#[test]
fn every_action_is_there_in_each_of_its_versions() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let dispatch = Dispatch::new().unwrap();
    let mut count = 0;
    for method in crate::proto::methods() {
        for version in dispatch.versions_of(method.name()) {
            let path = &paths[&format!("/?Action={}&Version={version}", method.name())];
            for verb in ["get", "post"] {
                let description = path[verb]["description"].as_str().unwrap();
                assert!(description.len() > "Permission: `cdn:`".len() + 30, "{description}");
            }
            count += 1;
        }
    }
    assert!(count == paths.len() && count > 10, "{count} of {}", paths.len());
}

#[test]
fn every_reference_resolves_and_every_component_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    for_each_reference(&document, &mut |reference| {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference}");
        used.insert(reference.to_owned());
    });
    for kind in ["parameters", "responses", "schemas"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(used.contains(&reference), "{reference} is not used");
        }
    }
}

#[test]
fn operations_have_ids_of_their_own() {
    let document = document();
    let items = document["paths"].as_object().unwrap().values();
    let ids: Vec<_> = items
        .flat_map(|item| ["get", "post"].map(|verb| item[verb]["operationId"].as_str()))
        .collect();
    assert!(ids.iter().all(Option::is_some));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

#[test]
fn a_parameter_has_its_values_and_says_whether_it_is_required() {
    let document = document();
    let path = &document["paths"]["/?Action=OpenDcdnService&Version=2018-01-15"];
    let in_query = &path["get"]["parameters"][1];
    assert_eq!(in_query["name"], "WebsocketBillType");
    assert_eq!(in_query["required"], true);
    let form = &path["post"]["requestBody"];
    assert_eq!(form["required"], true);
    let form = &form["content"]["application/x-www-form-urlencoded"]["schema"];
    assert_eq!(form["required"], json!(["BillType", "WebsocketBillType"]));
    let name = "activation.billing.v1.WebsocketChargeType";
    assert_eq!(in_query["schema"], schemas::reference(name));
    let values = &document["components"]["schemas"][name];
    assert_eq!(values["enum"], json!(["websockettraffic", "websocketbps"]));
    let optional = &document["paths"]["/?Action=OpenCdnService&Version=2014-11-11"];
    assert_eq!(optional["get"]["parameters"][0]["required"], false);
    assert_eq!(optional["post"]["requestBody"]["required"], false);
}

#[test]
fn a_reply_has_what_is_always_there_and_nothing_else() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let reply = &schemas["activation.dcdn.v1.DescribeDcdnServiceResponse"];
    let required = reply["required"].as_array().unwrap();
    for (name, is_required) in [("ChangingChargeType", true), ("WebsocketType", false)] {
        assert_eq!(required.contains(&name.into()), is_required, "{name}");
    }
    assert_eq!(reply["additionalProperties"], false);
    assert_eq!(reply["properties"]["ChangingAffectTime"]["anyOf"][1]["const"], "");
    assert_eq!(schemas["activation.billing.v1.OperationLocks"]["required"], json!(["LockReason"]));
}

#[test]
fn the_errors_of_the_format_are_those_of_the_page() {
    let mut page = BTreeSet::new();
    let mut is_of_format = true;
    for line in include_str!("../../../docs/errors.md").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            is_of_format = heading != "gRPC callers and operators";
        } else if let Some((code, rest)) =
            line.strip_prefix("| `").and_then(|row| row.split_once("` | "))
        {
            let status = rest.split(" | ").next().and_then(|status| status.parse::<u16>().ok());
            page.extend(status.filter(|_| is_of_format).map(|status| (status, code.to_owned())));
        }
    }
    let named = BTreeSet::from(["{parameter}".to_owned()]);
    let named = Named { required: named.clone(), enums: named };
    let mut schemas = Map::new();
    errors::responses(&named, &mut Map::new(), &mut schemas);
    let mut listed = BTreeSet::new();
    for (name, schema) in &schemas {
        let status: u16 = name.strip_prefix("Error").unwrap().parse().unwrap();
        let codes = schema["properties"]["Code"]["enum"].as_array().unwrap();
        listed.extend(codes.iter().map(|code| (status, code.as_str().unwrap().to_owned())));
    }
    assert_eq!(listed, page);
}
