"""Draw docs/mouse.png, the README's picture: simulated mice with their nodes and edges.

Run from the project's folder: `.venv/bin/python docs/draw_mouse.py`.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from compute.simulated_mouse.anatomy import CAMERAS, EDGES, NODES
from compute.simulated_mouse.simulation import render_simulation, simulate_mouse, simulate_session

COLORS = ("#56B4E9", "#E69F00", "#F0E442", "#009E73", "#D55E00", "#CC79A7", "#0072B2")


def main() -> None:
    figure = Figure(figsize=(12, 2.7), dpi=110)
    axes = figure.subplots(1, 4, gridspec_kw={"wspace": 0.02})
    figure.subplots_adjust(0, 0, 1, 1)
    panels = [(seed, held_out, camera) for seed, held_out in ((1, False), (5, True)) for camera in CAMERAS]
    for axis, (seed, held_out, camera) in zip(axes, panels, strict=True):
        session = simulate_session(
            simulate_mouse(seed, held_out=held_out), seed=seed, n_frames=300, width=384, height=320
        )
        frame_index = int(np.argmax(session.jaw_opening_mm))
        (frame,) = render_simulation(session, camera, start=frame_index, stop=frame_index + 1)
        position = session.position_px[camera][frame_index]
        axis.imshow(frame, cmap="gray", vmin=0, vmax=255)
        for source, target in EDGES:
            axis.plot(*position[[NODES.index(source), NODES.index(target)]].T, color="white", linewidth=0.7, alpha=0.6)
        axis.scatter(*position.T, c=COLORS, s=16, linewidths=0, zorder=3)
        axis.set_axis_off()
    figure.savefig(Path(__file__).with_name("mouse.png"))


if __name__ == "__main__":
    main()
