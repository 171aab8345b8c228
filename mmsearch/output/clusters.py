"""Clusters of photos, for a person or as lines."""

from __future__ import annotations

from mmsearch.output import counted, visible
from mmsearch.searching.clustering import Clusters


def print_clusters(found: Clusters, is_for_a_person: bool) -> None:
    """Prints for each cluster name, size and most central photos, or for each photo a line with its cluster."""
    from mmsearch.output.table import print_files

    for number, cluster in enumerate(found.clusters, start=1):
        if not is_for_a_person:
            for path in (*cluster.photos, *cluster.others):
                print(f"{number}\t{visible(path)}")
            continue
        name = f"{visible(', '.join(cluster.name))}, " if cluster.name else ""
        print(f"{number}: {name}{counted(cluster.size, 'photo')}")
        print_files(("  ", path) for path in cluster.photos)
