"""What the server promises to clients: one entry per behaviour, and where it differs from the platform, why.

Every test names the entries it shows, by ``@covers``; every entry has a test. ``test_manifest.py`` sees to both.
A source such as ``platform 5.1`` is a part of the platform's behaviour: 0 conventions, 2 the server itself, 3
assistants, 4 threads, 4.1 state and history, 5 runs, 5.1 multitasking, 5.2 cancelling, 5.3 streams, 7 store, 8 event
streams, 9 other protocols, 10 configuration. ``sdk`` is the official Python client, ``RemoteGraph`` LangGraph's, and
``fast_graph`` is a promise of our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Requirement:
    """One behaviour."""

    id: str
    source: str
    behaviour: str
    divergence: str | None = None
    """How the platform does it, and why we do not."""


R = Requirement

META = (
    R("meta.ok", "platform 2", "/ok and / say that the server is up; check_db may be asked for"),
    R("meta.health", "fast_graph", "/health says that all is up, or 503 and which server behind it is not"),
    R("meta.root_for_browsers", "fast_graph", "A browser that opens / is sent to the documentation"),
    R("meta.info", "platform 2", "/info has the versions, the feature flags and the host"),
    R("meta.info.crons", "platform 2", "/info says that there are no crons",
      "the platform says true: crons are not served by this version, and clients hide what the flag denies"),
    R("meta.docs", "platform 2", "/openapi.json describes every path, and /docs shows it"),
    R("meta.unknown_path", "platform 0", "An unknown path is 404 with a detail"),
    R("meta.wrong_method", "platform 0", "A wrong method is 405, and allow names the right ones",
      "the platform answers 404 on its own pages such as /ok: one rule for all paths"),
    R("cors.origins", "platform 0", "Pages of every origin may call the API"),
    R("cors.preflight", "platform 0", "A preflight allows every method and header, and private networks"),
    R("cors.exposed", "platform 0", "Pages may read the paging headers, Content-Location and Location",
      "the platform does not expose Location: browsers need it to come back to a stream that dropped"),
    R("errors.detail", "platform 0", "Every refusal is JSON with one text under detail",
      "the platform answers a bad namespace label in plain text and a missing key under error: one form is enough"),
    R("errors.invalid_json", "platform 0", "A body that is not JSON, or missing, is 422"),
    R("errors.huge_integers", "fast_graph", "An integer of more than 64 bits in a body is 422",
      "the platform keeps a float near it: another number than the one that was sent"),
    R("errors.encrypted", "fast_graph", "With encryption, a search by what threads and items say is 422"),
    R("errors.unknown_fields", "platform 0", "Unknown fields of a body are ignored"),
    R("errors.null_fields", "platform 0", "A null counts as left out",
      "the platform refuses it in some fields: clients in some languages send null for what is not set"),
    R("errors.numbers_as_text", "platform 0", "Numbers may be written as text",
      "the platform refuses them in bodies: what is meant is clear"),
    R("errors.query_values", "platform 0", "A query value that does not fit is 422",
      "the platform takes some of them for false: a mistake in an address should show"),
    R("errors.typed", "sdk", "The client raises its typed errors, with the server's text"),
    R("errors.unexpected", "platform 0", "What nobody expected is 500 with an id to look for in the log, and no more",
      "the platform answers in plain text without an id: with one, the log's entry can be found"),
    R("ids.any_string", "platform 0", "Any 1 to 255 printable characters are a thread's id; an unknown one is 404",
      "the platform takes UUIDs only and refuses others with 422: users pass ids such as user_123_session"),
    R("ids.slashes", "sdk", "Ids arrive percent-encoded, slashes and all, and are sent back so"),
    R("ids.uuids", "platform 0", "Ids of runs and assistants that are no UUIDs are 422"),
    R("ids.new", "platform 0", "New threads and runs get UUIDs in order of time; new assistants random ones"),
    R("times.iso", "platform 0", "Times are ISO 8601 with microseconds and a zone"),
    R("pages.limits", "platform 0", "limit is 1 to 1000 and 10 by default; offset is not negative"),
    R("pages.next", "platform 0", "x-pagination-next is where the next page begins, if there is one"),
    R("pages.total", "platform 0", "x-pagination-total is how many rows match",
      "the platform looks one row ahead: the true count is what pages need"),
)  # fmt: skip

NOT_YET = (
    R("not_yet.metrics", "platform 2", "/metrics is 404", "not served by this version"),
    R("not_yet.thread_storage", "platform 1", "The storage of a thread is 404", "not served by this version"),
    R("not_yet.thread_stream", "platform 5.4", "The stream of a thread is 404", "not served by this version"),
    R("not_yet.event_stream", "platform 8", "Event streams and commands are 404",
      "not served by this version; clients try the path and take 404 for an answer"),
    R("not_yet.crons", "platform 6", "Crons are refused", "not served by this version; /info says so"),
    R("not_yet.a2a", "platform 9", "A2A is 404", "not served by this version"),
    R("not_yet.mcp", "platform 9", "MCP is 404", "not served by this version"),
    R("not_yet.ui", "platform 9", "Generated user interfaces are 404", "not served by this version"),
)  # fmt: skip

ASSISTANTS = (
    R("assistants.system", "platform 0", "Every graph has an assistant from the start, under an id made of its name"),
    R("assistants.system.editable", "platform 0", "A graph's own assistant can be changed and removed"),
    R("assistants.by_name", "platform 0", "A path takes an assistant's UUID or a graph's name",
      "the platform takes names in run bodies and for drawings only: whoever knows the one place expects the rest"),
    R("assistants.create", "platform 3", "Creating takes an id, graph, config, metadata, name and description"),
    R("assistants.create.defaults", "platform 3", "A new assistant is Untitled, of version 1, with nothing set"),
    R("assistants.create.unknown_graph", "platform 3", "An unknown graph is 404"),
    R("assistants.create.if_exists", "platform 3", "A taken id is 409, or gives what is there if asked for"),
    R("assistants.context", "platform 3", "context and config.configurable mirror each other; both at once are 400"),
    R("assistants.get.unknown", "platform 3", "An unknown assistant is 404"),
    R("assistants.patch", "platform 3", "A change merges metadata, replaces the rest, and makes a version"),
    R("assistants.patch.unknown", "platform 3", "Changing an unknown assistant is 404"),
    R("assistants.versions", "platform 3", "Versions come newest first, by page, by metadata, without updated_at"),
    R("assistants.latest", "platform 3", "An earlier version is the latest again, with its graph; unknown ones are 404",
      "the platform does not restore the graph: a version is the whole of it"),
    R("assistants.search", "platform 3", "Search filters by metadata, graph and part of the name, in pages"),
    R("assistants.search.sort", "platform 3", "Search sorts, by default the newest first"),
    R("assistants.search.select", "platform 3", "Search gives only the columns asked for; unknown ones are 422"),
    R("assistants.count", "platform 3", "Count takes the filters of search and gives a bare number"),
    R("assistants.graph", "platform 3", "A graph is drawn as nodes and edges that LangGraph can draw"),
    R("assistants.graph.xray", "platform 3", "xray draws what is inside of subgraphs; nonsense is 422"),
    R("assistants.schemas", "platform 3", "The schemas of input, output, state, config and context"),
    R("assistants.subgraphs", "platform 3", "The schemas of subgraphs, by namespace, deeper if asked for"),
    R("assistants.delete", "platform 3", "A removed assistant is gone; removing it again is 404"),
    R("assistants.delete.threads", "platform 3", "Its threads go with it if asked for"),
)  # fmt: skip

THREADS = (
    R("threads.create", "platform 4", "A new thread is idle and has the metadata given"),
    R("threads.create.id", "platform 4", "A thread takes the id it is given"),
    R("threads.create.if_exists", "platform 4", "A taken id is 409, or gives what is there if asked for"),
    R("threads.create.supersteps", "platform 4", "A thread can be made with a history, if metadata names its graph"),
    R("threads.create.invalid", "platform 4", "Metadata that is no object, and unknown choices, are 422"),
    R("threads.ttl", "platform 4", "ttl is an object with minutes and a strategy; it is checked and not acted upon",
      "the platform's sweeper removes or trims expired threads: this version keeps threads until they are deleted"),
    R("threads.fresh", "platform 4", "Before the first run values are null, and there is no error and no interrupts"),
    R("threads.get.unknown", "platform 4", "An unknown thread is 404"),
    R("threads.get.include", "platform 4", "include is accepted"),
    R("threads.patch", "platform 4", "A change merges metadata and moves updated_at alone"),
    R("threads.patch.minimal", "platform 0", "Prefer: return=minimal gives 204"),
    R("threads.patch.unknown", "platform 4", "Changing an unknown thread is 404"),
    R("threads.status", "platform 4", "A thread is busy while runs wait or run; then idle, interrupted or error"),
    R("threads.values", "platform 4", "The values on the row are those of the last run that ended"),
    R("threads.interrupts", "platform 4", "Interrupts on the row are listed by task; none for static ones"),
    R("threads.error", "platform 4", "The row has the error of the last run, and loses it with the next"),
    R("threads.after_run", "platform 4", "After a run the metadata names its graph and assistant; config shows tags"),
    R("threads.search", "platform 4", "Search filters by metadata, values, status and ids, in pages"),
    R("threads.search.sort", "platform 4", "Search sorts by any of its columns; by default the last touched is first"),
    R("threads.search.select", "platform 4", "Search gives only the columns asked for; unknown ones are 422"),
    R("threads.search.extract", "platform 4", "Search picks values out of a thread by path; unknown roots are 422"),
    R("threads.search.null_values", "platform 4", "A filter on values passes over threads without values",
      "the platform answers 500 as soon as one thread has no values"),
    R("threads.count", "platform 4", "Count takes the filters of search and gives a bare number"),
    R("threads.copy", "platform 4", "A copy has the metadata and checkpoints, is idle, and shows no values yet"),
    R("threads.copy.apart", "platform 4", "What happens on a copy does not touch the thread it was made of"),
    R("threads.copy.unknown", "platform 4", "Copying an unknown thread is 409"),
    R("threads.prune", "platform 4", "Pruning deletes the threads named and tells how many there were"),
    R("threads.prune.keep_latest", "platform 4", "keep_latest leaves the latest checkpoint",
      "the platform refuses it in memory: it works on every backend here"),
    R("threads.delete", "platform 4", "A removed thread is gone with its state; removing it again is 404"),
    R("threads.delete.running", "platform 4", "Removing a thread ends what runs on it"),
)  # fmt: skip

STATE = (
    R("state.empty", "platform 4.1", "A thread without checkpoints has an empty state and no history"),
    R("state.unknown_thread", "platform 4.1", "The state of an unknown thread is 404"),
    R("state.get", "platform 4.1", "A state has values, next, tasks, interrupts, metadata, and where it comes from"),
    R("state.metadata", "platform 4.1", "A checkpoint's metadata has the run's, and run, thread, source and step"),
    R("state.metadata.parent", "platform 4.1", "An edited checkpoint names its parent under parent_checkpoint",
      "the platform repeats the parent's id in the metadata: LangGraph's own savers leave it out"),
    R("state.at_checkpoint", "platform 4.1", "A state can be read at a checkpoint, by id or by place"),
    R("state.unknown_checkpoint", "platform 4.1", "An unknown checkpoint is an empty state under that id"),
    R("state.subgraphs", "platform 4.1", "The state of a subgraph is shown in its task if asked for"),
    R("state.select", "sdk threads.get_state", "Only the parts asked for are sent",
      "the platform sends the other parts, too: a thread's state can be large"),
    R("state.update", "platform 4.1", "An update writes a checkpoint as if a node had returned the values"),
    R("state.update.reducers", "platform 4.1", "Updates go through the reducers: a message of the same id is replaced"),
    R("state.update.null", "platform 4.1", "Null values only move on"),
    R("state.update.fork", "platform 4.1", "An update at an earlier checkpoint forks, by place or by id"),
    R("state.update.shows", "platform 4.1", "The thread shows the new values, and is interrupted if nodes are left"),
    R("state.update.refused", "platform 4.1", "Unknown nodes and threads without a graph are 400, other values 422"),
    R("state.patch", "fast_graph", "Metadata can be merged through the state's path, too",
      "the platform answers 405: earlier clients have a method for it"),
    R("history.order", "platform 4.1", "History is newest first, each state with its parent"),
    R("history.limit", "platform 4.1", "History is limited to 10 states unless asked for otherwise",
      "the platform sends 1 unless asked for otherwise: 10 is what its clients ask for"),
    R("history.limit.range", "platform 4.1", "A limit of history out of 1 to 1000 is 422",
      "the platform takes any with GET and refuses with POST: one rule for all limits"),
    R("history.before", "platform 4.1", "History goes on before a checkpoint, given by its id or a config"),
    R("history.before.flat", "platform 4.1", "before may be the flat place of a checkpoint",
      "the platform answers 500"),
    R("history.metadata", "platform 4.1", "History can be filtered by metadata"),
    R("history.checkpoint", "platform 4.1", "History can start at a checkpoint"),
    R("history.select", "sdk threads.get_history", "Only the parts asked for are sent",
      "the platform sends the other parts, too: a thread's state can be large"),
    R("travel.replay", "platform 4.1", "A run with a checkpoint goes on from there"),
    R("travel.fork", "platform 4.1", "A run with a checkpoint and input branches off there"),
    R("travel.invalid", "platform 5", "A checkpoint id that is no UUID is 422"),
)  # fmt: skip

RUNS = (
    R("runs.create", "platform 5", "A run in the background is pending at first, and Content-Location names it"),
    R("runs.record", "platform 5", "A run shows its arguments, metadata, strategy, status and times"),
    R("runs.assistant", "platform 5", "assistant_id is a UUID or a graph's name; unknown ones are 404 or 422"),
    R("runs.unknown_thread", "platform 5", "A run on an unknown thread is 404"),
    R("runs.if_not_exists", "platform 5", "The thread is made on request"),
    R("runs.validation", "platform 5", "Values that a field does not take are 422"),
    R("runs.input", "platform 5", "Input is what the graph begins with"),
    R("runs.input.null", "platform 5", "Null goes on where the thread is; a fresh thread has nothing to go on with"),
    R("runs.metadata", "platform 5", "A run's metadata is the assistant's, the thread's, the config's and its own"),
    R("runs.config.tags", "platform 5", "Tags reach the graph"),
    R("runs.config.recursion_limit", "platform 5", "The recursion limit ends a run that goes round and round"),
    R("runs.config.configurable", "platform 5", "Configurable values reach the graph, also as its context"),
    R("runs.config.ids", "platform 5", "Graphs find the ids of run, thread, graph and assistant in configurable"),
    R("runs.context", "platform 5", "Context reaches the graph, also as configurable; with configurable it is 400"),
    R("runs.context.assistant", "platform 5", "The assistant's context counts where the run says nothing, key by key"),
    R("runs.interrupt_before", "platform 5", "A run stops before the nodes named, or before all"),
    R("runs.interrupt_after", "platform 5", "A run stops after the nodes named, or after all"),
    R("runs.after_seconds", "platform 5", "A run can be put off; its thread is busy meanwhile"),
    R("runs.after_seconds.negative", "platform 5", "A negative delay is 422",
      "the platform starts the run at once: a delay below zero is a mistake"),
    R("runs.durability", "platform 5", "exit keeps one checkpoint per run; checkpoint_during=false is its old name"),
    R("runs.max_attempts", "fast_graph", "A run, or its graph, says how often it is tried when its workers are lost"),
    R("runs.feedback_keys", "platform 5", "feedback_keys are kept with the run",
      "the platform asks its tracing service for addresses: there is no such service here"),
    R("runs.webhook", "platform 5.5", "A webhook is refused with 422",
      "not served by this version: a client that relies on it must know at once"),
    R("runs.tracing_fields", "sdk runs.stream", "strict_resume and langsmith_tracer are accepted",
      "the platform hands them to its tracing service: there is no such service here"),
    R("runs.get", "platform 5", "A run can be looked up; an unknown one is 404"),
    R("runs.list", "platform 5", "A thread's runs come newest first, in pages, by status"),
    R("runs.list.select", "platform 5", "Only the columns asked for are sent; unknown ones are 422"),
    R("runs.list.json_select", "platform 5", "A column list may be one JSON array, as JavaScript clients send it",
      "the platform refuses it with 422"),
    R("runs.list.unknown_status", "platform 5", "An unknown status matches nothing"),
    R("runs.list.limit", "platform 5", "A limit or offset out of range is 422",
      "the platform takes any: one rule for all limits"),
    R("runs.delete", "platform 5", "A removed run is gone; an unknown one is 404"),
    R("runs.delete.running", "platform 5", "Removing a running run stops it and frees its thread",
      "the platform leaves the thread busy for ever"),
    R("runs.wait", "platform 5", "wait gives the final values"),
    R("runs.wait.error", "platform 5", "A run that failed gives its error in the place of values, with status 200"),
    R("runs.wait.interrupt", "platform 5", "A run that was interrupted gives its values and what it asks"),
    R("runs.wait.signs_of_life", "platform 5", "A newline every few seconds keeps the connection alive"),
    R("runs.wait.location", "platform 5", "wait and join say where to come back to and which run it is"),
    R("runs.join", "platform 5", "join waits for a run, and gives the thread's values after it has ended"),
    R("runs.join.interrupted", "platform 5", "join of a run that stopped at an interrupt gives what it asks, alone"),
    R("runs.join.error", "platform 5", "join of a failed run gives its error"),
    R("runs.join.unknown", "platform 5", "join of an unknown run is an error in the place of values"),
    R("runs.join.cancel_on_disconnect", "platform 5", "A joining client may take the run with it when it leaves"),
    R("runs.success_at_interrupt", "platform 5", "A run that stops to ask has succeeded; its thread is interrupted"),
    R("runs.failed", "platform 5", "A run whose node raises is an error, with the type and message of the exception"),
    R("runs.masked", "platform 5", "The message of an exception that nobody knows stays in the log"),
    R("runs.timeout", "platform 10", "A run beyond its time ends as timeout"),
    R("runs.on_disconnect", "platform 5.3", "A client that hangs up leaves its run, or takes it along if it said so"),
    R("stateless.wait", "platform 5", "A run without a thread gives its values like any other"),
    R("stateless.stream", "platform 5", "A run without a thread streams like any other"),
    R("stateless.location", "platform 5", "Location and Content-Location of a stateless run lead to it",
      "the platform names paths that it does not serve"),
    R("stateless.on_completion", "platform 5", "Its thread goes with the run's end, or stays if asked for"),
    R("stateless.resume", "platform 5", "Resuming without a thread is 400"),
    R("stateless.thread_id", "platform 5", "A thread_id in the body is ignored"),
    R("batch.create", "platform 5", "Many runs are created in one request, in order"),
    R("batch.invalid", "platform 5", "An empty batch is 422, and one bad run refuses them all"),
)  # fmt: skip

MULTITASK = (
    R("multitask.reject", "platform 5.1", "A second run is refused with 409"),
    R("multitask.enqueue", "platform 5.1", "A second run waits its turn, which is the default; values add up"),
    R("multitask.interrupt", "platform 5.1", "A second run stops the first and goes on from what it has done"),
    R("multitask.rollback", "platform 5.1", "A second run undoes the first and deletes it"),
    R("multitask.queue", "platform 5.1", "interrupt and rollback push aside the runs that wait, too"),
    R("multitask.threads", "platform 5.1", "Threads do not wait for each other"),
    R("cancel.interrupt", "platform 5.2", "A running run stops; run and thread are interrupted, with a UserInterrupt"),
    R("cancel.rollback", "platform 5.2", "A running run is undone and deleted; its thread is idle, with a UserRollback",
      "the platform's thread may be seen busy for a while after the run is gone: both go in one step here"),
    R("cancel.pending", "platform 5.2", "A pending run never starts; its thread is idle"),
    R("cancel.wait", "platform 5.2", "A cancel that waits returns when the run has stopped, with an empty object"),
    R("cancel.stream", "platform 5.2", "The stream of a cancelled run ends without an error"),
    R("cancel.many", "platform 5.2", "Several runs of a thread are cancelled by their ids"),
    R("cancel.by_status", "platform 5.2", "All runs of a status are cancelled"),
    R("cancel.invalid", "platform 5.2", "Neither ids nor a status, or both, is 422"),
    R("cancel.nothing", "platform 5.2", "Unknown and finished runs are 404"),
)  # fmt: skip

STREAMS = (
    R("stream.headers", "platform 5.3", "A stream is not to be cached or buffered, and says where to come back to"),
    R("stream.frames", "platform 5.3", "Frames are event, data and id lines that end in CRLF"),
    R("stream.metadata", "platform 5.3", "The first frame has the run's id and attempt"),
    R("stream.end", "platform 5.3", "A stream ends when its run has ended, without a frame of its own"),
    R("stream.heartbeat", "platform 5.3", "A comment every five seconds keeps the connection alive"),
    R("stream.live", "platform 5.3", "Frames arrive while the run goes on"),
    R("stream.error", "platform 5.3", "An exception is one last error frame"),
    R("stream.refused", "platform 5.3", "What is refused before the start is plain JSON"),
    R("stream.interrupt", "platform 5.3", "An interrupt is told in values and updates; a static one has an empty list"),
    R("stream.on_run_created", "sdk runs.stream", "The client learns the ids of run and thread before the first frame"),
    R("mode.values", "platform 5.3", "values: the state after each superstep, the input first"),
    R("mode.updates", "platform 5.3", "updates: what each node returned"),
    R("mode.messages", "platform 5.3", "messages: metadata once, then the growing message"),
    R("mode.messages_tuple", "platform 5.3", "messages-tuple: each token with its metadata"),
    R("mode.custom", "platform 5.3", "custom: whatever a node writes"),
    R("mode.tasks", "platform 5.3", "tasks: each task as it begins and ends"),
    R("mode.checkpoints", "platform 5.3", "checkpoints: each checkpoint as it is written"),
    R("mode.debug", "platform 5.3", "debug: tasks and checkpoints by step"),
    R("mode.events", "platform 5.3", "events: LangChain's own events"),
    R("mode.many", "platform 5.3", "Several modes share one stream"),
    R("mode.subgraphs", "platform 5.3", "Frames of subgraphs have their namespace in the event, if asked for"),
    R("join_stream.now", "platform 5.3", "A stream that is not resumable is joined from now on, and empty when over"),
    R("join_stream.modes", "platform 5.3", "A joining client may ask for some of the modes"),
    R("join_stream.unknown", "platform 5.3", "The stream of an unknown run is one error frame"),
    R("join_stream.cancel_on_disconnect", "platform 5.3", "A joining client may take the run with it when it leaves"),
    R("resume.ids", "platform 5.3", "Frames of resumable runs have ids; others have none"),
    R("resume.unique", "platform 5.3", "Ids are unique and rising",
      "the platform repeats ids within a millisecond, and whoever resumes there loses frames"),
    R("resume.after", "platform 5.3", "A client that comes back with the last id it saw gets every later frame once"),
    R("resume.all", "platform 5.3", "-1 and 0 give all frames, also after the end; the last id none"),
    R("resume.invalid", "fast_graph", "A Last-Event-ID that no stream has sent is 422"),
    R("resume.reconnect", "sdk runs.stream", "A client whose connection drops loses nothing"),
)  # fmt: skip

COMMANDS = (
    R("command.resume", "platform 5", "resume answers the interrupt"),
    R("command.resume_by_id", "platform 5", "resume answers several interrupts by their ids"),
    R("command.update", "platform 5", "update writes to the state"),
    R("command.goto", "platform 5", "goto names a node, a node with its input, or several"),
    R("command.wins", "platform 5", "A command counts before the input; an empty one does not count"),
    R("command.invalid", "platform 5", "A goto that names no node is 422"),
)  # fmt: skip

STORE = (
    R("store.put", "platform 7", "An item is stored under its namespace and key, in the place of what was there"),
    R("store.put.invalid", "platform 7", "Namespaces without labels, bad labels and reserved roots are refused"),
    R("store.index", "platform 7", "index is false or a list of fields"),
    R("store.ttl", "platform 7", "ttl and refresh_ttl are checked and not acted upon in memory",
      "the platform's sweeper removes expired items: the memory backend keeps them until they are deleted"),
    R("store.get", "platform 7", "An item has its namespace, key, value and times; an absent one is null"),
    R("store.get.nowhere", "platform 7", "Without a namespace, or with an empty key, an item is null",
      "the platform refuses both: nothing can be there, and that is the answer"),
    R("store.delete", "platform 7", "A removed item is gone; removing it again is fine"),
    R("store.search", "platform 7", "Search finds what is below a namespace, in pages, oldest first"),
    R("store.search.query", "platform 7", "query is accepted; without an index it changes nothing"),
    R("store.filter", "platform 7", "Values are compared by equality or by operators; unknown operators are 400"),
    R("store.filter.absent", "platform 7", "Comparing a key that an item does not have passes over the item",
      "the platform answers 500"),
    R("store.search.everywhere", "platform 7", "Without a prefix, search looks everywhere", "the platform answers 500"),
    R("store.namespaces", "platform 7", "Namespaces are listed in order, by prefix, suffix and depth, in pages"),
    R("store.namespaces.emptied", "platform 7", "A namespace without items is not listed",
      "the platform goes on listing it"),
    R("store.graphs", "platform 7", "Graphs and clients see the same items"),
)  # fmt: skip

REMOTE = (
    R("remote.graph", "RemoteGraph", "get_graph draws the graph"),
    R("remote.invoke", "RemoteGraph", "invoke gives the final values, with and without a thread"),
    R("remote.stream", "RemoteGraph", "stream gives the chunks of every mode"),
    R("remote.subgraphs", "RemoteGraph", "stream tells the namespaces of subgraphs"),
    R("remote.turns", "RemoteGraph", "Turns on a thread build on each other"),
    R("remote.interrupt", "RemoteGraph", "A run stops to ask, and Command(resume=...) answers"),
    R("remote.update_state", "RemoteGraph", "update_state edits the state, and the run goes on with it"),
    R("remote.history", "RemoteGraph", "get_state and get_state_history show where the thread is and was"),
    R("remote.travel", "RemoteGraph", "A run from an earlier checkpoint branches off there"),
    R("remote.node", "RemoteGraph", "A remote graph is a node of another graph"),
    R("remote.error", "RemoteGraph", "A failed run raises a RemoteException with what happened"),
    R("remote.thread_ids", "RemoteGraph", "Any string is a thread id, slashes and all"),
)  # fmt: skip

WALK = (
    R("walk.background", "sdk", "A run in the background is pending, can be joined, and has succeeded then"),
    R("walk.tokens", "sdk", "Tokens arrive one by one and add up to the answer"),
    R("walk.edit", "sdk", "A conversation is copied, its past edited, and told on from there"),
    R("walk.store", "sdk", "The store is filled, paged through, read and emptied"),
    R("walk.gather", "sdk", "Many runs are created at once and joined"),
    R("walk.errors", "sdk", "Conflicts, unknown things and nonsense are the client's typed errors"),
    R("walk.sync", "sdk", "The client without async gets the same"),
    R("walk.client_timeout", "sdk", "A client that gives up waiting leaves its run well"),
)  # fmt: skip

FIELDS = (
    R("fields.known", "platform 0", "Every field and query parameter that the platform takes is known here"),
    R("fields.checkpoint_thread", "platform 5", "The thread in a checkpoint's place is ignored",
      "the platform sends empty values if it is another one: the path names the thread"),
    R("fields.checkpoint_ns", "platform 4.1", "A checkpoint's place may be inside of a subgraph"),
    R("recorded.cases", "platform", "The recorded cases give what the platform gave, the explained differences apart"),
    R("recorded.document", "fast_graph", "docs/compatibility.md says how many do"),
)  # fmt: skip

REQUIREMENTS: Sequence[Requirement] = (
    *META, *NOT_YET, *ASSISTANTS, *THREADS, *STATE, *RUNS, *MULTITASK, *STREAMS, *COMMANDS, *STORE, *REMOTE, *WALK,
    *FIELDS,
)  # fmt: skip

BY_ID = {requirement.id: requirement for requirement in REQUIREMENTS}


def covers(*ids: str) -> pytest.MarkDecorator:
    """Marks a test with the entries it shows. Raises KeyError for an id that is no entry's."""
    return pytest.mark.covers(*[BY_ID[one] for one in ids])
