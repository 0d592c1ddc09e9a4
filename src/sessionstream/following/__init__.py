"""Following: history, then what comes, of one session or of all, and deltas for whoever watches."""

from sessionstream.following.deltas import Delta
from sessionstream.following.door import Following
from sessionstream.following.everything import FeedFollower, FollowAllOptions
from sessionstream.following.session import FollowOptions, SessionFollower

__all__ = ["Delta", "FeedFollower", "FollowAllOptions", "FollowOptions", "Following", "SessionFollower"]
