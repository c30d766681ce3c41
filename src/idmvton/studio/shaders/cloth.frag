// Garments, shoes and tubes (skirts): cut, folds, fabric, trims.
in vec3 position;
in vec3 normal;
in vec4 where0;
in vec4 where1;
in vec4 where2;
in vec4 paint; // tubes: x runs along the hem (radians), y from top 0 to hem 1
#ifdef FLOW
in vec3 flow;
#endif
layout(location = 0) out vec4 picture;
layout(location = 1) out vec4 truth;
uniform Garment garment;
uniform vec4 label_and_target; // ATR label left, right, target flag, two-sided darkening
uniform sampler2D fabric;      // one period of the fabric
uniform sampler2D print_;      // a placed picture, alpha where it is
uniform vec4 fabric_scale;     // period in metres, offset u, offset v, rotation of sleeves
uniform vec4 print_place;      // centre u, centre v, width, height; width 0: none
uniform vec3 block_colour;     // colour block
uniform vec4 block_shape;      // mode (0 none, 1 sleeves, 2 below, 3 yoke above, 4 gradient), height, softness
uniform vec3 trim_colour;
uniform vec4 trim;             // neck band, cuff band, hem band (metres), rib strength
uniform vec4 detail;           // placket (1 buttons, 2 zip), button pitch, seam strength, weave strength
uniform vec3 detail_colour;
uniform vec4 folds;            // strength, offset u, offset v, stiffness (larger folds)
uniform vec4 finish;           // shine, gloss, sheen, unused
uniform sampler2D noise;
#ifdef FINE
const float WIDE = 1.0, FAINT = 1.0;
#else
const float WIDE = 2.6, FAINT = 0.4; // seams that are thinner than a pixel are drawn wider and weaker
#endif

vec4 field(vec2 uv) { return textureLod(noise, uv + folds.yz, FIELD_LEVEL); }

float ridge(float v) { return 1.0 - abs(2.0 * v - 1.0); }

// Height of the folds in metres: two ridged waves and a soft one; where they run depends on the part.
float fold_height(bool sleeve) {
    vec3 p = where0.xyz;
    float calm = 1.0 / folds.w;
    vec2 warp = (field(p.xz * 1.3 * calm).rg - 0.5) * 0.10;
    vec2 first, second, soft;
    vec3 strength;
#if KIND == 4
    first = vec2(where1.z * 3.4, p.z * 0.6) * calm + warp * 2.0;
    second = first;
    soft = vec2(where1.z * 2.6, p.z * 0.35) * calm + warp;
    strength = vec3(0.005, 0.0, 0.018 * (0.3 + paint.y));
#elif KIND == 2
    float knee = (where2.x - 1.0) / 0.25, ankle = (where2.x - garment.extent.z) / 0.25, crotch = (where2.x - 0.02) / 0.16;
    knee = exp(-knee * knee);
    ankle = exp(-ankle * ankle) * step(1.5, garment.extent.z);
    crotch = exp(-crotch * crotch);
    first = vec2(where2.y * 1.3 + sign(p.x) * 0.23, where2.x * 0.85 - where2.y * 1.4) * 0.9 * calm + warp;
    second = vec2(length(vec2(p.x, p.z - 0.02)) * 0.7, atan(abs(p.x) + 0.02, p.z - 0.02) * 0.55) * calm;
    soft = vec2(where2.y * 2.4, where2.x * 0.35) * calm + warp;
    strength = vec3(0.0025 + 0.006 * knee + 0.008 * ankle, 0.007 * crotch, 0.009);
#else
    float bend = (where1.x - 1.0) / 0.28, cuff = (where1.x - garment.extent.w) / 0.22, pull = (where0.w + 0.01) / 0.07;
    bend = exp(-bend * bend);
    cuff = exp(-cuff * cuff) * step(1.2, garment.extent.w);
    pull = exp(-pull * pull) * smoothstep(0.35, 0.55, p.z);
    float waist = smoothstep(0.42, 0.22, p.z);
    vec2 arm = vec2(where1.y * 1.6 + sign(p.x) * 0.31, where1.x * 0.62 + where1.y * 1.1) * calm;
    vec2 slant = vec2(where1.z * 1.35 + p.z * 0.5 * sign(p.x), p.z * 0.55 - abs(where1.z) * 0.5) * calm;
    first = (sleeve ? arm * 1.25 : slant) + warp;
    second = vec2(where1.z * 0.75, p.z * 2.0 + abs(where1.z) * 0.7) * calm + warp * 1.6;
    soft = (sleeve ? arm * vec2(1.0, 1.6) : vec2(where1.z * 1.9, p.z * 0.75) * calm) + warp;
    strength = sleeve ? vec3(0.004 + 0.006 * bend + 0.005 * cuff, 0.0, 0.012)
                      : vec3(0.0035 + 0.006 * pull, 0.010 * waist, 0.014);
#endif
    float height = (ridge(field(first).g) - 0.5) * strength.x + (field(soft).r - 0.5) * strength.z;
#if KIND != 4
    height += (ridge(field(second).g) - 0.5) * strength.y;
#endif
    return height * folds.x;
}

void main() {
    if (garment_distance(garment, where0, where1, where2) < 0.0) discard;
    vec3 p = where0.xyz;
    const int kind = KIND;
    bool tube = kind == KIND_TUBE;
    bool leg = kind == KIND_BOTTOM;
    bool shoe = kind == KIND_SHOE;
    bool sleeve = kind == KIND_TOP && where0.w > 0.0;
    // Fabric coordinates, with derivatives taken before the seam decides.
    vec2 torso_uv = vec2(where1.z, p.z), arm_uv = vec2(where1.y, -where1.x * 0.27), leg_uv = vec2(where2.y, -where2.x * 0.43);
    vec2 uv = sleeve ? arm_uv : ((leg || shoe) ? leg_uv : torso_uv);
    vec2 dx = sleeve ? dFdx(arm_uv) : ((leg || shoe) ? dFdx(leg_uv) : dFdx(torso_uv));
    vec2 dy = sleeve ? dFdy(arm_uv) : ((leg || shoe) ? dFdy(leg_uv) : dFdy(torso_uv));
    float period = fabric_scale.x;
    vec2 at = uv / period + fabric_scale.yz;
    vec4 cloth = textureGrad(fabric, at, dx / period, dy / period);
    vec3 colour = linear_colour(cloth.rgb);
    int mode = int(block_shape.x + 0.5);
    vec3 block = linear_colour(block_colour);
    float height_line = p.z - block_shape.y;
    if (mode == 1 && sleeve) colour = block;
    if (mode == 2 && !sleeve) colour = mix(colour, block, smoothstep(block_shape.z, -block_shape.z, height_line));
    if (mode == 3 && !sleeve) colour = mix(colour, block, smoothstep(-block_shape.z, block_shape.z, height_line));
    if (mode == 4) colour = mix(colour, block, smoothstep(-block_shape.z, block_shape.z, height_line));
#ifdef PRINTED
    if (!sleeve && where1.w > 0.0) {
        vec2 spot = (torso_uv - print_place.xy) / print_place.zw + 0.5;
        if (all(greaterThan(spot, vec2(0.0))) && all(lessThan(spot, vec2(1.0)))) {
            vec4 stamp = textureGrad(print_, vec2(spot.x, 1.0 - spot.y), dFdx(torso_uv) / print_place.zw, dFdy(torso_uv) / print_place.zw);
            colour = mix(colour, linear_colour(stamp.rgb), stamp.a);
        }
    }
#endif
    // Trims: neck band, cuffs and hem, with ribs.
    vec3 trim_linear = linear_colour(trim_colour);
    float neck_edge = kind == KIND_TOP ? neck_distance(garment.neck, p, where1.w) : 1.0;
    float cuff_edge = sleeve && garment.extent.w > 0.0 ? (garment.extent.w - where1.x) * 0.26 : 1.0;
    if (leg) cuff_edge = (garment.extent.z - where2.x) * 0.43;
    float hem_edge = kind == KIND_TOP && !sleeve ? p.z - garment.extent.x : (leg ? garment.extent.y - p.z : (tube ? (1.0 - paint.y) * 0.6 : 1.0));
    float band = max(max(step(neck_edge, trim.x), step(cuff_edge, trim.y)), step(hem_edge, trim.z));
#ifdef FINE
    float ribs = 0.5 + 0.5 * cos(6.2832 * (neck_edge < trim.x ? atan(p.x, -p.y - 0.02) * 14.0 : uv.x * 130.0));
    float weave = (texture(noise, uv * 14.0).b - 0.5) * detail.w;
#else
    const float ribs = 0.5, weave = 0.0;
#endif
    if (band > 0.5) colour = trim_linear * (1.0 - 0.25 * trim.w * ribs);
    float seam = 0.0;
#ifdef FINE
    float dash = step(0.35, fract(uv.y * 150.0)) * 0.4 + 0.6;
#else
    const float dash = 0.86;
#endif
    if (!tube && !shoe) {
        seam = max(seam, smoothstep(0.0022 * WIDE, 0.0008, abs(where0.w)) * step(0.0, garment.extent.w) * float(!leg));
        seam = max(seam, 0.6 * smoothstep(0.0018 * WIDE, 0.0006, abs(hem_edge - max(trim.z, 0.020))) * dash);
        seam = max(seam, 0.6 * smoothstep(0.0018 * WIDE, 0.0006, abs(cuff_edge - max(trim.y, 0.020))) * dash);
        seam = max(seam, 0.6 * smoothstep(0.0018 * WIDE, 0.0006, abs(neck_edge - max(trim.x, 0.016))));
    }
    float button = 0.0;
    vec3 extra = vec3(0.0);
    if (kind == KIND_TOP && !sleeve && where1.w > 0.0 && detail.x > 0.5) {
        float x = p.x;
        if (detail.x < 1.5) {
            seam = max(seam, smoothstep(0.0018 * WIDE, 0.0006, abs(abs(x - 0.004) - 0.016)) * 0.7);
            vec2 spot = vec2(x - 0.004, mod(p.z, detail.y) - detail.y * 0.5);
            button = smoothstep(0.0062, 0.0052, length(spot)) * step(0.012, neck_edge);
            float holes = smoothstep(0.0011, 0.0007, length(vec2(abs(spot.x) - 0.0016, abs(spot.y) - 0.0016)));
            extra = linear_colour(detail_colour) * (1.0 - 0.6 * holes);
        } else {
            float teeth = 0.6 + 0.4 * step(0.5, fract(p.z * 180.0));
            button = smoothstep(0.0045, 0.0035, abs(x));
            extra = linear_colour(detail_colour) * teeth;
        }
    }
    if (leg && where1.w > 0.0) {
        seam = max(seam, 0.8 * smoothstep(0.0018 * WIDE, 0.0006, abs(p.x)) * step(0.02, p.z));
        seam = max(seam, 0.5 * smoothstep(0.0018 * WIDE, 0.0006, abs(abs(p.x - 0.0) - 0.022)) * step(0.075, p.z) * step(0.0, p.x));
        float pocket = p.z - (garment.extent.y - 0.045) + (0.14 - abs(p.x)) * 0.9 - 0.055;
        seam = max(seam, 0.7 * smoothstep(0.0022 * WIDE, 0.0008, abs(pocket)) * step(0.085, abs(p.x)) * step(trim.z, hem_edge));
        vec2 spot = vec2(p.x, p.z - (garment.extent.y - 0.018));
        button = smoothstep(0.0075, 0.0065, length(spot));
        extra = linear_colour(detail_colour);
    }
    if (shoe) {
        float sole = smoothstep(-0.814, -0.818, p.z);
        colour = mix(colour, linear_colour(block_colour), sole);
        float lace = step(0.5, fract(where2.x * 42.0)) * step(0.55, where2.z) * step(abs(where2.y), 0.03) * step(where2.x, 2.06);
        if (detail.x > 0.5) colour = mix(colour, linear_colour(detail_colour), lace * (1.0 - sole));
    }
    seam *= FAINT;
    colour = mix(colour, colour * 0.45, seam * detail.z);
    colour = mix(colour, extra, button);
    vec3 bare = colour;
    float height = fold_height(sleeve);
    float occlusion = clamp(0.86 + height * 26.0, 0.45, 1.08);
    height += weave * 0.0009 - seam * 0.0012 + button * 0.0016 + (band > 0.5 ? ribs * 0.0011 * trim.w : 0.0);
    height += smoothstep(0.0, 0.003, min(min(neck_edge - trim.x, cuff_edge - trim.y), hem_edge - trim.z)) * 0.0015;
    height += (dot(cloth.rgb, vec3(0.33)) - 0.5) * 0.0012 * cloth.a;
    colour *= 1.0 + weave * 0.25;
    vec3 n = normalize(normal);
    if (!gl_FrontFacing) { n = -n; occlusion *= 0.42; colour *= 0.8; }
    n = bumped(n, shoe ? 0.0 : height);
#if OUTPUT == 0
    vec3 result = shade(colour, n, lit(0.0035), occlusion, 0.15, finish.x, finish.y, finish.z, vec3(0.04));
    picture = vec4(display_colour(result), 1.0);
#elif OUTPUT == 1
    picture = vec4(pow(bare, vec3(1.0 / 2.2)), 1.0);
#elif OUTPUT == 2 // 12 bits each over two metres
    vec2 fine = floor(fract(uv * 0.5 + 0.5) * 4096.0);
    vec2 high = floor(fine / vec2(16.0, 256.0));
    vec2 low = fine - high * vec2(16.0, 256.0);
    picture = vec4(high.x, low.x * 16.0 + high.y, low.y, 255.0) / 255.0;
#endif
    float label = p.x > 0.0 ? label_and_target.x : label_and_target.y;
    float chart = gl_FrontFacing ? (sleeve ? 0.4 : (where1.w > 0.0 ? 0.2 : 0.6)) : 0.0; // front, sleeve, back, inside
    truth = vec4(label / 255.0, label_and_target.z, chart, 1.0);
#if OUTPUT == 3 // where the product picture shows this spot: x and y, then depth and a flag, 16 bits each
    picture = vec4(0.0);
    truth = vec4(0.0);
#ifdef FLOW
    vec3 fixed_point = floor(clamp(flow * 0.5 + 0.5, 0.0, 1.0) * 65535.0 + 0.5);
    vec3 high = floor(fixed_point / 256.0), low = fixed_point - high * 256.0;
    picture = vec4(high.x, low.x, high.y, low.y) / 255.0;
    truth = vec4(high.z, low.z, 255.0, 0.0) / 255.0;
#endif
#endif
}
