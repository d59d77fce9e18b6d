//! Tests that span the crates, as one binary.

mod average;
mod checkpoints;
mod demo;
mod differences;
mod examples;
mod extend;
mod fixtures;
mod floor;
mod frame;
mod garden;
mod garden_data;
mod gradients;
mod gut;
mod gut_fixture;
mod imports;
mod lenses;
mod live;
mod memory;
mod npz;
mod parity;
mod reference;
mod shaders;
mod test_data;
mod tiny_dataset;
mod tiny_scene;
mod trainer;
