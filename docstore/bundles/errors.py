"""What can go wrong with bundles, as the user may see it."""

from __future__ import annotations

from base.errors import AppError


class BundleNotFound(AppError):
    """There is no bundle of this version in this project."""

    code = "bundle_not_found"


class BundleUnwritable(AppError):
    """The document cannot be written in openDAW's format; make a bundle of kind `zip`."""

    code = "bundle_unwritable"


class TooManyBundles(AppError):
    """The project has as many bundles as a project can have; delete some first."""

    code = "too_many_bundles"


class BundleTooLarge(AppError):
    """The bundle, or something in it, is larger than this server takes."""

    code = "bundle_too_large"


class BundleUnknown(AppError):
    """The file is no bundle of a kind or a version that this server reads."""

    code = "bundle_unknown"


class BundleDamaged(AppError):
    """The bundle is not what was written, or says what cannot be; nothing of it was kept."""

    code = "bundle_damaged"
