// lanes (scatter form): sums over a group of LANES = 32 or 64 invocations that is one subgroup.
//
// A reduce-scatter: in each round two lanes exchange halves of their words; one continues with the lower words, the other with
// the upper ones. That takes WORDS additions and exchanges in total, where reducing each word by itself takes five times
// SLOT_FLOATS. At the end each lane holds the sum of one word, so all are stored at once.

const WORDS: u32 = select(16u, 32u, SLOT_FLOATS > 16u);

fn lanes_max(x: u32, lane: u32) -> u32 {
    return subgroupMax(x);
}

// Writes each component's sum over the lanes to slots[base ..].
fn write_slot(base: u32, lane: u32, parts: array<f32, SLOT_FLOATS>) {
    var held: array<f32, WORDS>;
    for (var word = 0u; word < WORDS; word += 1u) {
        held[word] = 0.0;
        if (word < SLOT_FLOATS) {
            held[word] = parts[min(word, SLOT_FLOATS - 1u)];
        }
    }
    for (var half = WORDS / 2u; half > 0u; half /= 2u) {
        let upper = (lane & half) != 0u;
        for (var word = 0u; word < half; word += 1u) {
            let kept = select(held[word], held[word + half], upper);
            let given = select(held[word + half], held[word], upper);
            held[word] = kept + subgroupShuffleXor(given, half);
        }
    }
    var sum = held[0];
    for (var distance = WORDS; distance < LANES; distance *= 2u) {
        sum += subgroupShuffleXor(sum, distance);
    }
    if (lane < SLOT_FLOATS) {
        slots[base + lane] = sum;
    }
}
