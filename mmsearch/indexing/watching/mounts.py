"""The table of mounts: which folders lie on a network, where nobody tells of changes, and when drives come and go."""

from __future__ import annotations

import os
import re
import select
from dataclasses import dataclass

# By their types in the table; those that run in a process of their own have a prefix there.
NETWORK_TYPES = frozenset((
    *("9p", "afs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"),
    *("ocfs2", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs"),
    *("fuse.cephfs", "fuse.curlftpfs", "fuse.davfs2", "fuse.glusterfs", "fuse.goofys", "fuse.gvfsd-fuse"),
    *("fuse.rclone", "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs", "fuse.vmhgfs-fuse"),
))  # fmt: skip
MOUNT_TABLE = "/proc/self/mountinfo"
_ESCAPED = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """Where something is mounted, of which type, and the number of its device as `os.stat` gives it."""

    path: bytes
    kind: str
    device: int

    @property
    def is_network(self) -> bool:
        return self.kind in NETWORK_TYPES


class MountTable:
    """The table in `file`; empty on systems that have none such."""

    def __init__(self, file: str = MOUNT_TABLE) -> None:
        self._file = file
        self._poll: select.poll | None = None
        self._descriptor = -1
        try:
            self._descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLPRI)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def has_changed(self) -> bool:
        """Whether something was mounted or unmounted since the last call. Costs no reading of the table."""
        return self._poll is not None and any(told & select.POLLPRI for _, told in self._poll.poll(0))

    def mounts(self) -> tuple[Mount, ...]:
        """What is mounted now."""
        try:
            with open(self._file, "rb") as file:
                lines = file.read().splitlines()
        except OSError:
            return ()
        return tuple(mount for line in lines if (mount := _mount(line)) is not None)


def _mount(line: bytes) -> Mount | None:
    """`36 35 98:0 /root /mnt/point options … - ext4 /dev/sda1 more`."""
    before, _, after = line.partition(b" - ")
    fields = before.split(b" ")
    if len(fields) < 5 or not after:
        return None
    major, _, minor = fields[2].partition(b":")
    path = _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), fields[4])
    kind = after.split(b" ", 1)[0].decode("ascii", "replace")
    if not (major.isdigit() and minor.isdigit()):
        return None
    return Mount(path, kind, os.makedev(int(major), int(minor)))
