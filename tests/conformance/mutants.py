"""What is wrong with each mutant of the memory reference: one change of its source, and a promise it breaks.

The text to change must be in the source once: when the reference is rewritten, its mutants are too.
"""

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from fast_graph.backends.memory import assistants, checkpoints, items, threads
from fast_graph.backends.memory.assistants import MemoryAssistants
from fast_graph.backends.memory.checkpoints import MemoryCheckpointer
from fast_graph.backends.memory.items import MemoryStore
from fast_graph.backends.memory.ledger import Ledger
from fast_graph.backends.memory.queue import MemoryQueue
from fast_graph.backends.memory.runs import MemoryRuns
from fast_graph.backends.memory.schedule import Schedule
from fast_graph.backends.memory.signals import MemorySignals
from fast_graph.backends.memory.streams import Log, MemoryReader, MemoryStreams
from fast_graph.backends.memory.table import Table
from fast_graph.backends.memory.threads import MemoryThreads


@dataclass(frozen=True)
class Mutant:
    """The memory reference, except that ``owner.name`` says ``new`` where it should say ``old``."""

    title: str
    owner: Any = field(repr=False)
    name: str
    old: str
    new: str
    breaks: str
    """The name of the test that must notice."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The reference is the mutant while this lasts."""
        sound = inspect.getattr_static(self.owner, self.name)
        setattr(self.owner, self.name, self._changed(sound))
        try:
            yield
        finally:
            setattr(self.owner, self.name, sound)

    def _changed(self, sound: Any) -> Any:
        function: FunctionType = inspect.unwrap(sound.fget if isinstance(sound, property) else sound)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.old) == 1, f"{self.title}: {self.name} no longer says {self.old!r} once"
        # Compiled outside its class, the function has to name it.
        owned = source.replace(self.old, self.new).replace("super()", f"super({self.owner.__name__}, self)")
        namespace: dict[str, Any] = {}
        exec(compile(owned, f"<{self.title}>", "exec"), function.__globals__, namespace)
        return namespace[function.__name__]


ASSISTANTS = [
    Mutant(
        "create overwrites", MemoryAssistants, "create",
        "if assistant.assistant_id in self._rows:", "if False:",
        breaks="test_an_id_is_taken_once",
    ),
    Mutant(
        "the description is lost", Table, "put",
        "({name: values[name] for name in self._plain}, text)",
        "({name: None if name == 'description' else values[name] for name in self._plain}, text)",
        breaks="test_what_was_created_reads_back_equal",
    ),
    Mutant(
        "get invents what is not there", MemoryAssistants, "get",
        "if found is None or not", "if found is not None and not",
        breaks="test_an_unknown_assistant_is_not_found",
    ),
    Mutant(
        "get ignores the scope", MemoryAssistants, "get",
        "or not in_scope(found.metadata, scope)", "",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "search ignores the scope", MemoryAssistants, "search",
        "in_scope(row.metadata, scope)", "True",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "update ignores the scope", MemoryAssistants, "update",
        "now = await self.get(assistant_id, scope=scope)", "now = await self.get(assistant_id, scope=EVERYTHING)",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "versions ignores the scope", MemoryAssistants, "versions",
        "scope=scope", "scope=EVERYTHING",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "set_latest ignores the scope", MemoryAssistants, "set_latest",
        "scope=scope", "scope=EVERYTHING",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "delete ignores the scope", MemoryAssistants, "delete",
        "scope=scope", "scope=EVERYTHING",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "a scope knows equality only", assistants, "in_scope",
        "_satisfies(metadata.get(key), condition)", "metadata.get(key) == condition",
        breaks="test_a_scope_may_ask_for_a_member_of_a_list",
    ),
    Mutant(
        "rows are kept as they are", Table, "put",
        "text = orjson.dumps([values[name] for name in self._json], option=orjson.OPT_NON_STR_KEYS)",
        "text = orjson.dumps([values[name] for name in self._json]); "
        "record.__dict__['metadata'] = values['metadata']; self._live = {**getattr(self, '_live', {}), key: record}; "
        "self.get = lambda key: self._live.get(key)",
        breaks="test_nobody_shares_an_object_with_the_store",
    ),
    Mutant(
        "search ignores nested metadata", Table, "search",
        "any(isinstance(value, dict | list) for value in metadata.values())", "False",
        breaks="test_a_search_finds_metadata_that_contains_the_given",
    ),
    Mutant(
        "true is one", Table, "_metadata",
        "orjson.loads(text)[0]", "{k: int(v) if v is True else v for k, v in orjson.loads(text)[0].items()}",
        breaks="test_a_search_finds_metadata_that_contains_the_given",
    ),
    Mutant(
        "search ignores the graph", MemoryAssistants, "search",
        "and query.graph_id in (None, row.graph_id)", "",
        breaks="test_a_search_finds_the_assistants_of_a_graph",
    ),
    Mutant(
        "names are compared with their case", MemoryAssistants, "search",
        "in row.name.lower()", "in row.name",
        breaks="test_a_search_finds_a_part_of_the_name_in_any_case",
    ),
    Mutant(
        "names are patterns", MemoryAssistants, "search",
        "name in row.name.lower()", "name.replace('%', '').replace('_', '') in row.name.lower()",
        breaks="test_a_search_finds_a_part_of_the_name_in_any_case",
    ),
    Mutant(
        "the total is that of the page", Table, "search",
        "total=len(ordered)", "total=len(page)",
        breaks="test_the_total_counts_every_match",
    ),
    Mutant(
        "the total counts what does not match", Table, "search",
        "total=len(ordered)", "total=len(self._rows)",
        breaks="test_the_total_counts_every_match",
    ),
    Mutant(
        "the offset is ignored", Table, "search",
        "paging.offset : paging.offset + paging.limit", ": paging.limit",
        breaks="test_pages_follow_each_other_newest_first",
    ),
    Mutant(
        "the limit is ignored", Table, "search",
        "paging.offset : paging.offset + paging.limit", "paging.offset :",
        breaks="test_pages_follow_each_other_newest_first",
    ),
    Mutant(
        "the oldest come first", Table, "_order",
        'falling = paging.sort_order == "desc"', "falling = False",
        breaks="test_pages_follow_each_other_newest_first",
    ),
    Mutant(
        "sort_by is ignored", Table, "_order",
        "name = paging.sort_by", 'name = "created_at"',
        breaks="test_a_search_is_sorted_as_asked",
    ),
    Mutant(
        "metadata is replaced", MemoryAssistants, "update",
        "{**now.metadata, **changes.get(\"metadata\", {})}", "changes.get('metadata', {})",
        breaks="test_an_update_merges_metadata_and_replaces_the_rest",
    ),
    Mutant(
        "an update is not dated", MemoryAssistants, "update",
        ', "updated_at": self._clock()', "",
        breaks="test_an_update_merges_metadata_and_replaces_the_rest",
    ),
    Mutant(
        "the index keeps what a row was", Table, "put",
        "self._index.remove(key, self._metadata(before[1]))", "pass",
        breaks="test_an_update_is_found_by_what_it_became",
    ),
    Mutant(
        "the index does not learn what a row became", Table, "put",
        "elif before[1] != text:", "elif False:",
        breaks="test_an_update_is_found_by_what_it_became",
    ),
    Mutant(
        "an update is read back in scope", MemoryAssistants, "update",
        "scope=EVERYTHING", "scope=scope",
        breaks="test_an_update_that_leaves_the_scope_is_still_answered",
    ),
    Mutant(
        "an update makes the next version of the present one", MemoryAssistants, "update",
        "len(self._versions[assistant_id]) + 1", "now.version + 1",
        breaks="test_a_version_number_is_one_above_the_highest_that_ever_was",
    ),
    Mutant(
        "versions come oldest first", MemoryAssistants, "versions",
        "matching[::-1]", "matching",
        breaks="test_versions_come_newest_first_and_stay_as_they_were",
    ),
    Mutant(
        "versions are not filtered", MemoryAssistants, "versions",
        "if contains(row.metadata, metadata)", "",
        breaks="test_versions_are_filtered_and_paged",
    ),
    Mutant(
        "versions are not paged", MemoryAssistants, "versions",
        "[offset : offset + limit]", "",
        breaks="test_versions_are_filtered_and_paged",
    ),
    Mutant(
        "set_latest makes a new version", MemoryAssistants, "set_latest",
        "self._rows.put(replace(earlier, updated_at=self._clock()))",
        "await self.update(assistant_id, {'name': earlier.name}, scope=scope)",
        breaks="test_set_latest_brings_an_earlier_version_back_and_makes_no_new_one",
    ),
    Mutant(
        "set_latest takes any number", MemoryAssistants, "set_latest",
        "if earlier is None:", "earlier = earlier or self._versions[assistant_id].get(1)\n    if earlier is None:",
        breaks="test_set_latest_refuses_a_version_that_never_was",
    ),
    Mutant(
        "delete does nothing", MemoryAssistants, "delete",
        "self._rows.pop(assistant_id)", "return",
        breaks="test_a_deleted_assistant_takes_its_versions_along",
    ),
]

THREADS = [
    Mutant(
        "create overwrites", MemoryThreads, "create",
        "if thread.thread_id in self._ledger.threads:", "if False:",
        breaks="test_an_id_is_taken_once",
    ),
    Mutant(
        "new threads are touched", MemoryThreads, "create",
        "self._ledger.add_thread(thread)", "self._ledger.add_thread(replace(thread, touched=True))",
        breaks="test_what_was_created_reads_back_equal",
    ),
    Mutant(
        "there is no bound", Ledger, "add_thread",
        "if len(self.threads) >= self.bounds.threads:", "if False:",
        breaks="test_a_full_store_takes_no_more",
    ),
    Mutant(
        "a full store takes one more", Ledger, "add_thread",
        ">= self.bounds.threads", "> self.bounds.threads",
        breaks="test_a_full_store_takes_no_more",
    ),
    Mutant(
        "put_state makes a thread", MemoryThreads, "put_state",
        "thread = self._ledger.thread(thread_id, scope)",
        "now = self._ledger.clock(); thread = self._ledger.threads.get(thread_id) or Thread(thread_id=thread_id, "
        "created_at=now, updated_at=now, state_updated_at=now)",
        breaks="test_an_unknown_thread_is_not_found",
    ),
    Mutant(
        "the scope is ignored", Ledger, "thread",
        "or not in_scope(found.metadata, scope)", "",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "search ignores the scope", MemoryThreads, "search",
        "and in_scope(row.metadata, scope)", "",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "patch ignores the scope", MemoryThreads, "patch",
        "thread = self._ledger.thread(thread_id, scope)", "thread = self._ledger.thread(thread_id, {})",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "hold ignores the scope", MemoryThreads, "hold",
        "self._ledger.thread(thread_id, scope)", "self._ledger.thread(thread_id, {})",
        breaks="test_a_row_outside_the_scope_does_not_exist",
    ),
    Mutant(
        "a scope knows equality only", threads, "in_scope",
        "_satisfies(metadata.get(key), condition)", "metadata.get(key) == condition",
        breaks="test_a_scope_may_ask_for_a_member_of_a_list",
    ),
    Mutant(
        "rows are kept as they are", Table, "_thaw",
        "return record", "self.__dict__.setdefault('live', {}).setdefault(row[1], record); return self.live[row[1]]",
        breaks="test_nobody_shares_an_object_with_the_store",
    ),
    Mutant(
        "search ignores nested metadata", Table, "search",
        "any(isinstance(value, dict | list) for value in metadata.values())", "False",
        breaks="test_a_search_finds_metadata_that_contains_the_given",
    ),
    Mutant(
        "search ignores values", MemoryThreads, "search",
        "not query.values or", "True or",
        breaks="test_a_search_finds_values_that_contain_the_given",
    ),
    Mutant(
        "search ignores the status", MemoryThreads, "search",
        "and query.status in (None, row.status)", "",
        breaks="test_a_search_finds_by_status",
    ),
    Mutant(
        "no ids are all ids", MemoryThreads, "search",
        "ids = None if query.ids is None else set(query.ids)", "ids = set(query.ids) if query.ids else None",
        breaks="test_a_search_finds_by_id",
    ),
    Mutant(
        "the total is that of the page", Table, "search",
        "total=len(ordered)", "total=len(page)",
        breaks="test_the_total_counts_every_match",
    ),
    Mutant(
        "the offset is ignored", Table, "search",
        "paging.offset : paging.offset + paging.limit", ": paging.limit",
        breaks="test_pages_follow_each_other_newest_first",
    ),
    Mutant(
        "sort_by is ignored", Table, "_order",
        "name = paging.sort_by", 'name = "created_at"',
        breaks="test_a_search_is_sorted_as_asked",
    ),
    Mutant(
        "patch replaces metadata", MemoryThreads, "patch",
        "{**thread.metadata, **metadata}", "metadata",
        breaks="test_a_patch_merges_metadata_and_touches_nothing_else",
    ),
    Mutant(
        "patch merges deeply", MemoryThreads, "patch",
        "{**thread.metadata, **metadata}",
        "{**thread.metadata, **{k: {**thread.metadata.get(k, {}), **v} if isinstance(v, dict) else v "
        "for k, v in metadata.items()}}",
        breaks="test_a_patch_merges_metadata_and_touches_nothing_else",
    ),
    Mutant(
        "patch moves the date of the state", MemoryThreads, "patch",
        "updated_at=self._ledger.clock()", "updated_at=self._ledger.clock(), state_updated_at=self._ledger.clock()",
        breaks="test_a_patch_merges_metadata_and_touches_nothing_else",
    ),
    Mutant(
        "a patch is read back in scope", MemoryThreads, "patch",
        "self._ledger.thread(thread_id, {})", "self._ledger.thread(thread_id, scope)",
        breaks="test_a_patch_that_leaves_the_scope_is_still_answered",
    ),
    Mutant(
        "delete leaves the runs", Ledger, "drop_thread",
        "for run_id in list(self.runs_of.get(thread_id, ())):", "for run_id in ():",
        breaks="test_a_deleted_thread_takes_its_runs_along",
    ),
    Mutant(
        "delete leaves the leases", Ledger, "_leave_queue",
        "held = self.claims.pop(run.run_id, None)", "held = self.claims.get(run.run_id)",
        breaks="test_the_holder_of_a_run_loses_its_lease_with_the_thread",
    ),
    Mutant(
        "delete leaves the lane occupied", Ledger, "_leave_queue",
        "self.schedule.free(run.thread_id)", "pass",
        breaks="test_a_deleted_thread_may_be_made_again",
    ),
    Mutant(
        "a hold holds nothing back", Schedule, "hold",
        "lane.held = True", "pass",
        breaks="test_no_run_starts_on_a_held_thread_until_the_hold_ends",
    ),
    Mutant(
        "a hold never ends", Schedule, "unhold",
        "self._change(thread_id, held=False)", "pass",
        breaks="test_a_hold_ends_when_the_edit_fails",
    ),
    Mutant(
        "a hold looks at the schedule only", MemoryThreads, "hold",
        "self._ledger.inflight_of(thread_id) or not", "not",
        breaks="test_a_hold_is_refused_while_a_run_is_in_flight",
    ),
    Mutant(
        "two may hold", Schedule, "hold",
        "if not lane.empty:", "if lane.waiting or lane.running:",
        breaks="test_one_edit_at_a_time",
    ),
    Mutant(
        "a refused hold ends the other's", MemoryThreads, "hold",
        "        raise ConflictError(",
        "        self._ledger.schedule.unhold(thread_id)\n        raise ConflictError(",
        breaks="test_one_edit_at_a_time",
    ),
    Mutant(
        "a hold holds all back", Schedule, "take",
        "while self._ready and", "while not any(lane.held for lane in self._lanes.values()) and self._ready and",
        breaks="test_a_hold_holds_back_its_own_thread_only",
    ),
    Mutant(
        "a failed edit leaves its hold", MemoryThreads, "hold",
        "finally:", "except BaseException:\n        raise\n    else:",
        breaks="test_a_hold_ends_when_the_edit_fails",
    ),
    Mutant(
        "an edit hides the interrupts", MemoryThreads, "put_state",
        "interrupts=state.interrupts", "interrupts=None",
        breaks="test_an_edited_state_shows_on_the_row",
    ),
    Mutant(
        "an edit drops the metadata", MemoryThreads, "put_state",
        "metadata={**thread.metadata, **metadata},", "metadata=metadata,",
        breaks="test_an_edited_state_shows_on_the_row",
    ),
    Mutant(
        "an edit keeps the error", MemoryThreads, "put_state",
        "error=None,", "",
        breaks="test_an_edited_state_clears_the_error_of_an_earlier_run",
    ),
    Mutant(
        "an edit frees the thread", MemoryThreads, "put_state",
        '"busy" if busy else status', "status",
        breaks="test_a_thread_on_which_a_run_waits_stays_busy_whatever_its_state",
    ),
    Mutant(
        "an edit under a waiting run is forgotten", MemoryThreads, "put_state",
        "resting=status", "resting=thread.resting if busy else status",
        breaks="test_a_thread_on_which_a_run_waits_stays_busy_whatever_its_state",
    ),
]

RUNS = [
    Mutant(
        "a run loses its due date", MemoryRuns, "create",
        "ledger.add_run(run)", "ledger.add_run(replace(run, due_at=None))",
        breaks="test_what_was_created_reads_back_equal_and_pending",
    ),
    Mutant(
        "a run is not queued", Ledger, "add_run",
        "self.schedule.add(run)", "pass",
        breaks="test_creating_a_run_is_enqueueing_it",
    ),
    Mutant(
        "a run leaves its thread idle", MemoryRuns, "_mark_busy",
        'status="busy",', "",
        breaks="test_a_run_makes_its_thread_busy",
    ),
    Mutant(
        "a run needs no thread", MemoryRuns, "create",
        "if existing is None and create_thread is None:", "if existing is None and create_thread is None and ledger.add_run(run) is None:",
        breaks="test_a_run_needs_its_thread",
    ),
    Mutant(
        "the thread that is made has no metadata", MemoryRuns, "create",
        "ledger.add_thread(create_thread)", "ledger.add_thread(replace(create_thread, metadata={}))",
        breaks="test_a_thread_is_made_if_there_is_none",
    ),
    Mutant(
        "the thread that exists is replaced", MemoryRuns, "create",
        "if existing is None and create_thread is not None:", "if create_thread is not None:",
        breaks="test_a_thread_that_exists_is_used_as_it_is",
    ),
    Mutant(
        "create ignores the scope", MemoryRuns, "create",
        "if existing is not None and not in_scope(existing.metadata, scope):", "if False:",
        breaks="test_a_thread_outside_the_scope_is_not_there_and_not_replaced",
    ),
    Mutant(
        "create replaces a thread outside the scope", MemoryRuns, "create",
        "existing = ledger.threads.get(run.thread_id)",
        "existing = ledger.threads.get(run.thread_id)\n"
        "    if existing is not None and create_thread and not in_scope(existing.metadata, scope):\n"
        "        existing = None",
        breaks="test_a_thread_outside_the_scope_is_not_there_and_not_replaced",
    ),
    Mutant(
        "the thread bears all of the run's metadata", MemoryRuns, "_mark_busy",
        "{**thread.metadata, **shared}", "{**thread.metadata, **run.metadata}",
        breaks="test_the_thread_shows_the_config_and_whose_run_it_was",
    ),
    Mutant(
        "the thread does not show the config", MemoryRuns, "_mark_busy",
        "config=config,", "",
        breaks="test_the_thread_shows_the_config_and_whose_run_it_was",
    ),
    Mutant(
        "an id may be taken twice", MemoryRuns, "create",
        "if run.run_id in ledger.runs:", "if False:",
        breaks="test_a_run_id_is_taken_once",
    ),
    Mutant(
        "the id is looked at when others have been displaced", MemoryRuns, "create",
        "if run.run_id in ledger.runs:",
        "if run.run_id in ledger.runs and self._displace(ledger.inflight_of(run.thread_id), run) is not None:",
        breaks="test_a_run_id_is_taken_once",
    ),
    Mutant(
        "there is no bound", MemoryRuns, "create",
        "if ledger.pending >= ledger.bounds.pending_runs:", "if False:",
        breaks="test_a_full_queue_takes_no_more",
    ),
    Mutant(
        "running runs count as waiting", Ledger, "pending",
        " - len(self.claims)", "",
        breaks="test_a_full_queue_takes_no_more",
    ),
    Mutant(
        "enqueue displaces", MemoryRuns, "_displace",
        "action = run.multitask_strategy", "action = run.multitask_strategy.replace('enqueue', 'interrupt')",
        breaks="test_enqueue_waits_behind_the_others",
    ),
    Mutant(
        "reject accepts", MemoryRuns, "create",
        'run.multitask_strategy == "reject"', "False",
        breaks="test_reject_is_refused_while_a_run_is_in_flight",
    ),
    Mutant(
        "reject looks at running runs only", MemoryRuns, "create",
        "if inflight and", "if any(other.status == 'running' for other in inflight) and",
        breaks="test_reject_is_refused_while_a_run_is_in_flight",
    ),
    Mutant(
        "reject admits the run it refuses", MemoryRuns, "create",
        "        raise ConflictError(\n            f\"Thread",
        "        ledger.add_run(run)\n        raise ConflictError(\n            f\"Thread",
        breaks="test_reject_is_refused_while_a_run_is_in_flight",
    ),
    Mutant(
        "reject refuses where a run ever was", MemoryRuns, "create",
        "inflight = ledger.inflight_of(run.thread_id)",
        "inflight = [ledger.run(other, {}) for other in ledger.runs_of.get(run.thread_id, ())]",
        breaks="test_reject_is_admitted_once_nothing_is_in_flight",
    ),
    Mutant(
        "interrupt lets the pending wait", MemoryRuns, "_displace",
        "for other in inflight]", "for other in inflight if other.status == 'running']",
        breaks="test_interrupt_ends_what_waits_and_asks_what_runs_to_stop",
    ),
    Mutant(
        "nobody knows who displaced", MemoryRuns, "_displace",
        "superseded_by=run.run_id", "superseded_by=None",
        breaks="test_interrupt_ends_what_waits_and_asks_what_runs_to_stop",
    ),
    Mutant(
        "displacing tells the running run nothing", Ledger, "stop",
        "self._wish(run.run_id, Wish(action=action, superseded_by=superseded_by))", "pass",
        breaks="test_rollback_deletes_what_waits_and_asks_what_runs_to_stop",
    ),
    Mutant(
        "rollback keeps the row", Ledger, "stop",
        'if action == "rollback":', "if False:",
        breaks="test_rollback_deletes_what_waits_and_asks_what_runs_to_stop",
    ),
    Mutant(
        "a run displaces everywhere", MemoryRuns, "create",
        "inflight = ledger.inflight_of(run.thread_id)", "inflight = await self.inflight(thread_id=None, scope={})",
        breaks="test_a_run_displaces_none_on_other_threads",
    ),
    Mutant(
        "a displaced run stays in the queue", Ledger, "stop",
        "self.schedule.remove(run)", "pass",
        breaks="test_a_displaced_run_never_starts",
    ),
    Mutant(
        "get ignores the thread", MemoryRuns, "get",
        "if thread_id not in (None, run.thread_id):", "if False:",
        breaks="test_a_run_is_found_on_its_own_thread_only",
    ),
    Mutant(
        "a run is in scope when its own metadata is", Ledger, "run",
        "not self._visible(found.thread_id, scope)", "not in_scope(found.metadata, scope)",
        breaks="test_a_run_is_in_scope_when_its_thread_is",
    ),
    Mutant(
        "search ignores the scope", MemoryRuns, "search",
        "self._ledger.thread(query.thread_id, scope)", "self._ledger.thread(query.thread_id, {})",
        breaks="test_a_run_is_in_scope_when_its_thread_is",
    ),
    Mutant(
        "inflight ignores the scope", MemoryRuns, "inflight",
        "if in_scope(self._ledger.thread(run.thread_id, {}).metadata, scope)", "",
        breaks="test_a_run_is_in_scope_when_its_thread_is",
    ),
    Mutant(
        "cancel ignores the scope", MemoryRuns, "request_cancel",
        "scope=scope", "scope={}",
        breaks="test_a_run_is_in_scope_when_its_thread_is",
    ),
    Mutant(
        "rows are kept as they are", Table, "_thaw",
        "return record", "self.__dict__.setdefault('live', {}).setdefault(row[1], record); return self.live[row[1]]",
        breaks="test_nobody_shares_an_object_with_the_store",
    ),
    Mutant(
        "search lists the oldest first", MemoryRuns, "search",
        'if query.sort_order == "desc":', 'if query.sort_order == "asc":',
        breaks="test_a_search_lists_the_runs_of_its_thread_newest_first",
    ),
    Mutant(
        "search lists all runs", MemoryRuns, "search",
        "self._ledger.runs_of.get(query.thread_id, ())", "[run.run_id for run in self._ledger.runs.all()]",
        breaks="test_a_search_lists_the_runs_of_its_thread_newest_first",
    ),
    Mutant(
        "search ignores the status", MemoryRuns, "search",
        "if query.status in (None, run.status)", "",
        breaks="test_a_search_is_filtered_by_status_and_paged",
    ),
    Mutant(
        "the total is that of the page", MemoryRuns, "search",
        "total=len(rows)", "total=query.limit",
        breaks="test_a_search_is_filtered_by_status_and_paged",
    ),
    Mutant(
        "an unknown thread has no runs", MemoryRuns, "search",
        "self._ledger.thread(query.thread_id, scope)", "pass",
        breaks="test_a_search_on_an_unknown_thread_is_not_found",
    ),
    Mutant(
        "inflight is in the order of threads", MemoryRuns, "inflight",
        "sorted(seen, key=lambda run: (run.created_at, run.run_id))", "seen",
        breaks="test_inflight_lists_what_is_pending_or_running_oldest_first",
    ),
    Mutant(
        "inflight forgets the running", Ledger, "inflight_of",
        "if run is not None", "if run is not None and run.status == 'pending'",
        breaks="test_inflight_lists_what_is_pending_or_running_oldest_first",
    ),
    Mutant(
        "a cancelled run leaves its thread busy", Ledger, "stop",
        "self.settle(run)", "pass",
        breaks="test_a_pending_run_is_interrupted_at_once",
    ),
    Mutant(
        "cancel returns what was", Ledger, "stop",
        "return ended", "return run",
        breaks="test_a_pending_run_is_interrupted_at_once",
    ),
    Mutant(
        "rollback of a pending run keeps the row", Ledger, "stop",
        "self.drop_run(run)", "self.end_run(run, status='interrupted')",
        breaks="test_a_pending_run_is_deleted_on_rollback",
    ),
    Mutant(
        "a delayed run cannot be taken out of the queue", Schedule, "remove",
        "elif any(entry[1] == place for entry in self._delayed):", "elif False:",
        breaks="test_a_run_that_is_not_due_yet_can_be_cancelled",
    ),
    Mutant(
        "a wish is told once", MemoryQueue, "_renew",
        "wish=self._ledger.wishes.get(run_id)", "wish=self._ledger.wishes.pop(run_id, None)",
        breaks="test_the_holder_of_a_running_run_learns_the_wish",
    ),
    Mutant(
        "cancel ends a running run", Ledger, "stop",
        'if run.status == "running":', "if False:",
        breaks="test_the_holder_of_a_running_run_learns_the_wish",
    ),
    Mutant(
        "the latest wish counts", Ledger, "_wish",
        'if earlier is None or wish.action == "rollback":', "if True:",
        breaks="test_rollback_overrides_interrupt_and_never_the_reverse",
    ),
    Mutant(
        "the first wish counts", Ledger, "_wish",
        ' or wish.action == "rollback"', "",
        breaks="test_rollback_overrides_interrupt_and_never_the_reverse",
    ),
    Mutant(
        "a wish is everybody's", MemoryQueue, "_renew",
        "self._ledger.wishes.get(run_id)", "next(iter(self._ledger.wishes.values()), None)",
        breaks="test_a_wish_is_for_its_own_run_only",
    ),
    Mutant(
        "cancel stops what was not named", MemoryRuns, "request_cancel",
        "if run.run_id in wanted", "",
        breaks="test_a_wish_is_for_its_own_run_only",
    ),
    Mutant(
        "cancel stops what is finished", MemoryRuns, "request_cancel",
        "for run in await self.inflight(thread_id=None, scope=scope)", "for run in self._ledger.runs.all()",
        breaks="test_what_cannot_be_cancelled_is_left_out",
    ),
    Mutant(
        "a thread is idle when one of its runs ends", Ledger, "settle",
        '"busy" if run.thread_id in self.inflight else thread.resting', "thread.resting",
        breaks="test_a_thread_stays_busy_while_others_wait_on_it",
    ),
    Mutant(
        "a temporary thread stays", Ledger, "settle",
        "if run.temporary and", "if False and",
        breaks="test_a_temporary_thread_goes_with_its_cancelled_run",
    ),
    Mutant(
        "a temporary thread goes under the runs of others", Ledger, "settle",
        " and run.thread_id not in self.inflight", "",
        breaks="test_a_temporary_thread_stays_for_the_run_that_displaces_its_own",
    ),
    Mutant(
        "delete leaves the row", Ledger, "drop_run",
        "self.runs.pop(run.run_id)", "pass",
        breaks="test_a_deleted_run_is_returned_as_it_was_and_gone",
    ),
    Mutant(
        "delete leaves the thread busy", MemoryRuns, "delete",
        "self._ledger.settle(run)", "pass",
        breaks="test_a_deleted_run_is_returned_as_it_was_and_gone",
    ),
    Mutant(
        "delete leaves the lease", MemoryQueue, "_renew",
        "if claim is None or claim.token != lease.token:\n        return Renewal(fresh=False)",
        "if claim is None:\n        return Renewal(fresh=True)",
        breaks="test_a_holder_loses_its_lease_with_the_row",
    ),
    Mutant(
        "delete leaves the lane occupied", Ledger, "_leave_queue",
        "self.schedule.free(run.thread_id)", "pass",
        breaks="test_a_thread_is_free_again_once_its_running_run_is_deleted",
    ),
    Mutant(
        "delete ignores the thread", MemoryRuns, "delete",
        "thread_id=thread_id", "thread_id=None",
        breaks="test_a_run_that_is_not_there_cannot_be_deleted",
    ),
]

QUEUE = [
    Mutant(
        "next_due tells of what is due", Schedule, "next_due",
        "return self._delayed[0][0] if self._delayed else None", "return self._delayed[0][0] if self._delayed else now",
        breaks="test_an_empty_queue_answers_at_once",
    ),
    Mutant(
        "the youngest start first", Schedule, "take",
        "heappop(self._ready)", "self._ready.pop()",
        breaks="test_the_oldest_runs_are_claimed_first",
    ),
    Mutant(
        "the limit is ignored", Schedule, "take",
        " and len(taken) < limit", "",
        breaks="test_the_oldest_runs_are_claimed_first",
    ),
    Mutant(
        "a claimed run stays pending", Ledger, "claim",
        'status="running", ', "",
        breaks="test_a_claimed_run_is_running_and_leased",
    ),
    Mutant(
        "a lease never ends", MemoryQueue, "claim",
        "now + lease_for", "now + lease_for * 1000",
        breaks="test_a_claimed_run_is_running_and_leased",
    ),
    Mutant(
        "the token does not rise", Ledger, "claim",
        "self.tokens.get(run_id, 0) + 1", "1",
        breaks="test_every_claim_raises_the_attempt_and_the_token_by_one",
    ),
    Mutant(
        "the attempt does not rise", Ledger, "claim",
        "attempt=run.attempt + 1, ", "",
        breaks="test_every_claim_raises_the_attempt_and_the_token_by_one",
    ),
    Mutant(
        "claim ignores what runs on the thread", Schedule, "_start",
        "lane.running = place[1]", "heappush(self._ready, (lane.waiting[0], '')) if lane.waiting else None",
        breaks="test_one_run_at_a_time_on_a_thread",
    ),
    Mutant(
        "claim_run ignores what runs on the thread", Schedule, "take_one",
        "lane is None or lane.head != place", "lane is None or place not in lane.waiting",
        breaks="test_one_run_at_a_time_on_a_thread",
    ),
    Mutant(
        "a thread is a stack", Schedule, "_join",
        "insort(lane.waiting, place)", "lane.waiting.insert(0, place)",
        breaks="test_the_runs_of_a_thread_start_in_the_order_they_were_created",
    ),
    Mutant(
        "claim looks, waits, and takes", MemoryQueue, "claim",
        "started = self._ledger.schedule.take(now, limit)",
        "import asyncio, copy; before = copy.deepcopy(self._ledger.schedule)\n"
        "    started = self._ledger.schedule.take(now, limit)\n"
        "    self._ledger.schedule, after = before, self._ledger.schedule\n"
        "    await asyncio.sleep(0)\n"
        "    self._ledger.schedule = after",
        breaks="test_workers_at_the_same_time_never_get_the_same_run",
    ),
    Mutant(
        "a run is due at once", Schedule, "add",
        "if run.due_at is not None:", "if False:",
        breaks="test_a_run_is_not_claimed_before_it_is_due",
    ),
    Mutant(
        "a run that is not due holds up its thread", Schedule, "take",
        "if lane is not None and lane.head == place:",
        "if lane is not None and lane.head == place and all(entry[2] != thread_id for entry in self._delayed):",
        breaks="test_a_run_that_is_not_due_holds_nobody_up",
    ),
    Mutant(
        "next_due tells of the latest", Schedule, "next_due",
        "self._delayed[0][0]", "max(self._delayed)[0]",
        breaks="test_the_queue_tells_when_the_next_run_is_due",
    ),
    Mutant(
        "next_due tells of the past", Schedule, "next_due",
        "self._wake(now)", "pass",
        breaks="test_the_queue_tells_when_the_next_run_is_due",
    ),
    Mutant(
        "claim_run claims the oldest", MemoryQueue, "claim_run",
        "return self._ledger.claim(run_id, worker, now + lease_for)",
        "return (await self.claim(worker, limit=1, lease_for=lease_for))[0]",
        breaks="test_a_run_can_be_claimed_by_its_id",
    ),
    Mutant(
        "claim_run overtakes", Schedule, "take_one",
        "lane.head != place", "lane.head is None or place not in lane.waiting",
        breaks="test_what_cannot_be_claimed_cannot_be_claimed_by_its_id",
    ),
    Mutant(
        "renewing changes nothing", MemoryQueue, "_renew",
        "claim.expires_at = until", "pass",
        breaks="test_a_renewed_lease_lasts_longer",
    ),
    Mutant(
        "renew answers in its own order", MemoryQueue, "renew",
        "[self._renew(lease, until) for lease in leases]",
        "sorted((self._renew(lease, until) for lease in leases), key=lambda renewal: not renewal.fresh)",
        breaks="test_a_renewal_answers_each_lease_in_order",
    ),
    Mutant(
        "renew leaves out what is lost", MemoryQueue, "renew",
        "return [self._renew(lease, until) for lease in leases]",
        "return [answer for answer in (self._renew(lease, until) for lease in leases) if answer.fresh]",
        breaks="test_a_renewal_answers_each_lease_in_order",
    ),
    Mutant(
        "renew refuses what expired", MemoryQueue, "_renew",
        "claim.token != lease.token", "claim.token != lease.token or claim.expires_at <= self._ledger.clock()",
        breaks="test_a_lease_that_expired_but_was_not_reaped_is_renewed",
    ),
    Mutant(
        "renew ignores the token", MemoryQueue, "_renew",
        " or claim.token != lease.token", "",
        breaks="test_a_stale_renewal_does_not_prolong_the_lease_of_the_present_holder",
    ),
    Mutant(
        "every lease is fresh", MemoryQueue, "_renew",
        "Renewal(fresh=False)", "Renewal(fresh=True)",
        breaks="test_a_lost_lease_is_not_renewed",
    ),
    Mutant(
        "finish forgets the state", MemoryQueue, "_thread_changes",
        "if outcome.state is not None:", "if False:",
        breaks="test_finish_writes_the_run_and_its_thread",
    ),
    Mutant(
        "finish does not write the thread", MemoryQueue, "finish",
        "self._ledger.settle(run, **self._thread_changes(outcome))", "pass",
        breaks="test_finish_writes_the_run_and_its_thread",
    ),
    Mutant(
        "finish forgets what went wrong", MemoryQueue, "finish",
        "outcome.error if failed else None", "None",
        breaks="test_finish_writes_what_went_wrong",
    ),
    Mutant(
        "an error stays on the thread", MemoryQueue, "_thread_changes",
        '"error": outcome.error, "touched": True}', '"touched": True, **({"error": outcome.error} if outcome.error else {})}',
        breaks="test_a_run_that_goes_well_clears_the_error_of_an_earlier_one",
    ),
    Mutant(
        "no state wipes the thread's", MemoryQueue, "_thread_changes",
        "if outcome.state is not None:",
        "if outcome.state is None:\n        changes |= {'values': None, 'interrupts': None}\n    else:",
        breaks="test_an_outcome_without_a_state_leaves_what_the_thread_showed",
    ),
    Mutant(
        "finish ignores who else is there", Ledger, "settle",
        '"busy" if run.thread_id in self.inflight else thread.resting', "thread.resting",
        breaks="test_a_thread_is_busy_while_other_runs_are_in_flight_on_it",
    ),
    Mutant(
        "a temporary thread stays", Ledger, "settle",
        "if run.temporary and", "if False and",
        breaks="test_the_thread_of_a_temporary_run_goes_with_it",
    ),
    Mutant(
        "a temporary thread goes under the runs of others", Ledger, "settle",
        " and run.thread_id not in self.inflight", "",
        breaks="test_a_temporary_thread_stays_while_other_runs_are_in_flight_on_it",
    ),
    Mutant(
        "forget is forgotten", MemoryQueue, "finish",
        "if outcome.forget:", "if False:",
        breaks="test_a_rolled_back_run_leaves_no_row",
    ),
    Mutant(
        "finish ignores the token", MemoryQueue, "finish",
        "run = self._ledger.held(lease)", "run = self._ledger.run(lease.run.run_id, {})",
        breaks="test_a_stale_holder_can_write_nothing",
    ),
    Mutant(
        "anybody may write while somebody holds the run", Ledger, "held",
        " or claim.token != lease.token", "",
        breaks="test_a_stale_holder_can_write_nothing",
    ),
    Mutant(
        "finish writes, then looks", MemoryQueue, "finish",
        "run = self._ledger.held(lease)",
        "self._ledger.settle(lease.run, **self._thread_changes(outcome)); run = self._ledger.held(lease)",
        breaks="test_a_stale_holder_can_write_nothing",
    ),
    Mutant(
        "a release burns an attempt", MemoryQueue, "release",
        "run.attempt - 1", "run.attempt",
        breaks="test_a_released_run_is_pending_again_at_no_cost",
    ),
    Mutant(
        "a release forgets the token", Ledger, "requeue",
        "del self.claims[run.run_id]", "del self.claims[run.run_id]; self.tokens.pop(run.run_id)",
        breaks="test_a_released_run_is_pending_again_at_no_cost",
    ),
    Mutant(
        "a release ignores its delay", MemoryQueue, "release",
        "if delay else None", "if False else None",
        breaks="test_a_released_run_is_due_after_its_delay",
    ),
    Mutant(
        "a released run goes to the end", Ledger, "requeue",
        "self.schedule.add(pending)", "self.schedule.add(replace(pending, created_at=self.clock()))",
        breaks="test_a_released_run_keeps_its_place",
    ),
    Mutant(
        "a release keeps the lane", Ledger, "requeue",
        "self.schedule.free(run.thread_id)", "pass",
        breaks="test_a_released_thread_is_free_for_the_next_run",
    ),
    Mutant(
        "reap forgets to queue again", Ledger, "requeue",
        "self.schedule.add(pending)", "pass",
        breaks="test_a_run_whose_lease_expired_is_pending_again",
    ),
    Mutant(
        "reap gives the attempt back", MemoryQueue, "_reap",
        "due_at=None, attempt=run.attempt", "due_at=None, attempt=run.attempt - 1",
        breaks="test_a_run_whose_lease_expired_is_pending_again",
    ),
    Mutant(
        "reap takes what is alive", MemoryQueue, "reap",
        "if claim.expires_at <= now", "",
        breaks="test_live_leases_are_not_reaped",
    ),
    Mutant(
        "reap takes one at a time", MemoryQueue, "reap",
        "for run_id in expired]", "for run_id in expired[:1]]",
        breaks="test_a_lease_is_reaped_once",
    ),
    Mutant(
        "reap ignores attempts", MemoryQueue, "_reap",
        "run.attempt < max_attempts or", "True or",
        breaks="test_a_run_that_used_up_its_attempts_is_a_dead_letter",
    ),
    Mutant(
        "a dead letter leaves no mark on its thread", MemoryQueue, "_reap",
        'self._ledger.settle(run, resting="error", error=error, touched=True)', "self._ledger.settle(run)",
        breaks="test_a_run_that_used_up_its_attempts_is_a_dead_letter",
    ),
    Mutant(
        "a dead letter keeps the lane", Ledger, "_leave_queue",
        "self.schedule.free(run.thread_id)", "pass",
        breaks="test_a_dead_letter_frees_its_thread",
    ),
    Mutant(
        "every claim counts", MemoryQueue, "_reap",
        "if run.attempt < max_attempts", "if claim.token < max_attempts",
        breaks="test_releases_do_not_bring_a_dead_letter_closer",
    ),
    Mutant(
        "a wish dies with the holder", Ledger, "requeue",
        "del self.claims[run.run_id]", "del self.claims[run.run_id]; self.wishes.pop(run.run_id, None)",
        breaks="test_a_wish_outlives_the_holder",
    ),
    Mutant(
        "a run that was asked to stop is a dead letter", MemoryQueue, "_reap",
        " or wish is not None", "",
        breaks="test_a_wish_outlives_the_holder",
    ),
    Mutant(
        "the next holder is not told", Ledger, "claim",
        ", wish=self.wishes.get(run_id)", "",
        breaks="test_a_wish_outlives_the_holder",
    ),
]

STREAMS = [
    Mutant(
        "numbers begin at zero", Log, "add",
        "Record(self.last_seq,", "Record(self.last_seq - 1,",
        breaks="test_records_come_in_order_and_numbered_from_one",
    ),
    Mutant(
        "records are not dated by the clock", MemoryStreams, "append",
        "int(self._clock().timestamp() * 1000)", "0",
        breaks="test_records_are_dated_and_their_ids_never_fall",
    ),
    Mutant(
        "ids fall with the clock", Log, "add",
        "max(self.last_ms, ms)", "ms",
        breaks="test_records_are_dated_and_their_ids_never_fall",
    ),
    Mutant(
        "a reader skips one", MemoryReader, "_fresh",
        "records[-1].seq - self._after))", "records[-1].seq - self._after - 1))",
        breaks="test_a_reader_that_resumes_sees_every_later_event_once",
    ),
    Mutant(
        "a reader repeats one", MemoryReader, "_fresh",
        "self._after = records[-1].seq", "self._after = records[-1].seq - 1",
        breaks="test_what_is_kept_comes_first_then_what_is_appended",
    ),
    Mutant(
        "a reader of now sees the past", MemoryStreams, "follow",
        "log.last_seq if after is None else after", "after or 0",
        breaks="test_a_reader_of_now_sees_only_what_comes",
    ),
    Mutant(
        "an append wakes nobody", MemoryStreams, "append",
        "log.wake()", "pass",
        breaks="test_a_waiting_reader_gets_what_is_appended",
    ),
    Mutant(
        "an append wakes one", Log, "wake",
        "for waiting in self._waiting:", "for waiting in list(self._waiting)[:1]:",
        breaks="test_every_reader_gets_everything",
    ),
    Mutant(
        "a record is read once", MemoryReader, "_fresh",
        "self._after = records[-1].seq", "self._after = records[-1].seq; records.clear()",
        breaks="test_a_kept_log_can_be_read_again",
    ),
    Mutant(
        "silence is the end", MemoryReader, "batch",
        "return ()", "return None",
        breaks="test_silence_is_an_empty_batch_and_loses_nothing",
    ),
    Mutant(
        "silence costs the next record", MemoryReader, "batch",
        "return ()", "self._after += 1; return ()",
        breaks="test_silence_is_an_empty_batch_and_loses_nothing",
    ),
    Mutant(
        "two pieces of news at once are too many", Log, "wake",
        "if not waiting.done():", "if True:",
        breaks="test_the_result_comes_as_soon_as_the_log_is_closed",
    ),
    Mutant(
        "who gives up takes the others along", Log, "change",
        "self._waiting.discard(waiting)", "self._waiting.clear()",
        breaks="test_a_reader_that_gave_up_waiting_does_not_disturb_the_others",
    ),
    Mutant(
        "there is one log", MemoryStreams, "open",
        "self._logs.setdefault(lease.run.run_id, Log())",
        "self._logs.setdefault(lease.run.run_id, next(iter(self._logs.values()), Log()))",
        breaks="test_logs_do_not_mix",
    ),
    Mutant(
        "an attempt begins anew", MemoryStreams, "open",
        "log.token = lease.token", "log.last_seq = log.last_seq if log.token in (0, lease.token) else 0; log.token = lease.token",
        breaks="test_numbering_goes_on_where_an_earlier_attempt_ended",
    ),
    Mutant(
        "a stale token may append", MemoryStreams, "append",
        " or log.token != lease.token", "",
        breaks="test_an_older_token_can_append_no_more",
    ),
    Mutant(
        "a stale token appends one, then hears", MemoryStreams, "append",
        "if log is None or", "if log is not None and log.token > lease.token:\n        log.add(events[0], 0)\n    if log is None or",
        breaks="test_an_older_token_can_append_no_more",
    ),
    Mutant(
        "a stale token may open", MemoryStreams, "open",
        "if log.token > lease.token:", "if False:",
        breaks="test_an_older_token_cannot_open",
    ),
    Mutant(
        "a closed log takes more", MemoryStreams, "append",
        " or log.closed", "",
        breaks="test_a_closed_log_takes_no_more",
    ),
    Mutant(
        "a reader ends before it has read everything", MemoryReader, "batch",
        "if found := self._fresh():", "if (found := self._fresh()) and not self._log.closed:",
        breaks="test_a_reader_ends_once_it_has_read_everything",
    ),
    Mutant(
        "a reader never ends", MemoryReader, "batch",
        "if self._log.closed:", "if False:",
        breaks="test_a_reader_ends_once_it_has_read_everything",
    ),
    Mutant(
        "a close wakes nobody", MemoryStreams, "close",
        "log.wake()", "pass",
        breaks="test_a_waiting_reader_learns_of_the_end",
    ),
    Mutant(
        "the result is lost", MemoryStreams, "close",
        "log.closed, log.result, log.keep = True, result, keep", "log.closed, log.keep = True, keep",
        breaks="test_the_result_comes_as_soon_as_the_log_is_closed",
    ),
    Mutant(
        "an append gives a result", MemoryReader, "result",
        "return self._log.result", "return self._log.result and b'{}'",
        breaks="test_the_result_comes_as_soon_as_the_log_is_closed",
    ),
    Mutant(
        "a close counts twice", MemoryStreams, "close",
        "if log is None or log.closed:", "if log is None:",
        breaks="test_only_the_first_close_counts",
    ),
    Mutant(
        "a log that never was cannot be closed", MemoryStreams, "close",
        "log = self._logs.get(run_id)", "log = self._logs[run_id]",
        breaks="test_a_log_that_never_was_can_be_closed",
    ),
    Mutant(
        "keep is ignored", MemoryStreams, "close",
        "True, result, keep", "True, result, False",
        breaks="test_a_kept_log_can_be_read_again",
    ),
    Mutant(
        "a kept log lasts for ever", MemoryStreams, "_expire",
        "while self._kept and", "while False and",
        breaks="test_a_kept_log_is_gone_when_its_time_is_over",
    ),
    Mutant(
        "a kept log is gone too soon", MemoryStreams, "close",
        "self._bounds.stream_ttl", "0",
        breaks="test_a_kept_log_is_gone_when_its_time_is_over",
    ),
    Mutant(
        "everything is kept", MemoryStreams, "close",
        "True, result, keep", "True, result, True",
        breaks="test_a_log_that_nobody_reads_and_nobody_keeps_goes_at_once",
    ),
    Mutant(
        "a log goes under its readers", MemoryStreams, "_drop_unless_needed",
        "if not log.readers and", "log.records.clear() if log.closed and not log.keep else None\n    if",
        breaks="test_a_log_that_is_not_kept_goes_as_its_last_reader_leaves",
    ),
    Mutant(
        "nobody notices that the last reader leaves", MemoryStreams, "follow",
        "self._drop_unless_needed(run_id, log)", "pass",
        breaks="test_a_log_that_is_not_kept_goes_as_its_last_reader_leaves",
    ),
    Mutant(
        "an early reader reads a log of its own", MemoryStreams, "follow",
        "self._logs.setdefault(run_id, Log())", "self._logs.get(run_id) or Log()",
        breaks="test_a_reader_may_come_before_the_run",
    ),
    Mutant(
        "a log that was not opened cannot be closed", MemoryStreams, "close",
        "if log is None or", "if log is None or log.token == 0 or",
        breaks="test_a_log_closed_before_it_was_opened_ends_its_readers",
    ),
    Mutant(
        "nothing is ever dropped", Log, "trim",
        "while self.size > most and", "while False and",
        breaks="test_the_oldest_events_of_a_full_log_go",
    ),
    Mutant(
        "what is missing is not missed", MemoryReader, "_fresh",
        "if first > self._after + 1:", "if False:",
        breaks="test_the_oldest_events_of_a_full_log_go",
    ),
    Mutant(
        "the newest events go", MemoryStreams, "append",
        "log.trim(self._bounds.stream_bytes)",
        "while log.size > self._bounds.stream_bytes:\n        log.size -= len(log.records.pop().data)",
        breaks="test_a_reader_that_kept_up_notices_nothing",
    ),
]

SIGNALS = [
    Mutant(
        "one listener is told", MemorySignals, "send",
        "tuple(self._listeners)", "self._listeners[:1]",
        breaks="test_every_listener_is_told",
    ),
    Mutant(
        "a signal does not say what it is about", MemorySignals, "send",
        "listener(signal)", "listener(type(signal)(*[()] * len(vars(signal))))",
        breaks="test_a_signal_arrives_with_what_it_says",
    ),
    Mutant(
        "a signal is told twice", MemorySignals, "send",
        "listener(signal)", "listener(signal); listener(signal)",
        breaks="test_each_signal_is_told_once_and_in_order",
    ),
    Mutant(
        "a listener is never let go", MemorySignals, "listen",
        "self._listeners.remove(listener)", "pass",
        breaks="test_a_listener_is_told_nothing_once_its_context_has_ended",
    ),
    Mutant(
        "somebody must listen", MemorySignals, "send",
        "for listener in tuple(self._listeners):", "self._listeners[0]\n    for listener in tuple(self._listeners):",
        breaks="test_a_signal_that_nobody_listens_to_is_no_error",
    ),
]

ITEMS = [
    Mutant(
        "an item does not know where it is", items, "_detached",
        "return item", "item.namespace = (); return item",
        breaks="test_what_was_put_is_got",
    ),
    Mutant(
        "values are merged", InMemoryStore, "_apply_put_ops",
        "value=dict(op.value)",
        "value={**(self._data[namespace][key].value if key in self._data[namespace] else {}), **op.value}",
        breaks="test_a_later_value_replaces_the_earlier",
    ),
    Mutant(
        "values stay what they were", items, "_copied",
        "value=orjson.loads(orjson.dumps(op.value))", "value=op.value",
        breaks="test_what_the_writer_changes_later_is_not_kept",
    ),
    Mutant(
        "a pair is written as a word", items, "_copied",
        "orjson.dumps(op.value)", "orjson.dumps({k: str(v) if type(v) is tuple else v for k, v in op.value.items()})",
        breaks="test_values_come_out_as_json_carries_them",
    ),
    Mutant(
        "values are copied, not encoded", items, "_copied",
        "value=orjson.loads(orjson.dumps(op.value))", "value=__import__('copy').deepcopy(op.value)",
        breaks="test_a_value_that_is_not_json_is_refused",
    ),
    Mutant(
        "a reader gets what is kept", items, "_detached",
        "item = copy(found)", "item = found",
        breaks="test_what_a_reader_changes_is_not_kept",
    ),
    Mutant(
        "a copy is shallow", items, "_detached",
        "orjson.loads(orjson.dumps(found.value))", "found.value",
        breaks="test_what_a_searcher_changes_is_not_kept",
    ),
    Mutant(
        "a batch is put one by one", MemoryStore, "abatch",
        "wanted = [_copied(op) for op in ops]", "wanted = [op for op in ops if [await super().abatch([_copied(op)])]]",
        breaks="test_a_batch_with_a_refused_value_changes_nothing",
    ),
    Mutant(
        "a batch answers what is found first", MemoryStore, "abatch",
        "return [_fresh(result) for result in results]",
        "return sorted((_fresh(result) for result in results), key=lambda result: result is None)",
        breaks="test_a_batch_answers_in_order",
    ),
    Mutant(
        "nothing is deleted", InMemoryStore, "_apply_put_ops",
        "self._data[namespace].pop(key, None)", "pass",
        breaks="test_a_deleted_item_is_gone",
    ),
    Mutant(
        "a search stays in its namespace", InMemoryStore, "_filter_items",
        "if namespace[:n] != namespace_prefix:", "if namespace != namespace_prefix:",
        breaks="test_a_search_looks_below_a_prefix_and_filters",
    ),
    Mutant(
        "namespaces are cut short", InMemoryStore, "_handle_list_namespaces",
        "if op.max_depth is not None:", "if True:\n        op = op._replace(max_depth=1)",
        breaks="test_namespaces_that_hold_something_are_listed",
    ),
    Mutant(
        "empty namespaces are listed", MemoryStore, "_forget_empty",
        "isinstance(op, PutOp | GetOp)", "isinstance(op, GetOp)",
        breaks="test_an_emptied_namespace_is_not_listed",
    ),
    Mutant(
        "reading makes a namespace", MemoryStore, "_forget_empty",
        "isinstance(op, PutOp | GetOp)", "isinstance(op, PutOp)",
        breaks="test_a_namespace_that_was_only_read_is_not_listed",
    ),
    Mutant(
        "items are not dated", InMemoryStore, "_apply_put_ops",
        "created_at=datetime.now(timezone.utc)", "created_at=datetime.fromtimestamp(0, timezone.utc)",
        breaks="test_items_say_when_they_were_written",
    ),
]

CHECKPOINTS = [
    Mutant(
        "only the latest is copied", MemoryCheckpointer, "copy_thread",
        "in checkpoints.items():", "in list(checkpoints.items())[-1:]:",
        breaks="test_a_copy_has_the_whole_history",
    ),
    Mutant(
        "only the root is copied", MemoryCheckpointer, "copy_thread",
        "in checkpoints.items():", "in (checkpoints.items() if not namespace else ()):",
        breaks="test_a_copy_has_the_whole_history",
    ),
    Mutant(
        "values are not copied", MemoryCheckpointer, "copy_thread",
        "target.blobs.update(", "dict().update(",
        breaks="test_a_copy_has_the_whole_history",
    ),
    Mutant(
        "a copy is not rehomed", MemoryCheckpointer, "copy_thread",
        ', "thread_id": target_thread_id}', "}",
        breaks="test_a_copy_bears_its_own_thread_id",
    ),
    Mutant(
        "a copy forgets its metadata", MemoryCheckpointer, "copy_thread",
        "{**self.serde.loads_typed(metadata), \"thread_id\"", "{\"thread_id\"",
        breaks="test_a_copy_bears_its_own_thread_id",
    ),
    Mutant(
        "a copy has no parents", MemoryCheckpointer, "copy_thread",
        "self.serde.dumps_typed(moved), parent)", "self.serde.dumps_typed(moved), None)",
        breaks="test_a_copy_keeps_the_links_to_parents",
    ),
    Mutant(
        "pending writes are not copied", MemoryCheckpointer, "copy_thread",
        "target.writes.update(", "dict().update(",
        breaks="test_a_copy_keeps_pending_writes",
    ),
    Mutant(
        "pending writes are shared", MemoryCheckpointer, "copy_thread",
        "(target_thread_id, *key[1:]): dict(value)", "(target_thread_id, *key[1:]): value",
        breaks="test_a_copy_goes_its_own_way",
    ),
    Mutant(
        "a thread is moved", MemoryCheckpointer, "copy_thread",
        "source = self._threads.get(source_thread_id)", "source = self._threads.pop(source_thread_id, None)",
        breaks="test_a_copy_goes_its_own_way",
    ),
    Mutant(
        "a copy of nothing fails", MemoryCheckpointer, "copy_thread",
        "self._threads.get(source_thread_id)", "self._threads[source_thread_id]",
        breaks="test_copying_a_thread_without_checkpoints_copies_nothing",
    ),
    Mutant(
        "rolling back removes the thread", MemoryCheckpointer, "delete_for_runs",
        'filter={"run_id": run_id}', "filter=None",
        breaks="test_rolling_a_run_back_removes_its_checkpoints_only",
    ),
    Mutant(
        "rolling back removes the latest only", MemoryCheckpointer, "delete_for_runs",
        'saver.list(None, filter={"run_id": run_id})', 'saver.list(None, filter={"run_id": run_id}, limit=1)',
        breaks="test_rolling_a_run_back_removes_its_checkpoints_only",
    ),
    Mutant(
        "rolling back takes shared values along", checkpoints, "_forget",
        "if (channel, version) not in needed:", "if True:",
        breaks="test_rolling_a_run_back_leaves_the_state_before_it",
    ),
    Mutant(
        "rolling back takes the writes of others along", checkpoints, "_forget",
        "saver.writes.pop((thread_id, namespace, checkpoint_id), None)", "saver.writes.clear()",
        breaks="test_rolling_a_run_back_leaves_the_state_before_it",
    ),
    Mutant(
        "rolling back stops at a run it does not know", MemoryCheckpointer, "delete_for_runs",
        "continue", "break",
        breaks="test_several_runs_are_rolled_back_at_once",
    ),
    Mutant(
        "pruning keeps the oldest", checkpoints, "_keep_latest",
        "[1:]", "[:-1]",
        breaks="test_pruning_keeps_the_latest_of_each_namespace",
    ),
    Mutant(
        "pruning looks at the root only", checkpoints, "_keep_latest",
        "for namespace in saver.storage[thread_id]:", "for namespace in ('',):",
        breaks="test_pruning_keeps_the_latest_of_each_namespace",
    ),
    Mutant(
        "pruning never removes everything", MemoryCheckpointer, "prune",
        'if saver is not None and strategy == "keep_latest":', "if saver is not None:",
        breaks="test_pruning_can_remove_everything",
    ),
    Mutant(
        "any other way of pruning removes everything", MemoryCheckpointer, "prune",
        'if strategy not in ("keep_latest", "delete"):', "if False:",
        breaks="test_pruning_in_an_unknown_way_is_refused",
    ),
    Mutant(
        "nothing is deleted", MemoryCheckpointer, "delete_thread",
        "self._threads.pop(thread_id, None)", "self._threads.get(thread_id)",
        breaks="test_a_deleted_thread_leaves_nothing",
    ),
    Mutant(
        "one deletion deletes all", MemoryCheckpointer, "delete_thread",
        "saver = self._threads.pop(thread_id, None)", "saver = self._threads.pop(thread_id, None); self._threads.clear()",
        breaks="test_a_deleted_thread_leaves_nothing",
    ),
    Mutant(
        "an unknown thread has the latest checkpoint of all", InMemorySaver, "get_tuple",
        "if checkpoints := self.storage[thread_id][checkpoint_ns]:", "if checkpoints := self.storage[thread_id][checkpoint_ns] or {'': 1 / 0}:",
        breaks="test_an_empty_saver_is_a_saver",
    ),
]

MACHINE_NOTICES = {
    "claim ignores what runs on the thread",
    "claim_run overtakes",
    "the token does not rise",
    "a thread is a stack",
    "the youngest start first",
    "finish ignores the token",
    "anybody may write while somebody holds the run",
    "every lease is fresh",
    "finish ignores who else is there",
    "a release burns an attempt",
    "a released run goes to the end",
    "a release keeps the lane",
    "reap ignores attempts",
    "reap takes what is alive",
    "reap forgets to queue again",
    "a wish dies with the holder",
    "a run that was asked to stop is a dead letter",
    "a release ignores its delay",
    "a run is due at once",
    "forget is forgotten",
    "a dead letter keeps the lane",
    "renewing changes nothing",
    "a release forgets the token",
    "renew ignores the token",
    "a hold holds nothing back",
    "a hold never ends",
    "a hold looks at the schedule only",
    "two may hold",
    "delete leaves the runs",
    "reject accepts",
    "interrupt lets the pending wait",
    "a displaced run stays in the queue",
    "the latest wish counts",
    "a delayed run cannot be taken out of the queue",
    "delete leaves the row",
    "a cancelled run leaves its thread busy",
}
"""Titles of the mutants that the state machine finds by itself."""

__all__ = [
    "ASSISTANTS", "CHECKPOINTS", "ITEMS", "MACHINE_NOTICES", "Mutant", "QUEUE", "RUNS", "SIGNALS", "STREAMS", "THREADS",
]
