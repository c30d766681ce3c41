// Bags, glasses and other solid things.
in vec3 position;
in vec3 normal;
in vec4 where0;
in vec4 where1;
in vec4 where2;
in vec4 paint;
layout(location = 0) out vec4 picture;
layout(location = 1) out vec4 truth;
uniform vec3 plain_colour;
uniform vec4 plain_finish; // shine, gloss, label, grain
uniform sampler2D noise;

void main() {
    vec3 n = normalize(normal);
    if (!gl_FrontFacing) n = -n;
    float grain = texture(noise, where0.xy * 6.0).b - 0.5;
    vec3 colour = linear_colour(plain_colour) * (1.0 + 0.15 * grain * plain_finish.w);
    float stitched = smoothstep(0.004, 0.002, abs(where0.z - 0.92)) * step(0.5, fract(where0.w * 60.0));
    colour *= 1.0 - 0.4 * stitched;
    n = bumped(n, grain * 0.0008 * plain_finish.w);
#if OUTPUT == 0
    picture = vec4(display_colour(shade(colour, n, lit(0.0035), 1.0, 0.1, plain_finish.x, plain_finish.y, 0.02, vec3(0.0))), 1.0);
#elif OUTPUT == 1
    picture = vec4(pow(colour, vec3(1.0 / 2.2)), 1.0);
#else
    picture = vec4(0.0);
#endif
    truth = vec4(plain_finish.z / 255.0, 0.0, 0.0, 1.0);
}
