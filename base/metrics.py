"""Every number the process shows at /metrics, in one registry, named `syncsphere_*`.

Modules import this one and count; they define no metrics of their own, so the list below is the
list. Label values come from small fixed sets (reasons, routes), never from users.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # memory, CPU, open files of this process
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_LATENCY: Final = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
)
"""Seconds, from a write within one turn of the loop to "something is badly wrong"."""


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(f"syncsphere_{name}", meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str) -> Gauge:
    return Gauge(f"syncsphere_{name}", meaning, registry=REGISTRY)


def _seconds(name: str, meaning: str, *labels: str) -> Histogram:
    return Histogram(f"syncsphere_{name}", meaning, labels, registry=REGISTRY, buckets=_LATENCY)


connections = _gauge("connections", "WebSocket connections open now")
rooms = _gauge("rooms", "Rooms in memory now")
updates_in_total = _counter("updates_in_total", "Document updates accepted from clients")
updates_out_total = _counter("updates_out_total", "Document updates delivered to clients")
edit_to_fanout_seconds = _seconds(
    "edit_to_fanout_seconds", "From an update's arrival until it was written to every socket"
)
edit_to_durable_seconds = _seconds(
    "edit_to_durable_seconds", "From an update's arrival until PostgreSQL had committed it"
)
journal_backlog_rows = _gauge("journal_backlog_rows", "Journal rows not yet durable")
journal_backlog_bytes = _gauge("journal_backlog_bytes", "Journal bytes not yet durable")
journal_groups_total = _counter("journal_groups_total", "Group commits")
journal_rows_total = _counter("journal_rows_total", "Journal rows committed")
resyncs_total = _counter(
    "resyncs_total", "Slow clients that got a fresh state instead of a backlog"
)
rejected_updates_total = _counter("rejected_updates_total", "Updates refused", "reason")
rejected_frames_total = _counter("rejected_frames_total", "Frames refused", "reason")
slow_clients_closed_total = _counter("slow_clients_closed_total", "Clients closed for being slow")
room_rebuilds_total = _counter("room_rebuilds_total", "Rooms rebuilt after a poison update")
compactions_total = _counter("compactions_total", "Journal tails folded into a snapshot")
history_freed_bytes_total = _counter(
    "history_freed_bytes_total", "Bytes of history that nothing needed any more, as stored"
)
room_load_seconds = _seconds("room_load_seconds", "Time to open a room: snapshot and journal tail")
access_changes_total = _counter("access_changes_total", "Changes of access heard", "kind")
access_changes_untold_total = _counter(
    "access_changes_untold_total", "Changes of access that Redis did not pass on"
)
access_change_seconds = _seconds(
    "access_change_seconds", "From hearing of a change of access until its sockets were judged"
)
sockets_slowed_total = _counter(
    "sockets_slowed_total", "Sockets read no further for sending too fast", "limit"
)
http_requests_total = _counter("http_requests_total", "REST answers", "route", "method", "status")
http_request_seconds = _seconds("http_request_seconds", "Time to answer a REST request", "route")
limits_unchecked_total = _counter(
    "limits_unchecked_total", "Requests left uncounted because Redis was away", "limit"
)
mail_total = _counter("mail_total", "Letters: sent, printed, refused, failed, dropped", "outcome")
task_failures_total = _counter("task_failures_total", "Background tasks that failed", "task")
