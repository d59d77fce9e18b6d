// ray_gradient (form without): rays have no gradient of their own where the camera has one pose; project_backward_gut computes the pose's.

fn write_ray_gradient(k: u32, index: u32) {}
