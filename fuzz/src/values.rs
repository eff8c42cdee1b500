//! A reader of the XML of replies, and the comparison of a document with the JSON of the same
//! reply. It knows what replies have: elements, texts and one CDATA section.

use serde_json::Value;

/// An element with its text or its children.
#[derive(Debug)]
pub struct Element<'a> {
    name: &'a str,
    text: String,
    children: Vec<Element<'a>>,
}

/// Reads a document, which has one root.
///
/// # Panics
///
/// If it is not the XML of a reply.
pub fn xml(document: &str) -> Element<'_> {
    let declaration = "<?xml version='1.0' encoding='UTF-8'?>";
    let mut rest = document.strip_prefix(declaration).expect("the declaration");
    let root = element(&mut rest);
    assert_eq!(rest, "", "after the root");
    root
}

fn element<'a>(rest: &mut &'a str) -> Element<'a> {
    let (name, after) =
        rest.strip_prefix('<').and_then(|rest| rest.split_once('>')).expect("a tag");
    assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name:?}");
    *rest = after;
    let mut found = Element { name, text: String::new(), children: Vec::new() };
    loop {
        if let Some(after) = rest.strip_prefix("</") {
            let after = after.strip_prefix(name).and_then(|after| after.strip_prefix('>'));
            *rest = after.expect("the end tag of the element");
            assert!(found.text.is_empty() || found.children.is_empty(), "{found:?}");
            return found;
        }
        if let Some(after) = rest.strip_prefix("<![CDATA[") {
            let (text, after) = after.split_once("]]>").expect("the end of the section");
            found.text.push_str(text);
            *rest = after;
        } else if rest.starts_with('<') {
            found.children.push(element(rest));
        } else {
            let end = rest.find('<').expect("an end tag");
            found.text.push_str(&unescaped(&rest[..end]));
            *rest = &rest[end..];
        }
    }
}

fn unescaped(text: &str) -> String {
    let is_allowed = |c: char| {
        matches!(c, '\t' | '\n') || (!c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}' | '>'))
    };
    assert!(text.chars().all(is_allowed), "{text:?}");
    let (mut read, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').expect("an entity");
        let character = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            _ => panic!("the entity {name}"),
        };
        read.push_str(before);
        read.push(character);
        rest = after;
    }
    read + rest
}

/// Parses JSON in which no name occurs twice.
///
/// # Panics
///
/// If it is not JSON. A name that occurs twice is found by [`assert_same`], because the parsed
/// object has one value less than the element.
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Checks that an element says the same as a value.
///
/// # Panics
///
/// If it does not.
pub fn assert_same(element: &Element<'_>, value: &Value) {
    let said = match value {
        Value::Object(members) => {
            assert_eq!(element.text, "", "{element:?}");
            let mut count = 0;
            for (name, value) in members {
                let children = element.children.iter().filter(|child| child.name == name);
                let children: Vec<_> = children.collect();
                let values: &[Value] = match value {
                    Value::Array(items) => items,
                    one => std::slice::from_ref(one),
                };
                assert_eq!(children.len(), values.len(), "{name} of {element:?}");
                children.iter().zip(values).for_each(|(child, value)| assert_same(child, value));
                count += children.len();
            }
            assert_eq!(element.children.len(), count, "{element:?} says more than {value}");
            return;
        }
        Value::Bool(value) => value.to_string(),
        Value::String(text) => text.clone(),
        other => panic!("{other} is not in a reply"),
    };
    // XML cannot show control characters, except two.
    let is_shown = |c: &char| {
        matches!(c, '\t' | '\n') || (!c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    assert_eq!(element.text, said.chars().filter(is_shown).collect::<String>());
    assert!(element.children.is_empty(), "{element:?}");
}
