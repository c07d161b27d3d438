"""What can go wrong with a project's history, as the user may see it."""

from __future__ import annotations

from base.errors import AppError


class CommitNotFound(AppError):
    """There is no such commit in this project."""

    code = "commit_not_found"


class BranchNotFound(AppError):
    """There is no such branch in this project."""

    code = "branch_not_found"


class BranchProtected(AppError):
    """The branch is protected: only admins commit, merge or restore there, and nobody edits live."""

    code = "branch_protected"


class BranchNameInvalid(AppError):
    """A branch cannot be called this."""

    code = "branch_name_invalid"


class BranchTaken(AppError):
    """A branch of this name is already there."""

    code = "branch_taken"


class BranchesFull(AppError):
    """The project has as many branches as a project can have; delete some first."""

    code = "branches_full"


class BranchStays(AppError):
    """The branch `main` is neither renamed nor deleted."""

    code = "branch_stays"


class BranchUnmerged(AppError):
    """The branch holds work that is nowhere else; merge or commit and tag it, or use force."""

    code = "branch_unmerged"


class NothingToCommit(AppError):
    """Nothing has changed since the newest commit of this branch."""

    code = "nothing_to_commit"


class TooLongAgo(AppError):
    """The branch's past does not reach back that far: it was not there yet, or was pruned."""

    code = "too_long_ago"


class TagNotFound(AppError):
    """There is no tag of this name in this project."""

    code = "tag_not_found"


class TagTaken(AppError):
    """A tag of this name is already there; delete it first, or choose another name."""

    code = "tag_taken"


class TagInvalid(AppError):
    """A tag cannot be called this."""

    code = "tag_invalid"


class TooManyTags(AppError):
    """The project has as many tags as a project can have; delete some first."""

    code = "too_many_tags"
