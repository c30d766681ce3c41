// The floor: the factor by which the person's shadow darkens the backdrop.
in vec3 position;
in vec3 normal;
in vec4 where0;
in vec4 where1;
in vec4 where2;
in vec4 paint;
layout(location = 0) out vec4 picture;
layout(location = 1) out vec4 truth;
uniform float shadow_depth;

void main() {
    float contact = exp(-dot(position.xy, position.xy) * 9.0);
    float dark = 1.0 - lit(0.002);
    picture = vec4(vec3(1.0 - shadow_depth * dark * 0.55 - 0.22 * contact * shadow_depth), 1.0);
    truth = vec4(0.0);
}
