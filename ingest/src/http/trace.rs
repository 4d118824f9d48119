//! Trace context out of request headers: W3C `traceparent`, or B3 in one header or several.

use std::sync::Arc;

/// The ids of the span that sent a request.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct TraceContext {
    w3c: Option<(Arc<str>, Arc<str>)>,
    b3_trace: Option<Arc<str>>,
    b3_span: Option<Arc<str>>,
}

impl TraceContext {
    /// Takes a header by its name in lower case; whether it is one of these: most are of no interest.
    pub(super) fn add(&mut self, name: &str, value: &str) -> bool {
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
            "traceparent" | "x-b3-traceid" | "x-b3-spanid" => {}
            _ => return false,
        }
        true
    }

    /// Trace id and span id, lower-case hexadecimal.
    pub(super) fn ids(self) -> (Option<Arc<str>>, Option<Arc<str>>) {
        match self.w3c {
            Some((trace, span)) => (Some(trace), Some(span)),
            None => (self.b3_trace, self.b3_span),
        }
    }
}

/// `version-trace-span-flags`; later versions may append more (Trace Context, section 3.2).
fn parse_traceparent(value: &str) -> Option<(Arc<str>, Arc<str>)> {
    let mut parts = value.trim().split('-');
    let version = hex(parts.next()?, &[2])?;
    let trace = hex(parts.next()?, &[32])?;
    let span = span_id(parts.next()?)?;
    hex(parts.next()?, &[2])?;
    let is_valid = !version.eq_ignore_ascii_case("ff")
        && (version != "00" || parts.next().is_none())
        && trace.bytes().any(|byte| byte != b'0');
    is_valid.then(|| (lower_case(trace), span))
}

fn trace_id(value: &str) -> Option<Arc<str>> {
    id(value, &[16, 32])
}

fn span_id(value: &str) -> Option<Arc<str>> {
    id(value, &[16])
}

/// An id of one of these lengths. One that is all zeros is none.
fn id(value: &str, lengths: &[usize]) -> Option<Arc<str>> {
    let id = hex(value, lengths)?;
    id.bytes().any(|byte| byte != b'0').then(|| lower_case(id))
}

fn hex<'v>(value: &'v str, lengths: &[usize]) -> Option<&'v str> {
    let value = value.trim();
    let is_hex =
        lengths.contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then_some(value)
}

fn lower_case(id: &str) -> Arc<str> {
    if id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        id.to_ascii_lowercase().into()
    } else {
        id.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn ids(headers: &[(&str, &str)]) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let mut context = TraceContext::default();
        for (name, value) in headers {
            context.add(name, value);
        }
        context.ids()
    }

    #[test]
    fn traceparent_and_both_forms_of_b3_give_the_ids() {
        let expected = (Some(TRACE.into()), Some(SPAN.into()));
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
