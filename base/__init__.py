"""What every part of SyncSphere stands on; imports none of the other packages."""
