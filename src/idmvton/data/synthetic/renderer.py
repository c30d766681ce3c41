"""A small rasteriser on OpenGL (EGL, no window): supersampled colour, soft shadows and exact label maps.

It works on a GPU and, through Mesa's software rasteriser, on any machine without one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.errors import ConfigError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.signedinteger[Any]]
Bytes = NDArray[np.uint8]
Value = float | int | tuple[float, ...] | Floats

SHADOW_SIZES: Final = (256, 512)  # for pictures up to 480 pixels high, and above
ATTRIBUTES: Final = (
    ("in_position", 3),
    ("in_normal", 3),
    ("in_where0", 4),
    ("in_where1", 4),
    ("in_where2", 4),
    ("in_paint", 4),
)
MATERIALS: Final = ("skin", "cloth", "hair", "plain", "ground")


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles and what the shaders read at their corners.

    Attributes:
        vertices, normals: float (V, 3), world space.
        where: float (V, 12), :meth:`anatomy.Coordinates.pack`.
        paint: float (V, 4), free for each material.
        faces: int (F, 3).
    """

    vertices: Floats
    normals: Floats
    where: Floats
    paint: Floats
    faces: Ints


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to draw.

    Attributes:
        mesh: the geometry.
        material: name of the fragment shader.
        uniforms: its parameters; arrays of shape (h, w, 3 or 4) become textures that repeat.
        shadow: whether it casts one.
        closed: whether its inside is never seen.
        shadow_faces: triangles for the shadow, which is drawn without cuts.
    """

    mesh: Mesh
    material: str
    uniforms: Mapping[str, Any] = field(default_factory=dict)
    shadow: bool = True
    closed: bool = False
    shadow_faces: Ints | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Camera and light.

    Attributes:
        view_projection, light_projection: float (4, 4), row-major, OpenGL clip space.
        uniforms: the light's parameters (see ``light.glsl``).
    """

    view_projection: Floats
    light_projection: Floats
    uniforms: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a rendering gives: uint8 (H, W, 3) picture and (H, W, 4) exact labels."""

    picture: Bytes
    truth: Bytes


class Renderer:
    """An OpenGL context with the studio's programs. Keep one a process.

    Raises:
        ConfigError: moderngl is not installed, or no OpenGL driver answers.
    """

    def __init__(self) -> None:
        if "LP_NUM_THREADS" not in os.environ:
            os.environ["LP_NUM_THREADS"] = "1"  # the process pool is the parallelism
        try:
            import moderngl
        except ImportError as error:
            raise ConfigError("the studio needs the package moderngl", fix='pip install "idmvton[studio]"') from error
        try:
            self.context = moderngl.create_standalone_context(backend="egl", require=330)
        except Exception as error:  # the driver's own errors have no common class
            raise ConfigError(
                "no OpenGL driver could be started without a window (EGL)",
                got=str(error),
                expected="EGL with OpenGL 3.3, on a GPU or in software",
                fix="on Debian or Ubuntu: apt install libegl1 libgl1-mesa-dri",
            ) from error
        self.gl = moderngl
        self._programs: dict[tuple[str, bool, int], Any] = {}
        self._targets: dict[tuple[int, int], Any] = {}
        self._members: dict[int, frozenset[str]] = {}
        self._static: dict[int, tuple[Any, Any]] = {}
        self._textures: dict[int, tuple[Any, Any]] = {}
        self.shadow_program = self.context.program(
            vertex_shader="#version 330\nin vec3 in_position;\nuniform mat4 view_projection;\n"
            "void main() { gl_Position = view_projection * vec4(in_position, 1.0); }",
            fragment_shader="#version 330\nvoid main() {}",
        )
        self._shadow_targets = [self._make_shadow(size) for size in SHADOW_SIZES]
        self._shadow_map, _ = self._shadow_targets[0]

    def _make_shadow(self, size: int) -> tuple[Any, Any]:
        depth = self.context.depth_texture((size, size))
        depth.compare_func = "<="
        depth.filter = (self.gl.NEAREST, self.gl.NEAREST)
        depth.repeat_x = depth.repeat_y = False
        return depth, self.context.framebuffer(depth_attachment=depth)

    def render(self, items: list[Item], view: View, size: tuple[int, int], backdrop: Bytes, *, mode: int = 0) -> Frame:
        """Draws the items over a backdrop.

        Args:
            items: what to draw.
            view: camera and light.
            size: (height, width) of the rendering, before any supersampling is reduced.
            backdrop: uint8 (h, w, 3), stretched over the picture.
            mode: 0 picture, 1 bare colours without light, 2 fabric coordinates.
        """
        gl, context = self.gl, self.context
        context.enable(gl.DEPTH_TEST)
        prepared = [self._prepare(item, view, mode, backdrop, size) for item in items]
        self._shadow_map, shadow = self._shadow_targets[size[0] > 480]
        shadow.use()
        shadow.clear(depth=1.0)
        for item, draw in zip(items, prepared, strict=True):
            if item.shadow and mode == 0:
                draw.cast(view.light_projection)
        target = self._target(size)
        target.use()
        target.clear()
        self._fill(target, backdrop, size)
        target.color_mask = ((False,) * 4,) * 2
        for draw in prepared:  # depth first, so that every pixel is shaded once
            draw.run(view.view_projection, depth=True)
        target.color_mask = ((True,) * 4,) * 2
        context.depth_func = "=="
        for draw in prepared:
            draw.run(view.view_projection, depth=False)
            draw.release()
        context.depth_func = "<"
        return Frame(self._read(target, size, 0)[..., :3], self._read(target, size, 1))

    def body_map(self, mesh: Mesh, view: View, size: tuple[int, int]) -> Bytes:
        """Renders part, U, V and coverage of a bare body: uint8 (H, W, 4)."""
        target = self._target(size)
        target.use()
        target.clear()
        self.context.enable(self.gl.DEPTH_TEST)
        draw = self._prepare(Item(mesh, "parts", closed=True), view, 0, np.zeros((1, 1, 3), np.uint8), size)
        draw.run(view.view_projection, depth=False)
        draw.release()
        return self._read(target, size, 0)

    def _target(self, size: tuple[int, int]) -> Any:
        if size not in self._targets:
            shape = (size[1], size[0])
            colours = [self.context.texture(shape, 4) for _ in range(2)]
            depth = self.context.depth_renderbuffer(shape)
            self._targets[size] = self.context.framebuffer(colours, depth)
        return self._targets[size]

    def _read(self, target: Any, size: tuple[int, int], attachment: int) -> Bytes:
        data = np.frombuffer(target.read(components=4, attachment=attachment), np.uint8)
        return data.reshape(size[0], size[1], 4)[::-1].copy()

    def _fill(self, target: Any, backdrop: Bytes, size: tuple[int, int]) -> None:
        import cv2

        flat = cv2.resize(backdrop, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)[::-1]
        alpha = np.full((*flat.shape[:2], 1), 255, np.uint8)
        target.color_attachments[0].write(np.concatenate([flat, alpha], 2).tobytes())

    def _program(self, material: str, depth: bool, kind: int = 1) -> Any:
        key = (material, depth, kind)
        if key not in self._programs:
            source = {name: _shader(name) for name in ("surface.vert", "garment_cut.glsl", "light.glsl")}
            head = f"#version 330\n#define KIND {kind}\n" + ("#define DEPTH\n" if depth else "")
            body = _shader(f"{material}.frag")
            declared, main = body.split("layout(location = 0)", 1)
            fragment = f"{head}{declared}{source['garment_cut.glsl']}{source['light.glsl']}"
            self._programs[key] = self.context.program(
                vertex_shader=head + source["surface.vert"],
                fragment_shader=f"{fragment}layout(location = 0){main}",
            )
        return self._programs[key]

    def _buffer(self, array: Any, source: Any, column: slice) -> Any:
        """Buffers of arrays that never change (they are marked read-only) are kept."""
        if source.flags.writeable:
            return self.context.buffer(np.ascontiguousarray(array[:, column], np.float32).tobytes())
        key = id(source) * 31 + (column.start or 0)
        if key not in self._static:
            data = np.ascontiguousarray(array[:, column], np.float32).tobytes()
            self._static[key] = (source, self.context.buffer(data))
        return self._static[key][1]

    def _prepare(self, item: Item, view: View, mode: int, backdrop: Bytes, size: tuple[int, int]) -> _Draw:
        mesh = item.mesh
        sources = (mesh.vertices, mesh.normals, mesh.where, mesh.where, mesh.where, mesh.paint)
        columns = (slice(0, 3), slice(0, 3), slice(0, 4), slice(4, 8), slice(8, 12), slice(0, 4))
        content, made = [], []
        for (name, width), source, column in zip(ATTRIBUTES, sources, columns, strict=True):
            buffer = self._buffer(source, source, column)
            made += [buffer] if source.flags.writeable else []
            content.append((buffer, f"{width}f", name))
        index = self.context.buffer(np.ascontiguousarray(mesh.faces, np.int32).tobytes())
        values: dict[str, Any] = {
            **view.uniforms,
            **item.uniforms,
            "light_projection": view.light_projection,
            "output_mode": mode,
            "picture_size": (float(size[1]), float(size[0])),
            "backdrop": backdrop[::-1],
        }
        made.append(index)
        shadow_index = index
        if item.shadow_faces is not None:
            shadow_index = self.context.buffer(np.ascontiguousarray(item.shadow_faces, np.int32).tobytes())
            made.append(shadow_index)
        return _Draw(self, item, content, (index, shadow_index), values, made)

    def _bind(self, program: Any, values: Mapping[str, Any]) -> list[Any]:
        """Sets the uniforms that the program has; returns the textures made for this draw only."""
        unit, temporary = 1, []
        members = self.members(program)
        if "shadow_map" in members:
            self._shadow_map.use(0)
            program["shadow_map"].value = 0
        for name, value in values.items():
            if name == "garment":
                _bind_garment(program, members, value)
            elif name not in members:
                continue
            elif isinstance(value, np.ndarray) and value.ndim == 3:
                texture, once = self._texture(value)
                temporary += [texture] if once else []
                texture.use(unit)
                program[name].value = unit
                unit += 1
            elif isinstance(value, np.ndarray) and value.shape == (4, 4):
                program[name].write(np.ascontiguousarray(value.T, np.float32).tobytes())
            else:
                program[name].value = value
        return temporary

    def members(self, program: Any) -> frozenset[str]:
        """Names of a program's uniforms and attributes."""
        if program.glo not in self._members:
            self._members[program.glo] = frozenset(program)
        return self._members[program.glo]

    def _texture(self, pixels: Bytes) -> tuple[Any, bool]:
        keep = not pixels.flags.writeable
        if keep and id(pixels) in self._textures:
            return self._textures[id(pixels)][1], False
        height, width, channels = pixels.shape
        texture = self.context.texture((width, height), channels, np.ascontiguousarray(pixels).tobytes(), alignment=1)
        texture.build_mipmaps()
        texture.filter = (self.gl.LINEAR_MIPMAP_NEAREST, self.gl.LINEAR)
        if keep:
            self._textures[id(pixels)] = (pixels, texture)
        return texture, not keep


class _Draw:
    """Buffers of one item, ready to be drawn several times."""

    def __init__(
        self, owner: Renderer, item: Item, content: list[Any], indices: tuple[Any, Any], values: dict[str, Any],
        made: list[Any],
    ) -> None:  # fmt: skip
        self.owner, self.material, self.closed, self.values = owner, item.material, item.closed, values
        self.content, self.made = content, made
        self.kind = int(values["garment"][2][0]) if item.material == "cloth" else 1
        self.index, self.shadow_index = indices

    def run(self, camera: Floats, *, depth: bool) -> None:
        """Draws depth alone, or the shaded surface."""
        program = self.owner._program(self.material, depth, self.kind)
        members = self.owner.members(program)
        content = [entry for entry in self.content if entry[2] in members]
        array = self.owner.context.vertex_array(program, content, self.index)
        self.made += self.owner._bind(program, {**self.values, "view_projection": camera})
        (self.owner.context.enable if self.closed else self.owner.context.disable)(self.owner.gl.CULL_FACE)
        array.render()
        array.release()

    def cast(self, camera: Floats) -> None:
        """Draws the depth that the light sees, without cuts."""
        if self.shadow_index.size == 0:
            return
        program = self.owner.shadow_program
        content = [entry for entry in self.content if entry[2] in program]
        array = self.owner.context.vertex_array(program, content, self.shadow_index)
        program["view_projection"].write(np.ascontiguousarray(camera.T, np.float32).tobytes())
        array.render()
        array.release()

    def release(self) -> None:
        """Frees what was made for this picture."""
        for resource in self.made:
            resource.release()


def _bind_garment(program: Any, members: frozenset[str], cut: Floats) -> None:
    """Sets the cut (3, 4): extent, neck, shape."""
    for member, row in zip(("extent", "neck", "shape"), cut, strict=True):
        if f"garment.{member}" in members:
            program[f"garment.{member}"].value = tuple(float(number) for number in row)


def _shader(name: str) -> str:
    return (resources.files("idmvton.data.synthetic") / "shaders" / name).read_text()


def perspective(
    eye: Floats, target: Floats, field_of_view: float, aspect: float, roll: float = 0.0, near: float = 0.3
) -> Floats:
    """View-projection matrix (4, 4) of a camera; the field of view is vertical, radians."""
    far = 12.0
    scale = 1 / np.tan(field_of_view / 2)
    projection = np.array(
        [
            [scale / aspect, 0, 0, 0],
            [0, scale, 0, 0],
            [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)],
            [0, 0, -1, 0],
        ]
    )
    return np.asarray(projection @ look_at(eye, target, roll), np.float32)


def orthographic(eye: Floats, target: Floats, half_width: float, half_height: float, depth: float = 8.0) -> Floats:
    """View-projection matrix (4, 4) without perspective."""
    projection = np.diag([1 / half_width, 1 / half_height, -2 / depth, 1.0])
    projection[2, 3] = -1.0
    return np.asarray(projection @ look_at(eye, target), np.float32)


def look_at(eye: Floats, target: Floats, roll: float = 0.0) -> Floats:
    """World to camera (4, 4); z is up."""
    forward = target - eye
    forward = forward / np.linalg.norm(forward)
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.99 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    cosine, sine = np.cos(roll), np.sin(roll)
    right, up = cosine * right + sine * up, cosine * up - sine * right
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, up, -forward])
    matrix[:3, 3] = -matrix[:3, :3] @ eye
    return np.asarray(matrix, np.float32)
