//! The page of the explorer and the data that it loads.

use serde::Serialize;
use serde_json::Value;

use super::assets::file;
use super::catalog::{Catalog, Product};
use super::html::{escape, fill};
use super::language;
use super::{DemoAccount, ExplorerSettings};
use crate::error::texts::Language;

/// Renders the page. The list of actions is part of it, so that the first paint needs no further
/// request.
pub fn render(language: Language) -> String {
    let products = Catalog::new(language).products();
    let actions: String = products.iter().map(list).collect();
    fill_page(file("index.html"), language, &[("actions", &actions)])
}

/// Returns the page that says that there is no such page.
pub fn not_found(language: Language) -> String {
    fill_page(file("not_found.html"), language, &[])
}

/// Fills a template with these values, the labels of the language, and its name.
fn fill_page(template: &str, language: Language, values: &[(&str, &str)]) -> String {
    let labels = language::labels(language).iter();
    let labels: Vec<_> =
        labels.map(|(name, text)| (format!("text:{name}"), escape(text))).collect();
    let mut slots = vec![("lang", language.name()), ("locale", language.locale())];
    slots.extend(values);
    slots.extend(labels.iter().map(|(slot, text)| (slot.as_str(), text.as_str())));
    let title = slots.iter().find(|(slot, _)| *slot == "text:title").map(|(_, text)| *text);
    slots.push(("title", title.unwrap_or_default()));
    fill(template, &slots)
}

/// Returns the actions of a product as a list of links.
fn list(product: &Product) -> String {
    let name = escape(&product.name);
    let items = product.actions.iter().map(|action| {
        let action = escape(&action.name);
        format!(
            "<li><a href=\"?action={action}\" data-action=\"{action}\" data-product=\"{name}\">\
             {action}</a></li>"
        )
    });
    let items: String = items.collect();
    format!("<h2>{}</h2><ul>{items}</ul>", name.to_uppercase())
}

/// The data of `actions.json`.
#[derive(Serialize)]
struct Actions<'a> {
    accounts: Vec<Account<'a>>,
    grpc: Option<String>,
    products: Vec<Product>,
}

/// An account to choose.
#[derive(Serialize)]
struct Account<'a> {
    #[serde(rename = "account_id")]
    id: i64,
    access_key_id: &'a str,
    access_key_secret: &'a str,
    note: &'a str,
}

/// Returns the description of the actions as JSON.
pub fn actions(language: Language, settings: &ExplorerSettings) -> String {
    let actions = Actions {
        accounts: settings.accounts.iter().map(|account| shown(account, language)).collect(),
        grpc: settings.grpc.map(|address| address.to_string()),
        products: Catalog::new(language).products(),
    };
    serde_json::to_string(&actions).expect("texts and numbers only")
}

fn shown(account: &DemoAccount, language: Language) -> Account<'_> {
    let [english, chinese] = account.notes;
    Account {
        id: account.account_id,
        access_key_id: account.access_key_id,
        access_key_secret: account.access_key_secret,
        note: if language == Language::Chinese { chinese } else { english },
    }
}

/// Returns the samples with their templates as JSON.
pub fn samples() -> String {
    let mut samples: Vec<Value> = serde_json::from_str(file("samples/index.json"))
        .expect("a test reads the index that is part of the program");
    for sample in &mut samples {
        let path = format!("samples/{}", sample["file"].as_str().unwrap_or_default());
        sample["template"] = file(&path).into();
    }
    Value::from(samples).to_string()
}
