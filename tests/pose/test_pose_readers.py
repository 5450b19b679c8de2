"""What other tools write comes back as the same points, and files of another shape are named."""

from __future__ import annotations

import dataclasses
import zipfile

import numpy as np
import pytest

from vidpretrain.errors import InputError, MissingAsset, UnknownName
from vidpretrain.pose import PoseConfig, extract, load_estimator
from vidpretrain.pose.layouts import COCO17, MHR70, MHR70_HANDS, WHOLEBODY133, body33
from vidpretrain.pose.readers import read_tensor
from vidpretrain.skeletons import skeleton


def config(folder, kind):
    return PoseConfig(estimator="precomputed", precomputed=folder, precomputed_format=kind)


def tracks(clip, info, folder, kind):
    return load_estimator("precomputed").estimate(clip, info, config(folder, kind))


def spread(rng, *shape):
    """Pixels of the picture of 320 x 240."""
    return rng.uniform(20, 200, shape)


def test_parquet(empty_room, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    clip, info = empty_room
    rng = np.random.default_rng(0)
    points = spread(rng, 20, 21, 2)
    rows = [(info.time_ns[t], "hand21_left", j, *points[t, j], 0.8) for t in range(5, 15) for j in range(21)]
    names = ("time_ns", "part", "keypoint", "u_px", "v_px", "confidence")
    table = pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})
    pq.write_table(table, tmp_path / f"{clip.clip_id}.parquet")
    left, right, body = tracks(clip, info, tmp_path, "parquet")
    assert left.found.tolist() == [5 <= t < 15 for t in range(20)]
    np.testing.assert_allclose(left.p_image_keypoint[5:15], points[5:15])
    assert left.p_relative_keypoint is None
    assert not right.found.any()
    assert not body.found.any()
    pq.write_table(table.drop_columns("u_px"), tmp_path / f"{clip.clip_id}.parquet")
    with pytest.raises(InputError, match="columns are missing"):
        tracks(clip, info, tmp_path, "parquet")


def test_sam3d_body(empty_room, tmp_path):
    clip, info = empty_room
    folder = tmp_path / clip.clip_id
    folder.mkdir()
    rng = np.random.default_rng(1)
    image, space = spread(rng, 20, 70, 2), rng.normal(size=(20, 70, 3))
    for t in range(0, 20, 2):  # a bystander half as large in every frame, before or after in the order of names
        for person, size in enumerate((1.0, 0.5) if t % 4 else (0.5, 1.0)):
            arrays = {"pred_keypoints_2d": size * image[t], "pred_keypoints_3d": space[t], "mask": np.array(None)}
            np.savez(folder / f"frame_{t:04d}_person{person}.npz", **arrays)
    left, right, body = tracks(clip, info, tmp_path, "sam3d_body")
    assert left.found.tolist() == [t % 2 == 0 for t in range(20)]
    wrist, tip = 62, 46  # of the left hand; the tip is the index finger's
    np.testing.assert_allclose(left.p_image_keypoint[::2, [0, 8]], image[::2, [wrist, tip]])
    np.testing.assert_allclose(right.p_image_keypoint[::2, 0], image[::2, 41])
    nose, knee = skeleton("body33").indices("nose", "right_knee")
    np.testing.assert_allclose(body.p_image_keypoint[::2, [nose, knee]], image[::2, [0, 12]])
    np.testing.assert_allclose(body.p_relative_keypoint[::2, 23:25].mean(1), 0.0, atol=1e-12)
    assert (body.confidence[::2, nose] > 0).all()
    assert (body.confidence[:, skeleton("body33").indices("mouth_left")] == 0).all()


@pytest.mark.parametrize("kind", ["wilor", "hamer"])
def test_mano_hands_are_projected_where_no_pixels_are_given(kind, empty_room, tmp_path):
    clip, info = empty_room
    folder = tmp_path / clip.source_id
    folder.mkdir()
    rng = np.random.default_rng(2)
    space, away = rng.normal(0, 0.05, (2, 21, 3)), np.array([[0.1, 0.0, 20.0], [-0.2, 0.1, 25.0]])
    arrays = {"pred_keypoints_3d": space, "pred_cam_t_full": away, "is_right": np.array([0.0, 1.0])}
    np.savez(folder / "00003.npz", **arrays)
    np.savez(folder / "00004.npz", **arrays, pred_keypoints_2d=np.full((2, 21, 2), 50.0) + space[..., :2])
    left, right, body = tracks(clip, info, tmp_path, kind)
    assert np.flatnonzero(left.found).tolist() == np.flatnonzero(right.found).tolist() == [3, 4]
    assert not body.found.any()
    f = 5000 / 256 * 320
    for track, p in ((left, space[0] + away[0]), (right, space[1] + away[1])):
        np.testing.assert_allclose(track.p_image_keypoint[3], f * p[:, :2] / p[:, 2:] + (160, 120))
    np.testing.assert_allclose(right.p_image_keypoint[4], 50.0 + space[1, :, :2])
    np.savez(folder / "00021.npz", **arrays)
    with pytest.raises(InputError, match="no frame of this video"):
        tracks(clip, info, tmp_path, kind)


def test_gvhmr_is_read_without_torch(empty_room, tmp_path):
    torch = pytest.importorskip("torch")
    clip, info = empty_room
    file = tmp_path / clip.source_id / "preprocess" / "vitpose.pt"
    file.parent.mkdir(parents=True)
    points = torch.rand(20, 17, 3) * torch.tensor([200.0, 200.0, 1.0])
    torch.save(points, file)
    left, _, body = tracks(clip, info, tmp_path, "gvhmr")
    assert not left.found.any()
    own = [ours for _, ours in COCO17]
    np.testing.assert_allclose(body.p_image_keypoint[:, own], points[..., :2].numpy(), rtol=1e-6)
    np.testing.assert_allclose(body.confidence[:, own], points[..., 2].numpy(), rtol=1e-6)
    torch.save(points[:, ::2].permute(1, 0, 2), file)  # not contiguous
    np.testing.assert_allclose(read_tensor(file), points[:, ::2].permute(1, 0, 2).numpy(), rtol=1e-6)


def test_a_tensor_file_that_calls_something_is_refused(tmp_path):
    import pickle

    class Caller:
        def __reduce__(self):
            return (print, ("called",))

    with zipfile.ZipFile(tmp_path / "bad.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Caller()))
    with pytest.raises(InputError, match="not a tensor"):
        read_tensor(tmp_path / "bad.pt")
    (tmp_path / "text.pt").write_text("no zip")
    with pytest.raises(InputError, match="not a tensor"):
        read_tensor(tmp_path / "text.pt")


def test_unknown_formats_and_missing_files_are_named(empty_room, tmp_path):
    clip, info = empty_room
    with pytest.raises(UnknownName, match="sam3d_body"):
        extract(clip, info, config(tmp_path, "sam3dbody"))
    with pytest.raises(MissingAsset, match="no landmarks for this clip"):
        extract(clip, info, config(tmp_path, "wilor"))


def test_layouts_name_each_point_once():
    for pairs in (COCO17, WHOLEBODY133, MHR70):
        assert len({theirs for theirs, _ in pairs}) == len({ours for _, ours in pairs}) == len(pairs)
    hands = [i for side in MHR70_HANDS.values() for i in side]
    assert len(set(hands)) == 42
    points, has = body33(np.arange(34.0).reshape(17, 2), COCO17)
    assert np.isfinite(points).all()
    assert has.sum() == 17
    left, right = skeleton("body33").indices("left_thumb", "left_wrist")
    np.testing.assert_array_equal(points[left], points[right])


def test_the_hub_is_named_where_a_model_is_missing(empty_room, landmarkers, tmp_path):
    pytest.importorskip("transformers")
    from vidpretrain.model.hub_pose import HubModel

    with pytest.raises(MissingAsset, match="transformers_model"):
        HubModel(str(tmp_path / "nowhere"))


def test_points_of_the_hub_replace_those_that_it_is_sure_of(tmp_path):
    pytest.importorskip("transformers")
    from pose_helpers import body, tiny_pose_model

    from vidpretrain.model.hub_pose import HubModel

    person = body(at=(160, 120), scale=100)
    seen = HubModel(str(tiny_pose_model(tmp_path)))
    pose = {"keypoints": np.arange(34.0).reshape(17, 2), "scores": np.where(np.arange(17) % 2, 0.1, 0.9)}
    replaced = seen._replaced(person, pose)
    for theirs, ours in COCO17:
        expected = pose["keypoints"][theirs] if theirs % 2 == 0 else person.p_image[ours]
        np.testing.assert_array_equal(replaced.p_image[ours], expected)
    frame = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    twice = seen.points(frame, [person, dataclasses.replace(person)])
    assert len(twice) == 2
    assert all(np.isfinite(p.p_image).all() for p in twice)
