"""What of a status calls for a person's attention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

# Entries that the store has no copy of are counted up to here.
MOST_BEHIND: Final = 10_000
_LOG_BEHIND_S: Final = 30
_PUT_OFF_S: Final = 60
_KNOWN_WITHIN_S: Final = 30
_RETENTION_LATE: Final = timedelta(minutes=10)
_WITNESSED_WITHIN: Final = timedelta(hours=26)  # once a day, and a little late


def attention(report: dict[str, Any]) -> list[str]:
    """What a person should look at, a line each."""
    return [
        *_pressure(report),
        *_trouble(report),
        *_heads(report),
        *_stamps(report),
        *_retention(report),
        *_holds(report),
        *_telling(report),
    ]


def _pressure(report: dict[str, Any]) -> list[str]:
    """Who waits for whom."""
    found = []
    if report["store"] != "answers":
        found.append("the store does not answer; what is acknowledged waits in the log and is not lost")
    if report["worker"] == "waiting":
        found.append(
            f"the worker waits for the {report['worker_waits_for']} for {report['worker_waits_s']:,} s:"
            f" {report['worker_waits_because']}; it goes on by itself"
        )
    elif report["worker"] != "running":
        words = f": {report['worker_stopped_because']}" if report.get("worker_stopped_because") else ""
        found.append(f"the worker is {report['worker']} ({report['worker_silent_s']} s){words}")
    elif (known_s := report.get("waiting_known_s") or 0) > _KNOWN_WITHIN_S:
        found.append(
            f"what waits is known as of {known_s:,} s ago: no worker here reads some partition, or Kafka is silent"
        )
    if report["receiver"] == "does not answer":
        found.append("the receiver does not answer")
    if report["put_off_s"] is not None and report["put_off_s"] <= _PUT_OFF_S:
        why = ", ".join(f"{reason} {count:,}" for reason, count in sorted(report["refused"].items()))
        found.append(f"the receiver put senders off {report['put_off_s']} s ago (refused since its start: {why})")
    return found


def _stamps(report: dict[str, Any]) -> list[str]:
    """What was stamped by a clock that was wrong."""
    found = []
    if report.get("clock_ahead_s"):
        found.append(
            f"the newest message of the local log is stamped {report['clock_ahead_s']:,} s ahead of this machine's"
            " clock: that was wrong then, or is now"
        )
    if report.get("clock_steps_back_last_day"):
        found.append(
            f"this machine's clock went back {report['clock_steps_back_last_day']:,} times in the last 24 hours, from"
            f" {report['clock_stamped_up_to']} at most: ingested_at and salt month of messages in front of"
            f" {report['clock_wrong_before']} are as that clock said"
        )
    return found


def _heads(report: dict[str, Any]) -> list[str]:
    """Why no head is signed, and that witnesses who are named have not seen the log for long."""
    if report.get("heads_trouble"):
        return [f"heads are not signed: {report['heads_trouble']}"]
    if report.get("witnesses_awaited") != "yes" or report["store"] != "answers" or not report["head_entries"]:
        return []
    seen = report["witnessed_at"]
    if seen and datetime.now(UTC) - datetime.fromisoformat(seen) < _WITNESSED_WITHIN:
        return []
    since = f"since {seen}" if seen else "yet"
    why = (
        f"no witness has cosigned a head {since}: give them what `onshore checkpoints publish` writes, and"
        " `onshore checkpoints import` what they answer"
    )
    return [why]


def _retention(report: dict[str, Any]) -> list[str]:
    """Why what is due is not deleted."""
    if report.get("retention_trouble"):
        return [f"what is due is not deleted, and is tried again: {report['retention_trouble']}"]
    due = report.get("retention_next_at")
    if due and datetime.now(UTC) - datetime.fromisoformat(due) > _RETENTION_LATE:
        return [f"retention should have run at {due} and did not: is the sequencer running?"]
    return []


def _holds(report: dict[str, Any]) -> list[str]:
    """Legal holds that nobody looked at in time."""
    overdue = report.get("holds_overdue")
    if not overdue:
        return []
    why = (
        f"{overdue:,} legal holds should have been reviewed and go on holding: see `onshore holds list`, then"
        " `onshore holds review` or `onshore holds release`"
    )
    return [why]


def _telling(report: dict[str, Any]) -> list[str]:
    """What the sequencer cannot tell others."""
    trouble = report.get("telling_trouble")
    return [f"not all is told, and it is tried again: {trouble}"] if trouble else []


def _trouble(report: dict[str, Any]) -> list[str]:
    """What does not work, and what was lost."""
    found = []
    if report.get("rules_trouble"):
        found.append(f"the last good rules stay in force, newer ones cannot be used: {report['rules_trouble']}")
    if report["sequencer"] != "running":
        words = f"; it last said: {report['sequencer_error']}" if report["sequencer_error"] else ""
        found.append(f"the sequencer is {report['sequencer']} ({report['sequencer_silent_s']} s){words}")
    if report["log_behind_s"] > _LOG_BEHIND_S:
        more = " or more" if report["log_behind"] >= MOST_BEHIND else ""
        found.append(
            f"{report['log_behind']:,} entries{more} of the evidence log are not in the store yet, the oldest for"
            f" {report['log_behind_s']:,} s: is the sequencer running?"
        )
    if report["log_error"]:
        found.append(f"the evidence log cannot be read: {report['log_error']}")
    if report.get("dead_lettered_last_day") and report["open_dead_letters"]:
        found.append(
            f"{report['dead_lettered_last_day']:,} records of the last 24 hours could not be read and became dead"
            f" letters; {report['open_dead_letters']:,} are open: see `onshore dead-letters list`"
        )
    if report.get("gaps_last_day"):
        found.append(
            f"{report['gaps_last_day']:,} gaps of the last 24 hours: {report['offsets_lost_last_day']:,} offsets were"
            " deleted from the broker before they were read"
        )
    if report.get("messages_lost_last_day"):
        found.append(
            f"{report['messages_lost_last_day']:,} sealed messages were found lost in the last 24 hours: the store has"
            " no rows of them, and the broker no longer keeps them"
        )
    if report.get("events_missing") and not report.get("attempts_being_restored"):
        found.append(
            f"{report['events_missing']:,} sealed events have no rows in this store: `onshore restore --plan` says what"
            " can be written again from the messages that the broker keeps"
        )
    if report.get("attempts_being_restored"):
        found.append(
            f"{report['attempts_being_restored']:,} attempts are hidden while they are restored; if no restore is"
            " running, `onshore restore` ends what one that was killed began"
        )
    return found
