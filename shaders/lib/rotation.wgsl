// rotation: quaternions, poses and activations, whichever way a Gaussian is projected.

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-x));
}

// Rotation of a unit quaternion (w,x,y,z).
fn rotation_from_quat(q: vec4f) -> mat3x3f {
    let w = q.x; let x = q.y; let y = q.z; let z = q.w;
    return mat3x3f(
        vec3f(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)),
        vec3f(2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)),
        vec3f(2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)),
    );
}

// A quaternion of any length as a unit one; a zero or non-finite one is the identity.
fn unit_quat(q: vec4f) -> vec4f {
    let length_squared = dot(q, q);
    if (!(length_squared > 1e-24) || !is_finite(length_squared)) {
        return vec4f(1.0, 0.0, 0.0, 0.0);
    }
    return q * inverseSqrt(length_squared);
}

fn camera_rotation(view: ViewUniform) -> mat3x3f {
    return transpose(mat3x3f(view.cam_from_world_x.xyz, view.cam_from_world_y.xyz, view.cam_from_world_z.xyz));
}

fn camera_translation(view: ViewUniform) -> vec3f {
    return vec3f(view.cam_from_world_x.w, view.cam_from_world_y.w, view.cam_from_world_z.w);
}

// Gradient of a unit quaternion's rotation matrix, taken back to the quaternion of any length.
fn quat_gradient(raw: vec4f, v_rotation: mat3x3f) -> vec4f {
    let length_squared = dot(raw, raw);
    if (!(length_squared > 1e-24) || !is_finite(length_squared)) {
        return vec4f(0.0);
    }
    let inv_length = inverseSqrt(length_squared);
    let q = raw * inv_length;
    let w = q.x; let x = q.y; let y = q.z; let z = q.w;
    let v = v_rotation;
    let v_unit = 2.0 * vec4f(
        x * (v[1].z - v[2].y) + y * (v[2].x - v[0].z) + z * (v[0].y - v[1].x),
        -2.0 * x * (v[1].y + v[2].z) + y * (v[0].y + v[1].x) + z * (v[0].z + v[2].x) + w * (v[1].z - v[2].y),
        x * (v[0].y + v[1].x) - 2.0 * y * (v[0].x + v[2].z) + z * (v[1].z + v[2].y) + w * (v[2].x - v[0].z),
        x * (v[0].z + v[2].x) + y * (v[1].z + v[2].y) - 2.0 * z * (v[0].x + v[1].y) + w * (v[0].y - v[1].x),
    );
    return (v_unit - dot(v_unit, q) * q) * inv_length;
}
