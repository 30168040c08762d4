//! A series for drawing: bounded however long it gets, and no spike is lost.

use serde::{Deserialize, Serialize};

use super::Number;

/// How many points are kept.
pub const MOST_POINTS: usize = 240;

/// One point: the lowest and the highest of the values that it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The moment of its first value.
    pub at_ms: u64,
    /// Neither is there when there was no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<Number>,
}

/// Points in order. When there are too many, neighbours are put together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    pub points: Vec<Point>,
    /// How many values a point stands for.
    stride: u32,
    /// How many values the last point stands for so far.
    filled: u32,
}

impl Default for Series {
    fn default() -> Self {
        Series {
            points: Vec::new(),
            stride: 1,
            filled: 0,
        }
    }
}

impl Series {
    /// Adds a value, or that there was none.
    pub fn push(&mut self, at_ms: u64, value: Option<&Number>) {
        let point = Point {
            at_ms,
            low: value.cloned(),
            high: value.cloned(),
        };
        match self.points.last_mut() {
            Some(last) if self.filled < self.stride => {
                last.join(&point);
                self.filled += 1;
            }
            _ => {
                if self.points.len() == MOST_POINTS {
                    self.halve();
                }
                self.points.push(point);
                self.filled = 1;
            }
        }
    }

    fn halve(&mut self) {
        let joined = self.points.chunks(2).map(|pair| {
            let mut first = pair[0].clone();
            pair[1..].iter().for_each(|second| first.join(second));
            first
        });
        self.points = joined.collect();
        self.stride = self.stride.saturating_mul(2);
    }
}

impl Point {
    fn join(&mut self, other: &Point) {
        let lower = [self.low.take(), other.low.clone()];
        self.low = lower.into_iter().flatten().min();
        let higher = [self.high.take(), other.high.clone()];
        self.high = higher.into_iter().flatten().max();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_bounded_in_order_and_keeps_its_extremes(values in prop::collection::vec(-1000i64..1000, 1..3000)) {
            let mut series = Series::default();
            for (at, value) in values.iter().enumerate() {
                series.push(at as u64, Some(&value.to_string().parse().unwrap()));
            }
            prop_assert!(series.points.len() <= MOST_POINTS);
            prop_assert!(series.points.is_sorted_by_key(|point| point.at_ms));
            let low = series.points.iter().filter_map(|p| p.low.clone()).min().unwrap();
            let high = series.points.iter().filter_map(|p| p.high.clone()).max().unwrap();
            prop_assert_eq!(low.to_string(), values.iter().min().unwrap().to_string());
            prop_assert_eq!(high.to_string(), values.iter().max().unwrap().to_string());
        }
    }

    #[test]
    fn what_is_missing_is_no_value() {
        let mut series = Series::default();
        series.push(0, None);
        assert_eq!(series.points[0].low, None);
    }
}
