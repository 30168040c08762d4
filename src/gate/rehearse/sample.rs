//! A database of the source's schema with some of its rows, or none.

use super::fit::Fit;
use super::restore::Scratch;
use super::source::Origin;
use super::{Halt, Work, halted};
use crate::runbook::Take;

impl Work<'_> {
    /// Makes the schema, and fills it as far as it is wanted.
    pub(super) async fn partly(
        &mut self,
        take: Take,
        origin: &Origin,
        fit: &Fit,
    ) -> Result<Scratch, Halt> {
        let _ = (take, origin, fit);
        Err(halted("not yet"))
    }
}
