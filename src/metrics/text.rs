//! The older text format of Prometheus, for readers that do not ask for `OpenMetrics`, such as
//! `promtool check metrics`. There, the name of a family is the name of its samples, an information
//! is a gauge, and the page has no end mark.

use std::fmt::Write;

/// Returns a page of `OpenMetrics` in the older format.
pub(super) fn prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + openmetrics.len() / 16);
    let mut help = "";
    for line in openmetrics.lines() {
        if let Some(of_family) = line.strip_prefix("# HELP ") {
            help = of_family.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, of_type)) =
            line.strip_prefix("# TYPE ").and_then(|of_family| of_family.split_once(' '))
        {
            let (ending, of_type) = match of_type {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            let head =
                writeln!(text, "# HELP {name}{ending} {help}\n# TYPE {name}{ending} {of_type}");
            head.expect("a String takes any text");
        } else if line != "# EOF" {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_the_names_of_their_samples() {
        let openmetrics = "# HELP calls Calls.\n# TYPE calls counter\ncalls_total{a=\"b c\"} 1\n\
            # HELP build The program.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
            # HELP open Open.\n# TYPE open gauge\nopen 2\n# EOF\n";
        let expected = "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
            calls_total{a=\"b c\"} 1\n# HELP build_info The program.\n# TYPE build_info gauge\n\
            build_info{version=\"1\"} 1\n# HELP open Open.\n# TYPE open gauge\nopen 2\n";
        assert_eq!(prometheus(openmetrics), expected);
    }
}
