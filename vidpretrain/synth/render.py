"""Clips made in worker processes: what is there already costs nothing, and one that fails does not stop the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidpretrain.synth import files
from vidpretrain.synth.config import SynthConfig
from vidpretrain.synth.planning import plan
from vidpretrain.synth.specs import ClipSpec
from vidpretrain.types import Reject


@dataclass(frozen=True, kw_only=True)
class Synthesized:
    """What `synthesize` made: a row per finished clip (its sidecar, name, paths, `made` now or before), in order.

    `failed` says why a clip is not there, by name. `clips_per_min` counts the clips made now, workers' start included;
    NaN where nothing was made.
    """

    rows: tuple[dict[str, Any], ...]
    failed: dict[str, str] = field(default_factory=dict)
    made: int = 0
    seconds: float = 0.0
    workers: int = 0

    @property
    def clips_per_min(self) -> float:
        """Speed of what was made now."""
        return 60.0 * self.made / self.seconds if self.made else float("nan")


def synthesize(config: SynthConfig, out: Path | str, progress: Callable[[int, int], None] | None = None) -> Synthesized:
    """Render the clips of a configuration into `out`, those that are not there yet; called again, it goes on.

    Raises:
        InputError: motion files are asked for and there are none for this split.
        MissingAsset: no off-screen OpenGL works here.
        DiskFull: no space left; finished clips are kept.
    """
    from vidpretrain.pipeline.workers import map_items
    from vidpretrain.sim.gl import choose_gl

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    specs = plan(config)
    done = {spec.name: found for spec in specs if (found := files.finished(out, spec.name, spec.digest)) is not None}
    made: set[str] = set()
    failed: dict[str, str] = {}
    todo = [spec for spec in specs if spec.name not in done]
    start = time.perf_counter()
    if todo:
        choose_gl()
        prepare_bodies(todo)
        jobs = [(spec, str(out)) for spec in todo]
        for number, ((spec, _), result) in enumerate(map_items(render_clip, jobs, config.workers), start=1):
            if isinstance(result, Reject):
                failed[spec.name] = result.detail
            else:
                done[spec.name] = result
                made.add(spec.name)
            if progress is not None:
                progress(number, len(todo))
    rows = tuple(
        {**done[spec.name], "name": spec.name, "index": spec.index, "made": spec.name in made}
        | {key: str(path) for key, path in files.paths(out, spec.name).items()}
        for spec in specs
        if spec.name in done
    )
    seconds = time.perf_counter() - start
    return Synthesized(
        rows=rows, failed=failed, made=len(made), seconds=seconds, workers=min(config.workers, len(todo))
    )


def prepare_bodies(specs: list[ClipSpec]) -> None:
    """Make the bodies that are not kept yet in one process that ends afterwards: torch stays out of the others.

    Whatever fails here fails again, with its reason, in the clips that need the body.
    """
    from vidpretrain.pipeline.workers import map_items

    shapes = list({repr(person.shape): person.shape for spec in specs for person in spec.people}.values())
    for _ in map_items(_body, [shapes], 1):
        pass


def _body(shapes: list) -> int:
    from vidpretrain.sim.body import load_body

    for shape in shapes:
        load_body(shape)
    return len(shapes)


def render_clip(job: tuple[ClipSpec, str]) -> dict[str, Any]:
    """Render one clip into a folder and write its files, the sidecar last; gives the sidecar. For worker processes."""
    from vidpretrain.synth.stage import Stage

    spec, folder = job
    where = files.paths(Path(folder), spec.name)
    where["sidecar"].unlink(missing_ok=True)  # of another specification: its files are about to change
    stage = Stage(spec)
    film(stage, spec, where)
    sidecar = stage.sidecar()
    files.save_sidecar(where["sidecar"], sidecar)
    return sidecar


def film(stage: Stage, spec: ClipSpec, where: dict[str, Path]) -> None:
    """Write the frames of a stage as video, then its truth and motion, to the files of `where` (`files.paths`)."""
    from vidpretrain.sim.truth import save_truth
    from vidpretrain.video import H264Writer

    with (
        stage,
        H264Writer(where["video"], spec.width_px, spec.height_px, spec.rate_hz, crf=spec.picture.crf) as writer,
    ):
        for frame in stage.frames():
            writer.write(frame)
    save_truth(where["truth"], stage.truth())
    files.save_motion(where["motion"], stage.motion())
