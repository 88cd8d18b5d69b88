"""Hundreds of odd objects in one real Envoy: whatever is among them, the next change of weights arrives."""

from __future__ import annotations

from pathlib import Path

import mesh_objects as make
from mesh_bench import bench, wait_until
from mesh_oddities import ODDITIES, REFUSED

from canary_tutorial.lab.machine import network
from canary_tutorial.lab.mesh.compile import compile_world
from canary_tutorial.lab.mesh.world import key_of


def test_beside_odd_objects_of_every_kind_a_release_goes_on(tmp_path: Path) -> None:
    with bench(tmp_path) as mesh:  # which fails at its end if Envoy has refused anything

        def shift(primary: int, canary: int) -> int:
            rules = [make.weighted(primary, canary)]
            mesh.world.virtualservices["test", "podinfo"] = make.virtualservice(*rules)
            files = compile_world(mesh.world, mesh.path, network.resolver(mesh.number))
            mesh.directory.write(files)
            return len(files.problems)

        mesh.world.pods["istio-system", "ingress"] = make.gateway_pod(ip=mesh.ip(9))
        shift(100, 0)
        assert mesh.versions(20) == {"2.0.0": 20}
        for kind, obj in ODDITIES.values():
            getattr(mesh.world, kind)[key_of(obj)] = obj
        assert shift(0, 100) >= len(REFUSED)
        wait_until(lambda: mesh.versions(5) == {"2.1.3": 5})
        shift(50, 50)
        wait_until(lambda: mesh.versions(20) == {"2.0.0": 10, "2.1.3": 10})
        for name in ("virtualservices", "destinationrules"):  # one after the other, as users change them
            for key, obj in list(getattr(mesh.world, name).items())[::40]:
                if key[0] == "odd":
                    getattr(mesh.world, name)[key] = {**obj, "spec": {}}
        shift(100, 0)
        wait_until(lambda: mesh.versions(5) == {"2.0.0": 5})
