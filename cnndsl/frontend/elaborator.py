"""One elaboration of a program: its own chain, its nets, its sections."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cnndsl.frontend import ast
from cnndsl.frontend.core import Env, Visit
from cnndsl.frontend.directives import Load
from cnndsl.frontend.elaboration import Assumed, Elaboration
from cnndsl.frontend.endings import Endings
from cnndsl.frontend.estimate import Estimate
from cnndsl.frontend.explain import counted
from cnndsl.frontend.flow import BROKEN, NOTHING, Flow, Stream
from cnndsl.frontend.imports import Loader
from cnndsl.frontend.instances import declares_input
from cnndsl.frontend.memory import warn_of_memory
from cnndsl.frontend.objectives import judge_objectives
from cnndsl.frontend.places import Place
from cnndsl.frontend.read_sections import SectionReader
from cnndsl.frontend.records import Entry, Frame, NetworkBuilder, Source
from cnndsl.frontend.reports import Reports
from cnndsl.frontend.scope import FileDef, NetDef, Scope
from cnndsl.frontend.sections import DataSection, TrainSection
from cnndsl.layers.base import Hwc, SettingValue, show_size
from cnndsl.layers.network import Network
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error, note
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span

USUAL_INPUT: Hwc = (32, 32, 3)
"""The input of a program that declares none, when no data say otherwise."""

USUAL_CLASSES = 10
"""The classes of a program that does not say how many, when no data say otherwise."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A network that is complete."""

    frame: Frame
    """Its layers."""
    flow: Flow
    """What it ends with."""
    scope: Scope
    """Its labels."""


class Elaborator(Endings):
    """One elaboration of a program."""

    def __init__(self, program: ast.Program, loader: Loader, limits: Limits) -> None:
        """Elaborate `program` with the files that `loader` reads."""
        super().__init__(limits)
        self.program = program
        self.loader = loader
        self.input_size: Hwc | None = None
        self.given_classes: int | None = None
        self.assumed = Assumed()
        self.sources[program.source.name] = program.source

    def explore(self, path: Path | None) -> tuple[Place, ...]:
        """Give every choice without a name, all of them taken; what does not fit is ignored."""
        self.exploring = True
        self.limits = replace(self.limits, messages=sys.maxsize)
        self.reports = Reports(self.limits)
        files = self.loader.load(self.program, path)
        scope = Scope()
        self.bind_files(self.program, scope, files)
        frame = Frame(NetworkBuilder(self.program.source.name, self.limits))
        self.run_statements(self.program.statements, Env(scope, frame), NOTHING)
        return tuple(self.open_places[0])

    def run(self, path: Path | None) -> Elaboration:
        """Elaborate; raises `DiagnosticError`."""
        files = self.loader.load(self.program, path)
        self.sources.update(self.loader.sources)
        self.reports.add(*self.loader.errors)
        Estimate(self.limits).check(self.program.statements)
        for other in self.loader.parsed.values():
            Estimate(self.limits).check(other.statements)
        name = Path(self.program.source.name).stem
        scope = Scope()
        self.bind_files(self.program, scope, files)
        frame = Frame(NetworkBuilder(name, self.limits), title=name)
        self.last_words = _last_words(self.program)
        flow = self.run_statements(self.program.statements, Env(scope, frame), NOTHING)
        whole = Whole(frame, flow, scope)
        self._complete(frame)
        networks = self._stand_alone(whole)
        chosen = self._chosen(whole, networks)
        if chosen is not None and not _builds(frame) and not (self.reports.errors or self.missing):
            self.judge(frame.builder, measured=chosen.frame)
        train, data = self._read_sections(chosen or whole)
        self.report_missing()
        network = None
        if chosen is not None and not self.reports.errors and not chosen.flow.broken:
            network = self._finished(chosen)
        self.note_dropped()
        self.note_free()
        self.note_bare()
        if not self.reports.errors:
            self.refuse_unknown()
        if network is None and not self.reports.errors:
            self.reports.add(self._no_network())
        if self.reports.errors or network is None:
            raise DiagnosticError(*self.reports.errors, sources=self.sources)
        warning = warn_of_memory(network, self.limits)
        if warning is not None:
            self.reports.add(warning)
        return Elaboration(
            self.program,
            network,
            self._others(networks),
            self.params,
            train,
            data,
            self._loads(chosen),
            self.reports.notes,
            self.assumed,
            self.sources,
        )

    def _others(self, networks: Mapping[str, Whole]) -> dict[str, Network]:
        """Finish the nets that stand by themselves and say what they give."""
        kept, self.reports = self.reports, Reports(self.limits)
        found = {name: self._finished(whole) for name, whole in networks.items()}
        self.reports = kept
        return {name: network for name, network in found.items() if network is not None}

    def _loads(self, chosen: Whole | None) -> tuple[Load, ...]:
        """Give the weights that the chosen network asks for; its own name is left out of them."""
        assert chosen is not None
        builder = chosen.frame.builder
        own = builder.name if chosen.frame.title in chosen.scope.known() else ""
        found = [load for frame, load in self.loads if frame.builder is builder]
        for frame, load in self.loads:
            if frame.builder is not builder and own and load.net == own:
                found.append(replace(load, net=""))
        return tuple(found)

    def _complete(self, frame: Frame, outer: Frame | None = None) -> None:
        """Freeze and judge what is complete; nothing is judged when layers are missing.

        `outer` is the program around a net: it may freeze layers of the net by name. What a program
        that only defines nets asserts is about the chosen one, and is judged when it is known.
        """
        if self.reports.errors or self.missing:
            return
        self.act(frame, outer)
        if outer is not None or _builds(frame):
            self.judge(frame.builder)

    # -------------------------------------------------------------- nets by themselves

    def _stand_alone(self, whole: Whole) -> dict[str, Whole]:
        """Elaborate every net of the program as a network of its own."""
        found: dict[str, Whole] = {}
        used = dict(self.shared)
        for name, net in whole.scope.values.items():
            if not isinstance(net, NetDef) or self.is_cyclic(net):
                continue
            node = net.node
            if isinstance(node, ast.Net) and (
                not declares_input(node.body.statements)
                or any(f.default is None for f in node.formals)
            ):
                continue
            kept = self.reports, self.missing
            if net in used:
                self.reports, self.missing = Reports(self.limits), []
            self.shared = {}
            made = self._alone(net, whole.frame)
            quiet = net in used and (bool(self.reports.errors) or bool(self.missing))
            if net in used:
                self.reports, self.missing = kept
            if made is not None and not quiet:
                found[name] = made
        self.shared = used
        return found

    def _alone(self, net: NetDef, outer: Frame) -> Whole | None:
        frame = Frame(NetworkBuilder(net.name, self.limits), title=net.name)
        scope = Scope(net.scope)
        visit = Visit(net, net.node.name.span, [], False)
        binding = isinstance(net.node, ast.NetBinding)
        env = Env(scope, frame, visit, None, 1, whole=False, merging=binding)

        def body() -> Flow:
            if isinstance(net.node, ast.Net):
                for formal in net.node.formals:
                    assert formal.default is not None
                    value = self.evaluator(env, NOTHING).value(formal.default)
                    scope.bind(formal.name.text, value, formal.span)
            return self._net_body(net, env, NOTHING)

        flow = self.guarded(body)
        self._complete(frame, outer)
        return None if flow.broken else Whole(frame, flow, scope)

    # -------------------------------------------------------------- the main network

    def _chosen(self, whole: Whole, networks: Mapping[str, Whole]) -> Whole | None:
        """Choose the main network: the one that is trained, the program's own, or its last net."""
        for section in _sections(self.program):
            names = [w for w in section.words.items if isinstance(w, ast.Name)]
            if names[0].text.casefold() != "train" or len(names) < 2:
                continue
            if names[1].text in networks:
                return networks[names[1].text]
            if not self.reports.errors and not self.missing:
                message = f"there is no net called `{names[1].text}` to train"
                self.reports.add(error("E0210", message, names[1].span))
            return None
        if _builds(whole.frame):
            return whole
        if networks:
            return list(networks.values())[-1]
        return None

    def _no_network(self) -> Diagnostic:
        return error(
            "E0406",
            "this program builds no network",
            Span(self.program.source.name, 1, 1, 1, 1),
            helps=("a network begins with `input [32x32x3]`",),
        )

    def _finished(self, whole: Whole) -> Network | None:
        frame, flow = whole.frame, whole.flow
        outputs: dict[str, Source] = dict(frame.builder.outputs)
        if not outputs:
            if len(flow.streams) != 1:
                self.reports.add(self._no_output(frame, flow))
                return None
            outputs = {"output": flow.streams[0].source}
        streams = {
            name: label.flow.streams[0].source
            for name, label in whole.scope.in_reach().items()
            if len(label.flow.streams) == 1
        }
        own = {id(s) for s in frame.builder.named.values()}
        return frame.builder.finish(
            outputs, {name: s for name, s in streams.items() if id(s) in own}
        )

    def _no_output(self, frame: Frame, flow: Flow) -> Diagnostic:
        last = frame.records[-1].span if frame.records else self.program.span
        what = f"ends with {counted(len(flow.streams), 'stream')}" if flow.streams else "ends"
        return error(
            "E0404",
            f"`{frame.title}` {what} and does not say what it gives",
            flow.span or last,
            label=" and ".join(show_size(s.size) for s in flow.streams),
            helps=("name what it gives: `output a, b`", "or join the streams: `.. -> concat`"),
        )

    # -------------------------------------------------------------- sections

    def _read_sections(self, whole: Whole) -> tuple[TrainSection | None, dict[str, DataSection]]:
        train: TrainSection | None = None
        data: dict[str, DataSection] = {}
        frame, root = whole.frame, whole.scope.root()

        def targets(word: ast.Word) -> tuple[str, ...]:
            if self.reports.errors or self.missing:
                return ()
            return tuple(r.name for r in self.layers_named(word, frame, whole.scope))

        reader = SectionReader(self.evaluator(Env(root, frame), BROKEN), targets)
        for section in _sections(self.program):
            first = section.words.items[0]
            word = first.text.casefold() if isinstance(first, ast.Name) else ""
            if word == "train":
                if train is not None:
                    reader.errors.append(_second_train(section))
                    continue
                train = reader.train(section)
                reader.errors += judge_objectives(section, self.program)
            elif word == "data":
                found = reader.data(section)
                data[found.name] = found
            else:
                self.unavailable("generate", "writing sequences", section.words.span)
        self.reports.add(*reader.errors)
        self.missing += reader.missing
        return train, {**reader.implied, **data}

    # -------------------------------------------------------------- what the program leaves open

    def assumed_input(self, env: Env, span: Span) -> Flow:
        """Give the input of a program that declares none; raises `DiagnosticError` E0402."""
        builder = env.frame.builder
        if not env.whole or builder.entries:
            raise DiagnosticError(
                error(
                    "E0402",
                    "nothing arrives here",
                    span,
                    label="a layer needs something to work on",
                    helps=(
                        "declare an input: `input [32x32x3]`",
                        "or go on from a stream: `from x`",
                    ),
                )
            )
        size = self.input_size or USUAL_INPUT
        entry = Entry("input", size, span)
        builder.add_entry(entry)
        self.assumed = replace(self.assumed, input=size)
        whose = "the data's" if self.input_size is not None else "the usual"
        self.reports.add(
            note(
                "N0004",
                f"no input is declared: using {whose} {show_size(size)}",
                span,
                helps=(f"declare it: `input {show_size(size)}`",),
            )
        )
        return Flow((Stream(entry, size, span),))

    def classes(self, env: Env, span: Span) -> int:
        """Give the number of classes when the program does not say it."""
        said = env.scope.value("classes")
        if isinstance(said, int) and not isinstance(said, bool):
            return said
        count = self.given_classes or USUAL_CLASSES
        self.assumed = replace(self.assumed, classes=count)
        if self.given_classes is None:
            self.reports.add(
                note(
                    "N0005",
                    f"how many classes there are is not said: using {count}",
                    span,
                    helps=(f"say it: `softmax {count}`",),
                )
            )
        return count

    def score(self, given: dict[str, SettingValue]) -> None:
        """Give a bare FC at the end of a program as many neurons as the data have classes."""
        if self.given_classes is not None and "neurons" not in given:
            given["neurons"] = self.given_classes
            self.assumed = replace(self.assumed, classes=self.given_classes)

    def run_program(self, file: FileDef, env: Env, flow: Flow) -> Flow:
        """Elaborate the statements of an imported file; without a chain, its last net."""
        self.bind_files(file.program, env.scope, file.files)
        if declares_input(file.program.statements):
            flow = NOTHING
        made = self.run_statements(file.program.statements, env, flow)
        nets = [v for v in env.scope.values.values() if isinstance(v, NetDef)]
        if made.streams != flow.streams or made.broken or not nets:
            return made
        return self.run_only_net(nets[-1], env, flow)


def _builds(frame: Frame) -> bool:
    """Tell whether a program has a chain of its own, not only nets."""
    return bool(frame.records or frame.builder.entries)


def _sections(program: ast.Program) -> list[ast.Section]:
    found = []
    for statement in program.statements:
        if isinstance(statement, ast.Line):
            element = statement.chain.parts[0].element
            if isinstance(element, ast.Section) and _is_section(element):
                found.append(element)
    return found


def _last_words(program: ast.Program) -> ast.Words | None:
    """Find the last element of the program's own chain, if it is a layer's words."""
    lines = [s for s in program.statements if isinstance(s, ast.Line)]
    chains = [s.chain for s in lines if not isinstance(s.chain.parts[0].element, ast.Section)]
    element: ast.Element | None = chains[-1].parts[-1].element if chains else None
    while isinstance(element, ast.Bracket):
        element = element.chain.parts[-1].element
    return element if isinstance(element, ast.Words) else None


def _is_section(section: ast.Section) -> bool:
    first = section.words.items[0]
    return isinstance(first, ast.Name) and first.text.casefold() in ("train", "data", "generate")


def _second_train(section: ast.Section) -> Diagnostic:
    return error(
        "E0209", "a program has one `train` section", section.words.span, label="a second one"
    )
