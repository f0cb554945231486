// Package repair mends a data directory that does not start. It works on the
// directory alone, without an engine, and its caller holds the directory's lock.
//
//	start ──▶ DamagedError ──▶ Examine ──▶ CutLog   the log ends before its damage
//	                                  └──▶ GoBack   an older checkpoint is the state
//
// Nothing is ever deleted: what a repair takes out of the state is set aside in
// wal.TornDir. What it gives up had been promised, so it is for a person to call,
// who has seen what Examine says.
package repair
