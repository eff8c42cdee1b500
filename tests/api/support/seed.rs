//! The pages in `tests/seeds` as data: the tables of parameters, reply fields and errors, and the
//! samples.

/// A page of the documentation, in its publisher's format.
#[derive(Clone, Debug)]
pub struct Page {
    text: String,
}

/// A row of the tables of parameters and reply fields.
#[derive(Clone, Debug)]
pub struct FieldRow {
    /// The documented name.
    pub name: String,
    /// The column "required", if the table has it.
    pub required: Option<bool>,
    /// The column "example".
    pub example: String,
    /// The values that the description lists, which it prints in bold.
    pub values: Vec<String>,
}

/// A row of the error table.
#[derive(Clone, Debug)]
pub struct ErrorRow {
    /// The HTTP status.
    pub http: u16,
    /// The code.
    pub code: String,
    /// The message.
    pub message: String,
}

impl Page {
    /// Reads a page.
    pub fn read(markdown: &str) -> Self {
        let mut text = String::with_capacity(markdown.len());
        let mut rest = markdown.chars().peekable();
        while let Some(character) = rest.next() {
            let escaped = rest.next_if(|next| character == '\\' && next.is_ascii_punctuation());
            text.push(escaped.unwrap_or(character));
        }
        Self { text }
    }

    /// Returns the name of the action, which is the heading.
    pub fn action(&self) -> &str {
        let heading = self.text.strip_prefix("# ").expect("a heading");
        heading.split(' ').next().expect("a name")
    }

    /// Returns `product` and `version` from the link to the API explorer.
    pub fn link(&self, name: &str) -> &str {
        let after = self.text.split(&format!("{name}=")).nth(1).expect("the link names it");
        after.split(['&', ')']).next().expect("a value")
    }

    /// Returns the request parameters.
    pub fn parameters(&self) -> Vec<FieldRow> {
        self.fields("{#parameters ")
    }

    /// Returns the fields of the reply.
    pub fn reply_fields(&self) -> Vec<FieldRow> {
        self.fields("{#resultMapping ")
    }

    /// Returns the error table; empty if the page has none.
    pub fn errors(&self) -> Vec<ErrorRow> {
        let rows = self.section("## 错误码").lines().filter(|line| line.starts_with('|'));
        let rows = rows.map(|line| line.split('|').skip(1).collect::<Vec<_>>());
        rows.filter_map(|cells| {
            let http = cells[0].parse().ok()?; // neither the header nor the line below it
            Some(ErrorRow { http, code: cells[1].to_owned(), message: cells[2].to_owned() })
        })
        .collect()
    }

    /// Returns the parameters of the sample request.
    pub fn sample_request(&self) -> String {
        let sample = self.block("{#request_demo}").replace('\n', "");
        let (_, query) = sample.split_once("?&").expect("a query");
        query.split("&<").next().expect("the parameters of the action").to_owned()
    }

    /// Returns the sample reply in JSON.
    pub fn sample_json(&self) -> serde_json::Value {
        serde_json::from_str(self.block("{#json_return_success_demo}")).expect("JSON")
    }

    /// Returns the sample reply in XML.
    pub fn sample_xml(&self) -> &str {
        self.block("{#xml_return_success_demo}").trim()
    }

    fn section(&self, heading: &str) -> &str {
        let after = self.text.split(heading).nth(1).unwrap_or_else(|| panic!("no {heading}"));
        after.split("\n## ").next().expect("the section")
    }

    fn block(&self, mark: &str) -> &str {
        let after = self.text.split(mark).nth(1).unwrap_or_else(|| panic!("no {mark}"));
        after.split("```").next().expect("the block ends")
    }

    /// Rows begin with `|`; a description can continue on the lines that follow.
    fn fields(&self, mark: &str) -> Vec<FieldRow> {
        let mut rows: Vec<FieldRow> = Vec::new();
        for line in self.section(mark).lines() {
            let cells: Vec<&str> = line.split('|').collect();
            let is_row = cells.len() >= 5 && !cells[1].starts_with("--") && cells[1] != "名称";
            if is_row {
                let required = match cells[3] {
                    "是" => Some(true),
                    "否" => Some(false),
                    _ => None,
                };
                let example = if required.is_some() { cells[4] } else { cells[3] };
                rows.push(FieldRow {
                    name: cells[1].to_owned(),
                    required,
                    example: example.trim().to_owned(),
                    values: Vec::new(),
                });
            }
            if let Some(row) = rows.last_mut() {
                row.values.extend(line.split("**").skip(1).step_by(2).map(str::to_owned));
            }
        }
        rows
    }
}
