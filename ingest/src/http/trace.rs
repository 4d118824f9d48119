//! Trace context out of request headers: W3C `traceparent`, or B3 in one header or several.

/// The ids of the span that sent a request.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct TraceContext {
    w3c: Option<(String, String)>,
    b3_trace: Option<String>,
    b3_span: Option<String>,
}

impl TraceContext {
    /// Takes a header by its name in lower case; most are of no interest.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        match name {
            "traceparent" if self.w3c.is_none() => self.w3c = parse_traceparent(value),
            "b3" => {
                let mut parts = value.split('-');
                let trace = parts.next().and_then(trace_id);
                let span = parts.next().and_then(span_id);
                if let (Some(trace), Some(span)) = (trace, span) {
                    self.b3_trace = Some(trace);
                    self.b3_span = Some(span);
                }
            }
            "x-b3-traceid" if self.b3_trace.is_none() => self.b3_trace = trace_id(value),
            "x-b3-spanid" if self.b3_span.is_none() => self.b3_span = span_id(value),
            _ => {}
        }
    }

    /// Trace id and span id, lower-case hexadecimal.
    pub(super) fn ids(self) -> (Option<String>, Option<String>) {
        match self.w3c {
            Some((trace, span)) => (Some(trace), Some(span)),
            None => (self.b3_trace, self.b3_span),
        }
    }
}

/// `version-trace-span-flags`; later versions may append more (Trace Context, section 3.2).
fn parse_traceparent(value: &str) -> Option<(String, String)> {
    let mut parts = value.trim().split('-');
    let version = hex(parts.next()?, &[2])?;
    let trace = hex(parts.next()?, &[32])?;
    let span = span_id(parts.next()?)?;
    hex(parts.next()?, &[2])?;
    let is_valid = version != "ff"
        && (version != "00" || parts.next().is_none())
        && trace.bytes().any(|byte| byte != b'0');
    is_valid.then_some((trace, span))
}

fn trace_id(value: &str) -> Option<String> {
    hex(value, &[16, 32]).filter(|id| id.bytes().any(|byte| byte != b'0'))
}

fn span_id(value: &str) -> Option<String> {
    hex(value, &[16]).filter(|id| id.bytes().any(|byte| byte != b'0'))
}

fn hex(value: &str, lengths: &[usize]) -> Option<String> {
    let value = value.trim();
    let is_hex =
        lengths.contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| value.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn ids(headers: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let mut context = TraceContext::default();
        for (name, value) in headers {
            context.add(name, value);
        }
        context.ids()
    }

    #[test]
    fn traceparent_and_both_forms_of_b3_give_the_ids() {
        let expected = (Some(TRACE.to_owned()), Some(SPAN.to_owned()));
        let traceparent = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(ids(&[("traceparent", &traceparent)]), expected);
        let b3 = format!("{}-{SPAN}-1-{SPAN}", TRACE.to_uppercase());
        assert_eq!(ids(&[("b3", &b3)]), expected);
        assert_eq!(
            ids(&[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)]),
            expected
        );
    }

    #[test]
    fn invalid_ids_are_unknown() {
        for traceparent in [
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}"),
            "x".to_owned(),
        ] {
            assert_eq!(ids(&[("traceparent", &traceparent)]), (None, None));
        }
        assert_eq!(ids(&[("b3", "0")]), (None, None));
    }
}
