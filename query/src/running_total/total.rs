//! One running total.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray as _, Int64Array,
    PrimitiveArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt16Type, UInt32Type,
    UInt64Type,
};
use datafusion::common::{Result, internal_err};

/// Which rows have totals of their own.
pub(super) struct Steps {
    /// Rows that follow each other and have the total of the last of them; together they are all rows.
    pub(super) peers: Vec<Range<usize>>,
    /// Where partitions begin, in order: totals begin anew there.
    pub(super) starts: Vec<usize>,
}

impl Steps {
    /// For each step its rows, and whether a partition begins with them.
    fn iter(&self) -> impl Iterator<Item = (Range<usize>, bool)> {
        let mut starts = self.starts.iter().peekable();
        self.peers.iter().map(move |rows| {
            let is_start = starts.next_if(|start| **start == rows.start).is_some();
            (rows.clone(), is_start)
        })
    }

    fn rows(&self) -> usize {
        self.peers.last().map_or(0, |rows| rows.end)
    }
}

/// How values are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sum,
    Count,
    Min,
    Max,
}

impl Kind {
    /// The functions there are running totals for.
    pub(super) fn of(function: &str) -> Option<Self> {
        match function {
            "sum" => Some(Self::Sum),
            "count" => Some(Self::Count),
            "min" => Some(Self::Min),
            "max" => Some(Self::Max),
            _ => None,
        }
    }

    /// What adds up values of a type to totals of a type.
    pub(super) fn total(self, values: &DataType, totals: &DataType) -> Option<Box<dyn Total>> {
        if self == Self::Count {
            return (*totals == DataType::Int64).then(|| Box::new(Count(0)) as _);
        }
        if values != totals {
            return None;
        }
        match values {
            DataType::Int64 => Some(self.of_type::<Int64Type>(totals)),
            DataType::UInt64 => Some(self.of_type::<UInt64Type>(totals)),
            // The order of floats has rules of its own.
            DataType::Float64 if self == Self::Sum => Some(self.of_type::<Float64Type>(totals)),
            _ if self == Self::Sum => None,
            DataType::UInt16 => Some(self.of_type::<UInt16Type>(totals)),
            DataType::UInt32 => Some(self.of_type::<UInt32Type>(totals)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Some(self.of_type::<TimestampMicrosecondType>(totals))
            }
            _ => None,
        }
    }

    fn of_type<T: ArrowPrimitiveType>(self, data_type: &DataType) -> Box<dyn Total> {
        Box::new(Folded::<T> {
            add: match self {
                // As sums do elsewhere, whole numbers wrap.
                Self::Sum | Self::Count => |total, value| total.add_wrapping(value),
                Self::Min => |total, value| if value.is_lt(total) { value } else { total },
                Self::Max => |total, value| if value.is_gt(total) { value } else { total },
            },
            total: None,
            data_type: data_type.clone(),
        })
    }
}

/// A total as it runs over the rows of one batch after the other.
pub(super) trait Total: Send {
    /// The totals of the rows of these values.
    fn run(&mut self, values: &ArrayRef, steps: &Steps) -> Result<ArrayRef>;
}

/// How many values are not NULL.
struct Count(i64);

impl Total for Count {
    fn run(&mut self, values: &ArrayRef, steps: &Steps) -> Result<ArrayRef> {
        let nulls = values.logical_nulls();
        let mut totals = Vec::with_capacity(steps.rows());
        for (rows, is_start) in steps.iter() {
            if is_start {
                self.0 = 0;
            }
            let (end, count) = (rows.end, rows.len());
            let valid = match &nulls {
                Some(nulls) => rows.filter(|&row| nulls.is_valid(row)).count(),
                None => count,
            };
            self.0 += valid as i64;
            totals.resize(end, self.0);
        }
        Ok(Arc::new(Int64Array::from(totals)))
    }
}

/// Values put together one by one; NULL until there is one.
struct Folded<T: ArrowPrimitiveType> {
    add: fn(T::Native, T::Native) -> T::Native,
    total: Option<T::Native>,
    data_type: DataType,
}

impl<T: ArrowPrimitiveType> Total for Folded<T> {
    fn run(&mut self, values: &ArrayRef, steps: &Steps) -> Result<ArrayRef> {
        let Some(values) = values.as_primitive_opt::<T>() else {
            return internal_err!("{} has no running total", values.data_type());
        };
        let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0);
        let values = values.values();
        let mut totals: Vec<T::Native> = Vec::with_capacity(steps.rows());
        let mut known: Vec<bool> = Vec::new();
        for (rows, is_start) in steps.iter() {
            if is_start {
                self.total = None;
            }
            let end = rows.end;
            for row in rows {
                if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                    let value = values[row];
                    self.total = Some(self.total.map_or(value, |total| (self.add)(total, value)));
                }
            }
            totals.resize(end, self.total.unwrap_or_default());
            if nulls.is_some() {
                known.resize(end, self.total.is_some());
            }
        }
        let nulls = nulls.map(|_| NullBuffer::from(known));
        let totals = PrimitiveArray::<T>::new(totals.into(), nulls);
        Ok(Arc::new(totals.with_data_type(self.data_type.clone())))
    }
}
