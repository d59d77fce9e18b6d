// chunk: the Gaussians whose records are bound, where a binding does not hold those of all. A dispatch is about one chunk.
//
// Records are indexed by a Gaussian's place in the chunk; its id is that plus `first`.

struct Chunk {
    // Id of the first Gaussian.
    first: u32,
    count: u32,
}
