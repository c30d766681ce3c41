// The floor shows the backdrop picture, darkened where the person's shadow falls.
in vec3 position;
in vec3 normal;
in vec4 where0;
in vec4 where1;
in vec4 where2;
in vec4 paint;
in vec4 light_position;
layout(location = 0) out vec4 picture;
layout(location = 1) out vec4 truth;
uniform sampler2D backdrop;
uniform vec2 picture_size;
uniform float shadow_depth;

void main() {
#ifndef DEPTH
    vec3 colour = texture(backdrop, gl_FragCoord.xy / picture_size).rgb;
    float contact = exp(-dot(position.xy, position.xy) * 9.0);
    float dark = 1.0 - lit(light_position, 0.002);
    colour *= 1.0 - shadow_depth * dark * 0.55 - 0.22 * contact * shadow_depth;
    picture = vec4(colour, 1.0);
    truth = vec4(0.0, 0.0, 0.0, 1.0);
#endif
}
