// Package script runs Lua as Redis 7.0 runs it: scripts and function libraries, in a
// closed sandbox, against an engine of which it knows only [Host].
//
//	Scripts    EVAL: an interpreter, and the scripts that it knows, by their digests
//	Libraries  FCALL: an interpreter, and the functions that the libraries have registered
//	Interp     an interpreter on gopher-lua: globals, the table redis, conversions, what bounds a run
//
// gopher-lua executes. What it does not do as Lua 5.1 does is done here: the refusals
// of source text (syntax.go), the libraries string, table and math, numbers as text,
// the words of errors (errors.go). Tables that Redis makes read-only are empty ones
// that show the real one behind them (sandbox.go). cjson, cmsgpack, struct and bit
// are written after the C libraries of those names.
//
// An interpreter belongs to one run at a time; the caller sees to that.
package script
