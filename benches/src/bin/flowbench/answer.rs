//! Answers of all engines in one form, and whether two are the same.

use std::cmp::Ordering;
use std::error::Error;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimeUnit};
use serde::Deserialize;

/// Sums of floats differ in their last digits by the order of adding.
const FLOAT_TOLERANCE: f64 = 1e-6;
/// weir's `quantile` is at most 1.6 % off, and mostly 0.8 %; the others' are exact.
const ESTIMATE_TOLERANCE: f64 = 0.016;

/// The rows of an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A value. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Null,
    Truth(bool),
    Whole(i64),
    Float(f64),
    Text(String),
}

impl Cell {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    fn is_close(&self, other: &Self, tolerance: f64) -> bool {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) if tolerance <= FLOAT_TOLERANCE => one == other,
            _ => match self.number().zip(other.number()) {
                Some((one, other)) => (one - other).abs() <= tolerance * one.abs().max(other.abs()),
                None => self == other,
            },
        }
    }

    /// An order of all values, the same in every answer.
    fn order(&self, other: &Self) -> Ordering {
        let kind = |cell: &Self| match cell {
            Self::Null => 0,
            Self::Truth(_) => 1,
            Self::Whole(_) | Self::Float(_) => 2,
            Self::Text(_) => 3,
        };
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Truth(one), Self::Truth(other)) => one.cmp(other),
            _ => match self.number().zip(other.number()) {
                Some((one, other)) => one.total_cmp(&other),
                None => kind(self).cmp(&kind(other)),
            },
        }
    }
}

impl Answer {
    /// Of weir's batches.
    pub(crate) fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, Box<dyn Error>> {
        let columns = schema.fields().iter().map(|field| field.name().clone());
        let mut rows = Vec::new();
        for batch in batches {
            let cells: Vec<Vec<Cell>> = batch
                .columns()
                .iter()
                .map(cells)
                .collect::<Result<_, _>>()?;
            rows.extend((0..batch.num_rows()).map(|row| {
                let of_row = cells.iter().map(|column| column[row].clone());
                of_row.collect()
            }));
        }
        Ok(Self {
            columns: columns.collect(),
            rows,
        })
    }

    /// Why this is not what another engine answers, if it is not. Rows may come in any order: where it matters, the
    /// question's limit shows it.
    pub(crate) fn difference(&mut self, other: &mut Self, estimates: &[&str]) -> Option<String> {
        if self.columns != other.columns {
            return Some(format!(
                "columns {:?} and {:?}",
                self.columns, other.columns
            ));
        }
        if self.rows.len() != other.rows.len() {
            return Some(format!("{} rows and {}", self.rows.len(), other.rows.len()));
        }
        let is_estimate: Vec<bool> = self
            .columns
            .iter()
            .map(|name| estimates.contains(&name.as_str()))
            .collect();
        self.sort(&is_estimate);
        other.sort(&is_estimate);
        for (one, other) in self.rows.iter().zip(&other.rows) {
            let mut cells = one.iter().zip(other).zip(&is_estimate);
            let is_same = cells.all(|((one, other), is_estimate)| {
                let tolerance = if *is_estimate {
                    ESTIMATE_TOLERANCE
                } else {
                    FLOAT_TOLERANCE
                };
                one.is_close(other, tolerance)
            });
            if !is_same {
                return Some(format!("{one:?} and {other:?}"));
            }
        }
        None
    }

    /// By the columns that are exactly the same in every answer, then by the others.
    fn sort(&mut self, is_estimate: &[bool]) {
        let is_inexact = |place: &usize| {
            let mut column = self.rows.iter().map(|row| &row[*place]);
            is_estimate[*place] || column.any(|cell| matches!(cell, Cell::Float(_)))
        };
        let mut places: Vec<usize> = (0..self.columns.len()).collect();
        places.sort_by_key(is_inexact);
        self.rows.sort_by(|one, other| {
            let orders = places.iter().map(|&place| one[place].order(&other[place]));
            orders.fold(Ordering::Equal, Ordering::then)
        });
    }
}

fn cells(column: &ArrayRef) -> Result<Vec<Cell>, Box<dyn Error>> {
    let each = |cell: &dyn Fn(usize) -> Cell| {
        let rows = 0..column.len();
        rows.map(|row| {
            if column.is_null(row) {
                Cell::Null
            } else {
                cell(row)
            }
        })
        .collect()
    };
    Ok(match column.data_type() {
        DataType::Boolean => {
            let truths = column.as_boolean();
            each(&|row| Cell::Truth(truths.value(row)))
        }
        DataType::Float32 | DataType::Float64 => {
            let numbers = cast(column, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            each(&|row| Cell::Float(numbers.value(row)))
        }
        DataType::Timestamp(_, zone) => {
            let times = cast(
                column,
                &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            )?;
            let times = cast(&times, &DataType::Int64)?;
            let times = times.as_primitive::<Int64Type>();
            each(&|row| Cell::Whole(times.value(row)))
        }
        data_type if data_type.is_integer() => {
            let numbers = cast(column, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            each(&|row| Cell::Whole(numbers.value(row)))
        }
        _ => {
            let texts = cast(column, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>();
            each(&|row| Cell::Text(texts.value(row).to_owned()))
        }
    })
}
