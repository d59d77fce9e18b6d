// ray_gradient (rolling form): the gradient of each pixel's ray, from which the host computes that of the shutter's two poses.

// Stored behind the slots: per pixel the gradient of its ray's direction and origin.
fn write_ray_gradient(k: u32, index: u32) {
    if (WITH_POSE) {
        let at = view.isect_capacity * SLOT_FLOATS + index * 6u;
        slots[at] = finite_or_zero(v_ray_x[k]);
        slots[at + 1u] = finite_or_zero(v_ray_y[k]);
        slots[at + 2u] = finite_or_zero(v_ray_z[k]);
        slots[at + 3u] = finite_or_zero(v_from_x[k]);
        slots[at + 4u] = finite_or_zero(v_from_y[k]);
        slots[at + 5u] = finite_or_zero(v_from_z[k]);
    }
}
