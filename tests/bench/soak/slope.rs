//! Whether something grows: a line through what was seen, by least squares, and how sure that is. It knows nothing of what the
//! numbers are of.

/// What is seen is cut into so many pieces, of which each counts as one: neighbours say the same, and would make a guess look
/// certain if each counted.
const PIECES: usize = 24;

/// Of Student's distribution: what 2.5 of a hundred exceed with 22 degrees of freedom, two fewer than there are pieces.
const T: f64 = 2.074;

/// A line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slope {
    /// Growth for each second.
    pub(crate) per_second: f64,
    /// With a probability of 95 in a hundred it is no further off than this.
    pub(crate) either_way: f64,
}

/// What stands for all that was seen in a piece.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stand {
    /// Its middle, for what comes and goes slowly.
    Median,
    /// Its least, for what comes and goes with each connection: what is never given back shows there.
    Least,
}

impl Slope {
    /// Of pairs of seconds and values, in order of time; `None` where there are too few.
    pub(crate) fn of(points: &[(f64, f64)], stand: Stand) -> Option<Self> {
        let pieces: Vec<_> = (0..PIECES).map(|piece| piece_of(points, piece)).collect::<Option<Vec<_>>>()?;
        let pieces: Vec<(f64, f64)> = pieces.into_iter().map(|piece| stand_in(piece, stand)).collect();
        let count = pieces.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| pieces.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|it| it.0), mean(|it| it.1));
        let spread = pieces.iter().map(|it| (it.0 - x).powi(2)).sum::<f64>();
        let per_second = pieces.iter().map(|it| (it.0 - x) * (it.1 - y)).sum::<f64>() / spread;
        let left = pieces.iter().map(|it| (it.1 - y - per_second * (it.0 - x)).powi(2)).sum::<f64>();
        let either_way = T * (left / (count - 2.0) / spread).sqrt();
        Some(Self { per_second, either_way })
    }

    /// The same for another unit.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self { per_second: self.per_second * factor, either_way: self.either_way * factor }
    }

    /// Whether it grows for certain, and by more than that.
    pub(crate) fn is_more_than(self, bound: f64) -> bool {
        self.per_second - self.either_way > bound
    }
}

fn piece_of(points: &[(f64, f64)], number: usize) -> Option<&[(f64, f64)]> {
    let at = |number: usize| points.len() * number / PIECES;
    Some(&points[at(number)..at(number + 1)]).filter(|it| !it.is_empty())
}

fn stand_in(piece: &[(f64, f64)], stand: Stand) -> (f64, f64) {
    let middle = piece[piece.len() / 2].0;
    let mut values: Vec<f64> = piece.iter().map(|it| it.1).collect();
    values.sort_by(f64::total_cmp);
    match stand {
        Stand::Median => (middle, values[values.len() / 2]),
        Stand::Least => (middle, values[0]),
    }
}
