"""Export: a PyTorch module as a program of ATen operators."""

import copy
import re
import warnings
from typing import Any

import torch
from torch.export import Dim, ExportedProgram, default_decompositions
from torch.export.graph_signature import InputKind, OutputKind

from posterium.model.adapters.aten.graph import Node, Program, Ref, covered, inputs_dtype

aten = torch.ops.aten

KEPT = (
    aten.linear.default, aten.matmul.default, aten.einsum.default,
    aten.scaled_dot_product_attention.default, aten.gru.input, aten.lstm.input,
    aten.rnn_tanh.input, aten.rnn_relu.input, aten.softplus.default, aten.mish.default,
    aten.celu.default, aten.hardswish.default, aten.hardsigmoid.default, aten.logaddexp.default,
    aten.linalg_vector_norm.default, aten.adaptive_max_pool1d.default,
    aten.adaptive_max_pool2d.default, aten.upsample_nearest2d.vec, aten.upsample_bilinear2d.vec,
)  # fmt: skip
"""Operators that stay whole: their parts would be slower, or have derivatives that overflow."""

LIBRARY = torch.library.Library("posterium", "DEF")
"""Operators of our own, which PyTorch does not take apart; they are never run there."""


def _own(schema: str, name: str) -> Any:
    """Return an operator of our own that stands for one tensor of the shape of its first."""
    LIBRARY.define(f"{name}{schema}")
    LIBRARY.impl(name, lambda x, *rest: torch.empty_like(x), "CompositeExplicitAutograd")
    return getattr(torch.ops.posterium, name).default


DROPS = "(Tensor x, float p, bool train) -> Tensor"
MARKED = {
    aten.detach.default: _own("(Tensor x) -> Tensor", "detach"),
    aten.feature_dropout.default: _own(DROPS, "feature_dropout"),
    aten.alpha_dropout.default: _own(DROPS, "alpha_dropout"),
    aten.feature_alpha_dropout.default: _own(DROPS, "feature_alpha_dropout"),
}
"""Operators whose meaning is lost on the way: no gradients, and dropout that can be switched."""

WITH_GRADIENTS = torch.ops.higher_order.wrap_with_set_grad_enabled

UNSEEN = {"dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "generator"}
"""Options that say how an array is stored; its type is known from the program."""

ROWS = 3


def path_of(name: str) -> str:
    """Return the path of a weight by its name in the module's state dict."""
    return name.replace(".", "/")


def exported(
    module: torch.nn.Module, shape: tuple[int, ...], dtype: Any, training: bool
) -> Program:
    """Return what a module computes from rows of a shape, in training or in evaluation.

    Parameters
    ----------
    module
        The module; a copy of it is exported.
    shape
        Shape of one row.
    dtype
        Type of the inputs; numbers of any precision stand for the module's own.
    training
        Which of the two to export.
    """
    native = next((t.dtype for t in module.parameters() if t.is_floating_point()), torch.float32)
    example = torch.zeros((ROWS, *shape), dtype=getattr(torch, inputs_dtype(dtype, _text(native))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # export and copy warn about PyTorch's own code
        program = _exported(module, example, training)
    return _translated(program, type(module).__name__, module, _text(native))


def _exported(module: torch.nn.Module, example: torch.Tensor, training: bool) -> ExportedProgram:
    module = copy.deepcopy(module).train(training)
    for p in module.parameters():
        # Without gradients attention takes a path that has an operator of its own.
        p.requires_grad_(p.is_floating_point())
    table = default_decompositions()
    for target in KEPT:
        table.pop(target, None)
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            program = torch.export.export(module, (example,), dynamic_shapes=({0: Dim("rows")},))
            _mark(program.graph)
            return program.run_decompositions(table)
    except Exception as error:
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise ValueError(
            f"Expected a module that torch.export can follow for any number of rows of shape "
            f"{tuple(example.shape[1:])} and type {_text(example.dtype)}; for "
            f"{type(module).__name__} it says: {reason}"
        ) from error


def _mark(graph: torch.fx.Graph) -> None:
    """Put operators of our own where decomposition would lose what a module means."""
    for node in graph.nodes:
        if node.op == "call_function" and node.target in MARKED:
            node.target = MARKED[node.target]
    for node in graph.find_nodes(op="call_function", target=WITH_GRADIENTS):
        if node.args[0]:
            continue
        for out in list(node.users):
            with graph.inserting_after(out):
                held = graph.call_function(MARKED[aten.detach.default], (out,))
            held.meta = dict(out.meta)
            out.replace_all_uses_with(held, delete_user_cb=lambda user, new=held: user is not new)


def _text(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _translated(
    program: ExportedProgram, name: str, module: torch.nn.Module, native: str
) -> Program:
    """Return an exported program in our own terms."""
    _check_covered(program, name)
    own = {id(t): path_of(n) for n, t in (*module.named_parameters(), *module.named_buffers())}
    tied = {
        n: own[id(t)]
        for named in (module.named_parameters, module.named_buffers)
        for n, t in named(remove_duplicate=False)
    }
    held, constants, x = {}, {}, ""
    for spec in program.graph_signature.input_specs:
        place = spec.arg.name
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER) and spec.target in tied:
            held[place] = tied[spec.target]
        elif spec.kind == InputKind.USER_INPUT:
            x = place
        else:
            constants[place] = program.constants[spec.target].detach().numpy().copy()
    f, moved = _outputs(program, name, tied)
    nodes = tuple(_node(n) for n in program.graph.nodes if n.op == "call_function")
    return Program(nodes, held, constants, x, f, moved, native)


def _outputs(
    program: ExportedProgram, name: str, tied: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """Return the name of the outputs' value, and those of state that training changes."""
    specs = program.graph_signature.output_specs
    found = [spec.arg.name for spec in specs if spec.kind == OutputKind.USER_OUTPUT]
    if len(found) != 1:
        raise ValueError(
            f"Expected a module that returns one tensor (n, k); {name} returns {len(found)}. "
            "Wrap it in a module that returns the one that is meant."
        )
    changed = [spec for spec in specs if spec.kind == OutputKind.BUFFER_MUTATION]
    return found[0], {tied[spec.target]: spec.arg.name for spec in changed}


def _node(node: torch.fx.Node) -> Node:
    value = node.meta.get("val")
    dtype = _text(value.dtype) if isinstance(value, torch.Tensor) else None
    options = {name: _plain(v) for name, v in node.kwargs.items() if name not in UNSEEN}
    return Node(node.name, _target(node), _plain(node.args), options, dtype)


def _target(node: torch.fx.Node) -> Any:
    """Return an operator's name, or the function of Python numbers itself."""
    target = node.target
    if target in (aten.sym_size.int, aten.sym_numel.default):
        return _length
    is_plain = getattr(target, "__module__", "") in ("_operator", "math")
    is_sym = getattr(target, "__name__", "").startswith("sym_")
    if not isinstance(target, torch._ops.OpOverload) and (is_plain or is_sym):
        return target
    return str(target).removeprefix("aten.")


def _length(x: Any, dim: int | None = None) -> int:
    return x.size if dim is None else x.shape[dim]


def _plain(value: Any) -> Any:
    """Return arguments without PyTorch's types."""
    if isinstance(value, torch.fx.Node):
        return Ref(value.name)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value] if isinstance(value, list) else (*map(_plain, value),)
    return value


def _check_covered(program: ExportedProgram, name: str) -> None:
    missing: dict[str, str] = {}
    for node in program.graph.nodes:
        if node.op == "get_attr":
            missing.setdefault("control flow", _line(node))
        elif node.op == "call_function" and isinstance(target := _target(node), str):
            if not covered(target):
                missing.setdefault(target, _line(node))
    if missing:
        listed = "; ".join(f"{target}{line}" for target, line in missing.items())
        raise ValueError(
            f"Expected operators of PyTorch that posterium covers; {name} needs {listed}. Write "
            "that part by others, or the network as a pair of functions."
        )


def _line(node: torch.fx.Node) -> str:
    """Return where the module calls an operator, outside of PyTorch's own files where it can."""
    frames = re.findall(r'File "(.+?)", line (\d+).*\n\s*(.*)', node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if "/torch/" not in frame[0]] or frames
    if not own:
        return ""
    file, line, code = own[-1]
    return f" (line {line} of {file}: {code.strip()})"
