"""A small rasteriser on OpenGL (EGL, no window): supersampled colour, soft shadows and exact label maps.

It works on a GPU and, through Mesa's software rasteriser, on any machine without one.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
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
FINE: Final = 0.0022  # metres a pixel below which ribs, stitches and weave are drawn
KEPT_TEXTURES: Final = 8  # of each shape
# attribute -> width, field of the mesh, first column
ATTRIBUTES: Final = (
    ("in_normal", 3, "normals", 0),
    ("in_where0", 4, "where", 0),
    ("in_where1", 4, "where", 4),
    ("in_where2", 4, "where", 8),
    ("in_paint", 4, "paint", 0),
)


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
        over: whether its colour multiplies what is there.
        shadow_faces: triangles for the shadow, which is drawn without cuts.
        flow: float (V, 3), for mode 3: each vertex in the clip space of the product picture.
    """

    mesh: Mesh
    material: str
    uniforms: Mapping[str, Any] = field(default_factory=dict)
    shadow: bool = True
    closed: bool = False
    over: bool = False
    shadow_faces: Ints | None = None
    flow: Floats | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Camera and light.

    Attributes:
        view_projection, light_projection: float (4, 4), row-major, OpenGL clip space.
        uniforms: the light's parameters (see ``light.glsl``).
        height: of the visible part of the world, metres.
    """

    view_projection: Floats
    light_projection: Floats
    uniforms: Mapping[str, Value]
    height: float


@dataclass(frozen=True, slots=True)
class Frame:
    """What a rendering gives: uint8 (H, W, 3 or 4) picture and (H, W, 4) exact labels."""

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
        self._programs: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._targets: dict[tuple[int, int], Any] = {}
        self._members: dict[int, frozenset[str]] = {}
        self._static: dict[tuple[int, int], tuple[Any, Any]] = {}
        self._textures: dict[tuple[int, ...], OrderedDict[int, tuple[Bytes, Any]]] = {}
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
            items: what to draw; what lies in front comes first where that is known.
            view: camera and light.
            size: (height, width) of the rendering, before any supersampling is reduced.
            backdrop: uint8 (h, w, 3), stretched over the picture.
            mode: 0 picture, 1 bare colours without light, 2 fabric coordinates, 3 :attr:`Item.flow` in 16 bits.
        """
        context = self.context
        context.enable(self.gl.DEPTH_TEST)
        self._shadow_map, shadow = self._shadow_targets[size[0] > 480]
        draws = [_Draw(self, item, view, mode, view.height / size[0]) for item in items]
        if mode == 0:
            shadow.use()
            shadow.clear(depth=1.0)
            for draw in draws:
                draw.cast()
        target = self._target(size)
        target.use()
        target.clear()
        self._fill(target, backdrop, size)
        for draw in draws:
            draw.run()
        return Frame(self._read(target, size, 0), self._read(target, size, 1))

    def depth(self, size: tuple[int, int]) -> Floats:
        """Depth of what was last rendered at a size: float32 (H, W) in [0, 1]."""
        data = np.frombuffer(self._target(size).read(components=1, attachment=-1, dtype="f4"), np.float32)
        return data.reshape(size)[::-1]

    def body_map(self, mesh: Mesh, view: View, size: tuple[int, int]) -> Bytes:
        """Renders part, U, V and coverage of a bare body: uint8 (H, W, 4)."""
        target = self._target(size)
        target.use()
        target.clear()
        self.context.enable(self.gl.DEPTH_TEST)
        _Draw(self, Item(mesh, "parts", closed=True), view, 0, 1.0).run()
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
        return data.reshape(size[0], size[1], 4)[::-1]

    def _fill(self, target: Any, backdrop: Bytes, size: tuple[int, int]) -> None:
        import cv2

        flat = cv2.resize(backdrop[::-1], (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        target.color_attachments[0].write(cv2.cvtColor(flat, cv2.COLOR_RGB2RGBA))

    def program(self, material: str, features: tuple[str, ...]) -> Any:
        """The program of a material; ``features`` are names that its shader is compiled with."""
        key = (material, features)
        if key not in self._programs:
            source = {name: _shader(name) for name in ("surface.vert", "garment_cut.glsl", "light.glsl")}
            head = "#version 330\n" + "".join(f"#define {feature}\n" for feature in features)
            declared, main = _shader(f"{material}.frag").split("layout(location = 0)", 1)
            fragment = f"{head}{declared}{source['garment_cut.glsl']}{source['light.glsl']}"
            self._programs[key] = self.context.program(
                vertex_shader=head + source["surface.vert"],
                fragment_shader=f"{fragment}layout(location = 0){main}",
            )
        return self._programs[key]

    def buffer(self, source: Floats, columns: slice) -> tuple[Any, bool]:
        """A buffer of some columns of an array, and whether it is for once: read-only arrays' buffers are kept."""
        key = (id(source), columns.start)
        if key in self._static:
            return self._static[key][1], False
        made = self.context.buffer(np.ascontiguousarray(source[:, columns], np.float32))
        if not source.flags.writeable:
            self._static[key] = (source, made)
        return made, bool(source.flags.writeable)

    def members(self, program: Any) -> frozenset[str]:
        """Names of a program's uniforms and attributes."""
        if program.glo not in self._members:
            self._members[program.glo] = frozenset(program)
        return self._members[program.glo]

    def bind(self, program: Any, values: Mapping[str, Any]) -> None:
        """Sets the uniforms that the program has."""
        unit = 1
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
                self._texture(value).use(unit)
                program[name].value = unit
                unit += 1
            elif isinstance(value, np.ndarray) and value.shape == (4, 4):
                program[name].write(np.ascontiguousarray(value.T, np.float32))
            else:
                program[name].value = value

    def _texture(self, pixels: Bytes) -> Any:
        """The texture of a picture (h, w, 4); the last few pictures of each shape are kept."""
        known = self._textures.setdefault(pixels.shape, OrderedDict())
        if id(pixels) in known:
            known.move_to_end(id(pixels))
            return known[id(pixels)][1]
        height, width, channels = pixels.shape
        if len(known) < KEPT_TEXTURES:
            texture = self.context.texture((width, height), channels, alignment=1)
            texture.build_mipmaps()
            texture.filter = (self.gl.LINEAR_MIPMAP_NEAREST, self.gl.LINEAR)
        else:
            texture = known.popitem(last=False)[1][1]
        for level, reduced in enumerate(_pyramid(pixels)):
            texture.write(reduced, level=level, alignment=1)
        known[id(pixels)] = (pixels, texture)
        return texture


def _pyramid(pixels: Bytes) -> Iterator[Bytes]:
    """A picture and its halves down to one pixel."""
    import cv2

    level = np.ascontiguousarray(pixels)
    yield level
    while max(level.shape[:2]) > 1:
        size = (max(level.shape[1] // 2, 1), max(level.shape[0] // 2, 1))
        level = np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_AREA), np.uint8)
        yield level


class _Draw:
    """One item with its buffers, ready to be drawn for the light and for the camera."""

    def __init__(self, owner: Renderer, item: Item, view: View, mode: int, pixel: float) -> None:
        self.owner, self.item, self.view = owner, item, view
        self.faces = _facing(item, view.view_projection)
        self.features = _features(item, mode, pixel)
        self.position, self.once = owner.buffer(item.mesh.vertices, slice(0, 3))

    def run(self) -> None:
        """Draws the shaded surface and frees what was made for it."""
        owner, context, mesh = self.owner, self.owner.context, self.item.mesh
        made = [self.position] if self.once else []
        if len(self.faces):
            program = owner.program(self.item.material, self.features)
            members = owner.members(program)
            content = [(self.position, "3f", "in_position")]
            for name, width, field_, start in ATTRIBUTES:
                if name in members:
                    buffer, once = owner.buffer(getattr(mesh, field_), slice(start, start + width))
                    made += [buffer] if once else []
                    content.append((buffer, f"{width}f", name))
            if "in_flow" in members:
                flow = context.buffer(np.ascontiguousarray(self.item.flow, np.float32))
                made.append(flow)
                content.append((flow, "3f", "in_flow"))
            index = context.buffer(self.faces)
            array = context.vertex_array(program, content, index)
            values = {**self.view.uniforms, **self.item.uniforms, "light_projection": self.view.light_projection}
            owner.bind(program, {**values, "view_projection": self.view.view_projection})
            (context.enable if self.item.over else context.disable)(owner.gl.BLEND)
            context.blend_func = owner.gl.DST_COLOR, owner.gl.ZERO
            array.render()
            made += [array, index]
        for resource in made:
            resource.release()

    def cast(self) -> None:
        """Draws the depth that the light sees, without cuts."""
        faces = self.item.mesh.faces if self.item.shadow_faces is None else self.item.shadow_faces
        if not self.item.shadow or not len(faces):
            return
        context, program = self.owner.context, self.owner.shadow_program
        index = context.buffer(np.ascontiguousarray(faces, np.int32))
        array = context.vertex_array(program, [(self.position, "3f", "in_position")], index)
        program["view_projection"].write(np.ascontiguousarray(self.view.light_projection.T, np.float32))
        context.disable(self.owner.gl.BLEND)
        array.render()
        array.release()
        index.release()


def _features(item: Item, mode: int, pixel: float) -> tuple[str, ...]:
    """What an item's shader is compiled with; ``pixel`` is its size in metres."""
    fine = pixel < FINE
    features = [f"OUTPUT {mode}", f"FIELD_LEVEL {0.0 if fine else 1.0}"]
    if item.material == "cloth":
        features.append(f"KIND {int(item.uniforms['garment'][2][0])}")
        features += ["FINE"] if fine else []
        features += ["FLOW"] if mode == 3 and item.flow is not None else []
        features += ["PRINTED"] if item.uniforms["print_place"][2] > 0 else []
    else:
        features.append("KIND 0")
    return tuple(features)


def _facing(item: Item, camera: Floats) -> Ints:
    """Triangles that the picture may show: those that face the camera first, the others only of open things."""
    faces = item.mesh.faces
    rows = np.asarray(camera[[0, 1, 3]], np.float32)
    x, y, w = (item.mesh.vertices @ rows[:, :3].T + rows[:, 3]).T
    outside = ((x < -w) | (x > w) * np.uint8(2) | (y < -w) * np.uint8(4) | (y > w) * np.uint8(8)).take(faces.T)
    place = ((x + 1j * y) / w).take(faces.T)
    first, second = place[1] - place[0], place[2] - place[0]
    front = first.real * second.imag > first.imag * second.real
    seen = (outside[0] & outside[1] & outside[2]) == 0
    if item.closed:
        return np.ascontiguousarray(faces[seen & front], np.int32)
    return np.concatenate([faces[seen & front], faces[seen & ~front]]).astype(np.int32, copy=False)


def _bind_garment(program: Any, members: frozenset[str], cut: Floats) -> None:
    """Sets the cut (3, 4): extent, neck, shape."""
    for member, row in zip(("extent", "neck", "shape"), cut, strict=True):
        if f"garment.{member}" in members:
            program[f"garment.{member}"].value = tuple(float(number) for number in row)


def _shader(name: str) -> str:
    return (resources.files("idmvton.studio") / "shaders" / name).read_text()
