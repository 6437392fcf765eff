"""The sentences for each event, for all renderers but JSON."""

from __future__ import annotations

from luci_dl import events
from luci_dl.events import Event
from luci_dl.figures import about, clock, percent, seconds_left
from luci_dl.text import counted, human_size, printable, time_of_day
from luci_dl.ui.forecast import INDENT, disk_space, would_install


def describe(event: Event) -> list[str]:
    """The lines to show for the event, safe to print."""
    match event:
        case events.Planned():
            return _planned(event)
        case events.FallbackFolderUsed(reference, folder, reason):
            return _with_emoji("📦 ", f"{_one_line(reason)}\n{_one_line(reference)} goes to {_one_line(folder)}")
        case events.Waiting():
            return [_waiting(event)]
        case events.CopyFound(name, _, location):
            return [f"📦 Found in {printable(location)}: {base_name(name)}"]
        case events.Started():
            return [_started(event)]
        case events.Serving(name, host, reason):
            why = f": {_one_line(reason)}" if reason else ""
            return [f"📥 Downloading {base_name(name)} from {printable(host)}{why}"]
        case events.Swarming(name, host):
            return [f"📥 Downloading {base_name(name)} from {printable(host)} and the hosts that fetch it, too"]
        case events.Sharing(names, hosts, seconds):
            what = base_name(names[0]) if len(names) == 1 else counted(len(names), "file")
            return [f"📦 Sending {what} to {counted(hosts, 'host')}, for {seconds:g} s at most (Ctrl+C ends this)"]
        case events.SmallFiles(_, names, total):
            return [_started(events.Started(counted(len(names), "small file"), total, 0))]
        case events.Progress() | events.Hashing():
            return [_progress(event)]
        case events.Retrying(name, reason, delay, attempt, most):
            cause = f"{_one_line(reason)} ({attempt} of {most})"
            return [f"Retrying in {about(round(delay))}: {cause} | {base_name(name)}"]
        case events.Requested():
            return [_requested(event)]
        case events.Chosen(reference, chosen, _, verdict, numbers):
            return [f"📦 {printable(reference)} is {printable(chosen)}, which {verdict}: {_one_line(numbers)}"]
        case events.Warned(message):
            return _with_emoji("⚠️  ", message)
        case events.ServeStarted():
            return _serve_started(event)
        case events.Installed():
            return _installed(event)
        case events.Compared():
            return _compared(event)
        case events.Superseded(_, path, dry_run):
            return [f"{'Would remove' if dry_run else 'Removed'} {printable(path)}: the new version does not have it"]
        case events.Stopped(_, operation):
            return [f"⚠️  {operation} interrupted by user"]
        case events.Deleted() | events.NotDeleted() | events.Kept():
            return _part_ended(event)
        case events.Failed(_, message, hint):
            return _with_emoji("❌ ", message) + [INDENT + line for line in _lines(hint)]
        case events.Summary():
            return _summary(event)
        case events.WouldInstall():
            return would_install(event)
        case events.DiskSpace():
            return disk_space(event)
        case events.Cleaned(path, _, freed, dry_run):
            return [f"{'Would remove' if dry_run else 'Removed'} {printable(path)} ({human_size(freed)})"]
        case events.Verified():
            return [_verified(event)]
        case events.VerifySummary(count, wrong):
            return [] if wrong else [f"✅ {'The file is' if count == 1 else f'All {count} files are'} right"]
        case events.Removed():
            return _removed(event)
        case events.Linked():
            return _linked(event)
        case events.Unlinked(reference, target, name, paths, dry_run):
            begin = "Would unlink" if dry_run else "Unlinked"
            where = "a folder" if target == "folder" else target
            title = f"{begin} {printable(reference)} from {where} ({printable(name)})"
            return [title, *(INDENT + printable(path) for path in paths)]
        case events.Moved():
            return _carried(event)
        case events.ExportSummary(folder, count, size, sums):
            what = f"{counted(count, 'file')}, {human_size(size)}, and {base_name(sums)}"
            return [f"✅ {printable(folder)} has {what}; everything is written, so the disk can be unmounted"]
        case events.RolledForward(name):
            return [f"✅ Completed an install that had been cut off: {base_name(name)}"]
        case events.Finding():
            return _finding(event)
        case events.LeftAlone(path, reason):
            return [f"Left alone {printable(path)}: {_one_line(reason)}"]
        case events.CleanSummary():
            return [_clean_summary(event)]
    return []


def base_name(name: str) -> str:
    """The last part of a path, safe to print."""
    return printable(name.rpartition("/")[2])


def _progress(event: events.Progress | events.Hashing) -> str:
    if isinstance(event, events.Hashing):
        return f"🔍 Checking {base_name(event.name)}...  {_share(event.done, event.total)}"
    figures = [_share(event.done, event.total)]
    if event.rate > 0:
        figures.append(f"{human_size(int(event.rate))}/s")
    left = seconds_left(event.done, event.total, event.rate)
    if left is not None:
        figures.append(f"{clock(left)} left")
    doing = _DOING.get(type(event), "📥 Downloading")
    return f"{doing} {base_name(event.name)}...  {' | '.join(figures)}"


_DOING: dict[type, str] = {events.Copying: "📥 Copying", events.Uploading: "📤 Uploading"}


def _share(done: int, total: int | None) -> str:
    if total is None:
        return human_size(done)
    return f"{percent(done, total)}% | {human_size(done)}/{human_size(total)}"


def _lines(text: str) -> list[str]:
    return [printable(line) for line in text.splitlines()]


def _one_line(text: str) -> str:
    return " ".join(_lines(text))


def _with_emoji(emoji: str, message: str) -> list[str]:
    first, *others = _lines(message) or [""]
    return [emoji + first, *(INDENT + line for line in others)]


def _planned(event: events.Planned) -> list[str]:
    if len(event.models) < 2:
        return []
    size = f", {'at least ' if event.at_least else ''}{human_size(event.total)}" if event.total else ""
    return [f"Installing {len(event.models)} models{size}"]


def _waiting(event: events.Waiting) -> str:
    holder = "another process" if event.pid is None else f"pid {event.pid}"
    if event.host:
        holder += f" on {printable(event.host)}"
    if event.command:
        holder += f" ({_one_line(event.command)})"
    if event.since:
        holder += f" since {printable(time_of_day(event.since))}"
    details = [f"Waiting for {holder}"]
    if event.done is not None and event.total is not None:
        details.append(f"{percent(event.done, event.total)} %")
    left = seconds_left(event.done, event.total, event.rate)
    if left is not None:
        details.append(f"{about(left)} left")
    return ", ".join(details)


def _started(event: events.Started) -> str:
    begin = f"📥 Downloading {base_name(event.name)}... "
    if not event.offset:
        return f"{begin} 0% | Starting fresh"
    verified = human_size(event.offset, " ")
    if event.total is None:
        return f"{begin} Resuming at {verified} (verified)"
    return f"{begin} Resuming at {percent(event.offset, event.total)} % ({verified} verified)"


def _requested(event: events.Requested) -> str:
    parts = [event.method, event.url, event.range.replace("=", " ")]
    parts += [f"({name}: ***)" for name in event.masked_headers]
    outcome = f"no answer ({_one_line(event.reason)})" if event.status is None else str(event.status)
    return f"{printable(' '.join(filter(None, parts)))}: {outcome} in {event.seconds:.2f} s"


def _installed(event: events.Installed) -> list[str]:
    name = base_name(event.paths[0])
    more = len(event.paths) - 1
    if more:
        name += f" and {more} more file{'s' if more > 1 else ''}"
    match event.outcome:
        case "already":
            return [f"✅ {name} is already installed"]
        case "renewed":
            return [f"✅ {name} is already installed; its small files (template, parameters, licences) are new"]
        case "adopted":
            return [f"✅ Adopted {name}: it was there already, and is right"]
        case "newer":
            again = "Run the install command again with --force to replace it"
            return [f"⚠️  {name} is installed, but a newer version exists", INDENT + again]
        case "elsewhere":
            other = f"⚠️  {name} is installed from another address, which may have had another file"
            return [other, INDENT + "Replace it with --force, or install both with -o NAME"]
    figures = human_size(event.size)
    if event.fetched and event.seconds > 0:
        figures += f", {human_size(int(event.fetched / event.seconds))}/s"
    return [f"✅ Installed {name} ({figures})"]


def _compared(event: events.Compared) -> list[str]:
    name, reason = printable(event.reference), _one_line(event.reason)
    match event.state:
        case "current":
            return [f"✅ {name} is up to date"]
        case "outdated":
            return [f"{name} has a newer version" + (f" ({human_size(event.fetch)} to fetch)" if event.fetch else "")]
        case "pinned":
            return [f"{name} is pinned: {reason}"]
    return _with_emoji("⚠️  ", f"cannot tell whether {name} is up to date: {reason}")


def _part_ended(event: events.Deleted | events.NotDeleted | events.Kept) -> list[str]:
    match event:
        case events.Deleted(name, command):
            restart = f"Run the {printable(command)} command again to restart"
            return [f"🗑️  Deleted partial download: {base_name(name)}", INDENT + restart]
        case events.NotDeleted(_, reason, path):
            return [f"⚠️  Could not delete partial file: {_one_line(reason)}", f"📦 Partial file at: {printable(path)}"]
        case events.Kept(name, done, total, command):
            share = human_size(done) if total is None else f"{percent(done, total)} %"
            resume = f"Run the {printable(command)} command again to resume"
            return [f"📦 Kept partial download: {base_name(name)} ({share})", INDENT + resume]


def _finding(event: events.Finding) -> list[str]:
    mark = "OK" if event.level == "ok" else event.level.capitalize()
    return [f"{mark:<8} {event.topic}: {_one_line(event.message)}", *(f"{'':8} {line}" for line in _lines(event.hint))]


def _verified(event: events.Verified) -> str:
    line = f"{event.state:<10} {printable(event.path)}"
    if event.expected:
        line += f": expected {_one_line(event.expected)}"
    if event.found:
        line += f"{', found' if event.expected else ':'} {_one_line(event.found)}"
    return line


def _removed(event: events.Removed) -> list[str]:
    begin = "Would remove" if event.dry_run else "Removed"
    return [
        f"{begin} {printable(event.reference)} ({human_size(event.freed)})",
        *(INDENT + printable(path) for path in event.paths),
    ]


def _linked(event: events.Linked) -> list[str]:
    begin = "Would link" if event.dry_run else "🔗 Linked"
    how = f", {_HOW[event.how]}" if event.how in _HOW else ""
    where = event.root if event.target == "folder" else event.target
    lines = [f"{begin} {printable(event.reference)} to {printable(where)} as {printable(event.name)}{how}"]
    return lines + ([INDENT + printable(event.usage)] if event.usage else [])


_HOW = {
    "reflink": "sharing its blocks",
    "hardlink": "as a hard link",
    "symlink": "as a symlink",
    "copy": "as a copy",
}


def _carried(event: events.Moved) -> list[str]:
    name, folder = printable(event.reference), printable(event.folder)
    if event.outcome == "already":
        return [f"✅ {name} is already in {folder}"]
    to_copy, copied = ("to send", "sent") if event.outcome == "pushed" else ("to copy", "copied")
    share = f" of {human_size(event.size)} {to_copy if event.dry_run else copied}"
    verb = {"moved": "move", "exported": "export", "imported": "import", "pushed": "push"}[event.outcome]
    begin = f"Would {verb}" if event.dry_run else f"✅ {event.outcome.capitalize()}"
    return [
        f"{begin} {name} to {folder} ({human_size(event.copied)}{share})",
        *(INDENT + printable(path) for path in event.paths),
    ]


def _clean_summary(event: events.CleanSummary) -> str:
    files, freed = counted(event.removed, "file"), human_size(event.freed)
    if not event.removed:
        return "Nothing to clean"
    return f"Would free {freed}: {files}" if event.dry_run else f"Freed {freed}: {files} removed"


def _summary(event: events.Summary) -> list[str]:
    failed = [f"{printable(reference)}: {_one_line(reason)}" for reference, reason in event.failed]
    rows = [
        ("Installed", [", ".join(map(printable, event.installed))] if event.installed else []),
        ("Interrupted", [", ".join(map(printable, event.interrupted))] if event.interrupted else []),
        ("Failed", failed),
        ("Not started", [", ".join(map(printable, event.not_started))] if event.not_started else []),
    ]
    return ["Summary:", *(f"{INDENT}{title}: {text}" for title, texts in rows for text in texts)]


def _serve_started(event: events.ServeStarted) -> list[str]:
    pull = "fetches what is missing" if event.pull else "only what is installed"
    lines = [f"📦 Serving {printable(event.folder)} at {printable(event.address)} ({pull})"]
    return lines if event.for_others else [*lines, f"{INDENT}Only this machine can reach it: see --bind."]
