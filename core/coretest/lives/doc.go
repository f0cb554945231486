// Package lives tests what several lives and daemons do to one place: a disk is
// lost or rolled back, a copy of a data directory runs beside the original, two
// daemons that know nothing of each other share a sink, an old life comes back
// after a newer one. Real engines run on memory disks and manual clocks; the
// place is any sink.Sink.
//
//	daemon 0 ──▶ engine ──▶ process ──┐
//	daemon 1 ──▶ engine ──▶ process ──┼──▶ Place ──▶ the sink under test
//	daemon 2 ──▶ engine ──▶ process ──┘      ▲
//	                     observer: List, Open, raw files
//
// Every call that an engine makes of a sink goes through a process, which tells
// the place's witness who wants what. The witness records everything that was
// ever published, and after each step an observer with a client of its own reads
// all of it again. What must hold:
//
//   - A published set and an archived segment stay as they are, byte for byte.
//     They disappear by retention alone: of their own lineage, by a daemon that
//     made them or goes on from who did, and only those that its rules do not
//     keep. The witness works that out by itself (retention.go).
//   - The one exception is a job that fails: it takes back what it has published
//     itself and nobody was told of.
//   - What is staged is removed by its own lineage.
//   - Nothing else's set counts as a daemon's own: what INFO calls up to date is
//     there under the daemon's very ID.
//   - A start on an empty or older directory is refused while the place holds
//     more, and no other start is.
//   - Whatever is restored is a state that its lineage was in.
package lives
