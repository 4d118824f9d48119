//! `dns_answers(answers, qname, pid, time)`: the names that each process was told, with their times.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int64Array, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, Signature, Volatility,
};

use super::history::History;
use super::names::{is_text, list, time_type};
use crate::functions::docs::Docs;

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("pid", DataType::Int64, true),
        Field::new("ip", DataType::Utf8, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("from", time_type(), true),
        Field::new("until", time_type(), true),
    ])
}

/// The type of what it answers: a list of who knew which address by which name, and when.
pub(super) fn list_type() -> DataType {
    DataType::new_list(DataType::Struct(fields()), true)
}

/// The type of the column `answers`, as far as it is looked at.
fn records_type() -> DataType {
    let record = Fields::from(vec![
        Field::new("type", DataType::Utf8, true),
        Field::new("ttl", DataType::Int64, true),
        Field::new("data", DataType::Utf8, true),
    ]);
    DataType::new_list(DataType::Struct(record), true)
}

fn are_records(data_type: &DataType) -> bool {
    let DataType::List(item) = data_type else {
        return false;
    };
    let DataType::Struct(fields) = item.data_type() else {
        return false;
    };
    let has = |name, data_type| {
        let field = fields.find(name);
        field.is_some_and(|(_, field)| *field.data_type() == data_type)
    };
    has("type", DataType::Utf8) && has("ttl", DataType::Int64) && has("data", DataType::Utf8)
}

/// Makes the list in which `dns_name` looks for the name that a process knew.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::functions) struct DnsAnswers {
    signature: Signature,
}

impl DnsAnswers {
    pub(in crate::functions) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for DnsAnswers {
    fn name(&self) -> &'static str {
        "dns_answers"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let wrong = "dns_answers takes four values: records of answers, a name, a process id and a time, as in dns_answers(answers, qname, pid, time)";
        let [answers, name, pid, time] = arguments else {
            return plan_err!("{wrong}");
        };
        let answers = match answers {
            DataType::Null => records_type(),
            records if are_records(records) => records.clone(),
            _ => return plan_err!("{wrong}"),
        };
        let is_pid = pid.is_integer() || pid.is_null();
        let is_time = matches!(time, DataType::Timestamp(..) | DataType::Null);
        if !is_text(name) || !is_pid || !is_time {
            return plan_err!("{wrong}");
        }
        Ok(vec![answers, DataType::Utf8, DataType::Int64, time_type()])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(list_type())
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |name, item| {
            Arc::new(Field::new(
                format_state_name(arguments.name, name),
                DataType::new_list(item, true),
                true,
            ))
        };
        Ok(vec![
            field("pids", DataType::Int64),
            field("addresses", DataType::Utf8),
            field("names", DataType::Utf8),
            field("from", DataType::Int64),
            field("until", DataType::Int64),
            field("askers", DataType::Int64),
            field("asked", DataType::Int64),
        ])
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Answers::default()))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

/// A [`History`] that is filled from columns.
#[derive(Debug, Default)]
struct Answers {
    history: History,
}

impl Accumulator for Answers {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [answers, names, pids, times] = columns else {
            return exec_err!("dns_answers takes four values");
        };
        let answers = answers.as_list::<i32>();
        let records = Records::of(answers.values())?;
        let names = names.as_string::<i32>();
        let pids = pids.as_primitive::<Int64Type>();
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let rows = names.iter().zip(pids.iter().zip(times));
        for (row, (name, (pid, time))) in rows.enumerate() {
            let Some(time) = time else {
                continue;
            };
            if let Some(pid) = pid {
                self.history.ask(pid, time);
            }
            let Some(name) = name.filter(|_| answers.is_valid(row)) else {
                continue;
            };
            let offsets = answers.value_offsets();
            for record in offsets[row] as usize..offsets[row + 1] as usize {
                if let Some((address, ttl)) = records.address(record) {
                    self.history.answer(pid, address, name, time, ttl);
                }
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let askers = self.history.askers();
        let answers = self.history.answers();
        let pids: Int64Array = answers.iter().map(|answer| answer.pid).collect();
        let addresses: StringArray = answers
            .iter()
            .map(|answer| Some(answer.address.to_string()))
            .collect();
        let names: StringArray = answers.iter().map(|answer| Some(&*answer.name.0)).collect();
        let from: Int64Array = answers.iter().map(|answer| Some(answer.from)).collect();
        let until: Int64Array = answers.iter().map(|answer| Some(answer.until)).collect();
        let asking: Int64Array = askers.iter().map(|(pid, _)| Some(*pid)).collect();
        let asked: Int64Array = askers.iter().map(|(_, last)| Some(*last)).collect();
        [
            Arc::new(pids) as ArrayRef,
            Arc::new(addresses),
            Arc::new(names),
            Arc::new(from),
            Arc::new(until),
            Arc::new(asking),
            Arc::new(asked),
        ]
        .into_iter()
        .map(list)
        .collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [pids, addresses, names, from, until, askers, asked] = states else {
            return exec_err!("dns_answers is handed over in seven columns");
        };
        let numbers = |lists: &ArrayRef, row| {
            let numbers = lists.as_list::<i32>().value(row);
            numbers.as_primitive::<Int64Type>().clone()
        };
        let texts = |lists: &ArrayRef, row| {
            let texts = lists.as_list::<i32>().value(row);
            texts.as_string::<i32>().clone()
        };
        for row in 0..pids.len() {
            if states.iter().any(|lists| lists.is_null(row)) {
                continue;
            }
            let (addresses, names) = (texts(addresses, row), texts(names, row));
            let pairs = addresses.iter().zip(&names);
            let (from, until) = (numbers(from, row), numbers(until, row));
            let times = from.iter().zip(&until);
            for (pid, ((address, name), times)) in numbers(pids, row).iter().zip(pairs.zip(times)) {
                let (Some(address), Some(name), (Some(from), Some(until))) = (address, name, times)
                else {
                    continue;
                };
                if let Ok(address) = address.parse() {
                    self.history.learn(pid, address, name, from, until);
                }
            }
            for (pid, time) in numbers(askers, row).iter().zip(&numbers(asked, row)) {
                if let (Some(pid), Some(time)) = (pid, time) {
                    self.history.ask(pid, time);
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let spans = self.history.spans();
        let askers = self.history.askers();
        let told = |pid: i64| {
            spans
                .binary_search_by(|span| span.pid.cmp(&Some(pid)))
                .is_ok()
        };
        // Those that asked and were told no address are there too.
        let mut rows: Vec<_> = askers
            .iter()
            .filter(|(pid, _)| !told(*pid))
            .map(|(pid, _)| (Some(*pid), None, None, None, None))
            .chain(spans.iter().map(|span| {
                let address = Some(span.address.to_string());
                let name = Some(&*span.name.0);
                (span.pid, address, Some(span.from), Some(span.until), name)
            }))
            .collect();
        // By the text of the address, in which it is looked up.
        rows.sort_unstable();
        let pids: Int64Array = rows.iter().map(|(pid, ..)| *pid).collect();
        let addresses: StringArray = rows.iter().map(|(_, ip, ..)| ip.as_deref()).collect();
        let from: TimestampMicrosecondArray = rows.iter().map(|(_, _, from, ..)| *from).collect();
        let until: TimestampMicrosecondArray = rows.iter().map(|(.., until, _)| *until).collect();
        let names: StringArray = rows.iter().map(|(.., name)| *name).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(pids),
            Arc::new(addresses),
            Arc::new(names),
            Arc::new(from.with_timezone("UTC")),
            Arc::new(until.with_timezone("UTC")),
        ];
        list(Arc::new(StructArray::try_new(fields(), columns, None)?))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.history.size()
    }
}

/// Records of answer sections, one after the other.
struct Records<'a> {
    all: &'a StructArray,
    types: &'a StringArray,
    ttls: &'a Int64Array,
    data: &'a StringArray,
}

impl<'a> Records<'a> {
    fn of(records: &'a ArrayRef) -> Result<Self> {
        let records = records.as_struct();
        let column = |name| records.column_by_name(name);
        let (Some(types), Some(ttls), Some(data)) = (
            column("type").and_then(|types| types.as_string_opt()),
            column("ttl").and_then(|ttls| ttls.as_primitive_opt()),
            column("data").and_then(|data| data.as_string_opt()),
        ) else {
            return exec_err!("dns_answers needs records with type, ttl and data");
        };
        Ok(Self {
            all: records,
            types,
            ttls,
            data,
        })
    }

    /// The address that a record gives, and for how many seconds; `None` of other records.
    fn address(&self, record: usize) -> Option<(IpAddr, i64)> {
        let is_told =
            self.all.is_valid(record) && self.types.is_valid(record) && self.data.is_valid(record);
        if !is_told || !matches!(self.types.value(record), "A" | "AAAA") {
            return None;
        }
        let address = self.data.value(record).parse().ok()?;
        let ttl = self.ttls.is_valid(record).then(|| self.ttls.value(record));
        Some((address, ttl.unwrap_or(0)))
    }
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "dns_answers(answers, qname, pid, time)",
        answers: "A list of {pid, ip, name, from, until}: from when to when each process knew an address by a name, and \
            with pid NULL, when anybody did. The newest answer decides at each time, and is good for its TTL, at least 60 \
            seconds and at most 24 hours. A process that was told no address has one row with nothing but its pid. Of \
            more than 65,536 pairs of process and address, and of more than 262,144 answers, the last are known. Rows \
            without a time are left out. dns_name looks names up in it.",
        arguments: &[
            ("answers", "a list of records with type, ttl and data, such as the column answers"),
            ("qname", "the name that was asked for"),
            ("pid", "the process that asked; NULL where unknown"),
            ("time", "when it was answered"),
        ],
        example: "SELECT dst_ip, dns_name(dst_ip, pid, start_time, (SELECT dns_answers(answers, qname, pid, time)\n\
            FROM dns_events WHERE role = 'client' AND node = 'node-a')) FROM flows",
    }
    .build()
});

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests;
