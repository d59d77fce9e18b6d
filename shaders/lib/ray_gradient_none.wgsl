// ray_gradient (form without): where the camera has one pose, that takes the gradient, Gaussian by Gaussian.

fn write_ray_gradient(k: u32, index: u32) {}
