"""Films made in worker processes: what is there already costs nothing, and one that fails does not stop the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidpretrain.synth import files
from vidpretrain.synth.render import Synthesized, film, prepare_bodies
from vidpretrain.synth.tasks.config import TaskFilmConfig
from vidpretrain.synth.tasks.held import held_path, save_held
from vidpretrain.synth.tasks.plan import TaskClip, plan_task
from vidpretrain.types import Reject


def film_task(
    config: TaskFilmConfig, out: Path | str, progress: Callable[[int, int], None] | None = None
) -> Synthesized:
    """Film the clips of a configuration into `out`, those that are not there yet; called again, it goes on.

    A clip whose expert fails is in `failed`, with its reason.

    Raises:
        UnknownName, MissingAsset: no such robot, its files are missing, or no off-screen OpenGL works.
        DiskFull: no space left; finished clips are kept.
    """
    from vidpretrain.pipeline.workers import map_items
    from vidpretrain.sim.gl import choose_gl

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    jobs = plan_task(config)
    done = {job.clip.name: row for job in jobs if (row := _finished(out, job)) is not None}
    todo = [job for job in jobs if job.clip.name not in done]
    made: set[str] = set()
    failed: dict[str, str] = {}
    start = time.perf_counter()
    if todo:
        choose_gl()
        prepare_bodies([job.clip for job in todo])
        work = [(job, str(out)) for job in todo]
        for number, ((job, _), result) in enumerate(map_items(film_clip, work, config.workers), start=1):
            if isinstance(result, Reject):
                failed[job.clip.name] = result.detail
            else:
                done[job.clip.name] = result
                made.add(job.clip.name)
            if progress is not None:
                progress(number, len(todo))
    rows = tuple(
        {**done[name], "name": name, "index": job.clip.index, "made": name in made}
        | {key: str(path) for key, path in files.paths(out, name).items()}
        for job in jobs
        if (name := job.clip.name) in done
    )
    seconds = time.perf_counter() - start
    return Synthesized(
        rows=rows, failed=failed, made=len(made), seconds=seconds, workers=min(config.workers, len(todo))
    )


def _finished(out: Path, job: TaskClip) -> dict[str, Any] | None:
    found = files.finished(out, job.clip.name, job.clip.digest)
    return found if held_path(out / f"{job.clip.name}.mp4").is_file() else None


def film_clip(job: tuple[TaskClip, str]) -> dict[str, Any]:
    """Film one clip into a folder and write its files, the sidecar last; gives the sidecar. For worker processes."""
    from vidpretrain.synth.tasks.stage import TaskStage

    task, folder = job
    spec = task.clip
    where = files.paths(Path(folder), spec.name)
    where["sidecar"].unlink(missing_ok=True)  # of another specification: its files are about to change
    began = time.perf_counter()
    stage = TaskStage(task)
    film(stage, spec, where)
    save_held(held_path(where["video"]), stage.held)
    sidecar = {**stage.sidecar(), "seconds": round(time.perf_counter() - began, 2)}
    files.save_sidecar(where["sidecar"], sidecar)
    return sidecar
