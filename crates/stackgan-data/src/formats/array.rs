//! Arrays of numbers in the bytes of a file.
//!
//! The views support any element type and any order of the axes, and may share data with other
//! arrays. All formats return this one type. Nothing is copied until the numbers are read.

use super::DType;

/// Maximum number of elements of an array that repeats elements (with a stride of 0).
const MAX_REPEATED: usize = 1 << 20;

/// The arrangement of the elements.
pub(crate) enum Layout {
    /// The last index varies fastest (numpy, Torch).
    RowMajor,
    /// The first index varies fastest (Fortran, MATLAB).
    ColumnMajor,
    /// Distance in elements between neighbours along each axis, and the index of the first element.
    Strided(Vec<usize>, usize),
}

/// An array of numbers in a file.
#[derive(Clone, Debug)]
pub struct ArrayView<'a> {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    /// Distance in elements between neighbours along each axis.
    strides: Vec<usize>,
    offset: usize,
    bytes: &'a [u8],
}

impl<'a> ArrayView<'a> {
    /// Creates a view; `None` if an element is outside of `bytes`, or there are far more elements
    /// than the bytes hold.
    pub(crate) fn new(
        dtype: DType,
        shape: Vec<usize>,
        layout: Layout,
        bytes: &'a [u8],
    ) -> Option<Self> {
        let held = bytes.len() / dtype.bytes();
        if shape.contains(&0) {
            let strides = vec![0; shape.len()];
            return Some(Self { dtype, shape, strides, offset: 0, bytes });
        }
        let elements = shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent))?;
        if elements > held.max(MAX_REPEATED) {
            return None;
        }
        let (strides, offset) = match layout {
            Layout::RowMajor => (row_major(&shape), 0),
            Layout::ColumnMajor => (column_major(&shape), 0),
            Layout::Strided(strides, offset) => (strides, offset),
        };
        if strides.len() != shape.len() {
            return None;
        }
        let last = shape.iter().zip(&strides).try_fold(offset, |last, (&extent, &stride)| {
            last.checked_add((extent - 1).checked_mul(stride)?)
        })?;
        (last < held).then_some(Self { dtype, shape, strides, offset, bytes })
    }

    /// Size of each dimension.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.is_empty() { 0 } else { self.shape.iter().product() }
    }

    /// Whether the array has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// The elements in row-major order, converted to f32.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.len());
        self.each(|raw| out.push(self.dtype.float(raw).unwrap_or_default() as f32));
        out
    }

    /// The elements in row-major order, converted to f64.
    #[must_use]
    pub fn to_f64(&self) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.len());
        self.each(|raw| out.push(self.dtype.float(raw).unwrap_or_default()));
        out
    }

    /// The elements in row-major order as integers; `None` if one of them is not an integer, or is
    /// beyond 2^53 as a float or 2^63 as an integer.
    #[must_use]
    pub fn to_ints(&self) -> Option<Vec<i64>> {
        let mut out = Vec::with_capacity(self.len());
        let mut whole = true;
        self.each(|raw| match self.dtype.int(raw).or_else(|| whole_float(self.dtype, raw)) {
            Some(number) => out.push(number),
            None => whole = false,
        });
        whole.then_some(out)
    }

    /// The bytes that the array lies in.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The sub-array at `index` of the first axis; `None` beyond its end or for an array without
    /// axes.
    #[must_use]
    pub fn part(&self, index: usize) -> Option<Self> {
        let (&extent, shape) = self.shape.split_first()?;
        let (&stride, strides) = self.strides.split_first()?;
        (index < extent).then(|| Self {
            dtype: self.dtype,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            offset: self.offset + index * stride,
            bytes: self.bytes,
        })
    }

    /// The bytes of all elements, if they are contiguous in row-major order.
    fn run(&self) -> Option<&'a [u8]> {
        let start = self.offset.checked_mul(self.dtype.bytes())?;
        let length = self.len().checked_mul(self.dtype.bytes())?;
        let whole = self.bytes.get(start..)?.get(..length)?;
        (row_major(&self.shape) == self.strides).then_some(whole)
    }

    /// Calls `take` with the bytes of each element, in row-major order.
    fn each(&self, mut take: impl FnMut(&[u8])) {
        let size = self.dtype.bytes();
        if let Some(whole) = self.run() {
            whole.chunks_exact(size).for_each(take);
            return;
        }
        let mut index = vec![0usize; self.shape.len()];
        let mut place = self.offset;
        for _ in 0..self.len() {
            let raw = place.checked_mul(size).and_then(|start| self.bytes.get(start..start + size));
            take(raw.unwrap_or_default());
            // The last index varies fastest.
            for ((i, &extent), &stride) in
                index.iter_mut().zip(&self.shape).zip(&self.strides).rev()
            {
                *i += 1;
                place = place.wrapping_add(stride); // wraps only along an axis of one element
                if *i < extent {
                    break;
                }
                place = place.wrapping_sub(extent.wrapping_mul(stride));
                *i = 0;
            }
        }
    }
}

/// The strides of an array whose last index varies fastest.
pub(crate) fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = running(shape.iter().rev());
    strides.reverse();
    strides
}

/// The strides of an array whose first index varies fastest.
pub(crate) fn column_major(shape: &[usize]) -> Vec<usize> {
    running(shape.iter())
}

/// For each size, the product of the sizes before it.
fn running<'e>(extents: impl Iterator<Item = &'e usize>) -> Vec<usize> {
    let step = |product: &mut usize, &extent: &usize| {
        let before = *product;
        *product = before.saturating_mul(extent);
        Some(before)
    };
    extents.scan(1, step).collect()
}

fn whole_float(dtype: DType, raw: &[u8]) -> Option<i64> {
    let number = dtype.float(raw)?;
    let exact = number.abs() <= 2f64.powi(53) && number.fract() == 0.0;
    exact.then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const U1: DType = DType { kind: super::super::Kind::Unsigned, size: 1, big_endian: false };

    fn view(shape: &[usize], layout: Layout, bytes: &[u8]) -> Option<Vec<i64>> {
        ArrayView::new(U1, shape.to_vec(), layout, bytes)?.to_ints()
    }

    #[test]
    fn every_layout_gives_row_major_order() {
        let bytes = [0, 1, 2, 3, 4, 5];
        assert_eq!(view(&[2, 3], Layout::RowMajor, &bytes).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(view(&[2, 3], Layout::ColumnMajor, &bytes).unwrap(), [0, 2, 4, 1, 3, 5]);
        let strided = Layout::Strided(vec![1, 2], 1);
        assert_eq!(view(&[2, 2], strided, &bytes).unwrap(), [1, 3, 2, 4]);
        let repeated = Layout::Strided(vec![0, 1], 4);
        assert_eq!(view(&[3, 2], repeated, &bytes).unwrap(), [4, 5, 4, 5, 4, 5]);
        assert_eq!(view(&[], Layout::RowMajor, &bytes).unwrap(), [0]);
        assert!(view(&[usize::MAX, 9, 0], Layout::RowMajor, &[]).unwrap().is_empty());
        assert_eq!(view(&[1], Layout::Strided(vec![usize::MAX], 3), &bytes).unwrap(), [3]);
        let cube = ArrayView::new(U1, vec![3, 2, 1], Layout::ColumnMajor, &bytes).unwrap();
        assert_eq!(cube.part(1).unwrap().to_ints().unwrap(), [1, 4]);
        assert!(cube.part(3).is_none());
    }

    #[test]
    fn nothing_reaches_beyond_the_bytes() {
        let bytes = [0; 6];
        for (shape, layout) in [
            (&[7][..], Layout::RowMajor),
            (&[], Layout::Strided(vec![], 6)),
            (&[2], Layout::Strided(vec![6], 0)),
            (&[2], Layout::Strided(vec![usize::MAX], 2)),
            (&[2, 2], Layout::Strided(vec![1], 0)),
            (&[usize::MAX, usize::MAX], Layout::Strided(vec![0, 0], 0)),
            (&[MAX_REPEATED + 1], Layout::Strided(vec![0], 0)),
        ] {
            assert!(view(shape, layout, &bytes).is_none(), "{shape:?}");
        }
    }

    #[test]
    fn floats_are_whole_numbers_when_they_are() {
        let f8 = DType { kind: super::super::Kind::Float, size: 8, big_endian: true };
        let ints = |number: f64| {
            let bytes = number.to_be_bytes();
            ArrayView::new(f8, vec![1], Layout::RowMajor, &bytes).unwrap().to_ints()
        };
        assert_eq!(ints(-8189.0).unwrap(), [-8189]);
        for bad in [0.5, f64::NAN, f64::INFINITY, 1e300] {
            assert!(ints(bad).is_none());
        }
    }
}
