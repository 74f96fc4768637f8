"""From the words of one layer to layers of the network, with their sizes checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cnndsl.frontend import ast
from cnndsl.frontend.core import Core, Env, Name
from cnndsl.frontend.explain import explain, several_streams, too_few_streams
from cnndsl.frontend.flow import BROKEN, Flow, Stream
from cnndsl.frontend.heads import LayerHead
from cnndsl.frontend.plain_words import PlainWords, plain_words
from cnndsl.frontend.readings import (
    Completed,
    Reading,
    Sized,
    layer_error,
)
from cnndsl.frontend.records import Record, check_steps, check_tensors
from cnndsl.frontend.words import WordReader
from cnndsl.layers.base import (
    LAYERS,
    Hwc,
    LayerError,
    LayerKind,
    LayerSpec,
    Maker,
    SettingValue,
    Takes,
    show_size,
)
from cnndsl.support.diagnostics import DiagnosticError, Label, error, note
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span

SCORES = frozenset(("softmax", "logsoftmax"))
"""Layers that bring an `fc` for the classes when activations or pools come before them."""


NOUNS = {"fc": "neurons"}
"""What the number of a layer counts, if not filters."""


@dataclass(frozen=True, slots=True)
class Request:
    """A layer that is to be built."""

    kind: LayerKind
    """Its kind."""
    settings: Mapping[str, SettingValue]
    """All settings."""
    spans: Mapping[str, Span]
    """Where the given ones stand."""
    span: Span
    """Where it stands, its label included."""
    at: Span
    """The words that ask for it."""
    label: str | None = None
    """Its label."""
    implicit: bool = False
    """Whether another layer's words bring it."""
    known: dict[tuple[Hwc, ...], Sized] = field(default_factory=dict)
    """What the same words have made already, by the sizes of what they read."""


class Layering(Core):
    """Builds layers."""

    def __init__(self, limits: Limits) -> None:
        """Build within `limits`."""
        super().__init__(limits)
        self.readings: dict[int, PlainWords] = {}

    def run_layer(
        self, head: LayerHead, words: ast.Words, env: Env, flow: Flow, name: Name | None, used: int
    ) -> Flow:
        """Elaborate the words of one layer; `used` of them are its head, 0 if it is the label."""
        reading = self._read(head, words, env, flow, name, used)
        if flow.broken:
            return BROKEN
        if not flow.streams and not reading.streams:
            flow = self.assumed_input(env, reading.head)
        streams = list(flow.streams)
        for named, at in reading.streams:
            if named.broken:
                return BROKEN
            streams += [replace(s, span=at) for s in named.streams]
        span = words.span if used or name is None else name.words.span.to(words.span)
        label = name.names[0] if name is not None else None
        self._check_count(reading, streams, flow)
        given, activation = self._with_defaults(reading, env)
        self._infer(reading, given)
        if words is self.last_words and reading.kind.name == "fc" and env.visit is None:
            self.score(given)
        bare = reading.bare
        if bare and given and not reading.sized:
            bare = False
            _add_usual(given, reading.kind, env.frame.pools)
        completed = _completed(reading, given, bare=bare, pools=env.frame.pools)
        settings = completed.settings
        self._remember_bare(reading, given, settings)
        before = self._brought(reading, settings, env, streams, span)
        request = Request(
            reading.kind,
            settings,
            dict(reading.spans),
            span,
            words.span,
            label,
            known=completed.sized,
        )
        made = self._build(request, env, before or tuple(streams), reading)
        main = made.streams[0].source
        if activation is not None:
            made = self._activate(activation, env, made, span)
        for shape in reading.shapes:
            self.expect(made, shape, env)
        for source in (main, made.streams[0].source):
            if isinstance(source, Record) and not source.labelled:
                self.stop_at(env, source.name.removeprefix(env.frame.prefix), made)
        return made

    def _read(
        self, head: LayerHead, words: ast.Words, env: Env, flow: Flow, name: Name | None, used: int
    ) -> Reading:
        before = self.readings.get(id(words))
        if before is not None and before.still_mean(words, head, env.scope):
            return before.reading
        first = words.items[:used]
        at = first[0].span.to(first[-1].span) if first else words.span
        if not first and name is not None:
            at = name.words.span
        if first and isinstance(first[0], ast.Call):
            at = first[0].target.span
        reading = Reading(head.kind, at)
        reader = WordReader(self.here(env, flow), words.items, reading, used, labelled=not used)
        if head.sized is not None:
            try:
                reading.given.update(head.kind.sized(*head.sized))
            except LayerError as problem:
                raise layer_error(problem, reading, at) from None
            reading.sized = True
        if head.arguments is not None:
            reader.arguments(head.arguments)
        if head.index is not None:
            reader.index(head.index)
        count = len(reading.given)
        reader.read()
        if len(reading.given) > count:
            reading.sized = False
        plain = plain_words(words, head, reading) if used else None
        if plain is not None and plain.still_mean(words, head, env.scope):
            self.readings[id(words)] = plain
        return reading

    def _with_defaults(
        self, reading: Reading, env: Env
    ) -> tuple[dict[str, SettingValue], Reading | None]:
        given, activation = dict(reading.given), reading.activation
        for default in reversed(env.scope.default_of(reading.kind.name)):
            given = reading.kind.merge(given, default.given)
            activation = activation or default.activation
        return given, activation

    def _remember_bare(
        self,
        reading: Reading,
        given: Mapping[str, SettingValue],
        settings: Mapping[str, SettingValue],
    ) -> None:
        """Remember how many filters or neurons a layer has that does not say it."""
        for name in ("filters", "neurons"):
            value = settings.get(name)
            if name not in given and isinstance(value, int):
                self.bare.append((reading.kind.name, value, reading.head))

    def note_bare(self) -> None:
        """Say what layers without numbers have: they are a matter of taste."""
        counts: dict[str, list[int]] = {}
        for kind, value, _ in self.bare:
            known = counts.setdefault(kind, [])
            if value not in known:
                known.append(value)
        if not counts:
            return
        places = list(dict.fromkeys(span for *_, span in self.bare))
        first, *rest = places
        used = "; ".join(
            f"{kind}: {', '.join(map(str, values))} {NOUNS.get(kind, 'filters')}"
            for kind, values in counts.items()
        )
        self.reports.add(
            note(
                "N0007",
                f"layers without numbers have the usual ones: {used}",
                first,
                related=tuple(Label(s, caret=True) for s in rest[:8] if s.file == first.file),
                helps=("say them: `conv 64 3x3`, `fc 10`",),
            )
        )

    def _infer(self, reading: Reading, given: dict[str, SettingValue]) -> None:
        """Take the channels from a size that stands in the line: `FC: [1x1x4096]`."""
        counts = [c for n in reading.kind.order if (c := reading.kind.clause(n)) is not None]
        if not reading.shapes or not counts or counts[0].takes is not Takes.COUNT:
            return
        wanted = reading.shapes[0].dims[-1]
        if reading.kind.name in ("fc", "conv") and isinstance(wanted, int):
            given.setdefault(counts[0].name, wanted)

    def _check_count(self, reading: Reading, streams: list[Stream], flow: Flow) -> None:
        least, most = reading.kind.inputs
        if most is not None and len(streams) > most:
            raise several_streams(reading, streams, flow)
        if len(streams) < least:
            raise too_few_streams(reading, streams)

    def _brought(
        self,
        reading: Reading,
        settings: Mapping[str, SettingValue],
        env: Env,
        streams: list[Stream],
        span: Span,
    ) -> tuple[Stream, ...]:
        """Build the layers that the words bring in front; gives what they make."""
        brings = list(reading.kind.brings(settings))
        because = ""
        scores = reading.kind.name in SCORES
        if not brings and scores and _needs_scores(streams[0]):
            brings = [("fc", {"neurons": self.classes(env, span)})]
            because = f"no layer before `{reading.kind.name}` gives one number for each class: "
        made = tuple(streams)
        for name, given in brings:
            kind = LAYERS[name]
            complete = kind.complete(given, bare=False, pools=env.frame.pools)
            request = Request(kind, complete, {}, span, span, implicit=True)
            made = self._build(request, env, made, reading).streams
            count = next(iter(given.values()), "")
            self.reports.add(
                note(
                    "N0003",
                    f"{because}`{reading.kind.name}` brings an `{name} {count}`",
                    span,
                    label=f"{show_size(streams[0].size)} -> {show_size(made[0].size)}",
                )
            )
        return made if brings else ()

    def _activate(self, reading: Reading, env: Env, flow: Flow, span: Span) -> Flow:
        completed = _completed(reading, reading.given, bare=reading.bare, pools=0)
        request = Request(
            reading.kind,
            completed.settings,
            dict(reading.spans),
            span,
            reading.head,
            implicit=True,
            known=completed.sized,
        )
        return self._build(request, env, flow.streams, reading)

    def _build(
        self, request: Request, env: Env, streams: tuple[Stream, ...], reading: Reading
    ) -> Flow:
        """Build one layer; raises `DiagnosticError` with the arithmetic if it cannot be."""
        sizes = tuple(s.size for s in streams)
        kind = request.kind
        if kind.name == "id":
            return Flow(streams).brought_by(request.at)
        env.frame.builder.charge(request.span)
        sized = request.known.get(sizes)
        if sized is None or sized.spec.span is not request.span:
            try:
                sized = _sized(request, sizes, streams)
            except LayerError as problem:
                raise explain(problem, reading, env, streams, request.at, self.cut) from None
            said = request.label or kind.name
            shapes = (sized.output, *(p.shape for p in sized.parameters))
            check_tensors(f"`{said}`", shapes, self.limits, request.span)
            if sized.unrolled > 1:
                check_steps(kind.name, sizes[0], sized.unrolled, self.limits, request.at)
            if not kind.asks_makers:
                request.known[sizes] = sized
        if sized.unrolled > 1:
            env.frame.builder.charge(request.span, sized.unrolled)
        size, parameters = sized.output, sized.parameters
        name = env.frame.name_layer(kind, request.label)
        record = Record(
            name,
            request.label is not None,
            sized.spec,
            tuple(s.source for s in streams),
            sizes,
            size,
            parameters,
            self._owner(env, kind, parameters, request),
            request.implicit,
            env.path,
            env.turns,
            request.span,
            instances=tuple(use.number for use in env.instances),
        )
        env.frame.builder.add(record, name if request.label is not None else None)
        env.frame.enter(record)
        return Flow((Stream(record, size, request.at),))

    def _owner(
        self,
        env: Env,
        kind: LayerKind,
        parameters: tuple[object, ...],
        request: Request,
    ) -> Record | None:
        """Find the layer of the net's first use whose arrays this layer shares."""
        first = env.frame.first
        if first is None:
            return None
        at = len(env.frame.mine)
        twin = first.mine[at] if at < len(first.mine) else None
        if twin is None or twin.spec.kind is not kind or twin.parameters != parameters:
            used = env.visit.span if env.visit is not None else request.span
            raise DiagnosticError(
                error(
                    "E0405",
                    f"`{env.frame.title}` shares its weights, and they do not fit here",
                    used,
                    label=f"its `{kind.name}` would need other weights than at the first use",
                    related=(Label(request.span, f"this `{kind.name}`"),)
                    if request.span.file == used.file
                    else (),
                    helps=("a `block` has new weights at every use",),
                )
            )
        return twin.owner or twin


def _completed(
    reading: Reading, given: Mapping[str, SettingValue], *, bare: bool, pools: int
) -> Completed:
    """Fill in the settings of a layer, or take them where the same words had the same ones."""
    key = bare, pools
    known = reading.completed.get(key) if given == reading.given else None
    if known is not None:
        return known
    try:
        found = Completed(reading.kind.complete(given, bare=bare, pools=pools))
    except LayerError as problem:
        raise layer_error(problem, reading, reading.head) from None
    if given == reading.given:
        reading.completed[key] = found
    return found


def _sized(request: Request, sizes: tuple[Hwc, ...], streams: tuple[Stream, ...]) -> Sized:
    """Work out what a layer makes; raises `LayerError` with the arithmetic if it cannot be."""
    kind = request.kind
    makers = tuple(map(_maker, streams)) if kind.asks_makers else ()
    settled = kind.settled(request.settings, makers)
    spec = LayerSpec(kind, settled, request.spans, request.span)
    output = kind.output(spec, sizes)
    return Sized(spec, output, kind.unrolled(spec, sizes), kind.parameters(spec, sizes))


def _maker(stream: Stream) -> Maker | None:
    """Give what makes a stream; nothing for an input."""
    source = stream.source
    return Maker(source.name, source.spec, source.sizes) if isinstance(source, Record) else None


def _needs_scores(stream: Stream) -> bool:
    """Tell whether shorthand arrives that cannot be class scores: `FC-RELU`, or a bare `POOL`."""
    source = stream.source
    if not isinstance(source, Record):
        return False
    if source.spec.kind.name in ("maxpool", "avgpool"):
        return "window" not in source.spec.spans
    before = source.inputs[0] if source.inputs else None
    if not source.spec.kind.activation or not isinstance(before, Record):
        return False
    return before.spec.kind.name == "fc" and "neurons" not in before.spec.spans


def _add_usual(given: dict[str, SettingValue], kind: LayerKind, pools: int) -> None:
    """Give a bare layer that a `default` says more about what it must say: a CONV its filters."""
    usual = kind.worked_out({}, bare=True, pools=pools)
    for clause in kind.clauses:
        if clause.required and clause.name in usual:
            given.setdefault(clause.name, usual[clause.name])
