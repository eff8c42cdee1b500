//! Lists every text of a JSON or XML document with its path, so that both can be compared. The XML
//! reader supports only documents without attributes and mixed content.

use serde_json::Value;

/// Paths and texts, sorted by path. Texts with the same path are in document order.
pub type Leaves = Vec<(String, String)>;

/// Returns the texts of a JSON object. An empty object is an empty text.
pub fn json_leaves(value: &Value) -> Leaves {
    let mut leaves = Vec::new();
    gather(value, String::new(), &mut leaves);
    sorted(leaves)
}

fn gather(value: &Value, path: String, leaves: &mut Leaves) {
    match value {
        Value::Object(members) => {
            let before = leaves.len();
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                gather(member, path, leaves);
            }
            if leaves.len() == before {
                leaves.push((path, String::new()));
            }
        }
        Value::Array(items) => {
            for item in items {
                gather(item, path.clone(), leaves);
            }
        }
        Value::String(text) => leaves.push((path, text.clone())),
        Value::Bool(value) => leaves.push((path, value.to_string())),
        other => panic!("no reply has {other}"),
    }
}

/// Returns the texts of an XML document below its root.
pub fn xml_leaves(document: &str) -> Leaves {
    let mut leaves = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut parts = document.split('<').skip(1).peekable();
    while let Some(part) = parts.next() {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("no tag: {part}"));
        if tag.starts_with('?') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "elements close in order: {document}");
            continue;
        }
        open.push(tag);
        let has_no_child = parts.peek().is_some_and(|next| next.starts_with('/'));
        if has_no_child && open.len() > 1 {
            leaves.push((open[1..].join("/"), unescape(text)));
        }
    }
    assert!(open.is_empty(), "every element closes: {document}");
    sorted(leaves)
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn sorted(mut leaves: Leaves) -> Leaves {
    leaves.sort_by(|(one, _), (other, _)| one.cmp(other)); // stable
    leaves
}
