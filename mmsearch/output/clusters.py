"""Clusters of photos, for a person or as lines."""

from __future__ import annotations

from mmsearch.output import counted, visible
from mmsearch.searching.clustering import Clusters


def print_clusters(found: Clusters, is_for_a_person: bool) -> None:
    """Prints for each cluster name, size and most central photos, or for each photo a line with its cluster's number,
    its path and its cluster's name, which may be empty.
    """
    from mmsearch.output.table import print_files

    for number, cluster in enumerate(found.clusters, start=1):
        name = visible(", ".join(cluster.name))
        if not is_for_a_person:
            for path in (*cluster.photos, *cluster.others):
                print(f"{number}\t{visible(path)}\t{name}")
            continue
        print(f"{number}: {name}{', ' if name else ''}{counted(cluster.size, 'photo')}")
        print_files(("  ", path) for path in cluster.photos)
