"""Uses of blocks, nets and imported files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace

from cnndsl.frontend import ast
from cnndsl.frontend.arguments import bind_arguments, written
from cnndsl.frontend.closeness import near
from cnndsl.frontend.core import Env, Instance, Patch, Stopped, Visit
from cnndsl.frontend.explain import counted
from cnndsl.frontend.flow import BROKEN, NOTHING, Flow
from cnndsl.frontend.given import Given
from cnndsl.frontend.here import text_of
from cnndsl.frontend.params import Params
from cnndsl.frontend.records import Frame
from cnndsl.frontend.scope import BlockDef, BrokenDef, FileDef, NetDef, Scope
from cnndsl.frontend.values import Callee, show
from cnndsl.support.diagnostics import DiagnosticError, error, note


class Instances(Params):
    """Elaborates uses of blocks, nets and files."""

    @abstractmethod
    def is_cyclic(self, callee: Callee) -> bool:
        """Tell whether a definition uses itself; that was reported."""

    @abstractmethod
    def read_patch(self, body: ast.Body, env: Env) -> Patch:
        """Read the lines of a patch."""

    @abstractmethod
    def finish_patch(self, patch: Patch, env: Env) -> None:
        """Run the lines of a patch that act on the finished net: `load`, `freeze`."""

    @abstractmethod
    def run_program(self, file: FileDef, env: Env, flow: Flow) -> Flow:
        """Elaborate the statements of an imported file."""

    def run_callee(
        self,
        callee: Callee,
        arguments: Sequence[ast.Argument],
        words: ast.Words,
        env: Env,
        flow: Flow,
        *,
        patch: ast.Body | None = None,
        used: int = 1,
    ) -> Flow:
        """Use a block, net or file; `words` are those of the element, `used` of them its head."""
        extra, until = self._tail(callee, words, env, used)
        arguments = (*arguments, *extra)
        if isinstance(callee, BlockDef):
            if patch is not None:
                raise _no_patch(callee, words)
            return self._run_block(callee, arguments, words, env, flow)
        if flow.broken or isinstance(callee, BrokenDef):
            return BROKEN
        visit = Visit(callee, words.span, list(flow.streams), bool(flow.streams), until=until)
        if patch is not None:
            visit.patch = self.read_patch(patch, env)
        if isinstance(callee, NetDef):
            made = self._run_net(callee, arguments, visit, env)
        else:
            assert isinstance(callee, FileDef)
            made = self._run_file(callee, arguments, visit, env)
        self._finish_visit(visit, env)
        return made

    def _tail(
        self, callee: Callee, words: ast.Words, env: Env, used: int
    ) -> tuple[list[ast.Argument], str | None]:
        """Read what follows the name: values in order, and `until LABEL`."""
        items = words.items[used:]
        found: list[ast.Argument] = []
        for index, item in enumerate(items):
            if isinstance(item, ast.Name) and item.text == "until":
                rest = items[index + 1 :]
                if isinstance(callee, BlockDef) or not rest:
                    break
                return found, self._cut(rest, env)
            bound = isinstance(item, ast.Name) and env.scope.value(item.text) is not None
            if isinstance(item, ast.Number | ast.Size) or (isinstance(item, ast.Name) and bound):
                found.append(ast.Argument(None, item, span=item.span))
            elif not isinstance(item, ast.Remark):
                break
        else:
            return found, None
        name = callee.name
        wanted = "" if isinstance(callee, BlockDef) else f", or `{name} until LABEL`"
        raise DiagnosticError(
            error(
                "E0211",
                f"`{text_of(item)}` means nothing behind `{name}`",
                item.span,
                label="unexpected",
                helps=(f"arguments stand in parentheses: `{name}(64, stride=2)`{wanted}",),
            )
        )

    def _cut(self, items: Sequence[ast.Word], env: Env) -> str:
        first = items[0]
        if isinstance(first, ast.Indexed) and not isinstance(first.index, ast.ShapeLiteral):
            value = self.evaluator(env, NOTHING).value(first.index[0])
            return f"{text_of(first.target)}[{show(value)}]"
        return " ".join(text_of(item) for item in items)

    # -------------------------------------------------------------- blocks

    def _run_block(
        self,
        block: BlockDef,
        arguments: Sequence[ast.Argument],
        words: ast.Words,
        env: Env,
        flow: Flow,
    ) -> Flow:
        scope = Scope(block.scope)
        values = bind_arguments(
            block, block.node.formals, arguments, scope, self.evaluator(env, flow), words.span
        )
        text = written(block.name, arguments, values)
        shown = tuple((name, show(value)) for name, value in values.items())
        instance = Instance(text, words.span, shown, env.instance, number=self.steps)
        inner = replace(
            env, scope=scope, instance=instance, depth=env.depth + 1, whole=False, merging=False
        )
        self.step(inner, words.span)
        if self.is_cyclic(block):
            return BROKEN
        made = self.run_statements(block.node.body.statements, inner, flow)
        return made.brought_by(words.span)

    # -------------------------------------------------------------- nets

    def _run_net(
        self, net: NetDef, arguments: Sequence[ast.Argument], visit: Visit, env: Env
    ) -> Flow:
        if self.is_cyclic(net):
            return BROKEN
        scope = Scope(net.scope)
        formals = net.node.formals if isinstance(net.node, ast.Net) else ()
        bind_arguments(net, formals, arguments, scope, self.evaluator(env, NOTHING), visit.span)
        frame = self._frame(net.name, env, self.shared.get(net))
        merging = isinstance(net.node, ast.NetBinding)
        inner = Env(scope, frame, visit, None, env.depth + 1, whole=False, merging=merging)
        inner = replace(inner, instance=env.instance)
        self.step(inner, visit.span)
        try:
            return self._contained(visit, inner, lambda flow: self._net_body(net, inner, flow))
        finally:
            self.shared.setdefault(net, frame)
            self._export(f"{net.name}.", scope, env)

    def run_only_net(self, net: NetDef, env: Env, flow: Flow) -> Flow:
        """Use a net as what its file is: its layers and labels are the file's own."""
        if self.is_cyclic(net):
            return BROKEN
        visit = Visit(net, net.node.name.span, list(flow.streams), bool(flow.streams))
        visit.outer = env.visit
        scope = Scope(net.scope)
        formals = net.node.formals if isinstance(net.node, ast.Net) else ()
        bind_arguments(net, formals, (), scope, self.evaluator(env, NOTHING), visit.span)
        merging = isinstance(net.node, ast.NetBinding)
        inner = Env(
            scope, env.frame, visit, env.instance, env.depth + 1, whole=False, merging=merging
        )
        self.step(inner, visit.span)
        try:
            return self._contained(visit, inner, lambda flow: self._net_body(net, inner, flow))
        finally:
            self._export("", scope, env)

    def _net_body(self, net: NetDef, env: Env, flow: Flow) -> Flow:
        node = net.node
        if isinstance(node, ast.NetBinding):
            return self.run_chain(node.chain, env, flow)
        if declares_input(node.body.statements):
            flow = NOTHING
        return self.run_statements(node.body.statements, env, flow)

    def _frame(self, name: str, env: Env, first: Frame | None) -> Frame:
        builder = env.frame.builder
        prefix = builder.free_prefix(f"{env.frame.prefix}{name}")
        same = first if first is not None and first.builder is builder else None
        return Frame(builder, f"{prefix}.", env.frame, same, name)

    def _contained(self, visit: Visit, env: Env, body: Callable[[Flow], Flow]) -> Flow:
        """Run the body of a net or file; a cut ends it."""
        flow = Flow(tuple(visit.feeds)) if visit.fed else NOTHING
        try:
            made = body(flow)
        except Stopped as stop:
            if stop.visit is not visit:
                raise
            made = stop.flow
        else:
            self._check_cut(visit, made, env)
        if visit.patch is not None:
            self.finish_patch(visit.patch, env)
        return made.brought_by(visit.span)

    def _check_cut(self, visit: Visit, made: Flow, env: Env) -> None:
        if visit.fed and visit.feeds and visit.reads and not made.broken:
            count = visit.reads + len(visit.feeds)
            raise DiagnosticError(
                error(
                    "E0401",
                    f"`{visit.callee.name}` reads {counted(visit.reads, 'stream')} and was given "
                    f"{count}",
                    visit.span,
                    label="too many streams arrive here",
                )
            )
        if visit.until is not None and not made.broken:
            raise self._no_such_cut(visit, env)

    def _no_such_cut(self, visit: Visit, env: Env) -> DiagnosticError:
        assert visit.until is not None
        prefix = env.frame.prefix
        known = [r.name.removeprefix(prefix) for r in env.frame.records]
        close = near(visit.until, known, limit=3)
        return DiagnosticError(
            error(
                "E0210",
                f"`{visit.callee.name}` has no layer called `{visit.until}`",
                visit.span,
                label=f"did you mean `{close[0]}`?" if close else "",
                notes=(f"also close: {', '.join(close[1:])}",) if close[1:] else (),
            )
        )

    def stop_at(self, env: Env, name: str, flow: Flow) -> None:
        """End the frame here if this is what it is cut behind."""
        for visit in env.visits():
            if visit.until == name and not flow.broken:
                raise Stopped(visit, flow)

    def _export(self, prefix: str, inner: Scope, outer: Env) -> None:
        """Let labels of a net be named from outside: `trunk.c[5]`."""
        owner = outer.scope.owner()
        for label, found in inner.labels.items():
            owner.labels.setdefault(prefix + label, found)
        for label, family in inner.families.items():
            owner.families.setdefault(prefix + label, {}).update(family)

    # -------------------------------------------------------------- files

    def _run_file(
        self, file: FileDef, arguments: Sequence[ast.Argument], visit: Visit, env: Env
    ) -> Flow:
        scope = Scope()
        given = self._file_arguments(file, arguments, env)
        visit.file = file.program.source.name
        visit.outer = env.visit if env.merging else None
        visit.given = given
        frame = env.frame if env.merging else self._frame(file.name, env, None)
        inner = Env(scope, frame, visit, env.instance, env.depth + 1, whole=not visit.fed)
        self.step(inner, visit.span)
        try:
            return self._contained(visit, inner, lambda flow: self.run_program(file, inner, flow))
        finally:
            self._export("" if env.merging else f"{file.name}.", scope, env)

    def _file_arguments(
        self, file: FileDef, arguments: Sequence[ast.Argument], env: Env
    ) -> dict[str, Given]:
        statements = file.program.statements
        declared = [b for s in statements if isinstance(s, ast.Param) for b in s.bindings]
        formals = tuple(
            ast.Binding(b.name, default=ast.Boolean(False, span=b.span), span=b.span)
            for b in declared
        )
        symbols = {
            name.text
            for b in declared
            if isinstance(b.choices, ast.ListExpr)
            for name in b.choices.items
            if isinstance(name, ast.Name)
        }
        evaluator = self.evaluator(env, NOTHING)
        evaluator = replace(evaluator, symbols={*evaluator.symbols, *symbols})
        span = arguments[0].span if arguments else file.program.span
        asked = bind_arguments(file, formals, arguments, Scope(), evaluator, span, defaults=False)
        return {
            name: Given(value, False, f"{file.name}({name}={show(value)})")
            for name, value in asked.items()
        }

    def _finish_visit(self, visit: Visit, env: Env) -> None:
        """Complain about a patch that fits nothing; say which assertions were dropped."""
        patch = visit.patch
        if patch is not None:
            for name, line in patch.lines.items():
                if name in patch.used:
                    continue
                known = [r.name.removeprefix(env.frame.prefix) for r in env.frame.records]
                close = near(name, [n for n in known if n], limit=3)
                said = [
                    r.name.removeprefix(env.frame.prefix) for r in env.frame.records if r.labelled
                ]
                listed = ", ".join(said[:12]) + (", .." if len(said) > 12 else "")
                self.reports.add(
                    error(
                        "E0210",
                        f"`{visit.callee.name}` has no line called `{name}` to replace",
                        line.label.span if line.label else line.span,
                        label=f"did you mean `{close[0]}`?" if close else "",
                        notes=(f"its lines with labels: {listed}",) if said else (),
                    )
                )
        if visit.patch is not None or visit.fed or visit.until:
            self.visits.append(visit)

    def note_dropped(self) -> None:
        """Say which assertions were dropped behind changes of nets."""
        for visit in self.visits:
            if not visit.dropped:
                continue
            count = len(visit.dropped)
            verb = "assertions do not hold and were"
            if count == 1:
                verb = "assertion does not hold and was"
            places = ", ".join(f"line {span.line}" for span in visit.dropped[:12])
            self.reports.add(
                note(
                    "N0006",
                    f"`{visit.callee.name}` {_change(visit)}: {count} {verb} dropped",
                    visit.span,
                    notes=(f"{visit.dropped[0].file}: {places}",),
                )
            )


def declares_input(statements: Sequence[ast.Statement]) -> bool:
    """Tell whether a body declares an input."""
    return any(isinstance(s, ast.Line) and input_line(s) for s in statements)


def input_line(line: ast.Line) -> bool:
    """Tell whether a line declares an input."""
    words = line.label
    if words is None:
        element = line.chain.parts[0].element
        if not isinstance(element, ast.Words):
            return False
        words = element
    first = words.items[0]
    target = first.target if isinstance(first, ast.Indexed | ast.Call) else first
    return isinstance(target, ast.Name) and target.text.casefold() == "input"


def _change(visit: Visit) -> str:
    if visit.changed:
        return f"is changed from {visit.changed} on"
    return f"is cut behind {visit.until}"


def _no_patch(callee: Callee, words: ast.Words) -> DiagnosticError:
    return DiagnosticError(
        error(
            "E0211",
            f"`{callee.name}` is a block, and only nets and files can be patched",
            words.span,
            helps=("a block takes its differences as arguments",),
        )
    )
