//! Tests that span the crates, as one binary.

mod garden_data;
mod npz;
mod reference;
mod test_data;
