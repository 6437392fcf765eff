"""Bytes onto disk: nothing here knows of a network. `fs` makes the calls, the rest says in which order.

fs              the calls that change the disk; file, folders
storage_errors  what they raise, in words, with what to do; attributes: why even root is refused
layout          all paths; formats: what luci's own files have in common
journal         what proves the bytes of a part (journal_writer appends to it); receipt: of an installed file
transaction     one model, from the locks to the commit
target          what is at a final path; place: whether a file can be put there
part            the bytes of one file: part_sink (for the workers), identity (of which version they are); small_part
part_writer     range_map (who may write where; jumps: what is wanted next), buffers (what is collected), write_behind
                (the threads), backlog (what waits for them)
proof           what of a part from an earlier run counts; block_sums: the digests of its blocks as they arrive
blocks          fast digests of the blocks of a file, to find damage
senders         who sent which bytes
part_files      the files below them; guarded_file: nothing is written after the lock is released
watch           notices what vanishes meanwhile
publish         the last checks (hashing) and the renames; commit: the record of several, and rolling it forward
succession      the files of an older version: those that stay, those that go
endings         what becomes of parts without a commit
locks           of one transaction; lock (one), lock_info (its text), stored_lock (many), folder_lock (on a full disk)
lock_reliability  where a lock may be granted to everyone
space           room: claimed, measured, watched
filesystems     what each kind can do; same_folder: which paths are one folder; probe: tries it out for `luci doctor`
"""
