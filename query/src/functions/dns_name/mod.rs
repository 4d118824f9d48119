//! `dns_name(ip)`: the name that a DNS answer gave an address. `dns_name(ip, pid, time)`: the name by which that process
//! knew it then.
//!
//! ```text
//!   dns_name(ip)  ->  dns_name(ip, (SELECT dns_names(answer_ips, qname, time) FROM dns_events WHERE ...))
//!     call::complete, before planning      |
//!                                          one map for the whole query: computed once, from the query's own snapshot,
//!                                          within its memory and its deadline
//!
//!   dns_name(ip, pid, time)  ->  dns_name(ip, pid, time, (SELECT dns_answers(...) FROM dns_events WHERE ...))
//!                                                                |
//!                                                                one list, in the same way
//! ```

mod answers;
mod by_process;
mod call;
mod history;
mod names;
mod start;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array as _, AsArray as _, MapArray, StringArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::docs::Docs;
use super::texts;

use by_process::ByProcess;

pub(super) use answers::DnsAnswers;
pub(crate) use call::{Range, complete};
pub(super) use names::DnsNames;
pub(super) use start::Start;

/// Looks addresses up in a map that [`DnsNames`] made, or in a list that [`DnsAnswers`] made.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DnsName {
    signature: Signature,
}

impl DnsName {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for DnsName {
    fn name(&self) -> &'static str {
        call::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The names are left out where they are the usual ones: nobody wrote that query.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let shown: Vec<String> = arguments
            .iter()
            .filter(|argument| !matches!(argument, Expr::ScalarSubquery(_)))
            .map(|argument| argument.schema_name().to_string())
            .collect();
        Ok(format!("{}({})", self.name(), shown.join(",")))
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [ip, names] => {
                if *names != names::map_type() && !names.is_null() {
                    return plan_err!("dns_name needs names that dns_names made, not {names}");
                }
                Ok(vec![texts::coerced(self.name(), ip)?, names::map_type()])
            }
            [ip, pid, time, told] => {
                texts::coerced(self.name(), ip)?;
                if !pid.is_integer() && !pid.is_null() {
                    return plan_err!("dns_name needs a process id as its second value");
                }
                if !matches!(time, DataType::Timestamp(..) | DataType::Null) {
                    return plan_err!("dns_name needs a time as its third value");
                }
                if *told != answers::list_type() && !told.is_null() {
                    return plan_err!(
                        "dns_name needs answers that dns_answers made as its last value"
                    );
                }
                Ok(vec![
                    DataType::Utf8,
                    DataType::Int64,
                    names::time_type(),
                    answers::list_type(),
                ])
            }
            _ => plan_err!(
                "dns_name takes one value, an address, or an address and names, or three, an address, a process id and a time"
            ),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.as_slice() {
            [ip, names] => name_of_anybody(ip, names),
            [row @ .., told] if row.len() == 3 => name_by_process(row, told),
            _ => exec_err!("dns_name takes two or four values"),
        }
    }

    /// Keeps the planner from taking the names out as a common part of several calls: as a column they would stand in
    /// every row. As a subquery they are computed once all the same.
    fn conditional_arguments<'a>(
        &self,
        arguments: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        let (names, values) = arguments.split_last()?;
        Some((values.iter().collect(), vec![names]))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

fn name_of_anybody(ip: &ColumnarValue, names: &ColumnarValue) -> Result<ColumnarValue> {
    match names {
        ColumnarValue::Scalar(ScalarValue::Map(names)) => {
            let names = Names::of(names)?;
            texts::map_each::<StringArray, _>(ip, |ip| names.look_up(ip))
        }
        ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))),
        ColumnarValue::Array(_) => exec_err!(
            "dns_name needs the same names for all rows: put (SELECT dns_names(...) FROM ...) in parentheses there"
        ),
    }
}

/// Of an address, a pid and a time.
fn name_by_process(row: &[ColumnarValue], told: &ColumnarValue) -> Result<ColumnarValue> {
    let told = match told {
        ColumnarValue::Scalar(ScalarValue::List(told)) => ByProcess::of(told)?,
        ColumnarValue::Scalar(_) => return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))),
        ColumnarValue::Array(_) => {
            return exec_err!(
                "dns_name needs the same answers for all rows: put (SELECT dns_answers(...) FROM ...) in parentheses there"
            );
        }
    };
    let arrays = ColumnarValue::values_to_arrays(row)?;
    let [ips, pids, times] = arrays.as_slice() else {
        return exec_err!("dns_name takes an address, a process id and a time");
    };
    let pids = pids.as_primitive::<Int64Type>();
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let names: StringArray = ips
        .as_string::<i32>()
        .iter()
        .zip(pids.iter().zip(times))
        .map(|(ip, (pid, time))| told.look_up(ip?, pid, time?))
        .collect();
    Ok(ColumnarValue::Array(Arc::new(names)))
}

/// The entries of one map, ascending by address.
#[derive(Clone, Copy)]
struct Names<'a> {
    addresses: &'a StringArray,
    named: &'a StringArray,
    start: usize,
    end: usize,
}

impl<'a> Names<'a> {
    fn of(map: &'a MapArray) -> Result<Self> {
        let (Some(addresses), Some(named)) = (
            map.keys().as_string_opt::<i32>(),
            map.values().as_string_opt::<i32>(),
        ) else {
            return exec_err!("dns_name needs names that dns_names made");
        };
        let (start, end) = if map.is_valid(0) {
            let offsets = map.value_offsets();
            (offsets[0] as usize, offsets[1] as usize)
        } else {
            (0, 0)
        };
        Ok(Self {
            addresses,
            named,
            start,
            end,
        })
    }

    fn look_up(self, ip: &str) -> Option<&'a str> {
        self.find(ip).or_else(|| {
            // Perhaps not in the form that the tables have addresses in.
            let address: IpAddr = ip.parse().ok()?;
            self.find(&address.to_canonical().to_string())
        })
    }

    fn find(self, ip: &str) -> Option<&'a str> {
        let (mut start, mut end) = (self.start, self.end);
        while start < end {
            let middle = start.midpoint(end);
            match self.addresses.value(middle).cmp(ip) {
                std::cmp::Ordering::Less => start = middle + 1,
                std::cmp::Ordering::Greater => end = middle,
                std::cmp::Ordering::Equal => {
                    return self
                        .named
                        .is_valid(middle)
                        .then(|| self.named.value(middle));
                }
            }
        }
        None
    }
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "dns_name(ip [, names]), dns_name(ip, pid, time [, answers])",
        answers: "The name that was asked for when a DNS answer held that address; the newest answer decides where \
            several names have it. With pid and time, the name by which that process knew the address then: from the \
            answers that it was given itself, the newest that had come at that time and was still good, for its TTL but at \
            least 60 seconds and at most 24 hours. A process without any lookup of its own (its lookups go through a \
            resolver daemon) and a pid that is NULL get what anybody was told, by the same rules. NULL where no answer \
            held it, for NULL (of ip or time) and for what is no address. The answers are those of dns_events in the \
            query's time range and the 24 hours before it (from, to); without from, of the 24 hours before the newest of \
            them. Of more than 65,536 addresses, or pairs of process and address, those answered last are known. For \
            other answers, such as one node's, give names made by dns_names, or answers made by dns_answers.",
        arguments: &[
            ("ip", "an address as text"),
            ("names", "what dns_names answered, as a subquery in parentheses; optional"),
            ("pid", "the process that used the address"),
            ("time", "when it did"),
            ("answers", "what dns_answers answered, as a subquery in parentheses; optional"),
        ],
        example: "SELECT dns_name(server_ip, pid, time) AS name, server_ip, count(*) FROM http_events\n\
            WHERE role = 'client' GROUP BY name, server_ip",
    }
    .build()
});
